"""Stopping an attempt: whenever it is asked for, nothing is left and nothing is started again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from animus.adapters.signing import make_key
from animus.agent.execution import Signed
from animus.domain.canonical import canonical_bytes, decode_strictly
from animus.domain.digests import format_digest
from animus.domain.work_orders import ORDER_TAG, order_digest
from animus.ledger.signatures import SignatureRefused
from tests.agent.agents import Bench, Driver, read_receipt, read_result, until
from tests.agent.conftest import BOTH, Images, MakeAgent
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.agent.test_adoption import MOMENTS, Moment
from tests.conftest import RecordCases

pytestmark = BOTH

FAMILY = (
    "import os, time; print('begun', flush=True)\n"
    "for n in range(3):\n"
    "    if os.fork() == 0: os.setsid()\n"
    "time.sleep(120)"
)
"""Does not end by itself, and has children that left their session."""
BRIEF = "import time; print('begun', flush=True); time.sleep(0.5)"
"""Ends, so that there is something after it."""
AFTER_MAIN = {"after main", "before collect", "in collect", "after the answer"}


@pytest.fixture
async def order(platform: Platform, images: Images) -> Order:
    return await platform.open_attempt(python_step(images.demo, FAMILY))


async def test_an_attempt_is_stopped_whatever_it_is_doing(
    platform: Platform,
    images: Images,
    make_agent: MakeAgent,
    tmp_path: Path,
    record_cases: RecordCases,
) -> None:
    turns = asyncio.Semaphore(4)

    async def stop_at(name: str, moment: Moment) -> str:
        async with turns:
            key = tmp_path / f"{len(name)}-{name.replace(' ', '-')}"
            make_key(key)
            bench = make_agent(state_dir=key.with_suffix(".state"), key_file=key)
            script = BRIEF if name in AFTER_MAIN else FAMILY
            order = await platform.open_attempt(python_step(images.demo, script))
            running = asyncio.create_task(bench.execute(order))
            await until(lambda: moment(bench, order) or running.done())
            signed = await bench.stop(order)
            await check_nothing_is_left(bench, order)
            check_receipt(order, signed)
            return str(read_result((await running).document).outcome)

    ended = await asyncio.gather(*(stop_at(name, moment) for name, moment in MOMENTS.items()))
    told = dict(zip(MOMENTS, ended, strict=True))
    assert told.pop("after the answer") == "succeeded", "what was answered stays answered"
    assert set(told.values()) == {"stopped"}
    record_cases("moments of stopping", len(MOMENTS))


async def test_what_is_stopped_before_it_began_never_begins(
    platform: Platform, bench: Bench, order: Order
) -> None:
    signed = await bench.stop(order)
    assert read_result((await bench.execute(order)).document).outcome == "stopped"
    await check_nothing_is_left(bench, order)
    await platform.cancel(order)
    closed = await platform.close_stopped(order, signed.document, signed.signature)
    assert closed.outcome == "stopped"
    assert not closed.again


async def test_stopping_again_says_the_same(bench: Bench, order: Order) -> None:
    running = asyncio.create_task(bench.execute(order))
    await until(lambda: bench.has_said(order, "begun"))
    receipts = await asyncio.gather(*(bench.receipt(order) for _ in range(3)))
    assert {receipt.order_digest for receipt in receipts} == {digest_of(order)}
    await check_nothing_is_left(bench, order)
    assert await bench.execute(order) == await running


async def test_an_agent_stops_what_its_predecessor_left_running(
    bench: Bench, order: Order, tmp_path: Path
) -> None:
    driver = Driver.start(bench.section, order, scratch=tmp_path)
    try:
        await until(lambda: bench.has_said(order, "begun"))
    finally:
        driver.kill()
    assert len(bench.processes(order)) >= 4, "main runs on without an agent"
    check_receipt(order, await bench.stop(order))
    await check_nothing_is_left(bench, order)


async def test_an_attempt_is_stopped_after_its_order_expired(
    platform: Platform, bench: Bench, order: Order
) -> None:
    """Whoever may start it may end it, for ever."""
    times = {"not_before": "2020-01-01T00:00:00Z", "not_after": "2020-01-02T00:00:00Z"}
    canonical = canonical_bytes(decode_strictly(order.order) | times)
    expired = replace(order, order=canonical, signature=platform.control.sign(ORDER_TAG, canonical))
    check_receipt(expired, await bench.stop(expired))


async def test_a_forged_order_stops_nothing(bench: Bench, order: Order) -> None:
    running = asyncio.create_task(bench.execute(order))
    await until(lambda: bench.has_said(order, "begun"))
    with pytest.raises(SignatureRefused):
        await bench.stop(replace(order, signature=bytes(64)))
    assert not running.done()
    assert bench.processes(order)
    await bench.stop(order)
    await running


async def check_nothing_is_left(bench: Bench, order: Order) -> None:
    assert await bench.containers(order.attempt_id) == []
    assert bench.processes(order) == []
    assert {entry.name for entry in bench.directory(order).iterdir()} == {"journal"}


def check_receipt(order: Order, signed: Signed) -> None:
    assert read_receipt(signed.document).order_digest == digest_of(order)


def digest_of(order: Order) -> str:
    return format_digest(order_digest(order.order))
