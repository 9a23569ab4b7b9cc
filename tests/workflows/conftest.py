"""Workflow tests run on one platform."""

from __future__ import annotations

from tests.workflows.fixtures import platform, project

__all__ = ["platform", "project"]
