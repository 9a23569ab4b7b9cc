"""What the demo happens on: a stack whose steps are containers, or one whose steps are pods."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deploy.dev_cluster.clusters import get_cluster
from deploy.dev_cluster.configuration import DEFAULT_STATE as CLUSTER_STATE
from deploy.embedded import daemon
from deploy.embedded.configuration import CHECKOUT, DEFAULT_STATE, StackConfig
from deploy.embedded.console import Console
from deploy.embedded.engine import get_engine, purge
from deploy.embedded.errors import StackError
from deploy.images.builds import BuiltImage
from deploy.local.clusters import KUBECONFIG_FILE, RUNTIME, prepare_on_cluster, vacate
from deploy.local.platform import ENGINE_FILE, find_agent_mark, prepare

WORK = CHECKOUT / ".animus" / "demo"


class Executor(StrEnum):
    CONTAINER = "container"
    KUBERNETES = "kubernetes"


STATES: Mapping[Executor, Path] = {
    Executor.CONTAINER: DEFAULT_STATE,
    Executor.KUBERNETES: DEFAULT_STATE.with_name("stack-kubernetes"),
}
"""A stack has one agent, and so one executor. Both have the same ports: one is up at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stack that can be brought up, and what the walk must know of it."""

    config: StackConfig
    executor: Executor
    runtime: str
    demo_image: BuiltImage
    look: str
    """A command that shows the steps that run."""
    engine: tuple[str, ...] = ()
    """The command of the engine in which images must be; none where a cluster has them."""
    engine_options: tuple[str, ...] = ()
    """What containers are created with in it on this machine."""


def set_stage(executor: Executor, *, console: Console) -> Stage:
    """Everything that the stack needs, built or found; it does not run yet."""
    _check_alone(executor)
    state = STATES[executor]
    ports = StackConfig.from_environment(state, os.environ).ports
    if executor is Executor.KUBERNETES:
        on_cluster = prepare_on_cluster(
            state, ports, cluster=get_cluster(CLUSTER_STATE), console=console
        )
        return Stage(
            config=on_cluster.config,
            executor=executor,
            runtime=RUNTIME,
            demo_image=on_cluster.demo_image,
            look=on_cluster.look,
        )
    prepared = prepare(state, ports, console=console)
    return Stage(
        config=prepared.config,
        executor=executor,
        runtime=prepared.engine.best_runtime,
        demo_image=prepared.demo_image,
        look=" ".join(prepared.engine.command("ps")),
        engine=tuple(prepared.engine.command()),
        engine_options=prepared.engine.run_options,
    )


def clear_stages(*, purge_data: bool, console: Console) -> None:
    """Stop whichever stack is up; delete the data of both, and what they put elsewhere."""
    agents = [mark for state in STATES.values() if (mark := find_agent_mark(state))]
    for state in STATES.values():
        daemon.take_down(state, purge=purge_data)
    if purge_data:
        _purge_engine(agents, console)
        _purge_cluster()
        shutil.rmtree(WORK, ignore_errors=True)


def _check_alone(executor: Executor) -> None:
    for other, state in STATES.items():
        if other is not executor and daemon.read_status(state).running:
            raise StackError(
                f"The demo is up with executor {other}, on the same ports. "
                "Stop it first: make demo-down"
            )


def _purge_engine(agents: Sequence[str], console: Console) -> None:
    engine_file = DEFAULT_STATE.parent / ENGINE_FILE
    if engine_file.exists():
        engine = get_engine(engine_file, console=console, may_install=False)
        if not purge(engine, agents=agents):
            console.say("    the images stay: another stack on this machine uses them")
        engine_file.unlink()


def _purge_cluster() -> None:
    """Where the cluster is down, its own data keep the namespaces: cluster-down PURGE=1."""
    kubeconfig = STATES[Executor.KUBERNETES].parent / KUBECONFIG_FILE
    if kubeconfig.exists():
        if daemon.read_status(CLUSTER_STATE).running:
            vacate(get_cluster(CLUSTER_STATE))
        kubeconfig.unlink()
