"""Every rule beyond types: refused in the explicit form and in the short one, at its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from animus.domain.canonical import JsonObject
from animus.domain.errors import InvalidDocument
from animus.domain.pipeline_expansion import expand_pipeline
from tests.conftest import RecordCases
from tests.support.documents import (
    explicit_pipeline,
    explicit_step,
    output,
    short_pipeline,
)

STEP = "/spec/steps/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    rule: str
    written: JsonObject
    pointer: str
    code: str
    says: str = ""


def _one(**changes: Any) -> JsonObject:
    return explicit_pipeline(explicit_step("a", **changes))


def _inputs(
    *, datasets: tuple[str, ...] = (), artifacts: tuple[tuple[str, str, str], ...] = ()
) -> JsonObject:
    return {
        "datasets": [{"name": name, "datasetRef": name} for name in datasets],
        "artifacts": [
            {"name": name, "fromStep": step, "artifact": made} for name, step, made in artifacts
        ],
    }


def _reads(
    artifact: str, step: str = "maker", edges: tuple[tuple[str, str], ...] = ()
) -> JsonObject:
    maker = explicit_step("maker", outputs={"artifacts": [output("model")]})
    reader = explicit_step("a", inputs=_inputs(artifacts=(("in", step, artifact),)))
    return explicit_pipeline(reader, maker, edges=edges)


def _backoff(**changes: Any) -> JsonObject:
    said = explicit_step()["retryPolicy"]
    return {"retryPolicy": said | {"backoff": said["backoff"] | changes}}


def _variable(name: str) -> JsonObject:
    return {"name": name, "value": "x"}


def _sized(**changes: Any) -> JsonObject:
    return _one(resources=explicit_step()["resources"] | changes)


MADE = (("maker", "a"),)

EXPLICIT = (
    Broken(rule="step twice", written=explicit_pipeline(explicit_step("a"), explicit_step("a")),
           pointer="/spec/steps/1/name", code="repeated"),
    Broken(rule="dataset input twice", written=_one(inputs=_inputs(datasets=("d", "d"))),
           pointer=f"{STEP}/inputs/datasets/1/name", code="repeated"),
    Broken(rule="dataset and artifact input of one name",
           written=explicit_pipeline(
               explicit_step("a", inputs=_inputs(datasets=("d",), artifacts=(("d", "b", "m"),))),
               explicit_step("b", outputs={"artifacts": [output("m")]}), edges=(("b", "a"),)),
           pointer=f"{STEP}/inputs/artifacts/0/name", code="repeated"),
    Broken(rule="output twice",
           written=_one(outputs={"artifacts": [output("m"), output("m", path="n")]}),
           pointer=f"{STEP}/outputs/artifacts/1/name", code="repeated"),
    Broken(rule="one path of two outputs",
           written=_one(outputs={"artifacts": [output("m"), output("n", path="m")]}),
           pointer=f"{STEP}/outputs/artifacts/1/path", code="invalid_value", says="Overlaps"),
    Broken(rule="an output inside another",
           written=_one(outputs={"artifacts": [output("m"), output("n", path="m/n")]}),
           pointer=f"{STEP}/outputs/artifacts/1/path", code="invalid_value", says="Overlaps"),
    Broken(rule="an output around another",
           written=_one(outputs={"artifacts": [output("n", path="m/n"), output("m")]}),
           pointer=f"{STEP}/outputs/artifacts/1/path", code="invalid_value", says="Overlaps"),
    Broken(rule="variable twice", written=_one(env=[_variable("X"), _variable("X")]),
           pointer=f"{STEP}/env/1/name", code="repeated"),
    Broken(rule="secret twice", written=_one(secrets=[{"name": "s", "secretRef": "p"}] * 2),
           pointer=f"{STEP}/secrets/1/name", code="repeated"),
    Broken(rule="reserved variable", written=_one(env=[_variable("ANIMUS_RUN_ID")]),
           pointer=f"{STEP}/env/0/name", code="reserved_name", says="set by Animus"),
    Broken(rule="no cpu", written=_sized(cpu="0.0"),
           pointer=f"{STEP}/resources/cpu", code="invalid_value", says="more than zero"),
    Broken(rule="too little memory", written=_sized(memory="15Mi"),
           pointer=f"{STEP}/resources/memory", code="invalid_value", says="at least 16Mi"),
    Broken(rule="cap below the first wait",
           written=_one(**_backoff(initialSeconds=10, maxSeconds=9)),
           pointer=f"{STEP}/retryPolicy/backoff/maxSeconds", code="invalid_value", says="Use 0"),
    Broken(rule="input of an unknown step", written=_reads("model", "makr", MADE),
           pointer=f"{STEP}/inputs/artifacts/0/fromStep", code="unknown_name",
           says="Did you mean 'maker'?"),
    Broken(rule="input of an unknown artifact", written=_reads("modle", edges=MADE),
           pointer=f"{STEP}/inputs/artifacts/0/artifact", code="unknown_name",
           says="There is no output of 'maker' named 'modle'. Did you mean 'model'?"),
    Broken(rule="input without its edge", written=_reads("model"),
           pointer=f"{STEP}/inputs/artifacts/0", code="missing_dependency",
           says="Add the dependency from 'maker' to 'a'"),
    Broken(rule="edge from an unknown step", written=_reads("model", edges=(*MADE, ("b", "a"))),
           pointer="/spec/dependencies/1/from", code="unknown_name", says="Known: a, maker."),
    Broken(rule="edge to an unknown step", written=_reads("model", edges=(*MADE, ("a", "makr"))),
           pointer="/spec/dependencies/1/to", code="unknown_name", says="Did you mean 'maker'?"),
    Broken(rule="edge to itself", written=_reads("model", edges=(*MADE, ("a", "a"))),
           pointer="/spec/dependencies/1", code="cycle"),
    Broken(rule="edge twice", written=_reads("model", edges=(*MADE, *MADE)),
           pointer="/spec/dependencies/1", code="repeated"),
    Broken(rule="cycle", written=_reads("model", edges=(*MADE, ("a", "maker"))),
           pointer="/spec/dependencies", code="cycle", says=" → "),
)  # fmt: skip

SHORT = (
    Broken(rule="dataset and artifact input of one name",
           written=short_pipeline(a={"data": "d", "in": {"d": "b.m"}}, b={"out": "m"}),
           pointer="/steps/a/in", code="repeated"),
    Broken(rule="one path of two outputs", written=short_pipeline(a={"out": {"m": "x", "n": "x"}}),
           pointer="/steps/a/out", code="invalid_value", says="Overlaps"),
    Broken(rule="an output inside another",
           written=short_pipeline(a={"out": {"m": "x", "n": "x/y"}}),
           pointer="/steps/a/out", code="invalid_value", says="Overlaps"),
    Broken(rule="reserved variable", written=short_pipeline(a={"env": {"ANIMUS_X": "1"}}),
           pointer="/steps/a/env", code="reserved_name"),
    Broken(rule="reserved variable for all steps",
           written=short_pipeline(a={}) | {"env": {"ANIMUS_X": "1"}},
           pointer="/env", code="reserved_name"),
    Broken(rule="no cpu", written=short_pipeline(a={"cpu": 0}),
           pointer="/steps/a/cpu", code="invalid_value"),
    Broken(rule="too little memory for all steps",
           written=short_pipeline(a={}) | {"memory": "1Mi"},
           pointer="/memory", code="invalid_value"),
    Broken(rule="input of an unknown step",
           written=short_pipeline(a={"in": "makr.model"}, maker={"out": "model"}),
           pointer="/steps/a/in", code="unknown_name", says="Did you mean 'maker'?"),
    Broken(rule="input of an unknown artifact",
           written=short_pipeline(a={"in": "maker.modle"}, maker={"out": "model"}),
           pointer="/steps/a/in", code="unknown_name", says="Did you mean 'model'?"),
    Broken(rule="after an unknown step", written=short_pipeline(a={"after": "b"}),
           pointer="/steps/a/after", code="unknown_name", says="Known: a."),
    Broken(rule="after itself", written=short_pipeline(a={"after": "a"}),
           pointer="/steps/a/after", code="cycle"),
    Broken(rule="input of itself", written=short_pipeline(a={"in": "a.m", "out": "m"}),
           pointer="/steps/a/in", code="cycle"),
    Broken(rule="cycle", written=short_pipeline(a={"after": "b"}, b={"after": "a"}),
           pointer="/steps", code="cycle", says="a → b → a"),
)  # fmt: skip


@pytest.mark.parametrize("broken", EXPLICIT, ids=lambda broken: broken.rule)
def test_a_broken_rule_is_told_once_in_the_explicit_form(
    broken: Broken, record_cases: RecordCases
) -> None:
    _check(broken)
    record_cases("pipeline rules", 1)


@pytest.mark.parametrize("broken", SHORT, ids=lambda broken: broken.rule)
def test_a_broken_rule_is_told_once_in_the_short_form(
    broken: Broken, record_cases: RecordCases
) -> None:
    _check(broken)
    record_cases("pipeline rules", 1)


def _check(broken: Broken) -> None:
    with pytest.raises(InvalidDocument) as refused:
        expand_pipeline(broken.written)
    told = [(fault.pointer, fault.code) for fault in refused.value.faults]
    assert told == [(broken.pointer, broken.code)]
    assert broken.says in refused.value.faults[0].message


def test_all_broken_rules_are_told_together() -> None:
    broken = _reads("modle", edges=(("a", "a"), ("b", "a")))
    with pytest.raises(InvalidDocument) as refused:
        expand_pipeline(broken)
    assert len(refused.value.faults) == 4
