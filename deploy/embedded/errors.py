"""What can go wrong with the stack, in words for the person in front of it."""

from __future__ import annotations


class StackError(Exception):
    """The stack can't do what was asked. The message says what happened and what to do."""


class PortTaken(StackError):
    """Another process listens where one of ours must."""


class BuildFailed(StackError):
    """A server could not be built from its pinned sources."""
