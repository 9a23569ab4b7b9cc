"""How long activities may take and how they are tried again. Control work is small and retried
until it is done; execution is retried for lost agents only."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy

CONTROL_TIMEOUT = timedelta(seconds=20)
"""One short transaction; a killed worker is noticed after this."""
REGISTER_TIMEOUT = timedelta(minutes=5)
"""Thousands of outputs are looked at in the object store before the transaction."""
REGISTER_HEARTBEAT = timedelta(seconds=20)
CONTROL_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30)
)
SEND_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=8,
)
"""Half a minute without a database. Then others are sent first: the rows say what is owed."""
QUICK_TIMEOUT = timedelta(seconds=2)
QUICK_RETRY = RetryPolicy(maximum_attempts=1)
RECHECK = timedelta(hours=1)
"""Rows are read again at least this often, should a wake-up have been lost."""
