"""Every line that a process logs is one JSON document, whoever logs it."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging

import structlog

from animusd.logs import configure_logs

configure_logs("worker")
structlog.get_logger().warning("ours", run_id="r1")
logging.getLogger("temporalio.worker").warning("theirs %s", 2)
logging.getLogger("httpx").info("GET https://store/object?X-Amz-Signature=secret")
try:
    raise ValueError("two\\nlines")
except ValueError:
    logging.getLogger("uvicorn.error").exception("failed")
"""


def test_each_line_is_json_and_no_url_is_among_them() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    ours, theirs, failed = (json.loads(line) for line in ran.stderr.splitlines())
    assert (ours["event"], ours["run_id"], ours["process"]) == ("ours", "r1", "worker")
    assert (theirs["event"], theirs["logger"]) == ("theirs 2", "temporalio.worker")
    assert theirs["level"] == "warning"
    assert failed["exception"].endswith("ValueError: two\nlines")
    assert ran.stdout == ""
