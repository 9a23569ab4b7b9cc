"""Orders from whoever has Temporal: the agent starts nothing that control did not permit."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from animus.adapters.signing import FileSigner, make_key
from animus.contracts.runs import SignedOrder
from animus.domain.canonical import canonical_bytes
from animus.domain.work_orders import ORDER_TAG
from tests.attacker.puppets import ANSWERED, Attacker, content_of
from tests.conftest import RecordCases
from tests.support.waiting import eventually
from tests.workflows.machines import HANG
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import expect_end, read_records

pytestmark = pytest.mark.stack

REFUSED = {"signature_refused", "order_refused"}
TABLE = "attacks through Temporal"


async def test_no_altered_or_forged_order_is_obeyed(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    run, order = await _executing(project, attacker)
    attacks = [*_altered(order), *_forged(attacker, order), *_garbage(order)]
    answers = await asyncio.gather(*(attacker.order_agent(one) for one in attacks))
    assert {code for code, _ in answers} <= REFUSED
    assert platform.machine.starts_of(run) == [("train", 1)]
    platform.machine.release(run)
    await expect_end(project, run, "succeeded")
    record_cases(TABLE, len(attacks))


async def test_what_control_signed_is_obeyed_only_as_it_is_recorded(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    """Even with control's own key: expired, early, and never stored orders start nothing."""
    run, order = await _executing(project, attacker)
    signer = FileSigner(platform.control.settings.worker.work_order_key_file)
    now = datetime.now(UTC).replace(microsecond=0)
    changes: list[dict[str, Any]] = [
        {"not_after": _time(now - timedelta(hours=1))},
        {"not_before": _time(now + timedelta(hours=1))},
        {"order_id": str(uuid4())},
        {"order_id": str(uuid4()), "attempt": 2},
    ]
    attacks = [_signed(signer, content_of(order) | change) for change in changes]
    answers = await asyncio.gather(*(attacker.order_agent(one) for one in attacks))
    assert {code for code, _ in answers} == {"order_refused"}
    assert platform.machine.starts_of(run) == [("train", 1)]
    platform.machine.release(run)
    await expect_end(project, run, "succeeded")
    record_cases(TABLE, len(attacks))


async def test_an_order_for_another_cluster_is_refused(
    platform: Platform, project: Project, attacker: Attacker, tmp_path: Any,
    record_cases: RecordCases,
) -> None:  # fmt: skip
    make_key(tmp_path / "other.key")
    await platform.register_cluster(f"other-{project.name}", FileSigner(tmp_path / "other.key"))
    run = await project.submit(cluster=f"other-{project.name}")
    order = await _first_order(project, attacker, run)
    assert await attacker.order_agent(order) == ("order_refused", None)
    assert platform.machine.starts_of(run) == []
    await project.workflow(run).terminate()
    record_cases(TABLE, 1)


async def test_an_order_that_is_replayed_starts_nothing_again(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    run, order = await _executing(project, attacker)
    replayed = [asyncio.create_task(attacker.order_agent(order)) for _ in range(3)]
    platform.machine.release(run)
    await expect_end(project, run, "succeeded")
    answers = [*await asyncio.gather(*replayed), await attacker.order_agent(order)]
    assert {code for code, _ in answers} <= {ANSWERED, *REFUSED}
    assert platform.machine.starts_of(run) == [("train", 1)]
    record_cases(TABLE, len(answers))


async def test_an_order_of_a_canceled_run_starts_nothing(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    run, order = await _executing(project, attacker)
    await project.cancel(run)
    await expect_end(project, run, "canceled", code="canceled")
    await attacker.order_agent(order)
    assert platform.machine.starts_of(run) == [("train", 1)]
    assert platform.machine.running(run) == []
    assert (await read_records(project, run)).artifacts == []
    record_cases(TABLE, 1)


async def _executing(project: Project, attacker: Attacker) -> tuple[str, SignedOrder]:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    return run, await _first_order(project, attacker, run)


async def _first_order(project: Project, attacker: Attacker, run: str) -> SignedOrder:
    async def look() -> SignedOrder | None:
        return next(iter(await attacker.seen_orders(project, run)), None)

    await project.state(run, "running")
    return await eventually(look, f"run {run} has an order")


def _altered(order: SignedOrder) -> list[SignedOrder]:
    """Each field changed, each left out, one added; and single bytes flipped everywhere."""
    content = content_of(order)
    changed = [content | {name: _other(value)} for name, value in content.items()]
    fewer = [{n: v for n, v in content.items() if n != name} for name in content]
    contents = [*changed, *fewer, content | {"more": 1}]
    canonical = b64decode(order.order)
    flipped = [
        canonical[:at] + bytes([canonical[at] ^ 1]) + canonical[at + 1 :]
        for at in range(0, len(canonical), 16)
    ]
    texts = [canonical_bytes(one) for one in contents] + flipped + [canonical + b" "]
    return [replace(order, order=b64encode(text).decode()) for text in texts]


def _other(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else str(value)[:-1] + "0x"


def _forged(attacker: Attacker, order: SignedOrder) -> list[SignedOrder]:
    """Signed with the attacker's own key: the same order, another step, another image."""
    content = content_of(order)
    digest = {"step_digest": "sha256:" + "e" * 64}
    signed = [attacker.signed(one) for one in (content, content | {"attempt": 9}, content | digest)]
    return [replace(order, order=text, signature=signature) for text, signature in signed]


def _garbage(order: SignedOrder) -> list[SignedOrder]:
    return [
        replace(order, signature=""),
        replace(order, signature=b64encode(bytes(64)).decode()),
        replace(order, order="", signature=""),
        replace(order, order="no base64"),
        replace(order, order=b64encode(b"[]").decode()),
    ]


def _signed(signer: FileSigner, content: dict[str, Any]) -> SignedOrder:
    canonical = canonical_bytes(content)
    return SignedOrder(
        order=b64encode(canonical).decode(),
        signature=b64encode(signer.sign(ORDER_TAG, canonical)).decode(),
        key_id="",
    )


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
