"""Names and labels: valid for whatever a person has called things, and one for each attempt."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from animus.adapters.kubernetes.names import attempt_in, job_name, label_value, run_secret_name
from animus.domain import patterns
from tests.unit.adapters.kubernetes.tasks import ATTEMPT_ID, SITE, make_task

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
ORDER = make_task().order
NAMES = st.from_regex(patterns.NAME, fullmatch=True)


@given(step=NAMES, attempt=st.integers(1, 100))
def test_a_jobs_name_is_valid_for_any_step(step: str, attempt: int) -> None:
    name = job_name(ORDER.model_copy(update={"step": step, "attempt": attempt}))
    assert DNS_LABEL.fullmatch(run_secret_name(name))
    assert DNS_LABEL.fullmatch(name)


@given(first=NAMES, second=NAMES)
def test_two_steps_have_two_jobs(first: str, second: str) -> None:
    names = {job_name(ORDER.model_copy(update={"step": step})) for step in (first, second)}
    assert len(names) == len({first, second})


@given(st.text(max_size=300))
def test_any_text_becomes_a_valid_label(text: str) -> None:
    assert LABEL_VALUE.fullmatch(label_value(text))


def test_an_attempt_of_a_copied_installation_has_a_job_of_its_own() -> None:
    assert job_name(ORDER.model_copy(update={"order_id": "other"})) != job_name(ORDER)


def test_an_installation_finds_nothing_of_another_whose_cluster_has_its_name() -> None:
    other = replace(SITE.naming, agent="fedcba9876543210")
    assert other.selector != SITE.naming.selector
    assert other.labels_of(ORDER) != SITE.naming.labels_of(ORDER)
    wanted = dict(each.split("=") for each in SITE.naming.selector_of(ATTEMPT_ID).split(","))
    assert wanted.items() <= SITE.naming.labels_of(ORDER).items()


def test_an_attempts_labels_name_it() -> None:
    naming = replace(SITE.naming, cluster="north")
    labels = naming.labels_of(ORDER)
    assert attempt_in(labels) == ATTEMPT_ID
    assert all(LABEL_VALUE.fullmatch(value) for value in labels.values())
    assert attempt_in({}) is None
