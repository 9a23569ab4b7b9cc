"""Reviews of made-up runs: nothing of them is in a database, and they never change.

`python -m tests.support.reviews` writes the golden documents in tests/vectors/reviews anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from animus.domain.access import PrincipalKind
from animus.domain.canonical import JsonObject
from animus.domain.manifests import FileEntry
from animus.domain.plan_items import DataContent, PlanContent
from animus.domain.plans import ExecutionPlan
from animus.domain.policy_evaluation import Judgement
from animus.domain.review_differences import difference_section
from animus.domain.review_facts import (
    Account,
    ApprovedPlan,
    Asked,
    BoundData,
    Metric,
    ReviewFacts,
    Trial,
    Trials,
)
from animus.domain.review_pages import write_page
from animus.domain.review_sections import write_review
from animus.domain.review_texts import write_text
from animus.domain.reviews import SealedReview, seal_review
from animus.domain.runs import RunState
from tests.support.documents import DIGEST_A, DIGEST_B, DIGEST_C, code, demand, rule, short_pipeline
from tests.support.plans import judged, make_body, make_plan, make_spec, read_lock

VECTORS = Path(__file__).parents[1] / "vectors" / "reviews"
NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
HOSTILE = (
    "ok\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2066\u200b\u3164<script>alert(1)</script>"
    '"><img src=x onerror=alert(2)>&amp;\r\nneeds: 0 approvals' + " " * 300 + "closed: satisfied"
)
"""What a person may write for a reason: sequences of a terminal, bidirectional controls, what
cannot be seen, markup, lines and a long gap, to look like what we say."""
FORGED = "needs: 0 approvals"
WIDE = (
    "\uff38" * 42
    + f" {FORGED} "
    + "\u0416\u2026" * 60
    + "z\u0335\u0336\u0335\u0336\u0335"
    + f" {FORGED}"
)
"""Letters that a terminal gives two cells each, or may; and one with more marks than any has: as
many characters as a line holds, and more cells."""
MANY = 5_000
"""Files of a dataset version; of two that share none, twice as many differ."""


def identifier(number: int) -> UUID:
    return UUID(int=number)


def one_gate(**changes: Any) -> Judgement:
    return judged(rule("production", "require_approval", approval=demand(**changes)))


def plan_of(judgement: Judgement, *, train: JsonObject | None = None, **spec: Any) -> ExecutionPlan:
    locked = read_lock()
    step = {"run": "python train.py", "data": "data"} | (train or {})
    body = make_body(spec=make_spec(**spec), pipeline=short_pipeline(train=step), locked=locked)
    return make_plan(judgement, body=body, locked=locked)


def asked_of(plan: ExecutionPlan, **changes: Any) -> Asked:
    erin = Account(name="erin", display_name="Erin Example", kind=PrincipalKind.PERSON)
    asked = Asked(
        project_id=identifier(1),
        project="credit",
        run_id=identifier(2),
        run="calm-otter-12",
        gate_id=identifier(3),
        rule=plan.document.gates[0],
        generation=1,
        asked_at=NOW - timedelta(minutes=3),
        opened_at=NOW,
        deadline=NOW + timedelta(days=3),
        requester=erin,
        person=erin,
        reason="the quarterly model",
        ticket="RISK-42",
        trigger={},
    )
    return replace(asked, **changes)


def data_of(
    version: int, digest: str, entries: tuple[FileEntry, ...] | None = None
) -> Mapping[str, BoundData]:
    """What is bound, with as many files as there are entries."""
    bound = BoundData(
        dataset="churn",
        version=version,
        digest=digest,
        files=len(entries or ()) or 1,
        total_bytes=sum(one.size for one in entries or ()) or 8,
    )
    return {"data": bound}


def content_of(
    plan: ExecutionPlan,
    judgement: Judgement,
    data: Mapping[str, BoundData],
    entries: tuple[FileEntry, ...] | None = None,
) -> PlanContent:
    """What a project would have of what the plan names: its data, lock and policy."""
    known = {
        alias: DataContent(
            known_as=f"{one.dataset}@{one.version}",
            files=one.files,
            total_bytes=one.total_bytes,
            entries=entries,
        )
        for alias, one in data.items()
    }
    policies = {judgement.policy.digest: f"{judgement.policy.name}@{judgement.policy.version}"}
    return PlanContent(document=plan.document, lock=read_lock(), data=known, policies=policies)


def files(prefix: str, digest: str, count: int = 2) -> tuple[FileEntry, ...]:
    return tuple(
        FileEntry(path=f"{prefix}{number:05}.csv", sha256=digest, size=number)
        for number in range(count)
    )


def facts_of(plan: ExecutionPlan, judgement: Judgement, **changes: Any) -> ReviewFacts:
    facts = ReviewFacts(
        asked=asked_of(plan),
        plan=plan,
        content=content_of(plan, judgement, data_of(1, DIGEST_B)),
        policies=[judgement.policy],
        data=data_of(1, DIGEST_B),
        before=None,
        trials=Trials(by_state={}, newest=()),
        start_within=timedelta(hours=1),
        wait_at_most=timedelta(days=7),
    )
    return replace(facts, **changes)


def before_of(plan: ExecutionPlan, content: PlanContent) -> ApprovedPlan:
    return ApprovedPlan(
        run_id=identifier(4),
        run="brave-heron-3",
        generation=1,
        plan_digest=plan.digest,
        content=content,
        approved_at=NOW - timedelta(days=20),
    )


def first_of_its_kind() -> ReviewFacts:
    judgement = one_gate()
    return facts_of(plan_of(judgement), judgement)


def changed() -> ReviewFacts:
    judgement = one_gate(quorum=2, service_accounts=["auditor-bot"])
    earlier = one_gate()
    old = plan_of(earlier, parameters={"rate": 0.1, "seed": 1})
    plan = plan_of(
        judgement,
        train={"run": "python train.py --fast", "egress": ["db.example:5432"]},
        parameters={"rate": 0.03, "seed": 1},
        datasets=[{"alias": "data", "digest": DIGEST_C}],
        code=code(commit="f" * 40),
    )
    entries = files("old/", DIGEST_A), files("new/", DIGEST_A, 3)
    bound = data_of(3, DIGEST_B, entries[0]), data_of(4, DIGEST_C, entries[1])
    metrics = [
        Metric(name="auc", step="train", step_number=40, value=0.93),
        Metric(name="loss", step="train", step_number=40, value=1e21),
    ]
    trial = Trial(
        run_id=identifier(5), run="tidy-crane-8", state=RunState.SUCCEEDED,
        ended_at=NOW - timedelta(hours=5), metrics=metrics, has_more_metrics=True,
    )  # fmt: skip
    robot = Account(name="ci", display_name="ci", kind=PrincipalKind.SERVICE)
    trigger = {"pipeline": "https://git.example/team/model/-/pipelines/7", "actor": "erin"}
    return facts_of(
        plan, judgement,
        asked=asked_of(plan, generation=2, requester=robot, trigger=trigger),
        data=bound[1],
        content=content_of(plan, judgement, bound[1], entries[1]),
        before=before_of(old, content_of(old, earlier, bound[0], entries[0])),
        trials=Trials(by_state={RunState.SUCCEEDED: 6, RunState.FAILED: 1}, newest=[trial]),
    )  # fmt: skip


def hostile() -> ReviewFacts:
    judgement = one_gate()
    old = plan_of(one_gate(), parameters={"note": "kind"})
    plan = plan_of(judgement, parameters={"note": HOSTILE})
    account = Account(name="erin", display_name=HOSTILE, kind=PrincipalKind.PERSON)
    trial = Trial(
        run_id=identifier(5), run="tidy-crane-8", state=RunState.FAILED, ended_at=None,
        metrics=[Metric(name=HOSTILE, step=HOSTILE, step_number=0, value=-0.0)],
    )  # fmt: skip
    return facts_of(
        plan, judgement,
        asked=asked_of(
            plan, reason=HOSTILE, ticket=HOSTILE, person=account, trigger={HOSTILE: HOSTILE}
        ),
        before=before_of(old, content_of(old, judgement, data_of(1, DIGEST_B))),
        trials=Trials(by_state={RunState.FAILED: 1}, newest=[trial]),
    )  # fmt: skip


def wide() -> ReviewFacts:
    judgement = one_gate()
    old = plan_of(one_gate(), parameters={"note": "narrow"})
    plan = plan_of(judgement, parameters={"note": WIDE})
    return facts_of(
        plan, judgement,
        asked=asked_of(plan, reason=WIDE, ticket=WIDE, trigger={"actor": WIDE}),
        before=before_of(old, content_of(old, judgement, data_of(1, DIGEST_B))),
    )  # fmt: skip


def many_files() -> ReviewFacts:
    """Twice `MANY` files differ, with names that are markup."""
    judgement = one_gate()
    old = plan_of(one_gate())
    plan = plan_of(judgement, datasets=[{"alias": "data", "digest": DIGEST_C}])
    entries = files("<i>old\u200b/", DIGEST_A, MANY), files("<b>new\u202e/", DIGEST_A, MANY)
    bound = data_of(1, DIGEST_B, entries[0]), data_of(2, DIGEST_C, entries[1])
    return facts_of(
        plan, judgement,
        data=bound[1],
        content=content_of(plan, judgement, bound[1], entries[1]),
        before=before_of(old, content_of(old, judgement, bound[0], entries[0])),
    )  # fmt: skip


CASES = {case.__name__: case for case in (first_of_its_kind, changed, hostile, wide, many_files)}


def sealed_of(facts: ReviewFacts) -> SealedReview:
    return seal_review(write_review(facts, difference_section(facts)))


def sealed(case: str) -> SealedReview:
    return sealed_of(CASES[case]())


def written(case: str) -> Mapping[str, bytes]:
    """By the end of the file's name."""
    review = sealed(case)
    return {
        "json": review.canonical,
        "digest": f"sha256:{review.digest.hex()}\n".encode(),
        "txt": write_text(review).encode(),
        "html": write_page(review).encode(),
    }


if __name__ == "__main__":
    VECTORS.mkdir(exist_ok=True)
    for name in CASES:
        for ending, content in written(name).items():
            (VECTORS / f"{name}.{ending}").write_bytes(content)
