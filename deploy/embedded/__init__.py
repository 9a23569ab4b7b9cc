"""The embedded stack: real servers and our own processes on one machine, loopback only.

Builds, starts, watches and stops them. For trying Animus and for tests; production has its own
PostgreSQL, Temporal and object store.
"""
