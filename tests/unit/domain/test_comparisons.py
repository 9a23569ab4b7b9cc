"""Two plans part by part: exact counts, bounded texts and lists, nothing where nothing changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from animus.domain.canonical import JsonObject
from animus.domain.comparisons import MAX_SHOWN, MAX_TEXT, ItemChange, PartComparison, compare
from animus.domain.manifests import FileEntry
from animus.domain.plan_items import DataContent, Part, PlanContent
from animus.domain.verdicts import Effect
from tests.support.documents import (
    DIGEST_A,
    DIGEST_B,
    DIGEST_C,
    IMAGE,
    code,
    lock,
    rule,
    short_pipeline,
)
from tests.support.plans import judged, make_body, make_plan, make_spec, read_lock


def content(*, step: JsonObject | None = None, **spec: object) -> PlanContent:
    pipeline = short_pipeline(train={"data": "data"} | (step or {}))
    body = make_body(spec=make_spec(**spec), pipeline=pipeline, locked=read_lock())
    return PlanContent(document=make_plan(body=body, locked=read_lock()).document, lock=read_lock())


def of(part: Part, before: PlanContent, after: PlanContent) -> PartComparison:
    return next(one for one in compare(before, after) if one.part is part)


def test_equal_plans_have_no_change_and_every_item_is_counted() -> None:
    parts = compare(content(), content())
    assert [one.part for one in parts] == list(Part)
    assert [one.changes for one in parts] == [()] * len(Part)
    assert sum(one.same for one in parts) > 20


CHANGES: dict[str, tuple[Part, PlanContent, PlanContent, list[ItemChange]]] = {
    "a commit": (
        Part.CODE, content(), content(code=code(commit="f" * 40)),
        [ItemChange(item="commit", before=code()["commit"], after="f" * 40)],
    ),
    "a parameter, within others": (
        Part.PARAMETERS,
        content(parameters={"optimizer": {"lr": 0.1, "steps": 3}}),
        content(parameters={"optimizer": {"lr": 0.03, "steps": 3}, "seed": None}),
        [
            ItemChange(item="optimizer/lr", before="0.1", after="0.03"),
            ItemChange(item="seed", before=None, after="null"),
        ],
    ),
    "egress": (
        Part.NETWORK, content(), content(step={"egress": ["pypi.example:443"]}),
        [ItemChange(item="train: pypi.example:443", before=None, after="may be reached")],
    ),
    "a secret": (
        Part.SECRETS, content(step={"secrets": {"KEY": "team/key"}}), content(),
        [ItemChange(item="train: KEY", before="team/key", after=None)],
    ),
    "memory": (
        Part.RESOURCES,
        content(step={"memory": "1Gi"}), content(step={"memory": "2Gi"}),
        [ItemChange(item="train: memory", before="1Gi", after="2Gi")],
    ),
    "the class": (
        Part.EXECUTION, content(classification="development"), content(),
        [ItemChange(item="classification", before="development", after="production")],
    ),
    "the image": (
        Part.STEPS, content(), content(step={"image": f"other.example/x@{DIGEST_B}"}),
        [ItemChange(item="train: image", before=IMAGE, after=f"other.example/x@{DIGEST_B}")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_told_in_its_part(what: str) -> None:
    part, before, after, expected = CHANGES[what]
    found = of(part, before, after)
    assert list(found.changes) == expected
    assert found.changed == len(expected)


def test_data_is_told_file_by_file() -> None:
    old = FileEntry(path="a.csv", sha256=DIGEST_A, size=1)
    new = FileEntry(path="a.csv", sha256=DIGEST_C, size=2)
    same = FileEntry(path="b.csv", sha256=DIGEST_B, size=3)
    known = {
        DIGEST_B: DataContent(files=2, total_bytes=4, entries=(old, same)),
        DIGEST_C: DataContent(files=2, total_bytes=5, entries=(new, same)),
    }
    before = replace(content(), data=known)
    after = replace(content(datasets=[{"alias": "data", "digest": DIGEST_C}]), data=known)
    found = of(Part.DATA, before, after)
    assert [one.item for one in found.changes] == ["data", "data: bytes", "data/a.csv"]
    assert found.changes[2].after == f"{DIGEST_C}, 2 bytes"
    assert found.same == 2  # the number of files, and b.csv


def test_packages_are_told_by_name() -> None:
    package = {"ecosystem": "pypi", "name": "scikit-learn", "version": "1.8.0"}
    other = {"ecosystem": "deb", "name": "libc6", "version": "2.36"}
    after = replace(content(), lock=read_lock(lock(packages=[package, other])))
    found = of(Part.ENVIRONMENT, content(), after)
    assert list(found.changes) == [
        ItemChange(item="pypi scikit-learn", before="1.7.2", after="1.8.0"),
        ItemChange(item="deb libc6", before=None, after="2.36"),
    ]


def test_a_rule_of_a_newer_version_is_the_same_rule() -> None:
    """By the policy's name: its digest is another with every version."""
    older, newer = judged(rule("big", "deny")), judged(rule("big", "allow"), rule("a", "allow"))
    plans = [make_plan(one, locked=read_lock()).document for one in (older, newer)]
    names = {older.policy.digest: "credit@1", newer.policy.digest: "credit@2"}
    found = of(Part.POLICY, *(PlanContent(document=plan, policies=names) for plan in plans))
    changes = {one.item: (one.before, one.after) for one in found.changes}
    assert changes["policy credit"] == ("1", "2")
    assert changes["rule credit/big"] == ("deny: big says so.", "allow: big says so.")
    assert changes["rule credit/a"] == (None, "allow: a says so.")
    assert plans[0].verdict.effect is Effect.DENY


def test_what_is_shown_is_bounded_and_what_is_counted_is_not() -> None:
    many = {f"p{number:04}": number for number in range(MAX_SHOWN + 50)}
    found = of(Part.PARAMETERS, content(), content(parameters=many))
    assert (len(found.changes), found.changed) == (MAX_SHOWN, MAX_SHOWN + 50)


def test_long_texts_that_begin_alike_are_told_apart() -> None:
    begin = "x" * 5_000
    before, after = content(parameters={"p": begin + "1"}), content(parameters={"p": begin + "2"})
    (change,) = of(Part.PARAMETERS, before, after).changes
    assert change.before is not None
    assert change.after is not None
    assert change.before[:MAX_TEXT] == change.after[:MAX_TEXT] == "x" * MAX_TEXT
    assert change.before != change.after
    assert "(5001 characters" in change.after
