"""The data plane's use cases: what an agent does with a work order.

Knows no database, no object store and no engine; only orders, their proof and their one answer.
"""
