"""What a PipelineSpec must satisfy beyond its types: names, edges, cycles, quantities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from animus.domain.errors import Fault, Invalid
from animus.domain.pipelines import RESERVED_ENV_PREFIX, PipelineSpec, Step
from animus.domain.resources import MINIMUM_MEMORY, parse_bytes, parse_cpu
from animus.domain.suggestions import suggest_or_list

K = TypeVar("K")


def structural_faults(spec: PipelineSpec) -> tuple[Fault, ...]:
    """Everything wrong with a well-typed spec, with pointers into its explicit form."""
    steps = {step.name: step for step in spec.spec.steps}
    faults = list(_repeated((s.name for s in spec.spec.steps), "/spec/steps", "/name", "step"))
    for index, step in enumerate(spec.spec.steps):
        faults.extend(_step_faults(step, f"/spec/steps/{index}"))
        faults.extend(_artifact_input_faults(step, index, steps, spec))
    edge_faults = list(_edge_faults(spec, steps))
    faults.extend(edge_faults)
    if not edge_faults:
        faults.extend(_cycle_faults(spec))
    return tuple(faults)


def _step_faults(step: Step, place: str) -> Iterator[Fault]:
    inputs = [(d.name, f"/inputs/datasets/{i}") for i, d in enumerate(step.inputs.datasets)]
    inputs += [(a.name, f"/inputs/artifacts/{i}") for i, a in enumerate(step.inputs.artifacts)]
    for name, at in _second_times(inputs):
        yield _twice(f"{place}{at}/name", "input", name)
    outputs = step.outputs.artifacts
    yield from _repeated((o.name for o in outputs), f"{place}/outputs/artifacts", "/name", "output")
    yield from _path_faults(step, place)
    yield from _repeated((v.name for v in step.env), f"{place}/env", "/name", "variable")
    yield from _repeated((s.name for s in step.secrets), f"{place}/secrets", "/name", "secret")
    for index, variable in enumerate(step.env):
        if variable.name.startswith(RESERVED_ENV_PREFIX):
            yield Fault(
                pointer=f"{place}/env/{index}/name",
                message=f"Names that begin with {RESERVED_ENV_PREFIX} are set by Animus.",
                code="reserved_name",
            )
    yield from _quantity_faults(step, place)


def _quantity_faults(step: Step, place: str) -> Iterator[Fault]:
    try:
        parse_cpu(step.resources.cpu)
    except Invalid as error:
        yield Fault(pointer=f"{place}/resources/cpu", message=error.message)
    if parse_bytes(step.resources.memory) < MINIMUM_MEMORY:
        yield Fault(pointer=f"{place}/resources/memory", message="memory must be at least 16Mi.")
    backoff = step.retryPolicy.backoff
    if 0 < backoff.maxSeconds < backoff.initialSeconds:
        yield Fault(
            pointer=f"{place}/retryPolicy/backoff/maxSeconds",
            message="maxSeconds is below initialSeconds. Use 0 for no cap.",
        )


def _path_faults(step: Step, place: str) -> Iterator[Fault]:
    """Two outputs must not be the same path, nor one inside the other."""
    seen: dict[str, str] = {}
    for index, output in enumerate(step.outputs.artifacts):
        parts = output.path.split("/")
        above = {"/".join(parts[:n]) for n in range(1, len(parts) + 1)}
        clash = next((p for p in seen if p in above or p.startswith(output.path + "/")), None)
        if clash is not None:
            yield Fault(
                pointer=f"{place}/outputs/artifacts/{index}/path",
                message=f"Overlaps with output {seen[clash]!r} at {clash!r}.",
            )
        seen.setdefault(output.path, output.name)


def _artifact_input_faults(
    step: Step, index: int, steps: Mapping[str, Step], spec: PipelineSpec
) -> Iterator[Fault]:
    before = {edge.from_ for edge in spec.spec.dependencies if edge.to == step.name}
    for number, wanted in enumerate(step.inputs.artifacts):
        place = f"/spec/steps/{index}/inputs/artifacts/{number}"
        producer = steps.get(wanted.fromStep)
        if producer is None:
            yield _unknown(f"{place}/fromStep", "step", wanted.fromStep, steps)
            continue
        made = [output.name for output in producer.outputs.artifacts]
        if wanted.artifact not in made:
            yield _unknown(
                f"{place}/artifact", f"output of {producer.name!r} named", wanted.artifact, made
            )
        if wanted.fromStep not in before:
            yield Fault(
                pointer=place,
                message=f"Add the dependency from {wanted.fromStep!r} to {step.name!r}: "
                "an artifact input needs its edge.",
                code="missing_dependency",
            )


def _edge_faults(spec: PipelineSpec, steps: Mapping[str, Step]) -> Iterator[Fault]:
    pairs = [(edge.from_, edge.to) for edge in spec.spec.dependencies]
    for index, (before, after) in enumerate(pairs):
        place = f"/spec/dependencies/{index}"
        if before not in steps:
            yield _unknown(f"{place}/from", "step", before, steps)
        if after not in steps:
            yield _unknown(f"{place}/to", "step", after, steps)
        if before == after:
            yield Fault(pointer=place, message="A step cannot depend on itself.", code="cycle")
    places = [f"/spec/dependencies/{i}" for i in range(len(pairs))]
    for (before, after), at in _second_times(zip(pairs, places, strict=True)):
        yield Fault(pointer=at, message=f"{before!r} to {after!r} is there twice.", code="repeated")


def _cycle_faults(spec: PipelineSpec) -> Iterator[Fault]:
    try:
        TopologicalSorter(spec.dependencies_of()).prepare()
    except CycleError as error:
        path = " → ".join(reversed(error.args[1]))
        yield Fault(
            pointer="/spec/dependencies", message=f"The steps wait for each other: {path}.",
            code="cycle",
        )  # fmt: skip


def _repeated(names: Iterable[str], place: str, below: str, what: str) -> Iterator[Fault]:
    numbered = ((name, f"{place}/{index}{below}") for index, name in enumerate(names))
    for name, at in _second_times(numbered):
        yield _twice(at, what, name)


def _second_times(pairs: Iterable[tuple[K, str]]) -> Iterator[tuple[K, str]]:
    seen: Counter[K] = Counter()
    for key, at in pairs:
        seen[key] += 1
        if seen[key] == 2:
            yield key, at


def _twice(pointer: str, what: str, name: str) -> Fault:
    return Fault(pointer=pointer, message=f"The {what} {name!r} is there twice.", code="repeated")


def _unknown(pointer: str, what: str, name: str, known: Iterable[str]) -> Fault:
    message = f"There is no {what} {name!r}. {suggest_or_list(name, known)}"
    return Fault(pointer=pointer, message=message, code="unknown_name")
