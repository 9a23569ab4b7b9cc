"""What must hold of the records whatever was killed: one event for each effect, none lost."""

from __future__ import annotations

from tests.e2e.installations import Installation
from tests.e2e.runs import E2eRun
from tests.support.waiting import eventually
from tests.workflows.records import COUNTS


async def check_effects(run: E2eRun) -> None:
    """As many events of each kind as there are rows of their effects, and one end."""
    counted = await run.installation.query(COUNTS, *[run.id] * COUNTS.count("%s"))
    events = dict(
        await run.installation.query(
            "SELECT action, count(*) FROM audit_events WHERE run_id = %s GROUP BY action", run.id
        )
    )
    assert {action: events.get(action, 0) for action, _ in counted} == dict(counted)
    state = (await run.look())["state"]
    assert events[f"run.{state}"] == 1


async def check_index(installation: Installation) -> None:
    """Every event is indexed, once, and the indices have no gap."""

    async def is_integrated() -> bool:
        return await installation.query("SELECT 1 FROM audit_pending LIMIT 1") == []

    await eventually(is_integrated, "every event is indexed")
    ((events, indexed, lowest, highest),) = await installation.query(
        "SELECT (SELECT count(*) FROM audit_events), count(*), min(index), max(index) "
        "FROM audit_index"
    )
    assert (indexed, lowest, highest) == (events, 0, events - 1)
