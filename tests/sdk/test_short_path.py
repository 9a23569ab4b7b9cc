"""A run of a command in an image, without a file: from a folder with a script, a CSV and git."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from animus_sdk.wire.connections import store_client

from tests.sdk.command_lines import CommandLine
from tests.sdk.engines import described, engine
from tests.sdk.platforms import CLUSTER, IMAGE, Platform, unique

TAG = "localhost/animus-demo:dev"
COMMAND = ("--", "python", "train.py")
Sent = list[httpx.Request]


@pytest.fixture
def person(animus: CommandLine, tmp_path: Path) -> CommandLine:
    """Before a folder where only the script is committed, with an engine that has the image."""
    (animus.folder / "data").mkdir()
    (animus.folder / "data" / "churn.csv").write_text(unique("row") + "\n")
    (animus.folder / "train.py").write_text(f"print({unique('1')!r})\n")
    commit(animus.folder, "train.py")
    return with_image(animus, tmp_path / "engine")


def with_image(animus: CommandLine, folder: Path, *references: str) -> CommandLine:
    (command,) = engine(folder, described(*(references or (IMAGE,)))).command
    return animus.with_environment(ANIMUS_ENGINE=command)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, *names: str) -> None:
    identity = ("-c", "user.name=ann", "-c", "user.email=ann@demo.invalid")
    git(folder, "init", "-q")
    git(folder, "add", *names)
    git(folder, *identity, "commit", "-q", "-m", "A change")


def submit(*more: str, data: str = "churn=data/churn.csv") -> tuple[str, ...]:
    said = ("--image", TAG, "--data", data, "--out", "model", "--cluster", CLUSTER)
    return ("run", "submit", *said, "-p", "lr=0.1", "--detach", *more, *COMMAND)


def preview(*more: str, data: str = "churn=data/churn.csv") -> tuple[str, ...]:
    words = [word for word in submit(*more, data=data) if word != "--detach"]
    return ("run", "preview", *words[2:])


@contextmanager
def watched_store(patch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """Every request that the command line sends to the object store."""
    sent: Sent = []

    def watched(**given: Any) -> httpx.Client:
        client = store_client(**given)
        client.event_hooks = {"request": [sent.append]}
        return client

    with patch.context() as context:
        context.setattr("animus_sdk.transfer.stores.store_client", watched)
        yield sent


def test_a_script_a_csv_and_git_are_enough(person: CommandLine) -> None:
    body = person.json(*preview("--name", "churn-rate"))["plan"]["body"]
    (step,) = body["steps"]
    assert (body["pipeline"], body["classification"]) == ("churn-rate", "development")
    assert (step["spec"]["name"], step["spec"]["image"]) == ("train", IMAGE)
    assert step["spec"]["command"] == ["python", "train.py"]
    assert step["spec"]["egress"] == []
    assert body["parameters"] == {"lr": 0.1}
    assert body["code"]["state"] == "proved"  # the data beside it is a dataset, and no change

    run = person.json(*submit("--name", "churn-rate"))
    assert run["uploads"]["source"] is not None
    assert run["uploads"]["environment_lock"] == body["environment_lock"]
    assert run["uploads"]["datasets"]["churn"]["uploaded"] == 1
    assert run["inferred"]["pipeline"] == "churn-rate (as said)"
    assert run["inferred"]["image"] == f"{IMAGE} (podman)"
    assert run["inferred"]["packages"].startswith("none named: there is no uv.lock")
    lock = person.json("env", "show", body["environment_lock"])["document"]
    assert lock["images"][0]["manifest_digest"] == IMAGE.partition("@")[2]
    assert person.json("dataset", "show", "churn")["versions"]


def test_a_second_run_sends_nothing_but_what_changed(
    person: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched_store(monkeypatch) as sent:
        person.json(*submit())
    assert [request.method for request in sent] == ["PUT", "PUT"]  # source and data

    with watched_store(monkeypatch) as sent:
        again = person.json(*submit("-p", "C=2"))
    assert sent == []
    assert again["uploads"] == {"source": None, "environment_lock": None, "datasets": {}}

    (person.folder / "data" / "churn.csv").write_text("other\n")
    with watched_store(monkeypatch) as sent:
        changed = person.json(*submit())
    assert [request.headers["content-length"] for request in sent] == ["6"]
    assert changed["uploads"]["source"] is None

    (person.folder / "train.py").write_text("print('changed')\n")
    with watched_store(monkeypatch) as sent:
        changed = person.json(*submit())
    assert len(sent) == 1
    assert changed["uploads"]["source"] is not None
    assert changed["uploads"]["datasets"] == {}


def test_what_was_found_out_is_said_a_line_each(person: CommandLine) -> None:
    (person.folder / "train.py").write_text("print('changed')\n")
    (person.folder / ".env").write_text("TOKEN=x\n")
    (person.folder / "requirements.lock").write_text(f"a==1 --hash=sha256:{'a' * 64}\n")
    git(person.folder, "checkout", "-q", "--detach")
    done = person.process(*submit())
    assert done.code == 0, done
    lines = done.out.splitlines()
    said = {line[:12].strip(): line for line in lines[: lines.index("")]}
    assert "work (the folder's name)" in said["pipeline"]
    assert "train.py" in said["code"]
    assert "not committed (development takes it)" in said["code"]
    assert ".env: may hold credentials" in said["left out"]
    assert "1 of requirements.lock" in said["packages"]
    assert "1 file" in said["data churn"]
    assert "(allowed)" in said["plan"]
    assert "code_uncommitted" in said["limitations"]
    assert lines[-1].startswith("Submitted ")
    assert "animus run watch" in done.err
    assert "\x1b" not in done.out + done.err


def test_production_takes_what_is_committed_alone(person: CommandLine) -> None:
    (person.folder / "train.py").write_text("print('changed')\n")
    code, problem = person.problem(*submit("--production"))
    assert (code, problem["code"]) == (2, "uncommitted_changes")
    assert "data/churn.csv" not in problem["detail"]
    commit(person.folder, "train.py")
    assert person.json(*preview("--production"))["effect"] == "require_approval"


def test_a_path_needs_no_slash_and_a_name_that_is_both_is_asked_about(
    platform: Platform, person: CommandLine
) -> None:
    name = unique("both")
    (person.folder / name).write_text("a,b\n")
    body = person.json(*preview(data=f"churn={name}"))["plan"]["body"]
    with platform.client() as client:
        pushed = client.datasets.push(name, [person.folder / "train.py"])
    code, problem = person.problem(*preview(data=f"churn={name}"))
    assert (code, problem["code"]) == (2, "ambiguous")
    assert f"Write {name}@latest for the dataset, ./{name} for the path." in problem["detail"]
    by_path = person.json(*preview(data=f"churn=./{name}"))["plan"]["body"]
    assert by_path["datasets"] == body["datasets"]
    by_name = person.json(*preview(data=f"churn={name}@latest"))["plan"]["body"]
    assert by_name["datasets"][0]["digest"] == pushed.version["digest"]


def test_without_git_it_says_how_to_begin(person: CommandLine) -> None:
    (person.folder / ".git").rename(person.folder / "gone")
    code, problem = person.problem(*submit())
    assert (code, problem["code"]) == (2, "not_a_repository")
    assert "Run 'git init' and commit your code" in problem["detail"]
    assert "--no-code" in problem["detail"]
    git(person.folder, "init", "-q")
    assert person.problem(*submit())[1]["code"] == "no_commit"
    body = person.json(*preview("--no-code"))["plan"]["body"]
    assert body.get("code") is None


def test_an_image_that_is_nowhere_is_told_with_what_to_do(
    animus: CommandLine, person: CommandLine, tmp_path: Path
) -> None:
    (command,) = engine(tmp_path / "empty", None).command
    nobody = animus.with_environment(ANIMUS_ENGINE=command)
    code, problem = nobody.problem(*submit())
    assert (code, problem["code"]) == (1, "image_not_found")
    assert f"There is no image '{TAG}': podman has none." in problem["detail"]
    assert f"'podman pull {TAG}'" in problem["detail"]


@pytest.mark.parametrize("explicit", [False, True])
def test_a_tag_in_a_file_becomes_a_digest_and_is_said(person: CommandLine, explicit: bool) -> None:
    name = unique("tagged")
    written: dict[str, Any] = {
        "apiVersion": "animus/v1",
        "pipeline": name,
        "image": TAG,
        "steps": {"a": {"run": "true", "data": "churn"}, "b": {"run": "true", "image": TAG}},
    }
    data = ("--data", "churn=data")  # beside the code and not committed, for it is no code
    if explicit:
        pinned = {**written, "image": IMAGE, "steps": {"a": {"run": "true", "data": "churn"}}}
        (person.folder / "short.yaml").write_text(yaml.safe_dump(pinned))
        written = person.json("pipeline", "show", "short.yaml")["spec"]
        (person.folder / "short.yaml").unlink()
        written["spec"]["steps"][0]["image"] = TAG
    (person.folder / "animus.yaml").write_text(yaml.safe_dump(written))
    commit(person.folder, "animus.yaml")
    done = person("run", "submit", "animus.yaml", *data, "--cluster", CLUSTER)
    assert done.code == 0, done
    line = f"image {TAG}  {IMAGE} (podman)"
    assert done.out.splitlines()[0] == line
    shown = person.json("run", "preview", "animus.yaml", *data, "--cluster", CLUSTER)
    assert {step["spec"]["image"] for step in shown["plan"]["body"]["steps"]} == {IMAGE}


@pytest.mark.parametrize(
    ("more", "option"),
    [
        (("--cpu", "many"), "--cpu: "), (("--memory", "2 GB"), "--memory: "),
        (("--timeout", "soon"), "--timeout: "), (("--gpu", "-1"), "--gpu: "),
        (("--name", "a b"), "--name: "), (("--out", "x=../y"), "--out x: "),
        (("--data", "a b=./data"), "--data"),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_the_option_that_makes_it(
    person: CommandLine, more: tuple[str, ...], option: str
) -> None:
    done = person(*submit(*more))
    assert done.code == 2, done
    assert any(line.strip().startswith(option) for line in done.err.splitlines()), done.err


def test_hostile_names_of_data_are_shown_escaped(person: CommandLine) -> None:
    (person.folder / "data" / "\x1b[2Jevil.csv").write_text("a\n")
    done = person.process(*submit(data="churn=data"))
    assert done.code != 0
    assert "\\x1b[2Jevil.csv" in done.err
    assert "\x1b" not in done.out + done.err


def test_a_gateway_that_does_not_answer_is_told_as_that(person: CommandLine) -> None:
    alone = person.with_environment(ANIMUS_GATEWAY_URL="http://127.0.0.1:1")
    done = alone.process(*preview("--project", "00000000-0000-7000-8000-000000000000"))
    assert done.code == 75, done
    assert "127.0.0.1:1" in done.err


def test_ctrl_c_leaves_the_run_running_and_says_how_to_come_back(
    platform: Platform, person: CommandLine
) -> None:
    words = [word for word in submit("--name", unique("left")) if word != "--detach"]
    with person.on_terminal(*words) as terminal:
        terminal.wait_for("Submitted ")
        terminal.wait_for("created")
        terminal.interrupt()
        assert terminal.end() == 130
    shown = terminal.shown
    assert "The run goes on. To look again: animus run watch" in shown
    run_id = shown.rpartition("animus run watch ")[2].split()[0]
    detail = person.json("run", "show", run_id)
    assert (detail["state"], detail["cancel_requested"]) == ("created", False)


def test_nobody_sits_and_watches_while_people_think(
    platform: Platform, person: CommandLine
) -> None:
    words = [word for word in submit("--production") if word != "--detach"]
    with person.on_terminal(*words) as terminal:
        terminal.wait_for("Submitted ")
        with platform.client() as client:
            run_id = client.runs.page(limit=1)["runs"][0]["id"]
        platform.driver.plan(platform.project_id, run_id)
        assert terminal.end() == 3
    assert "Somebody else approves it" in terminal.shown
