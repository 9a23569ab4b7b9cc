"""An inbox is as quick as it is short: not longer with every gate that was ever closed."""

from __future__ import annotations

import psycopg
import pytest

from animus.store.inboxes import INBOX
from tests.support.databases import connected
from tests.support.people import Team
from tests.support.platforms import Platform

pytestmark = pytest.mark.stack

CLOSED = 20_000
FILL = (
    "ALTER TABLE runs DISABLE TRIGGER USER",  # which know no run that begins with its end
    # Runs that have ended, each with a gate that is closed: copies of one that waits.
    "CREATE TEMP TABLE past AS SELECT gen_random_uuid() AS run_id, gen_random_uuid() AS gate_id"
    "  FROM generate_series(1, %(closed)s)",
    "INSERT INTO runs SELECT (jsonb_populate_record(r, jsonb_build_object('id', p.run_id,"
    " 'name', p.run_id::text, 'state', 'succeeded', 'waiting_for', NULL, 'deadline', NULL,"
    " 'ended_at', now()))).* FROM past p, runs r WHERE r.id = %(run)s",
    "INSERT INTO approval_gates SELECT (jsonb_populate_record(g, jsonb_build_object("
    " 'id', p.gate_id, 'run_id', p.run_id))).* FROM past p, approval_gates g"
    " WHERE g.run_id = %(run)s",
    "INSERT INTO gate_closures (gate_id, project_id, run_id, closing)"
    " SELECT p.gate_id, %(project)s, p.run_id, 'satisfied' FROM past p",
)


def test_it_begins_at_the_runs_that_wait(platform: Platform, filled: Team) -> None:
    with connected(platform, replica=True) as connection:
        row = connection.execute(
            "SELECT id FROM runs WHERE project_id = %s AND state = 'awaiting_approval' LIMIT 1",
            [filled.project_id],
        ).fetchone()
        assert row is not None
        said = {"closed": CLOSED, "run": row[0], "project": filled.project_id}
        for statement in FILL:
            connection.execute(statement, said)
        connection.execute("ANALYZE runs")
        connection.execute("ANALYZE approval_gates")
        connection.execute("ANALYZE gate_closures")
        plan = _plan(connection, filled)
        connection.execute("SET enable_seqscan = off")
        by_indexes = _plan(connection, filled)
    assert "runs_at_gates" in plan, plan
    for filled_table in ("runs", "approval_gates", "gate_closures"):
        assert f"Seq Scan on {filled_table} " not in plan, plan
    assert "Seq Scan" not in by_indexes, by_indexes


def _plan(connection: psycopg.Connection, team: Team) -> str:
    person = team.reviewer.id
    values = [
        team.project_id, ["reviewer"], person, None, None, person,
        None, team.project_id, None, 100,
    ]  # fmt: skip
    rows = connection.execute(b"EXPLAIN " + INBOX.encode(), values).fetchall()
    return "\n".join(line for (line,) in rows)
