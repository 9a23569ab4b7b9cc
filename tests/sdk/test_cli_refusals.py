"""What goes wrong on the command line: one or two lines that say what to do, and an exit code."""

from __future__ import annotations

import json
import re

import pytest
from animus_sdk.cli import sessions
from animus_sdk.cli.exit_codes import ExitCode, code_of_error, code_of_run
from animus_sdk.errors import (
    AnimusError,
    ApiError,
    FileUnfit,
    NotSignedIn,
    OutcomeUnknown,
    Unreachable,
)
from animus_sdk.wire.retries import RetryPolicy

from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import CHECKOUT, CLUSTER, Platform, pipeline, unique

WRONG = """\
apiVersion: animus/v1
pipeline: breast-cancer
image: registry/team/train:latest
steps:
  train:
    rum: python train.py
    out: model
"""


@pytest.fixture
def nobody(command_line_of: CommandLineOf) -> CommandLine:
    return command_line_of(None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "No such command 'nope'"),
        (["run", "list", "--nope"], "No such option: --nope"),
        (["run", "show"], "Missing argument"),
        (["run", "list", "--limit", "0"], "--limit"),
        (["run", "wait", "x", "--for", "ever"], "plan, approval, end"),
        (["run", "preview", "gone.yaml"], "Cannot read gone.yaml"),
        (["run", "show", "nobody-knows-it"], "There is no run 'nobody-knows-it' here"),
        (["dataset", "show", "nothing"], "There is no dataset 'nothing'"),
        (["dataset", "push", "x", "./gone"], "There is no 'gone'"),
        (["env", "lock", "demo"], "Give a lock FILE, or --image"),
        (["cluster", "register", "x", "--result-key", "gone"], "Cannot read a public key"),
        (["completion", "tcsh"], "bash, zsh, fish"),
        (["project", "create", "x", "--member", "engineer"], "NAME=ROLE"),
        (["run", "cancel", "0000"], "There is no run"),
        (["login"], "That is no token"),
    ],
)
def test_what_cannot_be_is_a_matter_of_usage(
    animus: CommandLine, arguments: list[str], message: str
) -> None:
    done = animus(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err
    assert "Traceback" not in done.err
    code, problem = animus.problem(*arguments)
    assert code == 2
    assert {"type", "title", "detail", "code", "retryable"} <= problem.keys()


def test_a_fault_in_a_file_has_file_line_and_column(animus: CommandLine) -> None:
    (animus.folder / "wrong.yaml").write_text(WRONG)
    done = animus.process("pipeline", "check", "wrong.yaml")
    assert done.code == 2
    places = re.findall(r"^  (wrong\.yaml:\d+:\d+): ", done.err, re.MULTILINE)
    assert places == ["wrong.yaml:3:1", "wrong.yaml:6:5"]
    assert "Did you mean 'run'?" in done.err
    code, problem = animus.problem("pipeline", "check", "wrong.yaml")
    found = next(one for one in problem["errors"] if one["line"] == 6)
    assert (code, found["file"], found["column"]) == (2, "wrong.yaml", 5)
    assert problem["request_id"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("a: [1,\n b: }", "bad.yaml:2:5: "),
        ("a: 1\nb: 2\na: 3\n", "bad.yaml:3:1: the key 'a' is there twice"),
        ("a: 1\nb: !!python/object:os.system x\n", "bad.yaml:2:4: the tag"),
        ("- 1\n", "bad.yaml:1:1: this is no mapping"),
        ("a: " + "9" * 30, "bad.yaml:1:4: the number is too large"),
        ("a: &a [" + "1," * 99 + "]\nb: &b [" + "*a," * 99 + "]\nc: [" + "*b," * 99 + "]", "large"),
    ],
)
def test_a_file_that_cannot_be_read_has_a_place(
    animus: CommandLine, content: str, place: str
) -> None:
    (animus.folder / "bad.yaml").write_text(content)
    done = animus("pipeline", "check", "bad.yaml")
    assert done.code == 2
    assert place in done.err


def test_places_are_told_of_locks_policies_and_of_options(animus: CommandLine) -> None:
    (animus.folder / "pipeline.yaml").write_text(json.dumps(pipeline(data=False)))
    (animus.folder / "lock.yaml").write_text("images:\n  - name: runtime\n    repositry: x\n")
    asked = ("run", "preview", "pipeline.yaml", "--no-code", "--cluster", CLUSTER)
    assert "lock.yaml:3:5: " in animus(*asked, "--lock", "lock.yaml").err
    assert "--label nope nope" in animus(*asked, "--label", "nope nope=x").err


def test_what_looks_like_a_credential_is_refused_by_place_and_never_shown(
    animus: CommandLine,
) -> None:
    (animus.folder / "pipeline.yaml").write_text(json.dumps(pipeline(data=False)))
    secret = "ghp_" + "A1b2C3d4E5f6" * 3
    asked = (
        "run",
        "preview",
        "pipeline.yaml",
        "--no-code",
        "--cluster",
        CLUSTER,
        "-p",
        f"key={secret}",
    )
    done = animus(*asked)
    assert done.code == 2
    assert (
        "-p key: Looks like: GitHub token. If it is none: --not-secret /parameters/key" in done.err
    )
    assert secret not in done.err + done.out
    assert animus(*asked, "--not-secret", "/parameters/key").code == 0


def test_who_is_not_signed_in_is_told_how(nobody: CommandLine) -> None:
    done = nobody.process("run", "list")
    assert (done.code, done.out) == (7, "")
    assert "Run: animus login" in done.err


def test_a_token_that_is_no_good_is_not_shown(
    command_line_of: CommandLineOf, platform: Platform
) -> None:
    animus = command_line_of(None)
    token = "anmp_" + "x" * 49
    done = animus.with_environment(ANIMUS_AUTH_TOKEN=token)("whoami")
    assert done.code == 7
    assert token not in done.err + done.out


def test_who_may_not_is_told_so(command_line_of: CommandLineOf) -> None:
    reviewer = command_line_of("reviewer")
    (reviewer.folder / "pipeline.yaml").write_text(json.dumps(pipeline(data=False)))
    done = reviewer("run", "submit", "pipeline.yaml", "--no-code", "--cluster", CLUSTER)
    assert done.code == 7
    assert reviewer("person", "list").code == 7


def test_a_gateway_that_is_away_is_a_reason_to_try_again(
    animus: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "RETRIES", RetryPolicy(retries=1, first_delay=0.01))
    done = animus("whoami", "--gateway", "http://127.0.0.1:9")
    assert done.code == 75
    assert "http://127.0.0.1:9 does not answer (nothing listens there)" in done.err
    code, problem = animus.problem("whoami", "--gateway", "http://127.0.0.1:9")
    assert (code, problem["retryable"]) == (75, True)


def test_something_else_that_answers_is_told(animus: CommandLine, platform: Platform) -> None:
    """The object store, say."""
    done = animus("whoami", "--gateway", platform.store_url)
    assert done.code == 7
    assert "403 Forbidden without saying why. Check the gateway's URL" in done.err


def test_a_mistake_of_our_own_shows_no_trace_and_no_token(
    animus: CommandLine, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ValueError(platform.tokens["engineer"])

    monkeypatch.setattr("animus_sdk.resources.principals.Principals.who_am_i", broken)
    done = animus("whoami")
    assert done.code == 1
    assert "mistake of the command line itself (ValueError)" in done.err
    assert platform.tokens["engineer"] not in done.err
    assert "Traceback" not in done.err


def test_the_table_in_the_documentation_is_the_one_in_the_code() -> None:
    page = (CHECKOUT / "docs" / "cli-and-usage.md").read_text()
    told = {int(code): name for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.M)}
    assert told == {code.value: code.name.lower() for code in ExitCode}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError("x", code="credential_refused", status=401), ExitCode.NOT_ALLOWED),
        (ApiError("x", code="forbidden", status=403), ExitCode.NOT_ALLOWED),
        (ApiError("x", code="plan_digest_mismatch", status=409), ExitCode.PLAN_CHANGED),
        (ApiError("x", code="conflict", status=409), ExitCode.FAILED),
        (ApiError("x", code="not_found", status=404), ExitCode.USAGE),
        (ApiError("x", code="too_many", status=429, retryable=True), ExitCode.TRY_AGAIN),
        (ApiError("x", code="internal", status=500), ExitCode.FAILED),
        (NotSignedIn("x"), ExitCode.NOT_ALLOWED),
        (Unreachable("x"), ExitCode.TRY_AGAIN),
        (OutcomeUnknown("x"), ExitCode.FAILED),
        (FileUnfit("x", code="disk_full"), ExitCode.FAILED),
        (FileUnfit("x"), ExitCode.USAGE),
        (AnimusError("x", code="policy_denied"), ExitCode.DENIED),
        (AnimusError("x"), ExitCode.FAILED),
    ],
)
def test_each_error_has_its_exit_code(error: AnimusError, code: ExitCode) -> None:
    assert code_of_error(error) is code


@pytest.mark.parametrize(
    ("state", "failure", "code"),
    [
        ("succeeded", None, 0), ("failed", None, 5), ("rejected", None, 4), ("canceled", None, 6),
        ("expired", None, 6), ("awaiting_approval", None, 3), ("running", None, 0),
        ("rejected", "plan_drift", 8),
    ],
)  # fmt: skip
def test_each_state_of_a_run_has_its_exit_code(state: str, failure: str | None, code: int) -> None:
    assert code_of_run(state, failure) == code


def test_names_of_others_cannot_steer_the_terminal_through_errors(animus: CommandLine) -> None:
    done = animus("run", "show", "\x1b]0;owned\x07" + unique("x"))
    assert done.code == 2
    assert "\x1b" not in done.err
    assert "\x07" not in done.err
