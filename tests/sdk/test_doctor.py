"""animus doctor on real servers, on odd ones and on none; and the clocks that it compares."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from animus_sdk.doctor import stores
from animus_sdk.doctor.clocks import compare_with_gateway, compare_with_store
from animus_sdk.doctor.connections import explain_failure, find_proxy
from animus_sdk.doctor.findings import State
from animus_sdk.doctor.gateways import compare_versions
from animus_sdk.wire.clocks import Reading, read_clock
from animus_sdk.wire.connections import Address, store_client
from animus_sdk.wire.failures import origin_of

from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.odd_servers import (
    clock_shifting_proxy,
    greeting_server,
    make_certificate,
)
from tests.sdk.platforms import Platform
from tests.support.ports import closed_port

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def findings(animus: CommandLine, *arguments: str, code: int = 0) -> dict[str, list[Any]]:
    """By check."""
    answer = animus.json("doctor", *arguments, code=code)
    assert answer["healthy"] is (code == 0)
    found: dict[str, list[Any]] = {}
    for one in answer["findings"]:
        found.setdefault(one["check"], []).append(one)
    return found


def states(found: dict[str, list[Any]], check: str) -> list[str]:
    return [one["state"] for one in found[check]]


def test_where_all_is_well_uploads_and_downloads_were_really_made(
    platform: Platform, animus: CommandLine
) -> None:
    for found in (findings(animus), findings(animus)):  # then the content is there already
        said = [one["said"] for one in found["store"]]
        assert said == [
            f"Uploads reach the object store at {platform.store_url}.",
            "Downloads come back with every byte.",
        ]
        assert states(found, "clock") == ["ok", "ok"]
        assert states(found, "gateway") == states(found, "version") == ["ok"]
        assert "you are editor" in found["project"][0]["said"]
        assert "by a person's token that ends on" in found["token"][0]["said"]


def test_who_only_reads_may_try_the_way_to_the_store_too(command_line_of: CommandLineOf) -> None:
    assert states(findings(command_line_of("reviewer")), "store") == ["ok", "ok"]


def test_it_is_plain_words_in_a_pipe_and_colours_on_a_terminal(
    platform: Platform, animus: CommandLine
) -> None:
    piped = animus.process("doctor")
    assert (piped.code, piped.err) == (0, "")
    assert "\x1b" not in piped.out
    assert "All that was tried works." in piped.out
    with animus.on_terminal("doctor") as terminal:
        assert terminal.end() == 0
    assert "\x1b[32m" in terminal.shown
    for out in (piped.out, terminal.shown):
        assert platform.tokens["engineer"][5:12] not in out
        assert "X-Amz" not in out


def test_who_is_not_signed_in_is_told_how(command_line_of: CommandLineOf) -> None:
    found = findings(command_line_of(None), code=1)
    assert states(found, "gateway") == ["ok"]
    assert found["token"][0]["todo"] == "Sign in: animus login"
    assert states(found, "store") == ["skipped"]


def test_a_token_that_was_revoked_is_a_fault_and_is_not_shown(
    platform: Platform, animus: CommandLine
) -> None:
    with platform.client() as client:
        issued = client.principals.issue_token(name="doctor", days=1)
        client.principals.revoke_token(issued["id"])
    secret = issued["secret"] or ""
    broken = animus.with_environment(ANIMUS_AUTH_TOKEN=secret)
    found = findings(broken, code=1)
    assert states(found, "token") == ["fault"]
    assert "ANIMUS_AUTH_TOKEN" in found["token"][0]["said"]
    assert secret[5:12] not in json.dumps(found)


def test_a_token_that_ends_soon_is_a_note(animus: CommandLine) -> None:
    (found,) = findings(animus)["token"]
    assert (found["state"], "animus token create" in found["todo"]) == ("note", True)


@pytest.mark.parametrize(
    ("project", "state"), [("nobody-knows-it", "fault"), ("", "note")]
)  # fmt: skip
def test_a_project_that_is_not_there_or_not_said(
    animus: CommandLine, project: str, state: str
) -> None:
    code = 1 if state == "fault" else 0
    found = findings(animus.with_environment(ANIMUS_PROJECT=project), code=code)
    assert states(found, "project") == [state]
    assert states(found, "store") == ["skipped"]


@pytest.mark.parametrize(
    ("minutes", "said"), [(10, "behind the gateway's"), (-10, "ahead of the gateway's")]
)
def test_a_clock_that_is_wrong_is_a_fault_in_both_directions(
    platform: Platform, animus: CommandLine, minutes: int, said: str
) -> None:
    with clock_shifting_proxy(platform.url, by=timedelta(minutes=minutes)) as url:
        found = findings(animus, "--gateway", url, code=1)
    first, second = found["clock"]
    assert said in first["said"]
    assert "timedatectl" in first["todo"]
    assert second["state"] == "fault"  # the store did not move, so the two differ as well


def test_a_clock_that_is_a_little_off_is_a_note(platform: Platform, animus: CommandLine) -> None:
    with clock_shifting_proxy(platform.url, by=timedelta(seconds=90)) as url:
        assert states(findings(animus, "--gateway", url), "clock") == ["note", "note"]


def test_a_store_whose_clock_differs_is_a_matter_for_the_operators(
    platform: Platform, animus: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clock_shifting_proxy(platform.store_url, by=timedelta(hours=1)) as url:
        _reach_the_store_at(monkeypatch, _address(url))
        ours, theirs = findings(animus, code=1)["clock"]
    assert ours["state"] == "ok"
    assert "The object store's clock is 60 min ahead of the gateway's" in theirs["said"]
    assert "operators" in theirs["todo"]


def test_a_store_that_clients_do_not_reach_is_told_apart_from_the_gateway(
    platform: Platform, animus: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _reach_the_store_at(monkeypatch, ("127.0.0.1", closed_port()))
    found = findings(animus, code=1)
    assert states(found, "gateway") == states(found, "platform") == ["ok"]
    (store,) = found["store"]
    assert f"Nothing listens at {platform.store_url}" in store["said"]
    assert "public_endpoint" in store["todo"]
    assert "X-Amz" not in json.dumps(store)


def test_what_is_no_store_is_told_with_its_answer(
    animus: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with greeting_server() as url:
        _reach_the_store_at(monkeypatch, _address(url))
        (store,) = findings(animus, code=1)["store"]
    assert "refuses an upload: 501" in store["said"]
    assert "may be no object store at all" in store["todo"]


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("http://127.0.0.1:9", "Nothing listens at http://127.0.0.1:9."),
        ("https://no-such-host.invalid", "is not known to this machine (DNS)"),
        ("unix:///nowhere/api.sock", "There is no socket"),
    ],
)
def test_without_a_gateway_the_rest_is_not_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], gateway: str, said: str
) -> None:
    animus = _animus_alone(tmp_path, capsys)
    found = findings(animus, "--gateway", gateway, code=1)
    assert said in found["gateway"][0]["said"]
    assert found["gateway"][0]["todo"]
    assert states(found, "token") == states(found, "store") == ["skipped"]
    done = animus.process("doctor", "--gateway", gateway)
    assert (done.code, done.err) == (1, "")
    assert "1 wrong: gateway" in done.out


def test_a_server_that_is_no_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with greeting_server() as url:
        found = findings(_animus_alone(tmp_path, capsys), "--gateway", url, code=1)
    assert "is no Animus gateway" in found["gateway"][0]["said"]


def test_an_answer_that_is_not_what_it_says_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    animus = _animus_alone(tmp_path, capsys)
    with greeting_server(encoding="gzip") as url:
        found = findings(animus, "--gateway", url, code=1)
        done = animus.with_environment(ANIMUS_AUTH_TOKEN="anmp_x")("whoami", "--gateway", url)
    assert "is not compressed as it says it is" in found["gateway"][0]["said"]
    assert "not compressed as it says it is" in done.err


@pytest.mark.parametrize("url", ["http://a..b", "http://a\u2028b", f"http://{'a' * 300}"])
def test_what_is_no_url_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    (found,) = findings(_animus_alone(tmp_path, capsys), "--gateway", url, code=1)["gateway"]
    assert "is no URL of a gateway" in found["said"]


@pytest.mark.parametrize("url", ["https://a..b/x?y", "https://store:port/x?y"])
def test_a_stores_url_that_can_not_be_used_is_a_finding(url: str) -> None:
    asked = {"content": "x", "upload": {"url": url, "headers": {}}, "download": None}
    client = SimpleNamespace(store_checks=SimpleNamespace(ask=lambda: asked))
    (found,) = stores.StoreExamination(client, None).examine()  # type: ignore[arg-type]  # no platform here
    assert found.state is State.FAULT
    assert "is no URL that a client can use" in found.said
    assert "?y" not in found.said


def test_a_certificate_that_is_not_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with greeting_server(certificate=make_certificate(tmp_path)) as url:
        found = findings(_animus_alone(tmp_path, capsys), "--gateway", url, code=1)
    (gateway,) = found["gateway"]
    assert "is not accepted: self" in gateway["said"]
    assert "SSL_CERT_FILE" in gateway["todo"]


def test_settings_that_can_not_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    animus = _animus_alone(tmp_path, capsys)
    (animus.folder / ".animus.toml").write_text("token = 'x'\n")
    found = findings(animus, code=1)
    assert states(found, "settings") == ["fault"]
    assert states(found, "gateway") == ["skipped"]


@pytest.mark.parametrize(
    "proxy", ["socks5://proxy.invalid:1", "ftp://u:hunter2@proxy", "http://u:hunter2@proxy:port"]
)
def test_a_proxy_that_can_not_be_used_is_named_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], proxy: str
) -> None:
    animus = _animus_alone(tmp_path, capsys).with_environment(HTTPS_PROXY=proxy)
    (found,) = findings(animus, "--gateway", "https://no-such-host.invalid", code=1)["gateway"]
    assert "look at HTTP_PROXY, HTTPS_PROXY and ALL_PROXY" in found["said"]
    done = animus("whoami", "--gateway", "https://no-such-host.invalid")
    assert done.code == 2
    assert "hunter2" not in done.err + done.out


def test_git_and_engines_are_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    animus = _animus_alone(tmp_path, capsys)
    found = findings(animus, "--gateway", "http://127.0.0.1:9", code=1)
    assert states(found, "git") == states(found, "engine") == ["note"]


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, State.OK), (30, State.OK), (-30, State.OK), (200, State.NOTE), (-200, State.NOTE),
     (400, State.FAULT), (-400, State.FAULT)],
)  # fmt: skip
def test_clocks_may_differ_by_what_the_platform_allows(seconds: int, state: State) -> None:
    error = timedelta(seconds=0.5)
    other = Reading(ahead=timedelta(seconds=seconds), error=error)
    (found,) = compare_with_gateway(other)
    assert found.state is state
    (found,) = compare_with_store(Reading(ahead=timedelta(0), error=error), other)
    assert found.state is state


def test_a_slow_answer_makes_no_clock_wrong() -> None:
    response = httpx.Response(200, headers={"Date": "Fri, 02 Jan 2026 03:04:05 GMT"})
    reading = read_clock(response, sent=AT, received=AT + timedelta(minutes=2))
    assert reading is not None
    (found,) = compare_with_gateway(reading)
    assert found.state is State.OK
    assert read_clock(httpx.Response(200), sent=AT, received=AT) is None
    assert [found.state for found in compare_with_gateway(None)] == [State.NOTE]
    assert list(compare_with_store(None, reading)) == []


@pytest.mark.parametrize(
    ("server", "state"),
    [("0.1.7", State.OK), ("0.2.0", State.NOTE), ("1.0.0", State.NOTE), (None, State.NOTE)],
)
def test_versions_belong_together_by_their_minor_before_the_first(
    server: str | None, state: State
) -> None:
    (found,) = compare_versions(server)
    assert found.state is state


def test_of_a_url_nothing_secret_is_said() -> None:
    url = "https://user:secret@store.example:7070/bucket/key?X-Amz-Signature=abc"
    assert origin_of(url) == "https://store.example:7070"
    assert origin_of("https://[/bucket?X-Amz-Signature=abc") == "the address"
    said, todo = explain_failure(httpx.ConnectTimeout("x"), url)
    assert "secret" not in said + todo
    assert find_proxy(url, {"HTTPS_PROXY": "http://u:p@proxy"}) == "HTTPS_PROXY"
    assert find_proxy(url, {"HTTPS_PROXY": "", "http_proxy": "http://proxy"}) is None
    assert find_proxy("https://localhost", {"all_proxy": "http://proxy"}) is None


@pytest.mark.parametrize(
    "exempt",
    [
        "", "*", "example", ".example", "store.example", "other.example, store.example",
        "tore.example", "store.example:7070", "store.example:7071", "https://store.example",
        "http://store.example", "10.0.0.1", "10.0.0.0/8", "2001:db8::1", "localhost", ",",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "url",
    [
        "https://store.example", "https://store.example:7070/x", "https://example", "http://10.0.0.1",
        "https://[2001:db8::1]:7070", "https://a.localhost",
    ],
)  # fmt: skip
def test_the_proxy_that_is_named_is_the_one_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, exempt: str, url: str
) -> None:
    said = {"HTTPS_PROXY": "http://one:1", "ALL_PROXY": "http://two:2", "NO_PROXY": exempt}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with store_client(timeout=1) as client:
        is_proxied = client._transport_for_url(httpx.URL(url)) is not client._transport
    assert (find_proxy(url, said) is not None) == is_proxied


def test_a_proxy_in_small_letters_goes_before_one_in_capitals() -> None:
    url = "https://store.example"
    assert find_proxy(url, {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}) == "https_proxy"
    assert find_proxy(url, {"HTTPS_PROXY": "http://a", "https_proxy": ""}) is None


def _reach_the_store_at(monkeypatch: pytest.MonkeyPatch, address: Address) -> None:
    """The URLs stay as they are signed; only their way is another."""
    monkeypatch.setattr(stores, "store_client", partial(store_client, address=address))


def _address(url: str) -> Address:
    parts = httpx.URL(url)
    return parts.host, parts.port or 80


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def _animus_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """On a machine from which no platform is known."""
    folder = tmp_path / "alone"
    folder.mkdir()
    environment = {"HOME": str(tmp_path), "LANG": "C.UTF-8", "PATH": "/nowhere"}
    return CommandLine(environment=environment, folder=folder, capture=capsys)
