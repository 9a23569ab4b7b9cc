"""The short path without a gateway: what is said, how things are called, which code is taken."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from animus_sdk.cli.code_requests import code_words, pack_short_path, secret_words
from animus_sdk.cli.one_step_pipelines import (
    StepOptions,
    cleaned_name,
    find_one_step,
    one_step_pipeline,
    pipeline_name,
)
from animus_sdk.errors import SettingsUnfit
from animus_sdk.source import SourceError

from animus.domain.pipeline_expansion import expand_pipeline
from tests.sdk.attempt_places import commit_all

IMAGE = "localhost/x@sha256:" + "a" * 64


def options(*command: str, **said: object) -> StepOptions:
    return dataclasses.replace(StepOptions(command=list(command)), image="x", **said)  # type: ignore[arg-type]


def test_the_first_word_of_a_command_is_no_file_where_an_image_is_said() -> None:
    step = find_one_step("python", options("train.py", "--epochs", "3"))
    assert step is not None
    assert step.words == ("python", "train.py", "--epochs", "3")
    assert find_one_step("pipeline.yaml", StepOptions()) is None


@pytest.mark.parametrize(
    ("file", "said", "message"),
    [
        (None, StepOptions(), "Say FILE, .* or, without one, --image"),
        (None, StepOptions(command=["python"]), "Say FILE"),
        ("a.yaml", StepOptions(command=["python"]), "goes with --image IMAGE, and without FILE"),
        ("a.yaml", StepOptions(cpu="2", out=["x"]), "--out, --cpu: with FILE"),
        (None, StepOptions(image="x"), "Say what runs in the image"),
        ("a.yaml", StepOptions(image="x"), "looks like a pipeline"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    file: str | None, said: StepOptions, message: str
) -> None:
    with pytest.raises(SettingsUnfit, match=message) as refused:
        find_one_step(file, said)
    assert refused.value.code == "usage"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "train.py"], "train"), (["bash", "-c", "true"], "bash"),
        (["uv", "run", "src/fit_all.PY"], "fit_all"), (["./ümläut!.sh"], "umlaut"),
        (["..."], "main"), (["\x1b[2J.py"], "2J"), (["Rscript", "fit.R"], "fit"),
    ],
)  # fmt: skip
def test_the_step_is_called_after_what_runs(command: list[str], name: str) -> None:
    step = find_one_step(None, options(*command))
    assert step is not None
    assert step.step_name == name


def test_names_are_cleaned_until_the_gateway_takes_them() -> None:
    assert cleaned_name("Mein Projekt (neu)/ä") == "Mein-Projekt-neu-a"
    assert cleaned_name("日本") == ""
    assert cleaned_name("-" * 70 + "x" * 70 + "-") == "x" * 63


@pytest.mark.parametrize(
    ("said", "folder", "url", "name"),
    [
        ("given", "f", "u/r.git", "given"), (None, "folder", None, "folder"),
        (None, "f", "https://git.example/team/churn.git/", "churn"),
        (None, "f", "git@git.example:churn.git", "churn"), (None, "f", "https://h/日本", "f"),
    ],
)  # fmt: skip
def test_a_pipeline_is_called_as_said_or_after_repository_or_folder(
    said: str | None, folder: str, url: str | None, name: str
) -> None:
    assert pipeline_name(said, folder=Path("/x", folder), repository_url=url)[0] == name


def test_a_folder_without_a_usable_name_asks_for_one() -> None:
    with pytest.raises(SettingsUnfit, match="--name NAME"):
        pipeline_name(None, folder=Path("/x/日本"), repository_url=None)


def test_the_pipeline_is_one_that_the_gateway_expands() -> None:
    said = options(
        "python", "train.py", out=["model", "report=out/r.html"], cpu="500m", memory="2Gi", gpu=1,
        timeout="10m",
    )  # fmt: skip
    step = find_one_step(None, said)
    assert step is not None
    written = one_step_pipeline(step, name="churn", reference=IMAGE, aliases=["churn"])
    (made,) = expand_pipeline(written).spec.steps
    assert (made.name, made.image, made.command) == ("train", IMAGE, ("python", "train.py"))
    assert made.timeoutSeconds == 600
    assert [(one.name, one.path) for one in made.outputs.artifacts] == [
        ("model", "model"), ("report", "out/r.html"),
    ]  # fmt: skip
    assert made.egress == ()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    commit_all(folder)
    return folder


def test_data_that_is_a_dataset_is_no_code(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "churn.csv").write_text("a,b\n")
    (project / "elsewhere").symlink_to("data")
    pack = pack_short_path(project, [project / "elsewhere"], production=False)
    assert pack.changed_paths == ()
    assert (pack.state, pack.untracked_left_out) == (
        "proved", ("data/churn.csv", "elsewhere"),
    )  # fmt: skip
    (project / "database.py").write_text("")
    pack = pack_short_path(project, [project / "data"], production=False)
    assert set(pack.changed_paths) == {"database.py", "elsewhere"}


def test_what_looks_like_credentials_and_what_is_a_cache_is_left_out_unless_git_has_it(
    project: Path,
) -> None:
    for name in (".env", ".env.local", "tls.key", "a.pem", "id_rsa", ".netrc"):
        (project / name).write_text("secret")
    (project / "__pycache__").mkdir()
    (project / "__pycache__" / "x.pyc").write_bytes(b"\0")
    (project / ".env.example").write_text("KEY=\n")
    (project / "key.py").write_text("")
    pack = pack_short_path(project, [], production=False)
    assert set(pack.changed_paths) == {".env.example", "key.py"}
    assert b"secret" not in pack.content
    said = secret_words(pack) or ""
    assert ".env.local" in said
    assert "__pycache__" not in said
    assert "'git add' takes it all the same" in said
    commit_all(project)
    assert pack_short_path(project, [], production=True).state == "proved"


def test_what_is_not_committed_is_taken_in_development_and_named(project: Path) -> None:
    (project / "train.py").write_text("print(2)\n")
    (project / "\x1b[2J\n.py").write_text("")
    pack = pack_short_path(project, [], production=False)
    assert pack.state == "uncommitted"
    words = code_words(pack, taken=True)
    assert "development takes it" in words
    assert "\x1b" not in words
    assert "\n" not in words
    with pytest.raises(SettingsUnfit, match="is not what is committed") as refused:
        pack_short_path(project, [], production=True)
    assert refused.value.code == "uncommitted_changes"


def test_a_name_that_no_pack_holds_is_refused_and_shown_escaped(project: Path) -> None:
    (project / os.fsdecode(b"\xff\x1b[2J.py")).write_text("")
    with pytest.raises(SourceError, match="Rename it") as refused:
        pack_short_path(project, [], production=False)
    assert "\x1b" not in refused.value.message
