"""The engine of a laptop is found, or it is said what was tried and what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from animus_sdk.errors import SettingsUnfit
from animus_sdk.local.engines import EngineMissing, StepEngine, find_step_engine
from animus_sdk.local.images import ImageMissing, get_image

from tests.sdk.local_steps import podman

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def program(folder: Path, name: str, script: str) -> str:
    """Stands where an engine does."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def answering(folder: Path, name: str, said: dict[str, Any]) -> str:
    (folder / "info.json").write_text(json.dumps(said))
    return program(folder, name, f"cat '{folder}/info.json'")


def found(command: str, **more: str) -> StepEngine:
    return find_step_engine({"ANIMUS_ENGINE": command, **more})


def test_podman_is_known_under_every_name(tmp_path: Path) -> None:
    said = {
        "host": {"security": {"rootless": True}, "cgroupControllers": ["memory", "pids"]},
        "version": {"Version": "5.2.1"},
    }
    engine = found(answering(tmp_path, "docker", said), ANIMUS_ENGINE_OPTIONS="--ulimit 'a b'")
    assert (engine.words, engine.rootless) == ("podman 5.2.1", True)
    assert engine.create_options == ("--ulimit", "a b")
    assert (engine.may_limit("memory"), engine.may_limit("cpu")) == (True, False)


def test_docker_is_found_where_its_daemon_answers(tmp_path: Path) -> None:
    said = {"ServerVersion": "28.1", "SecurityOptions": ["name=seccomp", "name=rootless"]}
    engine = found(answering(tmp_path, "docker", said))
    assert (engine.words, engine.rootless, engine.may_limit("cpu")) == ("docker 28.1", True, True)


def test_a_daemon_that_does_not_run_is_said_with_what_to_do(tmp_path: Path) -> None:
    said = {"ServerErrors": ["Cannot connect to the Docker daemon."]}
    with pytest.raises(EngineMissing, match="Cannot connect to the Docker daemon") as missing:
        found(answering(tmp_path, "docker", said))
    assert "Install podman, or start docker" in missing.value.message


def test_what_is_no_engine_is_said(tmp_path: Path) -> None:
    for script, why in (("exit 3", "ended with 3"), ("echo x", "not understood")):
        with pytest.raises(EngineMissing, match=why):
            found(program(tmp_path, "podman", script))
    with pytest.raises(SettingsUnfit, match="a quote without its end"):
        found("podman", ANIMUS_ENGINE_OPTIONS="'")


def test_a_machine_without_any_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match="neither podman nor docker"):
        find_step_engine({})


def test_an_image_counts_only_under_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps([{"Id": "1" * 64, "RepoDigests": [f"x@{OTHER}"], "Digest": OTHER}])
    )
    engine = podman(command=(program(tmp_path, "podman", f"cat '{tmp_path}/a.json'"),))
    assert get_image(engine, f"registry.example/x@{OTHER}", shows=False) == "1" * 64
    assert get_image(engine, "x", shows=False) == "1" * 64
    with pytest.raises(ImageMissing, match="does not have"):
        get_image(engine, f"registry.example/x@{DIGEST}", shows=False)


def test_an_image_that_can_not_be_pulled_is_told_with_what_to_do(tmp_path: Path) -> None:
    script = 'case "$1" in pull) echo "denied: sign in" >&2; exit 125;; esac\n'
    script += 'echo "Error: no such image" >&2; exit 125'
    engine = podman(command=(program(tmp_path, "podman", script),))
    with pytest.raises(ImageMissing) as missing:
        get_image(engine, f"registry.example/team/x@{DIGEST}", shows=False)
    assert "denied: sign in" in missing.value.message
    assert "podman login registry.example" in missing.value.message
