"""What a pipeline in its explicit form must satisfy before it is run on this machine.

The platform's own rules are in the control plane; what it would refuse is refused here too.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from animus_sdk.errors import Fault, SettingsUnfit
from animus_sdk.images.names import parse_image_name
from animus_sdk.local.quantities import bytes_of, millicores_of
from animus_sdk.printable import printable

MAX_STEPS = 200
MAX_ATTEMPTS = 20
MAX_TIMEOUT_SECONDS = 7 * 86_400
MINIMUM_MEMORY = 16 * 1024**2
RESERVED_PREFIX = "ANIMUS_"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")

NAME_WORDS = (
    "A name has 1 to 63 letters, digits, '.', '_' or '-', and begins and ends with a letter or"
    " digit."
)
PATH_WORDS = (
    "A path is relative, of letters, digits, '.', '_' and '-', and no part begins with '.'."
)

Step = Mapping[str, Any]
Found = Iterator[Fault]


def faults_of(document: Mapping[str, Any]) -> Found:
    """With pointers into the explicit form."""
    steps: list[Step] = document["spec"]["steps"]
    if not _NAME.fullmatch(document["metadata"]["name"] or ""):
        yield _fault("/metadata/name", NAME_WORDS)
    if len(steps) > MAX_STEPS:
        yield _fault("/spec/steps", f"A pipeline has at most {MAX_STEPS} steps.")
    yield from _repeated((one["name"] for one in steps), "/spec/steps", "step")
    named = {one["name"]: one for one in steps}
    before = _before(document)
    for index, step in enumerate(steps):
        at = f"/spec/steps/{index}"
        yield from _step_faults(step, at)
        yield from _artifact_faults(step, at, named, before)
    edge_faults = list(_edge_faults(document, named))
    yield from edge_faults
    if not edge_faults and len(topological(before)) < len(named):
        yield _fault("/spec/dependencies", "These steps wait for each other.", code="cycle")


def _step_faults(step: Step, at: str) -> Found:
    if not _NAME.fullmatch(step["name"]):
        yield _fault(f"{at}/name", NAME_WORDS)
    try:
        parse_image_name(step["image"])
    except SettingsUnfit as error:
        yield _fault(f"{at}/image", error.message if step["image"] else _NO_IMAGE)
    yield from _port_faults(step, at)
    yield from _output_faults(step["outputs"]["artifacts"], f"{at}/outputs/artifacts")
    yield from _variable_faults(step["env"], f"{at}/env")
    yield from _amount_faults(step, at)
    yield from _reach_faults(step, at)


def _port_faults(step: Step, at: str) -> Found:
    inputs = [*step["inputs"]["datasets"], *step["inputs"]["artifacts"]]
    yield from _repeated((one["name"] for one in inputs), f"{at}/inputs/artifacts", "input")
    for kind, key in (("datasets", "datasetRef"), ("artifacts", "artifact")):
        for one in step["inputs"][kind]:
            if not (_NAME.fullmatch(one["name"]) and _NAME.fullmatch(one[key])):
                yield _fault(f"{at}/inputs/{kind}", NAME_WORDS)


def _output_faults(outputs: list[Step], at: str) -> Found:
    yield from _repeated((one["name"] for one in outputs), at, "output")
    seen: dict[str, str] = {}
    for index, one in enumerate(outputs):
        path = one["path"]
        if not _NAME.fullmatch(one["name"]) or not _NAME.fullmatch(str(one["type"])):
            yield _fault(f"{at}/{index}/name", NAME_WORDS)
        if not _PATH.fullmatch(path) or len(path) > 512:
            yield _fault(f"{at}/{index}/path", PATH_WORDS)
        if not _MEDIA_TYPE.fullmatch(str(one.get("mediaType", "a/b"))):
            yield _fault(f"{at}/{index}/mediaType", "A media type is written as 'type/subtype'.")
        parts = path.split("/")
        above = {"/".join(parts[:n]) for n in range(1, len(parts) + 1)}
        clash = next((p for p in seen if p in above or p.startswith(path + "/")), None)
        if clash is not None:
            yield _fault(
                f"{at}/{index}/path", f"Overlaps with output {seen[clash]!r} at {clash!r}."
            )
        seen.setdefault(path, one["name"])


def _variable_faults(env: list[Step], at: str) -> Found:
    yield from _repeated((one["name"] for one in env), at, "variable")
    for index, one in enumerate(env):
        if not _VARIABLE.fullmatch(one["name"]):
            yield _fault(
                f"{at}/{index}/name",
                "A variable's name has letters, digits and '_', and does not begin with a digit.",
            )
        if one["name"].startswith(RESERVED_PREFIX):
            yield _fault(
                f"{at}/{index}/name",
                f"Names that begin with {RESERVED_PREFIX} are set by Animus.",
                code="reserved_name",
            )


def _amount_faults(step: Step, at: str) -> Found:
    amounts = step["resources"]
    for key, read in (("cpu", millicores_of), ("memory", bytes_of), ("ephemeralStorage", bytes_of)):
        try:
            found = read(amounts[key])
        except ValueError as error:
            yield _fault(f"{at}/resources/{key}", str(error))
            continue
        if key == "memory" and found < MINIMUM_MEMORY:
            yield _fault(f"{at}/resources/memory", "memory must be at least 16Mi.")
    if not 0 <= amounts["gpu"] <= 64:
        yield _fault(f"{at}/resources/gpu", "gpu is a number from 0 to 64.")
    if not 1 <= step["retryPolicy"]["maxAttempts"] <= MAX_ATTEMPTS:
        yield _fault(
            f"{at}/retryPolicy/maxAttempts", f"attempts is a number from 1 to {MAX_ATTEMPTS}."
        )
    if not 1 <= step["timeoutSeconds"] <= MAX_TIMEOUT_SECONDS:
        yield _fault(f"{at}/timeoutSeconds", "timeout is a second at least, and 7 days at most.")


def _reach_faults(step: Step, at: str) -> Found:
    for index, rule in enumerate(step["egress"]):
        if not _HOST.fullmatch(str(rule["host"])) or not 1 <= rule["port"] <= 65_535:
            yield _fault(
                f"{at}/egress/{index}", "This is a lower-case DNS name or an address, and a port."
            )
    yield from _repeated((one["name"] for one in step["secrets"]), f"{at}/secrets", "secret")
    for index, one in enumerate(step["secrets"]):
        if not _NAME.fullmatch(one["name"]):
            yield _fault(f"{at}/secrets/{index}/name", NAME_WORDS)
        if not _PATH.fullmatch(one["secretRef"]) or len(one["secretRef"]) > 512:
            yield _fault(f"{at}/secrets/{index}/secretRef", PATH_WORDS)


def _artifact_faults(
    step: Step, at: str, named: Mapping[str, Step], before: Mapping[str, frozenset[str]]
) -> Found:
    for index, wanted in enumerate(step["inputs"]["artifacts"]):
        place, producer = f"{at}/inputs/artifacts/{index}", named.get(wanted["fromStep"])
        if producer is None:
            yield _unknown(f"{place}/fromStep", "step", wanted["fromStep"], named)
            continue
        outputs = {one["name"]: one for one in producer["outputs"]["artifacts"]}
        if wanted["artifact"] not in outputs:
            yield _unknown(
                f"{place}/artifact", f"output of {producer['name']!r} named", wanted["artifact"],
                outputs,
            )  # fmt: skip
        elif outputs[wanted["artifact"]].get("optional"):
            yield _fault(place, "An optional output is never an input.")
        if wanted["fromStep"] not in before.get(step["name"], ()):
            yield _fault(
                place,
                f"Add the dependency from {wanted['fromStep']!r} to {step['name']!r}: an artifact"
                " input needs its edge.",
                code="missing_dependency",
            )


def _edge_faults(document: Mapping[str, Any], named: Mapping[str, Step]) -> Found:
    for index, edge in enumerate(document["spec"]["dependencies"]):
        for end in ("from", "to"):
            if edge[end] not in named:
                yield _unknown(f"/spec/dependencies/{index}/{end}", "step", edge[end], named)
        if edge["from"] == edge["to"]:
            yield _fault(
                f"/spec/dependencies/{index}", "A step cannot depend on itself.", code="cycle"
            )


def _before(document: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """For each step those that must have succeeded before it."""
    needed: dict[str, set[str]] = {one["name"]: set() for one in document["spec"]["steps"]}
    for edge in document["spec"]["dependencies"]:
        if edge["from"] in needed and edge["to"] in needed:
            needed[edge["to"]].add(edge["from"])
    return {name: frozenset(found) for name, found in needed.items()}


def topological(before: Mapping[str, frozenset[str]]) -> list[str]:
    """Kahn's algorithm; among the ready the lexicographically first. What is in a cycle is left
    out."""
    waiting = {name: len(needed) for name, needed in before.items()}
    ready = [name for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        name = heapq.heappop(ready)
        order.append(name)
        for other, needed in before.items():
            if name in needed:
                waiting[other] -= 1
                if waiting[other] == 0:
                    heapq.heappush(ready, other)
    return order


def in_normal_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """Steps as they are run, and every list that has no meaning of order sorted by name."""
    named = {one["name"]: one for one in document["spec"]["steps"]}
    spec = {
        "steps": [_sorted_step(named[name]) for name in topological(_before(document))],
        "dependencies": sorted(
            document["spec"]["dependencies"], key=lambda edge: (edge["from"], edge["to"])
        ),
    }
    return {**document, "spec": spec}


def _sorted_step(step: Step) -> dict[str, Any]:
    rules = {(one["host"], one["port"]) for one in step["egress"]}
    return {
        **step,
        "inputs": {kind: _by_name(found) for kind, found in step["inputs"].items()},
        "outputs": {
            "artifacts": [
                {"optional": False, **one} for one in _by_name(step["outputs"]["artifacts"])
            ]
        },
        "env": _by_name(step["env"]),
        "egress": [{"host": host, "port": port} for host, port in sorted(rules)],
        "secrets": _by_name(step["secrets"]),
    }


def _by_name(found: Iterable[Step]) -> list[Step]:
    return sorted(found, key=lambda one: one["name"])


def _repeated(names: Iterable[str], at: str, what: str) -> Found:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield _fault(at, f"There are two with the {what} name {printable(name)!r}.")
        seen.add(name)


def _unknown(at: str, what: str, name: str, known: Iterable[str]) -> Fault:
    listed = ", ".join(sorted(known)) or "none"
    return _fault(at, f"There is no {what} {printable(name)!r}. There is: {listed}.")


def _fault(pointer: str, message: str, *, code: str = "invalid") -> Fault:
    return Fault(pointer=pointer, message=message, code=code)


_NO_IMAGE = "Say which image: 'image:' here or at the top."
