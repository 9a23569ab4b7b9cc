"""Fetch and collect against the real gateway and store, through sockets as an agent makes them."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from animus_sdk.errors import SettingsUnfit
from animus_sdk.step.attempts import read_attempt_context
from animus_sdk.step.collect import collect
from animus_sdk.step.commands import main
from animus_sdk.step.fetch import fetch
from animus_sdk.transfer.digests import digest_of
from animus_sdk.wire.operations import GET_STEP_INPUTS
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import StepInputs

from tests.sdk.attempt_places import (
    AttemptPlace,
    forwarded,
    full_request,
    open_place,
    proxied,
    start_run,
)
from tests.sdk.faulty_proxies import LOST, Fault
from tests.sdk.platforms import QUICK, Platform, pipeline, unique

without_socket = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""httpcore forgets a socket that did not connect; the collector closes it."""

MODEL = {"name": "model", "path": "model"}


@pytest.fixture
def place(platform: Platform, tmp_path: Path) -> AttemptPlace:
    """An open attempt of a step without inputs."""
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    return open_place(platform, tmp_path, run_id)


@pytest.fixture
def sockets(platform: Platform, place: AttemptPlace) -> Iterator[None]:
    with forwarded(platform, place):
        yield


@pytest.fixture
def full_place(platform: Platform, tmp_path: Path) -> AttemptPlace:
    """An open attempt of a step with data, code and parameters."""
    return open_place(platform, tmp_path, start_run(platform, full_request(platform, tmp_path)))


def test_fetch_lays_out_what_the_step_reads(platform: Platform, full_place: AttemptPlace) -> None:
    with forwarded(platform, full_place):
        done = full_place.run("fetch")
    assert (done.code, done.out) == (0, "")
    report = full_place.report("fetch")
    assert (report["ok"], report["failure"]) == (True, None)
    given = sum(path.stat().st_size for path in (full_place.directory / "in").rglob("*.csv"))
    assert report["total_bytes"] > given > 0, "the source is among it"
    directory = full_place.directory
    assert (directory / "in/cancer/sub/b.csv").read_text().startswith("b-")
    assert (directory / "params.json").read_bytes() == ('{"C":1,"name":"Größe","seed":7}'.encode())
    for tree in ("code", "work"):
        assert (directory / tree / "train.py").read_text() == "print(1)\n"
        assert os.readlink(directory / tree / "again.py") == "train.py"
        assert _mode(directory / tree / "run.sh") == 0o755
        assert _mode(directory / tree / "train.py") == 0o644
    assert list(full_place.out.iterdir()) == []
    assert {_mode(path) for path in (directory / "in").rglob("*")} == {0o644, 0o755}
    assert _mode(directory / "in") == _mode(directory / "code") == 0o755


def test_fetch_again_ends_in_the_same_layout(platform: Platform, full_place: AttemptPlace) -> None:
    with forwarded(platform, full_place):
        full_place.run("fetch")
        first = _tree(full_place.directory)
        (full_place.directory / "in/cancer/half").write_text("left by a crash")
        (full_place.directory / "work/train.py").write_text("changed")
        (full_place.directory / ".fetch").mkdir()
        assert full_place.run("fetch").code == 0
    assert _tree(full_place.directory) == first


def test_fetch_without_source_gives_empty_directories(place: AttemptPlace, sockets: None) -> None:
    assert place.run("fetch").code == 0
    directory = place.directory
    assert sorted(path.name for path in directory.iterdir()) == [
        "code", "fetch.json", "in", "out", "params.json", "work",
    ]  # fmt: skip
    assert (directory / "params.json").read_bytes() == b"{}"
    assert not any(any((directory / name).iterdir()) for name in ("in", "code", "work", "out"))


def test_outputs_of_one_step_are_the_inputs_of_the_next(platform: Platform, tmp_path: Path) -> None:
    """Also where the gateway computes the digests: it registers exactly what collect reported."""
    written = pipeline(data=False, out={"model": "model.bin", "plots": "plots"})
    written["steps"]["judge"] = {"run": "true", "in": ["train.model", "train.plots"]}
    run_id = start_run(platform, {"pipeline": written})
    (tmp_path / "1").mkdir()
    train = open_place(platform, tmp_path / "1", run_id)
    (train.out / "model.bin").write_bytes(b"model")
    (train.out / "plots" / "deep").mkdir(parents=True)
    (train.out / "plots" / "roc.png").write_bytes(b"roc")
    (train.out / "plots" / "deep" / "Ünï.png").write_bytes(b"deep")
    (train.directory / "main.log").write_text("trained\n")
    train.ask(
        {"name": "model", "path": "model.bin"}, {"name": "plots", "path": "plots"}, log="main.log"
    )
    with forwarded(platform, train):
        assert train.run("collect").code == 0
    report = train.report("collect")
    closed = platform.driver.close_attempt(
        platform.project_id, train.attempt, outputs=report["outputs"], log=report["log"]
    )
    assert closed == "succeeded"
    (tmp_path / "2").mkdir()
    judge = open_place(platform, tmp_path / "2", run_id, "judge")
    with forwarded(platform, judge):
        assert judge.run("fetch").code == 0
    inputs = judge.directory / "in"
    assert (inputs / "model").read_bytes() == b"model"
    assert (inputs / "plots" / "deep" / "Ünï.png").read_bytes() == b"deep"


def test_collect_reports_files_directories_and_what_is_missing(
    place: AttemptPlace, sockets: None
) -> None:
    (place.out / "model").write_bytes(b"m")
    (place.out / "plots").mkdir()
    (place.out / "plots" / "b.png").write_bytes(b"b")
    (place.out / "plots" / "a.png").write_bytes(b"a")
    (place.out / "empty").mkdir()
    (place.directory / "main.log").write_text("log")
    place.ask(
        MODEL,
        {"name": "plots", "path": "plots"},
        {"name": "empty", "path": "empty"},
        {"name": "gone", "path": "gone"},
        {"name": "extra", "path": "extra", "optional": True},
        exit_code=1,
        log="main.log",
    )
    assert place.run("collect").code == 0
    manifest = json.dumps(
        {"files": [_listed("a.png", b"a"), _listed("b.png", b"b")]},
        sort_keys=True,
        separators=(",", ":"),
    ).encode()
    assert place.report("collect") == {
        "ok": True,
        "outputs": [
            {"name": "model", "kind": "file", "sha256": digest_of(b"m"), "size": 1},
            {
                "name": "plots",
                "kind": "manifest",
                "sha256": digest_of(manifest),
                "size": len(manifest),
            },
        ],
        "missing": ["empty", "gone"],
        "log": {"sha256": digest_of(b"log"), "size": 3},
        "failure": None,
        "total_bytes": 3,
    }


def test_collect_again_reports_the_same(place: AttemptPlace, sockets: None) -> None:
    (place.out / "model").write_bytes(b"again")
    place.ask(MODEL)
    place.run("collect")
    first = place.report("collect")
    assert place.run("collect").code == 0
    assert place.report("collect") == first


def test_collect_works_without_a_main_that_ever_ran(place: AttemptPlace, sockets: None) -> None:
    place.ask(MODEL, exit_code=None, log="main.log")
    assert place.run("collect").code == 0
    report = place.report("collect")
    assert (report["missing"], report["log"]) == (["model"], None)


def test_outputs_beyond_the_limit_fail_the_step_and_the_log_is_kept(
    place: AttemptPlace, sockets: None
) -> None:
    (place.out / "model").write_bytes(bytes(1_001))
    (place.directory / "main.log").write_text("why")
    place.ask(MODEL, limit=1_000, log="main.log")
    assert place.run("collect").code == 1
    report = place.report("collect")
    assert (report["failure"]["class"], report["failure"]["code"]) == ("user", "output_too_large")
    assert report["log"] == {"sha256": digest_of(b"why"), "size": 3}
    assert report["outputs"] == []


def test_links_inside_the_outputs_are_followed(place: AttemptPlace, sockets: None) -> None:
    (place.out / "real").write_bytes(b"real")
    (place.out / "model").symlink_to("/animus/out/real")
    (place.out / "plots").mkdir()
    (place.out / "plots" / "link").symlink_to("../real")
    place.ask(MODEL, {"name": "plots", "path": "plots"})
    assert place.run("collect").code == 0
    found = {output["name"]: output["kind"] for output in place.report("collect")["outputs"]}
    assert found == {"model": "file", "plots": "manifest"}


def _link(to: str) -> Callable[[Path], object]:
    return lambda out: (out / "model").symlink_to(to)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_link("/etc/passwd"), "link_leaves"),
        (_link("../params.json"), "link_leaves"),
        (_link("/animus/in/cancer"), "link_leaves"),
        (_link("/animus/outside"), "link_leaves"),
        (_link("model"), "link_loop"),
        (lambda out: (_link("deep/..")(out), (out / "deep").symlink_to("..")), "link_leaves"),
        (lambda out: os.mkfifo(out / "model"), "special_file"),
        (lambda out: _directory_with(out, b"a\nb"), "unsafe_name"),
        (lambda out: _directory_with(out, b"\x1b[2J"), "unsafe_name"),
        (lambda out: _directory_with(out, b"\xff\xfe"), "unsafe_name"),
        (lambda out: _directory_with(out, b"..\\..\\x"), "unsafe_name"),
        (lambda out: (out / "model").mkdir() or _link("..")(out / "model"), "link_loop"),
    ],
)  # fmt: skip
def test_hostile_outputs_fail_the_step_by_name_and_the_others_are_kept(
    place: AttemptPlace,
    sockets: None,
    make: Callable[[Path], object],
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(place.out)
    (place.out / "good").write_bytes(b"good")
    place.ask(MODEL, {"name": "good", "path": "good"})
    assert not collect(place.context, patience=QUICK)
    report = place.report("collect")
    assert (report["failure"]["class"], report["failure"]["code"]) == ("user", code)
    assert report["failure"]["message"].startswith("The output 'model'")
    assert [output["name"] for output in report["outputs"]] == ["good"]
    assert capsys.readouterr().err.replace("\n", "").isprintable()


@pytest.mark.parametrize("path", ["../attempt-token", "/etc/passwd", "", "a/../../x"])
def test_a_declared_path_that_leaves_is_refused(
    place: AttemptPlace, sockets: None, path: str
) -> None:
    place.ask({"name": "model", "path": path})
    assert not collect(place.context, patience=QUICK)
    assert place.report("collect")["failure"]["code"] == "unsafe_path"


@pytest.mark.parametrize("faults", [[LOST], [503, LOST], [500]])
def test_lost_answers_of_the_store_are_no_failure(
    platform: Platform, place: AttemptPlace, faults: list[Fault]
) -> None:
    (place.out / "model").write_bytes(unique("model").encode())
    place.ask(MODEL)
    with proxied(platform, place) as (_, store):
        store.faults, store.method = list(faults), "PUT"
        assert collect(place.context, patience=QUICK)
        assert store.count("PUT") == len(faults) + 1


def test_what_the_store_has_is_not_sent_again(platform: Platform, place: AttemptPlace) -> None:
    content = unique("same").encode()
    (place.out / "model").write_bytes(content)
    (place.out / "copy").write_bytes(content)
    place.ask(MODEL, {"name": "copy", "path": "copy"})
    with proxied(platform, place) as (_, store):
        assert collect(place.context, patience=QUICK)
        assert store.count("PUT") == 1


def test_a_download_that_breaks_off_or_lies_once_is_repeated(
    platform: Platform, full_place: AttemptPlace
) -> None:
    with proxied(platform, full_place) as (api, store):
        api.faults, api.method = [LOST, 503], "GET"
        store.faults, store.method = [LOST, b"wrong", 503], "GET"
        assert fetch(full_place.context, patience=QUICK)


@pytest.mark.parametrize("name", ["a.csv", "source"])
def test_other_bytes_than_registered_are_a_failure_of_the_data(
    platform: Platform, full_place: AttemptPlace, name: str
) -> None:
    with proxied(platform, full_place) as (_, store):
        store.faults, store.method = [b"wrong", b"wrong"], "GET"
        store.path = _object_of(full_place, name)
        assert not fetch(full_place.context, patience=QUICK)
    failure = full_place.report("fetch")["failure"]
    assert (failure["class"], failure["code"]) == ("data", "digest_mismatch")
    assert name not in failure["message"]


@without_socket
def test_sockets_that_are_made_again_meanwhile_are_waited_for(
    platform: Platform, place: AttemptPlace
) -> None:
    """The agent restarts between our tries."""
    with ExitStack() as agent:

        def restart(_: float) -> None:
            if not place.api_socket.exists():
                agent.enter_context(forwarded(platform, place))

        assert fetch(place.context, patience=RetryPolicy(total_seconds=20.0, sleep=restart))


@without_socket
def test_who_stays_away_is_a_failure_of_the_platform(place: AttemptPlace) -> None:
    assert not fetch(place.context, patience=RetryPolicy(retries=1, first_delay=0.01))
    failure = place.report("fetch")["failure"]
    assert (failure["class"], failure["code"]) == ("platform", "unreachable")


def test_a_spent_token_is_a_failure_of_the_platform_and_is_told_to_nobody(
    platform: Platform, place: AttemptPlace, sockets: None
) -> None:
    platform.driver.close_attempt(
        platform.project_id,
        place.attempt,
        outcome="failed",
        failure={"failure_class": "user", "code": "exit_code", "message": "Exit code 1."},
    )
    done = place.run("fetch")
    assert done.code == 1
    failure = place.report("fetch")["failure"]
    assert (failure["class"], failure["code"]) == ("platform", "credential_refused")
    assert place.claimed["attempt_token"] not in done.err + json.dumps(failure)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outputs": [{}]}'])
def test_a_request_that_cannot_be_read_is_a_failure_of_the_platform(
    place: AttemptPlace, content: str
) -> None:
    (place.directory / "collect-request.json").write_text(content)
    assert not collect(place.context, patience=QUICK)
    failure = place.report("collect")["failure"]
    assert (failure["class"], failure["code"]) == ("platform", "bad_request")


def test_nothing_that_leaves_names_a_url_or_the_token(
    platform: Platform, full_place: AttemptPlace
) -> None:
    with proxied(platform, full_place) as (_, store):
        store.faults, store.method = [400] * 10, "GET"
        done = full_place.run("fetch")
    told = done.out + done.err + json.dumps(full_place.report("fetch"))
    assert done.code == 1
    assert "X-Amz" not in told
    assert full_place.claimed["attempt_token"] not in told


@pytest.mark.parametrize("arguments", [[], ["fetch", "collect"], ["push"]])
def test_another_command_line_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "fetch|latch|collect|reach" in capsys.readouterr().err


def test_a_variable_that_is_absent_is_named() -> None:
    said = {"ANIMUS_ATTEMPT_DIR": "/x", "ANIMUS_STORE_SOCKET": "/y"}
    with pytest.raises(SettingsUnfit, match="ANIMUS_API_SOCKET is not set"):
        read_attempt_context(said)


def _object_of(place: AttemptPlace, name: str) -> str:
    """The key under which the store keeps it: by its digest."""
    gateway = place.context.open_gateway(QUICK)
    said = gateway.call(GET_STEP_INPUTS, StepInputs)
    gateway.close()
    files = {f["path"]: f["download"] for given in said["inputs"] for f in given["files"]}
    found = said["source"] if name == "source" else files[name]
    assert found is not None
    return found["sha256"].removeprefix("sha256:")


def _directory_with(out: Path, name: bytes) -> None:
    (out / "model").mkdir()
    with open(os.path.join(os.fsencode(out / "model"), name), "wb") as file:
        file.write(b"x")


def _listed(path: str, content: bytes) -> dict[str, object]:
    return {"path": path, "sha256": digest_of(content), "size": len(content)}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _tree(root: Path) -> dict[str, object]:
    return {
        str(path.relative_to(root)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in root.rglob("*")
    }
