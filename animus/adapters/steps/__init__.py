"""What every executor knows of a step: its failures, its log, and the reports of fetch and collect.

Nothing here knows an engine or a cluster.
"""
