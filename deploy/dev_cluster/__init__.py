"""A real Kubernetes node on this machine, for development and tests: no Docker.

Builds the programs from pinned source, starts, watches and stops them. Not for production.
"""
