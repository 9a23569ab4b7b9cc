"""What a platform team applies to a cluster so that Animus may run steps in one of its namespaces.

Manifests only: nothing here talks to a cluster, and nothing in them is cluster-wide.
"""
