"""Two plans part by part: exact counts, bounded texts and lists, nothing where nothing changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from animus.domain.canonical import JsonObject
from animus.domain.comparisons import (
    MAX_SHOWN,
    MAX_TEXT,
    ItemChange,
    PartComparison,
    compare,
    tell,
)
from animus.domain.digests import format_digest
from animus.domain.environment_locks import canonical_lock, lock_digest
from animus.domain.manifests import FileEntry
from animus.domain.plan_items import DataContent, Part, PlanContent
from animus.domain.plans import PlanDocument
from animus.domain.verdicts import Effect
from tests.support.documents import (
    DIGEST_A,
    DIGEST_B,
    DIGEST_C,
    IMAGE,
    code,
    demand,
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
    before = replace(content(), data={"data": known(1, (old, same))})
    after = replace(newer(), data={"data": known(2, (new, same))})
    found = of(Part.DATA, before, after)
    assert [(one.item, one.after) for one in found.changes] == [
        ("data", f"churn@2, {DIGEST_C}"), ("data: bytes", "5"), ("data/a.csv", f"2 B, {DIGEST_C}"),
    ]  # fmt: skip
    assert found.same == 2  # the number of files, and b.csv


def known(version: int, entries: tuple[FileEntry, ...] | None) -> DataContent:
    sizes = [one.size for one in entries or ()]
    return DataContent(
        known_as=f"churn@{version}", files=len(sizes), total_bytes=sum(sizes), entries=entries
    )


def newer() -> PlanContent:
    return content(datasets=[{"alias": "data", "digest": DIGEST_C}])


def test_what_is_known_of_one_side_only_is_no_difference() -> None:
    """A lock or a version that is gone, or that the caller's project does not have."""
    files = (FileEntry(path="a.csv", sha256=DIGEST_A, size=1),)
    data = {"data": known(1, files)}
    unlocked = replace(content(environment_lock=DIGEST_B), lock=None)
    for before, after, part, changed in (
        (replace(content(), data=data), newer(), Part.DATA, ["data"]),
        (content(), replace(newer(), data=data), Part.DATA, ["data"]),
        (replace(content(), data=data), content(), Part.DATA, []),
        (
            replace(content(), data=data), replace(newer(), data={"data": known(2, None)}),
            Part.DATA, ["data", "data: files", "data: bytes"],
        ),
        (content(), unlocked, Part.ENVIRONMENT, ["lock"]),
        (unlocked, content(), Part.ENVIRONMENT, ["lock"]),
        (replace(content(), lock=None), content(), Part.ENVIRONMENT, []),
    ):  # fmt: skip
        assert [one.item for one in of(part, before, after).changes] == changed


def test_what_is_new_or_gone_as_a_whole_is_told_with_what_is_known_of_it() -> None:
    more = [{"alias": "data", "digest": DIGEST_B}, {"alias": "more", "digest": DIGEST_C}]
    after = replace(content(datasets=more), data={"more": known(2, None)})
    found = of(Part.DATA, content(), after)
    assert [one.item for one in found.changes] == ["more", "more: files", "more: bytes"]
    assert (found.added, found.removed, found.changed) == (3, 0, 3)
    found = of(Part.DATA, after, content())
    assert (found.added, found.removed, found.changed) == (0, 3, 3)


def test_versions_come_before_files_of_any_of_them() -> None:
    both = [{"alias": alias, "digest": DIGEST_C} for alias in ("a", "b")]
    files = (FileEntry(path="a.csv", sha256=DIGEST_A, size=1),)
    after = replace(content(datasets=both), data={one: known(1, files) for one in ("a", "b")})
    found = of(Part.DATA, replace(content(), document=content().document), after)
    names = [one.item for one in found.changes if one.after is not None]
    assert names == ["a", "a: files", "a: bytes", "b", "b: files", "b: bytes", "a/a.csv", "b/a.csv"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", 1), ("true", True), ("null", None), ("[1]", [1]), ('"a"', "a"), (1, True), ("{}", {}),
     ({"a/b": 1}, {"a": {"b": 1}})],
)  # fmt: skip
def test_parameters_that_look_alike_are_told_apart(one: object, other: object) -> None:
    found = of(
        Part.PARAMETERS, content(parameters={"p": one}), content(parameters={"p": other})
    )  # fmt: skip
    assert found.changed
    assert all(change.before != change.after for change in found.changes)


def test_one_number_written_in_two_ways_is_no_difference() -> None:
    assert of(Part.PARAMETERS, content(parameters={"p": 2}), content(parameters={"p": 2.0})).same


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        yield path
    for key, one in inner:
        yield from leaves(one, (*path, key))


OTHER: dict[str, Any] = {
    "classification": "development", "executor": "container", "state": "proved",
    "object_format": "sha256", "cpu": "7", "memory": "7Gi", "ephemeralStorage": "7Gi",
    "type": "fixed", "effect": "deny", "role": "admin", "mediaType": "text/other",
    "image": f"other.example/x@{DIGEST_B}", "repo_url": "https://other.example",
    "commit": "f" * 40, "gpuResource": "other.example/gpu", "toleration": "PreferNoSchedule",
    "accepted": "runtime_runc", "code": "runtime_runc",
}  # fmt: skip
SUBMODULE = "changed_file"
FIXED = ("schema",)


def changed_at(document: JsonObject, path: tuple[Any, ...]) -> JsonObject:
    """Another value of the same kind in one place."""
    changed = deepcopy(document)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    old, name = place[path[-1]], next(key for key in reversed(path) if isinstance(key, str))
    if path[:3] == ("body", "code", "limitations") and name == "code":
        place[path[-1]] = SUBMODULE
    elif name == "effect" and "tolerations" in path:
        place[path[-1]] = OTHER["toleration"]
    elif name in OTHER and "parameters" not in path:
        place[path[-1]] = OTHER[name] if old != OTHER[name] else "allow"
    elif isinstance(old, bool):
        place[path[-1]] = not old
    elif isinstance(old, int | float):
        place[path[-1]] = old + 1
    elif str(old).startswith("sha256:"):
        place[path[-1]] = "sha256:" + "e" * 64
    else:
        place[path[-1]] = f"{old}x"
    return changed


def full_plan() -> JsonObject:
    """A plan in which everything that may be said is said."""
    step = {
        "run": ["sh", "-c", "x"], "data": "data", "in": {"rows": "prepare.rows"},
        "out": {"model": {
            "path": "m", "type": "model", "mediaType": "text/csv", "description": "d",
            "optional": True,
        }},
        "env": {"A": "1"}, "egress": ["a.example:443"], "secrets": {"key": "team/key"},
        "telemetry": True, "memory": "1Gi", "gpu": 1, "gpuResource": "vendor.example/gpu",
    }  # fmt: skip
    placement = {
        "node_selector": {"pool": "a"}, "labels": {"cost": "b"}, "priority_class": "low",
        "tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
        "runtime_class": "gvisor",
    }  # fmt: skip
    locked = read_lock(lock(placement=placement))
    proved = {
        "state": "claimed", "path": "train", "pack_sha256": DIGEST_A,
        "limitations": [{"code": "submodule", "subject": "lib"}],
    }  # fmt: skip
    judgement = judged(
        rule("people", "require_approval", approval=demand(service_accounts=["bot"])),
        rule("plain", "allow", accept=["code_claimed"]),
    )
    pipeline = short_pipeline(prepare={"run": "y", "out": "rows"}, train=step)
    spec = make_spec(
        code=code(**proved), parameters={"a": {"b": [1, "x", None, True]}, "c": 0.5},
        environment_lock=format_digest(lock_digest(canonical_lock(locked))),
    )  # fmt: skip
    body = make_body(spec=spec, pipeline=pipeline, locked=locked)
    return make_plan(judgement, body=body, locked=locked).document.content()


def test_no_leaf_of_a_plan_changes_without_being_told() -> None:
    document = full_plan()
    before = PlanContent(document=PlanDocument.model_validate(document))
    tried = 0
    for path in leaves(document):
        if path[-1] in FIXED:
            continue
        after = PlanContent(document=PlanDocument.model_validate(changed_at(document, path)))
        items = {change.item for one in compare(before, after) for change in one.changes}
        is_repeated = path[:2] == ("verdict", "gates")  # the plan has its gates twice
        assert items - ({"plan digest"} if not is_repeated else set()), path
        tried += 1
    assert tried > 60


def test_the_same_things_in_another_order_are_told_as_that() -> None:
    one, other = (
        content(step={"egress": hosts})
        for hosts in (["a.example:1", "b.example:1"], ["b.example:1", "a.example:1"])
    )
    told = [change.item for part in compare(one, other) for change in part.changes]
    assert told == (["plan digest"] if one.document != other.document else [])


def test_it_is_told_in_parts_and_items_and_what_is_left_out_is_counted() -> None:
    many = {f"p{number:04}": number for number in range(MAX_SHOWN + 50)}
    said = tell(compare(content(), content(parameters=many, classification="development")))
    assert said[0] == {"part": "parameters", "item": "p0000", "after": "0"}
    assert said[MAX_SHOWN] == {"part": "parameters", "more": 50}
    change = {"item": "classification", "before": "production", "after": "development"}
    assert {"part": "execution", **change} in said


def test_packages_are_told_by_name() -> None:
    package = {"ecosystem": "pypi", "name": "scikit-learn", "version": "1.8.0"}
    other = {"ecosystem": "deb", "name": "libc6", "version": "2.36"}
    newer_lock = read_lock(lock(packages=[package, other]))
    after = replace(content(environment_lock=DIGEST_B), lock=newer_lock)
    found = of(Part.ENVIRONMENT, content(), after)
    assert found.changes[0].item == "lock"
    assert list(found.changes[1:]) == [
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
    assert "(5,001 characters in all, sha256:" in change.after
