"""What an attempt has used, from the reports of its containers."""

from __future__ import annotations

from animus.adapters.kubernetes.reports import LaunchReport
from animus.adapters.steps.reports import CollectReport, FetchReport
from animus.domain.work_orders import Usage

_BY_LAUNCHER = "Main's launcher did not say, or this runtime keeps no such account."
_BY_MOVER = "Our own container beside the step did not say."
_UNSAID = {
    "cpu_milliseconds": _BY_LAUNCHER,
    "peak_memory_bytes": _BY_LAUNCHER,
    "bytes_in": _BY_MOVER,
    "bytes_out": _BY_MOVER,
}


def usage_of(
    fetched: FetchReport | None, launched: LaunchReport | None, collected: CollectReport | None
) -> Usage:
    found = {
        "cpu_milliseconds": launched.cpu_milliseconds if launched else None,
        "peak_memory_bytes": launched.peak_memory_bytes if launched else None,
        "bytes_in": fetched.total_bytes if fetched else None,
        "bytes_out": collected.total_bytes if collected else None,
    }
    silent = {name: _UNSAID[name] for name, value in found.items() if value is None}
    return Usage(**found, unknown=silent)
