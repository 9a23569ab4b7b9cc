"""Bytes between this machine and the object store: hashed, announced, moved, compared."""
