"""The operations of the api as its OpenAPI document lists them, with addresses made of real ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.document import openapi

STREAMS = frozenset({"stream_run_events", "stream_attempt_log"})
"""They go on until they are told not to (`follow=false`)."""
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    name: str
    method: str
    path: str
    """As the document has it, with the names of its parameters in braces."""
    access: str
    body: str | None
    """The component that describes its body, where it takes one."""

    @property
    def parameters(self) -> list[str]:
        return [part.partition("}")[0] for part in self.path.split("{")[1:]]

    @property
    def is_of_project(self) -> bool:
        return "project_id" in self.parameters

    def address(self, ids: Mapping[str, str]) -> str:
        return self.path.format(**ids)


DOCUMENT = openapi()


def _read() -> dict[str, Operation]:
    found = {}
    for path, methods in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in methods:
                said = methods[method]
                content = said.get("requestBody", {}).get("content", {})
                reference = content.get("application/json", {}).get("schema", {}).get("$ref")
                found[said["operationId"]] = Operation(
                    name=said["operationId"], method=method.upper(), path=path,
                    access=said["x-animus-access"],
                    body=reference.rpartition("/")[2] if reference else None,
                )  # fmt: skip
    return found


OPERATIONS = _read()
