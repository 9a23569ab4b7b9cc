"""Namespaces of projects: their names, what each must have, and which of them are the agent's."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from animus.adapters.kubernetes.project_namespaces import (
    ENFORCED,
    PATHS,
    ProjectNamespaces,
    TemplateUnfit,
    read_template,
)
from deploy.kubernetes.rendering import render_template
from tests.unit.adapters.kubernetes.tasks import SITE

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
PROJECT = "01998a7e-0000-7aaa-8aaa-000000000001"
SHIPPED = list(yaml.safe_load_all(render_template(agent_namespace="agent")))
OURS = ProjectNamespaces(
    naming=SITE.naming, prefix="animus-", template=read_template(SHIPPED)
)  # fmt: skip


@given(st.uuids(), st.uuids())
def test_each_project_has_a_valid_name_of_its_own(one: UUID, other: UUID) -> None:
    longest = replace(OURS, prefix="a" * 21 + "-")
    names = {longest.name_of(str(each)) for each in (one, other)}
    assert all(DNS_LABEL.fullmatch(name) for name in names)
    assert len(names) == len({one, other})


def test_two_installations_have_two_namespaces_for_one_project() -> None:
    theirs = replace(OURS, naming=replace(SITE.naming, agent="fedcba9876543210"))
    assert theirs.name_of(PROJECT) != OURS.name_of(PROJECT)


@pytest.mark.parametrize("prefix", ["", "-", "animus", "Animus-", "9-", "a" * 22 + "-", "a_b-"])
def test_a_prefix_of_no_valid_name_is_refused(prefix: str) -> None:
    with pytest.raises(TemplateUnfit, match="begins no namespace's name"):
        replace(OURS, prefix=prefix)


def test_a_namespace_as_it_is_made_is_ours() -> None:
    assert OURS.fault_of(OURS.namespace_of(PROJECT), PROJECT) is None


@pytest.mark.parametrize(
    ("label", "value", "fault"),
    [
        ("animus.io/agent", "other", "not made by this agent"),
        ("animus.io/cluster", "other", "not made by this agent"),
        ("animus.io/project", "other", "not made by this agent"),
        (ENFORCED, "baseline", "does not enforce"),
    ],
)
def test_a_namespace_with_another_label_is_not(label: str, value: str, fault: str) -> None:
    made = OURS.namespace_of(PROJECT)
    made["metadata"]["labels"][label] = value
    assert fault in (OURS.fault_of(made, PROJECT) or "")


def test_nothing_can_run_before_a_namespace_is_closed_and_bounded() -> None:
    contents = list(OURS.contents_of("there", account="agent"))
    assert [each["kind"] for each in contents] == [
        *("NetworkPolicy", "NetworkPolicy", "ResourceQuota", "LimitRange"),
        *("ServiceAccount", "RoleBinding"),
    ]
    assert {each["metadata"]["namespace"] for each in contents} == {"there"}
    assert all(each["apiVersion"] == PATHS[each["kind"]][0] for each in contents)


@pytest.mark.parametrize("kind", ["ResourceQuota", "LimitRange"])
def test_a_template_without_bounds_is_refused(kind: str) -> None:
    with pytest.raises(TemplateUnfit, match=kind):
        read_template(each for each in SHIPPED if each["kind"] != kind)


@pytest.mark.parametrize(
    "change",
    [
        {"podSelector": {"matchLabels": {"a": "b"}}},
        {"policyTypes": ["Ingress"]},
        {"egress": [{}]},
        {"ingress": [{}]},
    ],
)
def test_a_template_that_does_not_deny_everything_is_refused(change: dict[str, Any]) -> None:
    opened = [
        each | {"spec": each["spec"] | change} if each["metadata"]["name"] == "deny-all" else each
        for each in SHIPPED
    ]
    with pytest.raises(TemplateUnfit, match="allows nothing"):
        read_template(opened)


@pytest.mark.parametrize(
    "more", [{"kind": "RoleBinding", "metadata": {"name": "x"}}, {"kind": "Secret"}, "text", [1]]
)
def test_a_template_makes_nothing_else(more: object) -> None:
    with pytest.raises(TemplateUnfit, match="is none of"):
        read_template([*SHIPPED, more])
