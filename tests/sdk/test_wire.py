"""The SDK's side of the wire against the gateway's own document and code."""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints, is_typeddict

import animus_sdk
import pytest
from animus_sdk.errors import AnswerUnfit
from animus_sdk.wire import explanation_views, operations, views
from animus_sdk.wire.decoding import decode
from animus_sdk.wire.operations import Operation, Repeat
from pydantic import BaseModel

import api.routes
from animus.domain.reviews import Listing, Review, Section
from animus.domain.verdicts import GateRule
from api.app import PREFIX
from tests.sdk.platforms import CHECKOUT

OPENAPI: dict[str, Any] = json.loads((CHECKOUT / "api" / "openapi.json").read_text())
OPERATIONS = {
    name: value for name, value in vars(operations).items() if isinstance(value, Operation)
}
VIEWS = {
    name: value
    for module in (views, explanation_views)
    for name, value in vars(module).items()
    if is_typeddict(value)
}
DOCUMENTS: dict[str, type[BaseModel]] = {
    "GateRule": GateRule, "ReviewDocument": Review, "ReviewSection": Section,
    "ReviewListing": Listing,
}  # fmt: skip
"""Documents of the domain: the gateway's document says only that they are objects."""
SCHEMA_NAMES = {
    # Where the gateway's document has another name than the view with 'Out' behind it.
    "WhoAmI": "WhoAmI", "RegisteredCluster": "RegisteredCluster", "RoleBinding": "BindingOut",
    "RunPage": "RunPage", "ArtifactPage": "ArtifactPage", "AuditPage": "AuditPage",
    "Accepted": "Accepted", "StepUploads": "UploadsOut", "ExplainedRun": "RunDetailOut",
    "DecisionPage": "DecisionPage", "DelegationPage": "DelegationPage",
    "ReviewAnswer": "ReviewOut", "ReviewBeside": "BesideOut",
}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_operation_is_in_the_gateways_document(operation: Operation) -> None:
    assert operation.method.lower() in OPENAPI["paths"][operation.path]


def test_exactly_the_operations_that_keep_idempotency_keys_are_repeated_with_one() -> None:
    keeps_keys = {
        (method, PREFIX + route.path)
        for module in pkgutil.iter_modules(api.routes.__path__)
        for route in import_module(f"api.routes.{module.name}").router.routes
        if re.search(r"\b(creating|_changing|_accept)\(", inspect.getsource(route.endpoint))
        for method in route.methods
    }
    with_key = {
        (one.method, one.path) for one in OPERATIONS.values() if one.repeat is Repeat.WITH_KEY
    }
    assert with_key == keeps_keys & {(one.method, one.path) for one in OPERATIONS.values()}
    assert with_key


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_view_of_a_document_reads_only_what_the_document_has(name: str) -> None:
    assert get_type_hints(VIEWS[name]).keys() <= DOCUMENTS[name].model_fields.keys()


@pytest.mark.parametrize("name", sorted(VIEWS.keys() - DOCUMENTS))
def test_every_view_reads_only_what_the_gateway_always_sends(name: str) -> None:
    schema = OPENAPI["components"]["schemas"][SCHEMA_NAMES.get(name, f"{name}Out")]
    known = schema["properties"].keys()
    assert get_type_hints(VIEWS[name]).keys() <= known


def test_unknown_members_of_an_answer_are_let_through() -> None:
    answer = {"id": "1", "name": "n", "description": "", "created_at": "now", "new": {"a": 1}}
    assert decode(views.Dataset, answer) is answer


@pytest.mark.parametrize(
    ("view", "answer", "place"),
    [
        (views.Dataset, {"id": 1}, "/id"),
        (views.Dataset, [], "no object"),
        (list[views.Dataset], {}, "no list"),
        (list[views.Dataset], [{"id": "1"}], "/0/name is missing"),
        (views.Accepted, {"accepted": True}, "/accepted"),
        (views.Run, {"id": "1"}, "/project_id is missing"),
    ],
)
def test_another_answer_than_expected_says_where(
    view: type[object], answer: object, place: str
) -> None:
    with pytest.raises(AnswerUnfit, match=place):
        decode(view, answer)


def test_the_sdk_is_written_in_python_3_10() -> None:
    files = sorted((CHECKOUT / "sdk" / "animus_sdk").rglob("*.py"))
    for file in files:
        ast.parse(file.read_text(), filename=str(file), feature_version=(3, 10))
    assert len(files) > 50


def test_the_settings_of_the_checker_say_3_10() -> None:
    written = Path(CHECKOUT / "sdk" / "pyproject.toml").read_text()
    assert 'target-version = "py310"' in written
    assert 'requires-python = ">=3.10"' in written


@pytest.mark.parametrize("name", animus_sdk.__all__)
def test_every_public_name_is_there_when_it_is_asked_for(name: str) -> None:
    assert getattr(animus_sdk, name).__module__.startswith("animus_sdk.")


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        animus_sdk.nothing  # type: ignore[attr-defined]  # noqa: B018
