"""`animusd secrets`, as an operator types it: values come over standard input, none is shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from animus.adapters.secret_stores.age import AgeFile
from animus.domain.secrets import MAX_SECRET_BYTES
from animusd.__main__ import main

PROJECT = "01998a7e-0000-7aaa-8aaa-000000000001"
CANARY = "correct horse"

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command on this test's settings, with something over standard input."""
    (tmp_path / "agent.toml").write_text(
        '[temporal]\naddress = "127.0.0.1:1"\nnamespace = "animus-local"\n'
        '[agent]\ncluster = "local"\napi_url = "http://127.0.0.1:1"\ntoken_file = "t"\n'
        'key_file = "k"\nwork_order_public_key_file = "w"\nstate_dir = "s"\n'
        f'[agent.secrets.age]\nfile = "{tmp_path}/secrets.age"\n'
        f'identity_file = "{tmp_path}/identity"\n'
    )

    def run(act: str, *words: str, given: bytes = b"") -> int:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        return main(["secrets", act, "--settings", str(tmp_path / "agent.toml"), *words])

    assert run("init") == 0
    return run


def content_of(folder: Path) -> dict[str, dict[str, str]]:
    return AgeFile(file=folder / "secrets.age", identity_file=folder / "identity").read()


def test_a_value_is_set_rotated_listed_and_removed(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("set", PROJECT, "databases/warehouse", given=b"first\n") == 0
    assert run("set", PROJECT, "databases/warehouse", given=CANARY.encode() + b"\n") == 0
    assert content_of(tmp_path) == {PROJECT: {"databases/warehouse": CANARY}}
    assert run("list") == 0
    assert f"{PROJECT} databases/warehouse\n" in capsys.readouterr().out
    assert run("remove", PROJECT, "databases/warehouse") == 0
    assert run("remove", PROJECT, "databases/warehouse") == 1
    assert content_of(tmp_path) == {PROJECT: {}}
    assert CANARY not in "".join(capsys.readouterr())


def test_the_doctor_looks_at_the_store_and_tells_by_its_exit_code(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor = ["doctor", "secrets", "--settings", str(tmp_path / "agent.toml")]
    assert run("set", PROJECT, "databases/warehouse", given=CANARY.encode()) == 0
    assert main(doctor) == 0
    (tmp_path / "identity").unlink()
    assert main(doctor) == 1
    assert main([*doctor, "--json"]) == 1
    said = capsys.readouterr()
    assert '"fit": false' in said.out
    assert CANARY not in said.out + said.err


@pytest.mark.parametrize(
    ("project", "reference", "given"),
    [
        ("my-project", "token", b"x"), (PROJECT, "../token", b"x"), (PROJECT, "a//b", b"x"),
        (PROJECT, "token", b""), (PROJECT, "token", b"\n"), (PROJECT, "token", b"\xff"),
        (PROJECT, "token", b"x" * (MAX_SECRET_BYTES + 2)),
    ],
    ids=["a name", "a way out", "an empty part", "nothing", "a newline", "no text", "too much"],
)  # fmt: skip
def test_what_can_not_be_a_secret_is_not_kept(
    run: Run, tmp_path: Path, project: str, reference: str, given: bytes
) -> None:
    assert run("set", project, reference, given=given) == 1
    assert content_of(tmp_path) == {}


def test_an_identity_is_made_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init") == 1
    assert "left as it is" in capsys.readouterr().err


def test_two_stores_are_one_too_many(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "agent.toml").open("a") as settings:
        settings.write('[agent.secrets.kubernetes]\nnamespace = "animus-secrets"\n')
    assert run("list") == 1
