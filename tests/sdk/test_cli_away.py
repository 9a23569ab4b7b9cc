"""Without network, and before servers that are dead, silent or not to be trusted."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from animus_sdk import following
from animus_sdk.cli import sessions
from animus_sdk.wire.retries import RetryPolicy

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.faulty_proxies import faulty_proxy
from tests.sdk.odd_servers import greeting_server, make_certificate
from tests.sdk.platforms import Finished, Platform, pipeline, unique
from tests.sdk.silences import silent
from tests.support.ports import closed_port

SOON = 60.0
"""Seconds after which a person must have been told, on a machine under load."""
BRIEF = RetryPolicy(retries=1, first_delay=0.01)

WithoutNetwork = Callable[..., Finished]


@pytest.fixture
def without_network(animus: CommandLine) -> WithoutNetwork:
    """A process in a network of its own, in which not even the loopback is up."""
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    tried = subprocess.run([*alone, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no process can be put into a network of its own: {tried.stderr.strip()}")

    def run(*arguments: str) -> Finished:
        done = subprocess.run(
            [*alone, str(animus.program), *arguments],
            env=dict(animus.environment), cwd=animus.folder,
            capture_output=True, text=True, timeout=SOON, check=False,
        )  # fmt: skip
        return Finished(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


@pytest.mark.parametrize(
    ("gateway", "why"),
    [
        ("https://animus.example", "this machine does not know the name"),
        ("http://10.1.2.3:8080", "no network leads there"),
    ],
)
def test_without_network_the_address_is_told_and_what_to_do(
    without_network: WithoutNetwork, gateway: str, why: str
) -> None:
    done = without_network("run", "list", "--gateway", gateway)
    assert (done.code, done.out) == (75, "")
    assert f"error: {gateway} does not answer ({why}). Check the URL and the network." in done.err
    assert "animus doctor" in done.err
    asked = without_network("run", "list", "--gateway", gateway, "--json")
    problem = json.loads(asked.err)
    assert (asked.code, problem["code"], problem["retryable"]) == (75, "unreachable", True)
    assert gateway in problem["detail"]


def test_what_needs_no_network_works_without_it(without_network: WithoutNetwork) -> None:
    for arguments in (["--version"], ["--help"], ["run", "submit", "--help"], ["completion", "sh"]):
        done = without_network(*arguments)
        assert done.code == (2 if arguments[-1] == "sh" else 0), done
    assert without_network("completion", "bash").code == 0


def test_a_server_that_says_nothing_is_given_up(platform: Platform, animus: CommandLine) -> None:
    begun = time.monotonic()
    with silent(platform.stack, "api"):
        done = animus.process("whoami")
    assert done.code == 75
    assert f"{platform.url} does not answer (it took too long)" in done.err
    assert time.monotonic() - begun < SOON


def test_who_waits_is_told_so_once_and_a_program_is_not(animus: CommandLine) -> None:
    host, port = "127.0.0.1", closed_port()
    asked = ("whoami", "--gateway", f"http://{host}:{port}")
    with animus.on_terminal(*asked) as person:
        person.wait_for("No answer yet, so it is tried again. Ctrl+C stops.")
        assert person.end() == 75
    assert person.shown.count("No answer yet") == 1
    assert "No answer yet" not in animus.process(*asked).err


def test_a_balancer_without_a_gateway_behind_it_is_a_reason_to_try_again(
    platform: Platform, animus: CommandLine
) -> None:
    with faulty_proxy(platform.url) as proxy:
        proxy.faults, proxy.method = [503] * 100, "GET"
        done = animus.process("whoami", "--gateway", proxy.url)
    assert done.code == 75
    assert "Something answered 503" in done.err


def test_a_store_that_is_dead_is_told_by_its_address(
    platform: Platform, animus: CommandLine
) -> None:
    (animus.folder / "a.csv").write_text(unique("a"))
    platform.stack.kill("object-store")
    try:
        done = animus.process("dataset", "push", unique("dead"), "a.csv")
    finally:
        platform.stack.start(["object-store"])
    assert done.code == 75
    assert f"The object store at {platform.store_url} does not answer" in done.err
    assert "(nothing listens there)" in done.err
    assert "X-Amz" not in done.err


def test_a_run_is_followed_through_a_restart_of_the_gateway(
    platform: Platform, animus: CommandLine
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    with animus.on_terminal("run", "watch", run_id) as person:
        person.wait_for("running")
        platform.stack.kill("api")
        try:
            person.wait_for("It is tried again.")
        finally:
            platform.stack.start(["api"])
        with platform.client() as client:
            client.runs.cancel(run_id)
        platform.driver.finalise(platform.project_id, run_id)
        assert person.end() == 6
    assert "Traceback" not in person.shown


def test_a_gateway_that_stays_away_does_not_end_the_run(
    platform: Platform, animus: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "RETRIES", BRIEF)
    monkeypatch.setattr(following, "PATIENCE", BRIEF)
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    with faulty_proxy(platform.url) as proxy:
        gone = animus.with_environment(ANIMUS_GATEWAY_URL=proxy.url)
        proxy.faults, proxy.method, proxy.path = [503] * 100, "GET", f"/runs/{run_id}"
        code, problem = gone.problem("run", "watch", run_id)
    assert (code, problem["code"]) == (75, "http_503")
    host, port = "127.0.0.1", closed_port()
    gone = animus.with_environment(ANIMUS_GATEWAY_URL=f"http://{host}:{port}")
    gone = gone.with_environment(ANIMUS_PROJECT=platform.project_id)
    done = gone("run", "watch", run_id)
    assert done.code == 75
    assert f"To look again: animus run watch {run_id}" in done.err


def test_a_certificate_of_nobody_known_is_not_tried_again(
    animus: CommandLine, tmp_path: Path
) -> None:
    with greeting_server(certificate=make_certificate(tmp_path)) as url:
        done = animus.process("whoami", "--gateway", url)
        code, problem = animus.problem("whoami", "--gateway", url)
    assert done.code == code == 1
    assert f"The certificate of {url} is not accepted: self" in done.err
    assert "SSL_CERT_FILE" in done.err
    assert (problem["code"], problem["retryable"]) == ("certificate_refused", False)
