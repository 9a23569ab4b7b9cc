"""Steps are followed while they run, and what is seen is what is stored, whoever is killed."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from animus.agent import live_logs
from animus.agent.execution import Signed
from animus.domain.log_chunks import CHUNK_BYTES
from deploy.embedded.lives import State
from deploy.embedded.stack import Stack
from tests.agent.agents import Bench, Driver, read_result, until
from tests.agent.conftest import Images, MakeAgent
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.support.log_readers import LogReader
from tests.support.waiting import eventually

WORDS = 5
TALK = f"""
import os, sys, time
for n in range({WORDS}):
    print(f"out {{n}} \\x1b[2J", flush=True)
    print(f"err {{n}}", file=sys.stderr, flush=True)
    while not os.path.exists(f"/animus/out/go{{n}}"):
        time.sleep(0.05)
print("last", end="")
"""
"""Says a word, and waits until the test lets it go on."""
MIB = 1024**2
FLOOD_LINES = 600_000
FLOOD = f"""
import sys
line = "x" * 80
for n in range({FLOOD_LINES}):
    sys.stdout.write(f"{{n:07}} {{line}}\\n")
"""


def let_go_on(bench: Bench, order: Order, *numbers: int) -> None:
    for number in numbers:
        (bench.directory(order) / "data" / "out" / f"go{number}").touch()


def reader_of(platform: Platform, order: Order) -> LogReader:
    path = f"/runs/{order.run_id}/steps/{order.step}/attempts/1/log"
    return LogReader(platform.client, path)


async def close(platform: Platform, order: Order, signed: Signed) -> bytes:
    """As the workflow does; the log that is stored."""
    await platform.close_attempt(order, signed.document, signed.signature)
    return (await platform.read_log(read_result(signed.document))).encode()


async def start_again(stack: Stack, service: str) -> None:
    stack.begin([service])

    async def is_ready() -> bool:
        stack.tick()
        return {one.name: one.state for one in stack.status()}[service] is State.READY

    await eventually(is_ready, f"{service} is ready")


async def test_lines_are_seen_before_the_step_has_ended(
    platform: Platform, bench: Bench, images: Images
) -> None:
    """By two who came early and one who came late; in the end all have seen the stored log."""
    order = await platform.open_attempt(python_step(images.demo, TALK, timeout=600))
    executing = asyncio.create_task(bench.execute(order))
    one, two, late = (reader_of(platform, order) for _ in range(3))
    following = [asyncio.create_task(one.read()), asyncio.create_task(two.read())]
    for number in range(WORDS - 1):
        await asyncio.gather(*(each.has_seen(f"err {number}") for each in (one, two)))
        let_go_on(bench, order, number)
    following.append(asyncio.create_task(late.read()))
    await late.has_seen(f"out {WORDS - 1} \\x1b[2J")

    async def is_told() -> bool:
        progress = bench.agent.progress(order.attempt_id)
        return progress is not None and progress.log_offset == len(late.shown)

    await eventually(is_told, "the heartbeat says how far the log was handed on")
    assert not executing.done()
    let_go_on(bench, order, WORDS - 1)
    log = await close(platform, order, await executing)
    ends = await asyncio.gather(*following)
    assert all(end["complete"] for end in ends)
    assert [each.shown for each in (one, two, late)] == [log] * 3
    assert log.endswith(b" out last\n")


async def test_a_follower_notices_nothing_of_an_agent_that_is_killed(
    platform: Platform, images: Images, make_agent: MakeAgent, tmp_path: Path
) -> None:
    bench = make_agent()
    order = await platform.open_attempt(python_step(images.demo, TALK, timeout=600))
    reader = reader_of(platform, order)
    following = asyncio.create_task(reader.read())
    for number in range(2):
        driver = Driver.start(bench.section, order, scratch=tmp_path)
        try:
            await reader.has_seen(f"err {number}")
        finally:
            driver.kill()
        let_go_on(bench, order, number)
    executing = asyncio.create_task(bench.execute(order))
    await reader.has_seen("err 2")
    let_go_on(bench, order, *range(WORDS))
    log = await close(platform, order, await executing)
    assert (await following)["complete"]
    assert reader.shown == log
    assert log.count(b" out out ") == WORDS


async def test_api_and_store_may_be_away_while_a_step_talks(
    stack: Stack, platform: Platform, bench: Bench, images: Images
) -> None:
    order = await platform.open_attempt(python_step(images.demo, TALK, timeout=600))
    executing = asyncio.create_task(bench.execute(order))
    reader = reader_of(platform, order)
    following = asyncio.create_task(reader.read())
    await reader.has_seen("err 0")
    for number, service in enumerate(("api", "object-store")):
        stack.kill(service)
        try:
            let_go_on(bench, order, number)
            await until(partial(bench.has_said, order, f"err {number + 1}"))
        finally:
            await start_again(stack, service)
        await reader.has_seen(f"err {number + 1}")
    let_go_on(bench, order, *range(WORDS))
    log = await close(platform, order, await executing)
    assert (await following)["complete"]
    assert reader.shown == log
    assert reader.connections > 1


async def test_live_logs_that_never_work_cost_a_step_nothing(
    platform: Platform, bench: Bench, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await platform.open_attempt(python_step(images.demo, TALK, timeout=600))
    monkeypatch.setattr("animus.adapters.chunk_uploads.ENDS_PATH", "/api/v1/nowhere")
    executing = asyncio.create_task(bench.execute(order))
    await until(partial(bench.has_said, order, "err 0"))
    let_go_on(bench, order, *range(WORDS))
    reader = reader_of(platform, order)
    following = asyncio.create_task(reader.read())
    log = await close(platform, order, await executing)
    assert (await following)["complete"]
    assert reader.shown == log


async def test_a_flood_is_shown_as_far_as_it_is_stored(
    platform: Platform, bench: Bench, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its beginning live, its end once it is stored; and no more of it is ever in the store."""
    monkeypatch.setattr(live_logs, "ROUND_SECONDS", 0.05)
    step = python_step(images.demo, FLOOD, resources={"ephemeralStorage": "1Gi"}, timeout=600)
    order = await platform.open_attempt(step)
    reader = reader_of(platform, order)
    following = asyncio.create_task(reader.read())
    signed = await bench.execute(order)
    chunks = await platform.store.log_chunks.list_chunks(order.attempt_id, since=0)
    assert sum(chunk.size for chunk in chunks) <= 32 * MIB
    assert len(chunks) <= 32 * MIB // CHUNK_BYTES + 10
    result = read_result(signed.document)
    assert result.log is not None
    assert result.log.truncated
    log = await close(platform, order, signed)
    assert (await following)["complete"]
    assert reader.shown == log
    assert reader.shown.count(b"[animus: ") == 1
