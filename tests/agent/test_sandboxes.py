"""What an agent promises of the runtime it has, what it refuses, and how it finds out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from animus.adapters.container.engines import EngineFailed, EngineUnfit
from animus.adapters.container.sandboxes import Runtimes
from animus.domain.work_orders import AttemptResult
from animusd.agent_wiring import find_runtimes
from tests.agent.agents import Bench
from tests.agent.conftest import BOTH, Images, MakeAgent
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.conftest import RecordCases

WITHOUT = pytest.mark.parametrize("runtime", ["runc"], indirect=True, scope="module")
"""For tests on the cluster that is registered without a sandbox."""
EGRESS = [{"host": "data.example.org", "port": 443}]
TELL_DEVICES = "import socket; print(sorted(name for _, name in socket.if_nameindex()))"


async def test_what_was_promised_a_sandbox_never_runs_without_it(
    platform: Platform, make_agent: MakeAgent, images: Images
) -> None:
    bench = make_agent(runtime="runc")
    order = await platform.open_attempt(python_step(images.demo, "print('ran')"))
    signed = await bench.execute(order)
    result = await bench.result(order)
    assert _told(result) == "environment/sandbox_missing"
    assert (result.exit_code, result.posture, result.log) == (None, None, None)
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert (closed.outcome, closed.again) == ("failed", False)


@WITHOUT
async def test_an_agent_that_demands_the_sandbox_runs_nothing_without_it(
    platform: Platform, make_agent: MakeAgent, images: Images
) -> None:
    bench = make_agent(runtime="runsc")
    result = await bench.result(await platform.open_attempt(python_step(images.demo, "pass")))
    assert _told(result) == "environment/sandbox_demanded"


@BOTH
async def test_a_granted_network_is_there_and_no_other(
    platform: Platform, bench: Bench, images: Images
) -> None:
    for egress, devices in (([], ["lo"]), (EGRESS, ["eth0", "lo"])):
        step = python_step(images.demo, TELL_DEVICES, egress=egress)
        result = await bench.result(await platform.open_attempt(step))
        assert result.failure is None, await platform.read_log(result)
        assert str(devices) in await platform.read_log(result)


async def test_a_sandbox_that_works_is_found_by_running_something_in_it(bench: Bench) -> None:
    for demanded in ("auto", "runsc"):
        section = bench.section.model_copy(update={"runtime": demanded})
        assert await find_runtimes(section) == Runtimes(
            sandbox="runsc", sandbox_only=demanded == "runsc"
        )
    assert await bench.engine.list_containers(bench.naming.labels) == {}
    assert not (bench.section.state_dir / "probe").exists()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    change: Callable[[dict[str, Any], Path], dict[str, Any]]
    """Of the engine's description."""
    said: str


def known_as_runsc(program: str) -> Callable[[dict[str, Any], Path], dict[str, Any]]:
    """Podman takes another program for it."""

    def change(document: dict[str, Any], folder: Path) -> dict[str, Any]:
        file = folder / "containers.conf"
        names = json.dumps([shutil.which(program, path="/usr/sbin:/usr/bin:/bin")])
        file.write_text(
            '[engine]\nlock_type = "file"\nevents_logger = "file"\n'
            f"[engine.runtimes]\nrunsc = {names}\n"
        )
        argv = [f"CONTAINERS_CONF={file}" if "_CONF=" in w else w for w in document["argv"]]
        return document | {"argv": argv}

    return change


FAULTS = {
    "it does not start anything": Fault(change=known_as_runsc("false"), said="can't be started"),
    "it is no sandbox": Fault(change=known_as_runsc("runc"), said="no kernel of its own"),
    "it is unknown": Fault(change=lambda d, _: d | {"sandbox": None}, said="names no sandbox"),
}


async def test_a_sandbox_that_does_not_work_is_told_and_not_promised(
    bench: Bench, tmp_path: Path, record_cases: RecordCases
) -> None:
    for name, fault in FAULTS.items():
        changed = _redescribed(bench, tmp_path, fault.change)
        found = await find_runtimes(changed.section)
        assert found is not None
        assert found.sandbox is None, name
        assert fault.said not in found.fault, "a run's record is no place for a machine's details"
        demanding = changed.section.model_copy(update={"runtime": "runsc"})
        with pytest.raises(EngineUnfit, match=f"demands a sandbox.*{fault.said}"):
            await find_runtimes(demanding)
    record_cases("sandboxes that do not work", len(FAULTS))


async def test_an_engine_that_is_away_says_nothing_about_its_sandbox(
    bench: Bench, tmp_path: Path
) -> None:
    away = _redescribed(bench, tmp_path, lambda d, _: d | {"argv": ["/bin/false"]})
    with pytest.raises(EngineFailed):
        await find_runtimes(away.section)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    section: Any


def _redescribed(
    bench: Bench, folder: Path, change: Callable[[dict[str, Any], Path], dict[str, Any]]
) -> _Changed:
    assert bench.section.engine_file is not None
    file = folder / "engine.json"
    file.write_text(json.dumps(change(json.loads(bench.section.engine_file.read_text()), folder)))
    return _Changed(section=bench.section.model_copy(update={"engine_file": file}))


def _told(result: AttemptResult) -> str | None:
    failure = result.failure
    return f"{failure.failure_class}/{failure.code}" if failure else None
