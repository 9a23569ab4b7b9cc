"""A laptop gives a step what its cluster gives it: each says it in code of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from animus_sdk.errors import SettingsUnfit
from animus_sdk.local import flags
from animus_sdk.local.engines import StepEngine
from animus_sdk.local.folders import StepFolder
from animus_sdk.local.mains import StepMain, Words
from animus_sdk.local.steps import LOCAL_VARIABLE, read_step

from animus.adapters.container import specs
from animus.adapters.container.engines import Engine, EngineKind
from animus.adapters.container.phases import Naming, main_spec
from animus.adapters.container.places import Place
from animus.adapters.container.specs import ContainerSpec
from animus.domain.canonical import JsonObject
from animus.ports import AttemptTask
from tests.sdk.local_steps import docker, podman
from tests.support.documents import explicit_step, output
from tests.unit.adapters.kubernetes.tasks import make_task

STEPS: dict[str, JsonObject] = {
    "as it comes": {},
    "with a network": {"egress": [{"host": "pypi.example.org", "port": 443}]},
    "with little": {
        "resources": {"cpu": "250m", "memory": "96Mi", "gpu": 0, "ephemeralStorage": "10Mi"}
    },
    "with much": {
        "resources": {"cpu": "64", "memory": "512Gi", "gpu": 0, "ephemeralStorage": "2Ti"}
    },
    "the image's own entry": {"command": [], "args": []},
    "an entry of several words": {"command": ["/bin/sh", "-eu", "-c"], "args": ["exit 0", "-x"]},
    "with variables": {
        "env": [{"name": "PATH", "value": "/x y"}, {"name": "SEED", "value": "7"}],
        "outputs": {"artifacts": [output("model")]},
    },
}
_WITH_A_VALUE = ("--name", "--runtime", "--mount", "--env-file")


@pytest.mark.parametrize("engine", [podman(), podman(rootless=True), docker()], ids=str)
@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_flags_are_those_of_the_executor(
    changes: JsonObject, engine: StepEngine, tmp_path: Path
) -> None:
    theirs = _executors(changes, engine, tmp_path)
    ours = _locals(explicit_step(**changes), engine, tmp_path)
    assert _comparable(ours) == _comparable(theirs)


@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_variables_are_those_of_the_executor_and_say_that_this_is_local(
    changes: JsonObject, tmp_path: Path
) -> None:
    task = make_task(**changes)
    there = _spec(task, tmp_path).variables
    main = _main(explicit_step(**changes), podman(), tmp_path)
    order = task.order
    here = replace(
        main, run_id=order.run_id, attempt=order.attempt, parameters=task.assignment.parameters
    ).main(Words(command=()))
    assert here.variables == {**there, LOCAL_VARIABLE: "1"}


def test_mounts_are_those_of_the_executor(tmp_path: Path) -> None:
    there = _spec(make_task(), tmp_path).mounts
    here = StepFolder(root=tmp_path).mounts(read_step(explicit_step()))
    assert [(one.target, one.writable) for one in here] == [
        (one.target, one.writable) for one in there
    ]


def test_what_this_user_may_not_limit_is_left_out(tmp_path: Path) -> None:
    engine = podman(rootless=True, controllers=frozenset({"memory", "pids"}))
    said = _locals(explicit_step(), engine, tmp_path)
    assert not [word for word in said if word.startswith("--cpus")]
    assert [word for word in said if word.startswith("--memory=")]


def test_values_that_an_engine_would_cut_are_refused_by_name(tmp_path: Path) -> None:
    step = explicit_step(env=[{"name": "KEY", "value": "a\nSECRET=1"}])
    main = _main(step, podman(), tmp_path).main(Words(command=()))
    with pytest.raises(SettingsUnfit, match="The value of KEY has several lines"):
        flags.variables_text(main)


def test_a_folder_that_can_not_be_mounted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsUnfit, match="has a comma"):
        _locals(explicit_step(), podman(), tmp_path / "a,b")


def _executors(changes: JsonObject, engine: StepEngine, folder: Path) -> list[str]:
    spec = _spec(make_task(**changes), folder)
    described = Engine(
        kind=EngineKind(engine.kind), version="", argv=engine.command, run_options=(), runtime="",
        rootless=engine.rootless, environment={},
    )  # fmt: skip
    return specs.create_arguments(
        spec, described, variables_file=folder / "variables", with_init=True
    )


def _locals(step: JsonObject, engine: StepEngine, folder: Path) -> list[str]:
    main = _main(step, engine, folder)
    return flags.create_arguments(
        main.main(main.own_words), engine, variables_file=folder / "variables"
    )


def _main(step: JsonObject, engine: StepEngine, folder: Path) -> StepMain:
    return StepMain(
        step=read_step(step), engine=engine, image=str(step["image"]),
        folder=StepFolder(root=folder), run_id="r", attempt=1, parameters={},
    )  # fmt: skip


def _spec(task: AttemptTask, folder: Path) -> ContainerSpec:
    place = Place(directory=folder, owner=None)
    return main_spec(task, place, _NAMING, secrets=folder / "s", runtime="", group="")


def _comparable(words: Sequence[str]) -> list[str]:
    """Without what each names for itself: the container, its labels and log, where files lie; and
    without the end that the executor's engine sets to a step that nobody watches."""
    kept: list[str] = []
    pending = list(words)
    while pending:
        word = pending.pop(0)
        if word in _WITH_A_VALUE:
            value = pending.pop(0)
            if word == "--mount":
                kept.append(value.split("destination=")[1])
            continue
        if word.startswith(("--label=", "--log-", "--timeout=", "--env=ANIMUS_")):
            continue
        kept.append(word)
    return sorted(kept)


_NAMING = Naming(cluster="c", agent="a")
