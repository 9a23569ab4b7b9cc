"""The short form of a pipeline made explicit on this machine: types, defaults, what may be left
out. `pipeline_rules` says what the result must satisfy.

The control plane does this with its own code; tests hold both to the same documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from animus_sdk.errors import Fault
from animus_sdk.local.quantities import seconds_of
from animus_sdk.printable import printable

SHELL = ["/bin/sh", "-eu", "-c"]
DEFAULTS: dict[str, Any] = {
    "cpu": "1", "memory": "1Gi", "gpu": 0, "gpuResource": None, "storage": "1Gi",
    "timeout": 3_600, "attempts": 1,
}  # fmt: skip
BACKOFF = {"type": "exponential", "initialSeconds": 5, "maxSeconds": 300, "multiplier": 2.0}
MEDIA_TYPES = {
    "json": "application/json", "png": "image/png", "svg": "image/svg+xml", "csv": "text/csv",
    "txt": "text/plain", "html": "text/html", "pdf": "application/pdf", "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet", "zip": "application/zip",
}  # fmt: skip
_SHARED = ("image", "cpu", "memory", "gpu", "gpuResource", "storage", "timeout", "attempts", "env")
_TOP = ("apiVersion", "pipeline", "description", "labels", "steps", *_SHARED)
_STEP = (*_SHARED, "run", "data", "in", "out", "after", "egress", "secrets", "telemetry")
_OUTPUT = ("path", "type", "mediaType", "description", "optional")

Read = Callable[[Any, str], Any]


class Unreadable(Exception):
    """Of one value; its fault is noted."""


class ShortForm:
    """Reads one; the faults, and where what became of it was written, are kept beside it."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.places: dict[str, str] = {}
        """Pointers into the short form, by those into the explicit one."""

    def explicit(self, written: Mapping[str, Any]) -> dict[str, Any]:
        self._check_keys(written, _TOP, "")
        shared = self._shared(written, "")
        steps = self._mapping(written.get("steps"), "/steps")
        if not steps:
            self._note("/steps", "A pipeline has at least one step, by its name.")
        read = {str(name): self._step(said, f"/steps/{name}") for name, said in steps.items()}
        metadata = {
            "name": self._read(written, "pipeline", "", self._text) or "",
            "description": self._read(written, "description", "", self._text),
            "labels": self._read(written, "labels", "", self._texts) or {},
        }
        edges = list(_edges(read))
        self._remember_places(written, steps)
        for number, (before, after) in enumerate(edges):
            key = "after" if before in read[after]["after"] else "in"
            self.places[f"/spec/dependencies/{number}"] = f"/steps/{after}/{key}"
        return {
            "apiVersion": "animus/v1",
            "kind": "Pipeline",
            "specVersion": "1.0",
            "metadata": {key: value for key, value in metadata.items() if value is not None},
            "spec": {
                "steps": [_explicit_step(name, one, shared) for name, one in read.items()],
                "dependencies": [{"from": before, "to": after} for before, after in edges],
            },
        }

    def _step(self, written: Any, at: str) -> dict[str, Any]:
        said = self._mapping(written, at)
        self._check_keys(said, _STEP, at)
        return {
            **self._shared(said, at),
            "run": self._read(said, "run", at, self._command),
            "data": self._read(said, "data", at, self._named_after_themselves) or {},
            "in": self._read(said, "in", at, self._named_after_artifacts) or {},
            "out": self._read(said, "out", at, self._outputs) or {},
            "after": self._read(said, "after", at, self._list) or [],
            "egress": self._read(said, "egress", at, self._egress) or [],
            "secrets": self._read(said, "secrets", at, self._texts) or {},
            "telemetry": self._read(said, "telemetry", at, self._bool) or False,
        }

    def _shared(self, said: Mapping[str, Any], at: str) -> dict[str, Any]:
        readers: dict[str, Read] = {
            "image": self._text, "cpu": self._number_or_text, "memory": self._text,
            "gpu": self._int, "gpuResource": self._text, "storage": self._text,
            "timeout": self._seconds, "attempts": self._int, "env": self._variables,
        }  # fmt: skip
        return {key: self._read(said, key, at, read) for key, read in readers.items()}

    def _read(self, said: Mapping[str, Any], key: str, at: str, read: Read) -> Any:
        value = said.get(key)
        if value is None:
            return None
        try:
            return read(value, f"{at}/{key}")
        except Unreadable:
            return None

    def _note(self, pointer: str, message: str) -> None:
        self.faults.append(Fault(pointer=pointer, message=message, code="invalid"))

    def _refuse(self, pointer: str, message: str) -> Unreadable:
        self._note(pointer, message)
        return Unreadable(message)

    def _check_keys(self, said: Mapping[str, Any], known: Sequence[str], at: str) -> None:
        for key in said:
            if key not in known:
                self._note(f"{at}/{key}", unknown_key(str(key), known))

    def _mapping(self, value: Any, at: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return value
        self._note(at, "This is a mapping of keys to values.")
        return {}

    def _text(self, value: Any, at: str) -> str:
        if not isinstance(value, str):
            raise self._refuse(at, "This is a text; a number is one in quotes.")
        return value

    def _int(self, value: Any, at: str) -> int:
        if type(value) is not int:
            raise self._refuse(at, "This is a whole number.")
        return value

    def _bool(self, value: Any, at: str) -> bool:
        if type(value) is not bool:
            raise self._refuse(at, "This is true or false.")
        return value

    def _number_or_text(self, value: Any, at: str) -> str:
        return str(value) if type(value) in (int, float) else self._text(value, at)

    def _seconds(self, value: Any, at: str) -> int:
        if not isinstance(value, str):
            return self._int(value, at)
        try:
            return seconds_of(value)
        except ValueError as error:
            raise self._refuse(at, str(error)) from None

    def _list(self, value: Any, at: str) -> list[str]:
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list):
            raise self._refuse(at, "This is a text, or a list of them.")
        return [self._text(item, f"{at}/{index}") for index, item in enumerate(listed)]

    def _texts(self, value: Any, at: str) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise self._refuse(at, "This is a mapping of names to texts.")
        return {str(key): self._text(item, f"{at}/{key}") for key, item in value.items()}

    def _variables(self, value: Any, at: str) -> dict[str, str]:
        """YAML reads `SEED: 7` as a number."""
        if not isinstance(value, Mapping):
            raise self._refuse(at, "This is a mapping of names to texts.")
        return {str(k): self._number_or_text(v, f"{at}/{k}") for k, v in value.items()}

    def _command(self, value: Any, at: str) -> str | list[str]:
        if isinstance(value, str):
            if not value:
                raise self._refuse(at, "Say what runs, or leave it out.")
            return value
        return self._list(value, at)

    def _named_after_themselves(self, value: Any, at: str) -> dict[str, str]:
        if isinstance(value, Mapping):
            return self._texts(value, at)
        return {item: item for item in self._list(value, at)}

    def _named_after_artifacts(self, value: Any, at: str) -> dict[str, str]:
        if isinstance(value, Mapping):
            named = self._texts(value, at)
        else:
            named = {item.partition(".")[2] or item: item for item in self._list(value, at)}
        for name, written in named.items():
            if not all(written.partition(".")[::2]):
                place = f"{at}/{name}" if isinstance(value, Mapping) else at
                raise self._refuse(place, "An artifact of another step is 'step.artifact'.")
        return named

    def _outputs(self, value: Any, at: str) -> dict[str, dict[str, Any]]:
        if not isinstance(value, Mapping):
            return {item: {"path": item} for item in self._list(value, at)}
        found: dict[str, dict[str, Any]] = {}
        for name, said in value.items():
            place = f"{at}/{name}"
            document = {"path": said} if isinstance(said, str) else dict(self._mapping(said, place))
            self._check_keys(document, _OUTPUT, place)
            if not isinstance(document.get("path"), str):
                raise self._refuse(place, "Say its path below /animus/out.")
            found[str(name)] = document
        return found

    def _egress(self, value: Any, at: str) -> list[dict[str, Any]]:
        listed = [value] if isinstance(value, str | Mapping) else value
        if not isinstance(listed, list):
            raise self._refuse(at, "This is 'host:port', or a list of them.")
        return [self._rule(item, f"{at}/{index}") for index, item in enumerate(listed)]

    def _rule(self, value: Any, at: str) -> dict[str, Any]:
        if isinstance(value, str):
            host, _, port = value.rpartition(":")
            if host and port.isdecimal():
                return {"host": host, "port": int(port)}
        elif isinstance(value, Mapping) and set(value) == {"host", "port"}:
            return {"host": value["host"], "port": self._int(value["port"], f"{at}/port")}
        raise self._refuse(at, "A place that it may reach is written as 'host:port'.")

    def _remember_places(self, written: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
        places = {
            "/spec/dependencies": "/steps", "/metadata/name": "/pipeline",
            "/metadata/labels": "/labels",
        }  # fmt: skip
        for index, (name, said) in enumerate(steps.items()):
            places[f"/spec/steps/{index}"] = f"/steps/{name}"
            own = said if isinstance(said, Mapping) else {}
            for explicit, key in _KEYS.items():
                if key in own:
                    places[f"/spec/steps/{index}/{explicit}"] = f"/steps/{name}/{key}"
                elif key in written:
                    places[f"/spec/steps/{index}/{explicit}"] = f"/{key}"
        self.places = places


def unknown_key(key: str, known: Sequence[str]) -> str:
    near = get_close_matches(key, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
    return f"The key {printable(key)!r} is not known. {hint}"


def place_of(pointer: str, places: Mapping[str, str]) -> str:
    """Where it was written: by the longest part of it that is known."""
    parts = pointer.split("/")
    for length in range(len(parts), 0, -1):
        known = places.get("/".join(parts[:length]))
        if known is not None:
            return known
    return pointer


_KEYS = {
    "image": "image", "command": "run", "args": "run", "inputs/datasets": "data",
    "inputs/artifacts": "in", "outputs": "out", "env": "env", "resources/cpu": "cpu",
    "resources/memory": "memory", "resources/ephemeralStorage": "storage",
    "resources/gpu": "gpu", "resources/gpuResource": "gpuResource",
    "retryPolicy/maxAttempts": "attempts", "timeoutSeconds": "timeout", "egress": "egress",
    "secrets": "secrets", "telemetry": "telemetry",
}  # fmt: skip


def _explicit_step(name: str, step: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: _first(step[key], shared[key], default) for key, default in DEFAULTS.items()}
    env = {**(shared["env"] or {}), **(step["env"] or {})}
    run = step["run"]
    is_text = isinstance(run, str)
    resources = {
        "cpu": said["cpu"], "memory": said["memory"], "gpu": said["gpu"],
        "gpuResource": said["gpuResource"], "ephemeralStorage": said["storage"],
    }  # fmt: skip
    return {
        "name": name,
        "image": _first(step["image"], shared["image"], ""),
        "command": SHELL if is_text else run or [],
        "args": [run] if is_text else [],
        "inputs": {
            "datasets": [{"name": k, "datasetRef": v} for k, v in step["data"].items()],
            "artifacts": [_input(k, v) for k, v in step["in"].items()],
        },
        "outputs": {"artifacts": [_output(k, v) for k, v in step["out"].items()]},
        "env": [{"name": k, "value": v} for k, v in env.items()],
        "resources": {key: value for key, value in resources.items() if value is not None},
        "retryPolicy": {"maxAttempts": said["attempts"], "backoff": BACKOFF},
        "timeoutSeconds": said["timeout"],
        "egress": step["egress"],
        "secrets": [{"name": k, "secretRef": v} for k, v in step["secrets"].items()],
        "telemetry": step["telemetry"],
    }


def _input(name: str, written: str) -> dict[str, str]:
    step, _, artifact = written.partition(".")
    return {"name": name, "fromStep": step, "artifact": artifact}


def _output(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    path = said["path"]
    suffix = path.rpartition(".")[2].lower() if "." in path else ""
    whole = {
        "name": name,
        "type": _first(said.get("type"), "file"),
        "path": path,
        "mediaType": _first(said.get("mediaType"), MEDIA_TYPES.get(suffix)),
        "description": said.get("description"),
        "optional": _first(said.get("optional"), False),
    }
    return {key: value for key, value in whole.items() if value is not None}


def _edges(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield from sorted(
        {
            (before, name)
            for name, step in steps.items()
            for before in (*step["after"], *(v.partition(".")[0] for v in step["in"].values()))
        }
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
