"""Writes the committed documents: `api/openapi.json` and the pipeline's JSON Schema.

Run `python -m api.document` after a change; `python -m api.document --check` fails on drift.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from animus.domain.pipeline_short_form import ShortPipeline
from animus.domain.pipelines import PipelineSpec
from api.app import create_app

HERE = Path(__file__).parent
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def openapi() -> dict[str, Any]:
    return create_app(None, registry=CollectorRegistry()).openapi()


def pipeline_schema() -> dict[str, Any]:
    """Both forms that people write in; editors complete from it."""
    adapter: TypeAdapter[Any] = TypeAdapter(ShortPipeline | PipelineSpec)
    described = {"$schema": DRAFT, "title": "Animus pipeline (animus/v1)"}
    return described | adapter.json_schema(by_alias=True, mode="validation")


DOCUMENTS = {
    HERE / "openapi.json": openapi,
    HERE / "schemas" / "pipeline-spec.schema.json": pipeline_schema,
}


def written(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    drifted = [path for path, make in DOCUMENTS.items() if not _is_current(path, make())]
    if "--check" in arguments:
        for path in drifted:
            sys.stderr.write(f"{path.name} is out of date: run python -m api.document\n")
        return 1 if drifted else 0
    for path in drifted:
        path.write_text(written(DOCUMENTS[path]()))
        sys.stdout.write(f"wrote {path.name}\n")
    return 0


def _is_current(path: Path, value: dict[str, Any]) -> bool:
    return path.exists() and path.read_text() == written(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
