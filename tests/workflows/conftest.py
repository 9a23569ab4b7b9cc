"""Workflow tests run on one platform."""

from __future__ import annotations

from tests.workflows.fixtures import platform, project, pytest_runtest_makereport

__all__ = ["platform", "project", "pytest_runtest_makereport"]
