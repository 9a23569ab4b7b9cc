"""A step as its plan has it: what it runs, what it may take, what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from animus_sdk.errors import AnswerUnfit, SettingsUnfit
from animus_sdk.local.quantities import bytes_of, millicores_of
from animus_sdk.printable import printable
from animus_sdk.step.outputs import DeclaredOutput
from animus_sdk.transfer.digests import canonical_bytes
from animus_sdk.wire.decoding import decode

MAX_BACKOFF_SECONDS = 86_400
PARAMETER_PREFIX = "ANIMUS_PARAM_"
LOCAL_VARIABLE = "ANIMUS_LOCAL"
"""Says to whoever asks that this is no run of a platform."""
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


class _Resources(TypedDict):
    cpu: str
    memory: str
    gpu: int
    ephemeralStorage: str


class _Backoff(TypedDict):
    type: str
    initialSeconds: int
    maxSeconds: int
    multiplier: float


class _Retries(TypedDict):
    maxAttempts: int
    backoff: _Backoff


class _Ports(TypedDict):
    datasets: list[dict[str, str]]
    artifacts: list[dict[str, str]]


class _Outputs(TypedDict):
    artifacts: list[dict[str, Any]]


class StepDocument(TypedDict):
    """The explicit form, as far as it is read here."""

    name: str
    image: str
    command: list[str]
    args: list[str]
    inputs: _Ports
    outputs: _Outputs
    env: list[dict[str, str]]
    resources: _Resources
    retryPolicy: _Retries
    timeoutSeconds: int
    egress: list[dict[str, Any]]
    secrets: list[dict[str, str]]
    telemetry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactOf:
    """An output of another step."""

    step: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    attempts: int
    kind: str
    initial: int
    longest: int
    multiplier: float

    def seconds_after(self, attempt: int) -> float:
        """Between the end of this attempt, counted from 1, and the next one."""
        growth = 1.0 if self.kind == "fixed" else self.multiplier ** (attempt - 1)
        return float(min(self.initial * growth, self.longest or MAX_BACKOFF_SECONDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStep:
    name: str
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    millicores: int
    memory: int
    storage: int
    gpus: int
    seconds: int
    egress: tuple[str, ...]
    """What its plan lets it reach; it has no network without."""
    secrets: tuple[str, ...]
    telemetry: bool
    outputs: tuple[DeclaredOutput, ...]
    datasets: Mapping[str, str]
    """Aliases, by the input's name."""
    artifacts: Mapping[str, ArtifactOf]
    retries: Retries


def read_step(document: Mapping[str, Any]) -> LocalStep:
    """Raises `AnswerUnfit` for what is no step in the explicit form."""
    said = decode(StepDocument, document)
    try:
        return _read(said)
    except (KeyError, ValueError) as error:
        raise AnswerUnfit(f"The step can't be read by this version ({error}).") from None


def _read(said: StepDocument) -> LocalStep:
    amounts, policy = said["resources"], said["retryPolicy"]
    backoff = policy["backoff"]
    return LocalStep(
        name=said["name"],
        image=said["image"],
        command=tuple(said["command"]),
        arguments=tuple(said["args"]),
        variables={one["name"]: one["value"] for one in said["env"]},
        millicores=millicores_of(amounts["cpu"]),
        memory=bytes_of(amounts["memory"]),
        storage=bytes_of(amounts["ephemeralStorage"]),
        gpus=amounts["gpu"],
        seconds=said["timeoutSeconds"],
        egress=tuple(f"{one['host']}:{one['port']}" for one in said["egress"]),
        secrets=tuple(one["name"] for one in said["secrets"]),
        telemetry=said["telemetry"],
        outputs=tuple(_output(one) for one in said["outputs"]["artifacts"]),
        datasets={one["name"]: one["datasetRef"] for one in said["inputs"]["datasets"]},
        artifacts={
            one["name"]: ArtifactOf(step=one["fromStep"], name=one["artifact"])
            for one in said["inputs"]["artifacts"]
        },
        retries=Retries(
            attempts=policy["maxAttempts"],
            kind=backoff["type"],
            initial=backoff["initialSeconds"],
            longest=backoff["maxSeconds"],
            multiplier=backoff["multiplier"],
        ),
    )


def _output(said: Mapping[str, Any]) -> DeclaredOutput:
    return DeclaredOutput(
        name=said["name"], path=said["path"], optional=bool(said.get("optional", False))
    )


def main_variables(
    step: LocalStep, parameters: Mapping[str, Any], *, run_id: str, attempt: int
) -> dict[str, str]:
    """What main finds in its environment: as on a cluster, and the mark that this is none."""
    return {
        **step.variables,
        **parameter_variables(parameters),
        "ANIMUS_RUN_ID": run_id,
        "ANIMUS_STEP": step.name,
        "ANIMUS_ATTEMPT": str(attempt),
        LOCAL_VARIABLE: "1",
    }


def parameter_variables(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The scalars: text as it is, the rest as canonical JSON."""
    return {
        variable_name(name): value if isinstance(value, str) else canonical_bytes(value).decode()
        for name, value in sorted(parameters.items())
        if not isinstance(value, dict | list) and value is not None
    }


def variable_name(parameter: str) -> str:
    return PARAMETER_PREFIX + re.sub(r"[^A-Za-z0-9_]", "_", parameter).upper()


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raises `SettingsUnfit` for what a platform would refuse too."""
    for why in _faults(parameters):
        raise SettingsUnfit(why, code="usage")


def _faults(parameters: Mapping[str, Any]) -> Iterator[str]:
    taken: dict[str, str] = {}
    for name in parameters:
        if not _PARAMETER.fullmatch(name):
            yield f"-p {printable(name)}: a parameter's name has letters, digits, '_.-'."
        variable = variable_name(name)
        if variable in taken:
            yield f"-p {name} and -p {taken[variable]} would both be {variable}."
        taken[variable] = name
    try:
        canonical_bytes(dict(parameters))
    except ValueError as error:
        yield f"A parameter has no canonical form ({error}). Write it as a text."
