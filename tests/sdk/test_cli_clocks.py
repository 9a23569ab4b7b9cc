"""A machine whose clock is wrong: what does not depend on it works, and the rest says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.odd_servers import clock_shifting_proxy, greeting_server, make_certificate
from tests.sdk.platforms import Platform, pipeline, unique
from tests.sdk.talks import begin
from tests.sdk.wrong_clocks import WrongClock, build_wrong_clock

WRONG_TOKEN = "anmp_" + "x" * 49


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory: pytest.TempPathFactory) -> WrongClock:
    return build_wrong_clock(tmp_path_factory.mktemp("clock"))


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(hours=3), "3 h ahead of the gateway's"),
        (timedelta(hours=-3), "3 h behind the gateway's"),
        (timedelta(days=400), "400 days ahead of the gateway's"),
    ],
)
def test_everything_works_and_the_clock_is_told_of(
    animus: CommandLine, wrong_clock: WrongClock, ahead: timedelta, said: str
) -> None:
    wrong = animus.with_environment(**wrong_clock(ahead))
    (animus.folder / "a.csv").write_text(unique("a"))
    name = unique("clock")
    pushed = wrong.process("dataset", "push", name, "a.csv")
    assert pushed.code == 0, pushed
    assert f"This machine's clock is {said}" in pushed.err
    assert "animus doctor" in pushed.err
    downloaded = wrong.process("dataset", "download", name, "--json")
    assert (downloaded.code, downloaded.err) == (0, "")
    doctor = wrong.process("doctor")
    assert doctor.code == 1
    assert said in doctor.out


def test_a_clock_that_is_right_is_not_talked_about(
    animus: CommandLine, wrong_clock: WrongClock
) -> None:
    for ahead in (timedelta(0), timedelta(seconds=40)):
        done = animus.with_environment(**wrong_clock(ahead)).process("run", "list")
        assert (done.code, done.err) == (0, "")


def test_ten_minutes_ago_are_ten_minutes_ago(
    platform: Platform, animus: CommandLine, wrong_clock: WrongClock
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    talk = begin(platform, run_id)
    for minutes in (20, 1):
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        talk.say(f"{at:%Y-%m-%dT%H:%M:%S}.000Z out {minutes} min ago\n".encode())
    for hours in (-3, 3):
        wrong = animus.with_environment(**wrong_clock(timedelta(hours=hours)))
        done = wrong.process("run", "logs", run_id, "--since", "10m")
        assert (done.code, done.out) == (0, "1 min ago\n")


def test_a_token_that_is_refused_by_a_clock_says_so(
    animus: CommandLine, wrong_clock: WrongClock
) -> None:
    """Tokens end by the gateway's clock, and either of the two may be the wrong one."""
    nobody = animus.with_environment(ANIMUS_AUTH_TOKEN=WRONG_TOKEN)
    wrong = nobody.with_environment(**wrong_clock(timedelta(hours=5)))
    done = wrong.process("whoami")
    assert done.code == 7
    assert "This machine's clock is 5 h ahead of the gateway's" in done.err
    assert "tokens end by the gateway's" in done.err
    assert "clock" not in nobody.process("whoami").err


def test_a_gateway_whose_clock_ran_ahead_is_told_to_programs_too(
    platform: Platform, animus: CommandLine
) -> None:
    nobody = animus.with_environment(ANIMUS_AUTH_TOKEN=WRONG_TOKEN)
    with clock_shifting_proxy(platform.url, by=timedelta(days=3)) as url:
        code, problem = nobody.problem("whoami", "--gateway", url)
    assert (code, problem["code"]) == (7, "credential_refused")
    assert "This machine's clock is 3 days behind the gateway's" in problem["detail"]
    assert problem["request_id"]


def test_a_certificate_that_has_ended_by_a_wrong_clock_shows_that_clock(
    animus: CommandLine, wrong_clock: WrongClock, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    wrong = animus.with_environment(
        SSL_CERT_FILE=str(certificate), **wrong_clock(timedelta(days=3))
    )
    year = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%d")
    with greeting_server(certificate=certificate) as url:
        done = wrong.process("whoami", "--gateway", url)
    assert done.code == 1
    assert "certificate has expired" in done.err
    assert f"This machine's clock says {year}" in done.err
