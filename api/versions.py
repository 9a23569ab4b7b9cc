"""Which version of the control plane answers."""

from __future__ import annotations

from importlib.metadata import version

SERVER_VERSION = version("animus-control-plane")
