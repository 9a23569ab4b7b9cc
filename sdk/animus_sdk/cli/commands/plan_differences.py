"""run diff: two runs or plans, part by part."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from animus_sdk.cli.code_changes import find_changed_files
from animus_sdk.cli.differences import show_difference, show_files
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.repeats import is_run_reference
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.written_files import STDIN
from animus_sdk.errors import FileUnfit, SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.wire.views import PlanComparison

_HELP = "A run (@last, name, id, its end, the digest of its plan), or a file of --json with a plan."
_AROUND = ("plan", "document")
"""What a preview and a run's plan call the document in their answers."""


def show_diff(
    here: Session,
    first: Annotated[str, typer.Argument(metavar="A", help=_HELP)],
    second: Annotated[
        str | None,
        typer.Argument(
            metavar="[B]",
            help="What A became. Left out: A is compared with the last run of its pipeline and"
            " class that was let run before.",
        ),
    ] = None,
) -> None:
    """What changed from one run or plan to another, part by part, and how much is the same."""
    sides = [_plan_meant(here, one) for one in (first, second) if one is not None]
    before = sides[0] if second is not None else None
    found = here.client.runs.compare(sides[-1], before=before)
    files = _changed_files(here, found, sides)

    def render() -> None:
        show_difference(here.screen, found)
        if files is not None:
            show_files(here.screen, files)

    here.screen.answer({**found, "files": files}, render)


def _changed_files(
    here: Session, found: PlanComparison, sides: list[dict[str, Any]]
) -> list[dict[str, str]] | None:
    """Of the two commits, where they are two, and this folder's clone has both."""
    changed = {c["item"] for part in found["parts"] for c in part["changes"]}
    before = found["before"]
    if "commit" not in changed or before is None:
        return None
    older = sides[0] if len(sides) > 1 else {"run_id": before["run_id"]}
    code, newer_code = (_plan_of(here, side)["body"].get("code") for side in (older, sides[-1]))
    return find_changed_files(code, newer_code, Path.cwd())


def _plan_of(here: Session, side: dict[str, Any]) -> dict[str, Any]:
    plan: dict[str, Any] = (
        side["plan"] if "plan" in side else here.client.runs.plan(side["run_id"])["document"]
    )
    return plan


def _plan_meant(here: Session, said: str) -> dict[str, Any]:
    """As the gateway reads it: a run by its id, or the plan itself."""
    if is_run_reference(said):
        return {"run_id": run_meant(here, said)}
    return {"plan": _plan_in(said)}


def _plan_in(name: str) -> dict[str, Any]:
    """The plan, or what is around it in the answers of 'run preview' and 'run plan'."""
    value = _read_json(name)
    inner = next((value[key] for key in _AROUND if key in value), value)
    if not isinstance(inner, Mapping) or "body" not in inner:
        raise SettingsUnfit(
            f"{printable(name)} holds no plan. Write one with 'animus run preview FILE --json' or"
            " 'animus run plan RUN --json'.",
            code="usage",
        )
    return dict(inner)


def _read_json(name: str) -> Mapping[str, Any]:
    """As JSON: as YAML some of its numbers would be others, and the plan another."""
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as error:
        raise FileUnfit(f"{printable(name)} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise FileUnfit(f"{printable(name)} is not JSON in UTF-8.", code="usage") from None
    return value if isinstance(value, Mapping) else {}
