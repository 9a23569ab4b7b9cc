"""The three containers of an attempt: what each is given, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animus.adapters.container.places import Place
from animus.adapters.container.specs import ContainerSpec, Limits, Mount
from animus.adapters.steps.variables import SECRETS, main_variables
from animus.domain import execution_names
from animus.domain.pipelines import Step
from animus.domain.resources import Amounts
from animus.ports import AttemptTask, ExecutionPhase

IN, CODE, WORK, OUT = "in", "code", "work", "out"
LAYOUT = (IN, CODE, WORK, OUT)
"""What fetch leaves in the attempt's data: inputs, source, its writable copy, room for outputs."""

MAIN_PIDS = 512
HOST_PIDS_OF_ONE = 4
"""gVisor needs about two of the host's for each process of a step, and some of its own."""
MOVER_SECONDS = 3_600
ENGINE_GRACE = 30
"""Seconds after which the engine ends a step that nobody watches: later than an agent would."""
MOVER_LIMITS = Limits(
    memory=512 * 1024**2,
    millicores=1_000,
    pids=128,
    scratch=64 * 1024**2,
    largest_file=8 * 1024**3,  # beyond what an object store takes in one piece
    seconds=MOVER_SECONDS + ENGINE_GRACE,
)
EGRESS_NETWORK = "bridge"
"""The engine's own; the plan records that it filters nothing."""

_PLACE = "/animus"
_SOCKETS = f"{_PLACE}/sockets"
_TOKENS = f"{_PLACE}/token"
_ATTEMPT = f"{_PLACE}/attempt"
API_SOCKET, STORE_SOCKET = "api.sock", "store.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """Names and labels by which a later agent finds what belongs to it, and nothing else."""

    cluster: str
    agent: str
    """Of the agent's key: two agents of one machine share an engine."""

    @property
    def labels(self) -> dict[str, str]:
        return {"animus.cluster": self.cluster, "animus.agent": self.agent}

    @property
    def prefix(self) -> str:
        return execution_names.container_prefix(self.agent)

    def labels_of(self, attempt_id: object) -> dict[str, str]:
        return {**self.labels, execution_names.ATTEMPT_LABEL: str(attempt_id)}

    def name_of(self, attempt_id: object, phase: ExecutionPhase) -> str:
        return execution_names.container_name(self.agent, attempt_id, phase)

    def attempt_in(self, name: str) -> str:
        """The attempt that one of our names speaks of."""
        return name.removeprefix(self.prefix).rpartition("-")[0]


def main_spec(
    task: AttemptTask, place: Place, naming: Naming, *, secrets: Path, runtime: str, group: str
) -> ContainerSpec:
    """`secrets` is where they lie on this machine, if the step has some."""
    step = task.assignment.step
    return ContainerSpec(
        name=naming.name_of(task.attempt_id, ExecutionPhase.MAIN),
        runtime=runtime,
        group=group,
        labels=naming.labels_of(task.attempt_id),
        image=step.image,
        command=step.command,
        arguments=step.args,
        directory=f"{_PLACE}/{WORK}",
        network=EGRESS_NETWORK if step.egress else "none",
        mounts=(*_main_mounts(step, place), *_secret_mounts(task, secrets)),
        limits=main_limits(step, is_sandboxed=bool(runtime)),
        variables=_main_variables(task),
        log=place.raw_log(ExecutionPhase.MAIN),
    )


def main_limits(step: Step, *, is_sandboxed: bool) -> Limits:
    amounts: Amounts = step.resources.amounts()
    return Limits(
        memory=amounts.memory,
        millicores=amounts.millicores,
        pids=MAIN_PIDS * HOST_PIDS_OF_ONE if is_sandboxed else MAIN_PIDS,
        processes=MAIN_PIDS if is_sandboxed else None,
        scratch=min(amounts.storage, amounts.memory // 2),  # it is memory
        largest_file=amounts.storage,
        seconds=step.timeoutSeconds + ENGINE_GRACE,
    )


def mover_spec(
    task: AttemptTask, place: Place, naming: Naming, *, phase: ExecutionPhase, image: str
) -> ContainerSpec:
    """Fetch or collect: our own code, with the attempt's token and two sockets to the outside."""
    return ContainerSpec(
        name=naming.name_of(task.attempt_id, phase),
        labels=naming.labels_of(task.attempt_id),
        image=image,
        arguments=(str(phase),),
        mounts=(
            Mount(source=place.data, target=_ATTEMPT, writable=True),
            Mount(source=place.sockets, target=_SOCKETS),
            Mount(source=place.attempt_token, target=_TOKENS),
        ),
        limits=MOVER_LIMITS,
        variables={
            "ANIMUS_ATTEMPT_DIR": _ATTEMPT,
            "ANIMUS_API_SOCKET": f"{_SOCKETS}/{API_SOCKET}",
            "ANIMUS_STORE_SOCKET": f"{_SOCKETS}/{STORE_SOCKET}",
            "ANIMUS_ATTEMPT_TOKEN_FILE": f"{_TOKENS}/{place.attempt_token.name}",
        },
        log=place.raw_log(phase),
    )


def _main_mounts(step: Step, place: Place) -> list[Mount]:
    mounts = [
        Mount(source=place.data / IN, target=f"{_PLACE}/{IN}"),
        Mount(source=place.data / CODE, target=f"{_PLACE}/{CODE}"),
        Mount(source=place.data / WORK, target=f"{_PLACE}/{WORK}", writable=True),
        Mount(source=place.data / OUT, target=f"{_PLACE}/{OUT}", writable=True),
        Mount(source=place.parameters, target=f"{_PLACE}/params.json"),
    ]
    if step.telemetry:
        mounts.append(Mount(source=place.sockets, target=_SOCKETS))
        mounts.append(Mount(source=place.run_token, target=_TOKENS))
    return mounts


def _secret_mounts(task: AttemptTask, secrets: Path) -> list[Mount]:
    return [Mount(source=secrets, target=SECRETS)] if task.secrets else []


def _main_variables(task: AttemptTask) -> dict[str, str]:
    variables = main_variables(task)
    if task.assignment.step.telemetry:
        variables |= {
            "ANIMUS_GATEWAY_URL": f"unix://{_SOCKETS}/{API_SOCKET}",
            "ANIMUS_STORE_SOCKET": f"{_SOCKETS}/{STORE_SOCKET}",
            "ANIMUS_PROJECT_ID": task.order.project_id,
            "ANIMUS_RUN_TOKEN_FILE": f"{_TOKENS}/run-token",
        }
    return variables
