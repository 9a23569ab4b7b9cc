"""A step's secrets on this machine: files that main alone reads, in no log and on no disk."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from animus.adapters.gateway import Gateway
from animus.adapters.steps.logs import WITHHELD
from animus.domain.canonical import JsonObject
from animus.domain.errors import Unavailable
from animus.domain.runs import FailureClass
from animus.ports import ExecutionPhase
from tests.agent.agents import Bench, Driver, until
from tests.agent.conftest import BOTH, Images, MakeAgent
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.support.secret_files import SecretFile

pytestmark = BOTH

VALUE = "correct horse/battery+staple\nsecond line"
READ = "from pathlib import Path; value = Path('/animus/secrets/password').read_text()\n"
LOOK = (
    READ
    + """
import json, os, stat
folder = Path('/animus/secrets')
modes = {each.name: oct(stat.S_IMODE(each.stat().st_mode)) for each in folder.iterdir()}
try:
    Path('/animus/secrets/new').write_text('x')
    writable = True
except OSError:
    writable = False
Path('/animus/out/seen').write_text(json.dumps({
    'length': len(value), 'last': value[-1], 'modes': modes, 'writable': writable,
    'in_env': any(value[:7] in each for each in os.environ.values()),
}))
"""
)
TELL = (
    READ
    + """
import base64, sys
print('it is', value, flush=True)
print('in base64', base64.b64encode(value.encode()).decode(), flush=True)
print('half', end='', flush=True)
print(value.splitlines()[0], file=sys.stderr, flush=True)
"""
)
STAY = (
    READ
    + """
import time
print('begun', flush=True)
time.sleep({seconds})
print('it is', value, flush=True)
"""
)


@pytest.fixture
def memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="animus-tests-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def file(tmp_path: Path, platform: Platform) -> SecretFile:
    file = SecretFile.make(tmp_path)
    file.put(platform.project_id, password=VALUE)
    return file


@pytest.fixture
def bench(make_agent: MakeAgent, file: SecretFile, memory: Path) -> Bench:
    return make_agent(secrets=file.settings, memory_dir=memory)


def secretive(images: Images, script: str, **changes: object) -> JsonObject:
    secrets = [{"name": "password", "secretRef": "password"}]
    return python_step(images.demo, script, **({"secrets": secrets} | changes))  # type: ignore[arg-type]  # by name


def kept(memory: Path) -> list[str]:
    """What there is in memory of any attempt."""
    return sorted(str(each.relative_to(memory)) for each in memory.rglob("*") if each.is_file())


def files_with(folder: Path, *words: str) -> list[Path]:
    found = (each for each in folder.rglob("*") if each.is_file())
    return [each for each in found if any(word.encode() in each.read_bytes() for word in words)]


async def accesses(platform: Platform, order: Order) -> list[JsonObject]:
    """The payloads of what was audited."""
    async with platform.database.read() as session:
        rows = await session.fetch(
            "SELECT p.payload FROM audit_events e JOIN audit_payloads p ON p.event_id = e.id "
            "WHERE e.action = 'secret.accessed' AND e.run_id = %s",
            order.run_id,
        )
    return [orjson.loads(payload) for (payload,) in rows]


async def test_main_reads_its_secrets_as_files_and_nobody_else_does(
    platform: Platform, images: Images, bench: Bench, memory: Path
) -> None:
    order = await platform.open_attempt(secretive(images, LOOK, outputs=["seen"]))
    result = await bench.result(order)
    assert result.failure is None
    (seen,) = result.outputs
    assert orjson.loads(await platform.read_object(seen.sha256)) == {
        "length": len(VALUE), "last": VALUE[-1], "modes": {"password": "0o400"},
        "writable": False, "in_env": False,
    }  # fmt: skip
    assert kept(memory) == []
    (access,) = await accesses(platform, order)
    assert access["secrets"] == [{"name": "password", "secretRef": "password"}]


@pytest.mark.parametrize("end", ["", "sys.exit(value)", "raise ValueError(value)"])
async def test_what_main_tells_of_a_secret_is_not_in_its_log(
    platform: Platform, images: Images, bench: Bench, end: str
) -> None:
    order = await platform.open_attempt(secretive(images, TELL + end))
    result = await bench.result(order)
    assert (result.failure is None) == (not end)
    text = await platform.read_log(result)
    first, second = VALUE.splitlines()
    for secret in (first, second, b64encode(VALUE.encode()).decode()[:20]):
        assert secret not in text
        assert secret.encode() not in orjson.dumps(result.content())
    assert "out it is [redacted]" in text
    assert "out in base64 [redacted]" in text
    assert "err [redacted]" in text
    assert files_with(bench.section.state_dir, first, second) == []


async def test_a_secret_that_is_not_there_ends_the_attempt_before_it_starts(
    platform: Platform, images: Images, bench: Bench, file: SecretFile
) -> None:
    """Another project's of the same name is none of its own."""
    file.remove(platform.project_id, "password")
    file.put(uuid4(), password="another project's")
    result = await bench.result(await platform.open_attempt(secretive(images, LOOK)))
    assert result.failure is not None
    assert (result.failure.failure_class, result.failure.code) == (
        FailureClass.ENVIRONMENT, "secret_missing",
    )  # fmt: skip
    assert f"animusd secrets set {platform.project_id} password" in result.failure.message
    assert result.started_at is None


async def test_an_agent_without_a_store_says_what_to_do(
    platform: Platform, images: Images, make_agent: MakeAgent
) -> None:
    result = await make_agent().result(await platform.open_attempt(secretive(images, LOOK)))
    assert result.failure is not None
    assert result.failure.code == "secret_store_missing"
    assert "agent.secrets" in result.failure.message


async def test_nothing_is_fetched_and_nothing_starts_unless_it_was_recorded(
    platform: Platform, images: Images, bench: Bench, file: SecretFile,
    monkeypatch: pytest.MonkeyPatch, memory: Path,
) -> None:  # fmt: skip
    async def away(*_: object) -> None:
        raise Unavailable("The api is not answering.")

    identity = file.content.identity_file.read_text()
    file.content.identity_file.unlink()  # whoever reads the store now is told another code
    order = await platform.open_attempt(secretive(images, LOOK, outputs=["seen"]))
    with monkeypatch.context() as patched:
        patched.setattr(Gateway, "record_secret_access", away)
        with pytest.raises(Unavailable) as caught:
            await bench.execute(order)
        assert caught.value.code == Unavailable.code
    assert await accesses(platform, order) == []
    with pytest.raises(Unavailable) as caught:
        await bench.execute(order)
    assert caught.value.code == "secret_store_unavailable"
    assert await bench.containers(order.attempt_id) == []
    assert kept(memory) == []
    file.content.identity_file.write_text(identity)
    assert (await bench.result(order)).failure is None
    assert len(await accesses(platform, order)) == 1


async def test_a_stopped_attempt_leaves_no_secret(
    platform: Platform, images: Images, bench: Bench, memory: Path
) -> None:
    order = await platform.open_attempt(secretive(images, STAY.format(seconds=120)))
    executing = asyncio.create_task(bench.execute(order))
    await until(lambda: bench.has_said(order, "begun"))
    assert len(kept(memory)) == 1
    await bench.stop(order)
    await executing
    assert kept(memory) == []


async def test_an_agent_that_adopts_main_hides_the_value_that_main_was_given(
    platform: Platform, images: Images, bench: Bench, file: SecretFile, tmp_path: Path,
    memory: Path,
) -> None:  # fmt: skip
    """Rotated while no agent was there: main prints the old value, and knows no other."""
    order = await platform.open_attempt(secretive(images, STAY.format(seconds=3)))
    await killed_in_main(bench, order, tmp_path)
    file.put(platform.project_id, password="rotated meanwhile")
    result = await bench.result(order)
    text = await platform.read_log(result)
    assert "out it is [redacted]" in text
    assert not any(line in text for line in VALUE.splitlines())
    assert kept(memory) == []
    assert len(await accesses(platform, order)) == 1


async def test_a_secret_that_was_removed_from_the_store_does_not_end_a_main_that_has_it(
    platform: Platform, images: Images, bench: Bench, file: SecretFile, tmp_path: Path
) -> None:
    order = await platform.open_attempt(secretive(images, STAY.format(seconds=3)))
    await killed_in_main(bench, order, tmp_path)
    file.remove(platform.project_id, "password")
    result = await bench.result(order)
    assert result.failure is None
    text = await platform.read_log(result)
    assert "out it is [redacted]" in text
    assert not any(line in text for line in VALUE.splitlines())


@pytest.mark.parametrize("then", ["kept", "rotated", "removed"])
async def test_what_main_said_is_left_out_where_nobody_knows_its_secrets_any_more(
    platform: Platform, images: Images, bench: Bench, file: SecretFile, tmp_path: Path,
    memory: Path, then: str,
) -> None:  # fmt: skip
    """As after the machine was switched off: nobody but the store has the values."""
    order = await platform.open_attempt(secretive(images, STAY.format(seconds=3)))
    await killed_in_main(bench, order, tmp_path)
    switch_off(memory)
    match then:
        case "rotated":
            file.put(platform.project_id, password="rotated meanwhile")
        case "removed":
            file.remove(platform.project_id, "password")
    result = await bench.result(order)
    assert result.failure is None
    assert result.log is not None
    text = await platform.read_log(result)
    assert not any(line in text for line in VALUE.splitlines())
    assert result.log.truncated is (then != "kept")
    if then == "kept":
        assert "out it is [redacted]" in text
    else:
        assert text == f"{WITHHELD}\n"


def switch_off(memory: Path) -> None:
    for room in memory.iterdir():
        shutil.rmtree(room)


async def killed_in_main(bench: Bench, order: Order, scratch: Path) -> None:
    driver = Driver.start(bench.section, order, scratch=scratch)
    try:
        await until(lambda: bench.has_said(order, "begun"))
    finally:
        driver.kill()


async def test_what_a_killed_agent_left_in_memory_is_swept(
    platform: Platform, images: Images, bench: Bench, tmp_path: Path, memory: Path
) -> None:
    order = await platform.open_attempt(secretive(images, STAY.format(seconds=120)))
    await killed_in_main(bench, order, tmp_path)
    assert len(kept(memory)) == 1
    shutil.rmtree(bench.directory(order))
    removed = await bench.agent.sweep()
    assert f"secrets of attempt {order.attempt_id}" in removed
    assert kept(memory) == []
    assert not await bench.is_running(order, ExecutionPhase.MAIN)
