"""Projects full of things, their ids by the names of path parameters, and a body that is right for
every operation that takes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from animus.domain.access import Role
from animus.domain.runs import RunState
from animus.domain.tokens import TokenKind, make_token
from animus.services.claims import Claim
from tests.support.clients import Client
from tests.support.documents import (
    COMMIT,
    DIGEST_C,
    environment,
    lock,
    manifest,
    policy,
    short_pipeline,
)
from tests.support.filled import TALKING, fill
from tests.support.people import Team, make_member, make_person, make_service_account, unique
from tests.support.platforms import Member, Platform
from tests.support.runs import make_run, production_request

_IDS: dict[str, LiteralString] = {
    "artifact_id": "SELECT id FROM artifacts WHERE project_id = %s LIMIT 1",
    "binding_id": "SELECT id FROM role_bindings WHERE project_id = %s "
    "AND change_id IS NOT NULL AND role = 'viewer'",
    "change_id": "SELECT id FROM changes WHERE project_id = %s LIMIT 1",
    "dataset_id": "SELECT id FROM datasets WHERE project_id = %s LIMIT 1",
    "environment_id": "SELECT id FROM environments WHERE project_id = %s LIMIT 1",
    "gate_id": "SELECT id FROM approval_gates WHERE project_id = %s ORDER BY id DESC LIMIT 1",
    "lock_id": "SELECT id FROM environment_locks WHERE project_id = %s LIMIT 1",
    "question_id": "SELECT id FROM gate_questions WHERE project_id = %s "
    "ORDER BY number DESC LIMIT 1",
    "source_id": "SELECT id FROM sources WHERE project_id = %s LIMIT 1",
    "version_id": "SELECT id FROM dataset_versions WHERE project_id = %s LIMIT 1",
    "source_upload_id": "SELECT id FROM uploads WHERE project_id = %s AND kind = 'source'",
    "decision_id": "SELECT id FROM decisions WHERE project_id = %s LIMIT 1",
    "delegation_id": "SELECT id FROM delegations WHERE project_id = %s LIMIT 1",
    "declared_id": "SELECT id FROM uploads WHERE project_id = %s AND kind = 'artifact'",
    "dataset_upload_id": "SELECT id FROM uploads WHERE project_id = %s "
    "AND kind = 'dataset_version' LIMIT 1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A project in which every path parameter names something, and two runs that are running."""

    team: Team
    ids: Mapping[str, str]
    account: Member
    """A service account without a role, for which the editor answers."""
    claim: Claim
    """Of the running run that the ids name."""
    other_claim: Claim
    """Of another running run of the same project."""

    @property
    def run_token(self) -> Member:
        return _holder(self.claim.run_token)

    @property
    def other_run_token(self) -> Member:
        return _holder(self.other_claim.run_token)

    @property
    def attempt_token(self) -> Member:
        return _holder(self.claim.attempt_token)

    def ids_for(self, operation: str) -> Mapping[str, str]:
        """One name means different things to some operations."""
        return {**self.ids, **self._others.get(operation, {})}

    @property
    def _others(self) -> Mapping[str, Mapping[str, str]]:
        datasets = {"upload_id": self.ids["dataset_upload_id"]}
        return {
            # A step's tokens end with a cancel: those of the run that the ids name stay good.
            "cancel_run": {"run_id": self.ids["spare_run_id"]},
            "commit_artifact": {"artifact_id": self.ids["declared_id"]},
            "commit_dataset_version": datasets,
            "commit_source": {"upload_id": self.ids["source_upload_id"]},
            # Whoever is disabled takes no token: the person that the ids name stays good.
            "disable_person": {"principal_id": self.ids["spare_person_id"]},
            "get_dataset_upload": datasets,
            "issue_person_token": {"principal_id": self.ids["person_id"]},
            "get_mail_address": {"principal_id": self.ids["person_id"]},
            "set_mail_address": {"principal_id": self.ids["person_id"]},
        }


def _holder(token: str | None) -> Member:
    assert token is not None
    return Member(id=None, name="", token=token)  # type: ignore[arg-type]  # only its token counts


async def make_scene(platform: Platform, client: Client) -> Scene:
    team = await fill(platform, client)
    account = await make_service_account(platform, team, accountable=team.editor)
    request = await production_request(platform, team, pipeline=TALKING)
    claims = []
    for _ in range(2):
        run = await make_run(platform, team, RunState.RUNNING, request=request)
        claims.append(await run.claim(await run.open()))
    spare = await make_run(platform, team, RunState.RUNNING, request=request)
    own_name = unique("policy")
    await client.post(f"{team.path}/policies", team.admin, {"name": own_name})
    await client.post(
        f"{team.path}/policies/{own_name}/versions", team.admin, {"document": policy()}
    )
    token = await client.post("/tokens", team.viewer, {"name": "scene"})
    person = await make_member(platform, team, Role.VIEWER)
    cluster = await register_retired_cluster(platform, client)
    run_id = str(claims[0].run_id)
    artifact = bodies({"run_id": run_id, "version_id": "", "lock_id": ""})["declare_artifact"]
    await client.post(f"{team.path}/artifacts", team.editor, artifact)
    pipeline = short_pipeline() | {"pipeline": own_name}
    registered = await client.post(f"{team.path}/pipelines", team.editor, {"pipeline": pipeline})
    named = {
        "project_id": str(team.project_id),
        "digest": registered["digest"],
        "run_id": run_id,
        "spare_run_id": str(spare.id),
        "cluster_id": cluster,
        "person_id": str(person.id),
        "spare_person_id": str((await make_person(platform)).id),
        "principal_id": str(account.id),
        "token_id": token["id"],
        "token": make_token(TokenKind.REVIEW_LINK, bytes(32)),
        "name": own_name,
        "version": "1",
        "step": "train",
        "number": "1",
    }
    return Scene(
        team=team, account=account, claim=claims[0], other_claim=claims[1],
        ids=named | _look_up(platform, team),
    )  # fmt: skip


async def register_retired_cluster(platform: Platform, client: Client) -> str:
    """The id of a cluster that takes no run: while there is one other, runs need name none."""
    body = bodies({"run_id": "", "version_id": "", "lock_id": ""})["register_cluster"]
    registered = await client.post("/clusters", platform.admin, body)
    cluster_id = str(registered["cluster"]["id"])
    await client.post(f"/clusters/{cluster_id}:retire", platform.admin)
    return cluster_id


def _look_up(platform: Platform, team: Team) -> dict[str, str]:
    with psycopg.connect(platform.owner_url) as connection:
        found = {
            name: connection.execute(statement, [team.project_id]).fetchone()
            for name, statement in _IDS.items()
        }
    named = {name: str(row[0]) for name, row in found.items() if row is not None}
    assert set(named) == set(_IDS)
    return named


def run_body(ids: Mapping[str, str]) -> dict[str, Any]:
    """All that a submission may name."""
    return {
        "classification": "production",
        "pipeline": short_pipeline(train={"data": "data", "out": "model"}),
        "datasets": {"data": {"version_id": ids["version_id"]}},
        "code": {"repo_url": "https://git.example/a", "commit": COMMIT, "state": "claimed"},
        "environment_lock": {"id": ids["lock_id"]},
        "parameters": {"rate": 0.5, "nested": {"list": [1, "x", None, True]}},
        "labels": {"team": "risk"},
        "reason": "because",
        "ticket": "T-1",
    }


def bodies(ids: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """A fresh body for each operation that takes one; nothing in it was used before."""
    named = {"name": unique("thing")}
    return {
        "add_policy_version": {"document": policy()},
        "answer_question": {"text": "because"},
        "ask_question": {"text": "why?"},
        "bootstrap": named,
        "cancel_run": {"reason": "enough"},
        "check_pipeline": {"pipeline": short_pipeline()},
        "claim_attempt": {"order": "e30=", "signature": "e30="},
        "compare_plans": {
            "before": {"run_id": ids["run_id"]}, "after": {"run_id": ids["run_id"]},
        },
        "confirm_change": {"reason": "fine"},
        "create_dataset": named,
        "create_person": named,
        "create_policy": named,
        "create_project": {**named, "members": {"root": ["viewer"]}},
        "create_service_account": named,
        "decide": {"verdict": "approve", "plan_digest": DIGEST_C, "reason": "read it"},
        "declare_artifact": {
            "run_id": ids["run_id"], "name": "weights", "sha256": DIGEST_C, "size": 1,
        },
        "declare_dataset_version": {"manifest": manifest()},
        "declare_source": {"pack_sha256": DIGEST_C, "size": 1, "commit": COMMIT},
        "delegate": {
            "delegate": "nobody-else", "role": "reviewer", "until": "2026-01-31T00:00:00Z",
            "reason": "away",
        },
        "define_environment": {"environment": environment(named["name"])},
        "find_log_ends": {"attempt_ids": [ids["run_id"]]},
        "find_settled_attempts": {"attempt_ids": [ids["run_id"]]},
        "record_removal": {"removed": "job runs/one"},
        "record_secret_access": {
            "order_digest": DIGEST_C, "secrets": [{"name": "key", "secretRef": "team/key"}],
        },
        "grant_role": {"principal": "root", "role": "viewer"},
        "issue_own_token": {**named, "days": 1},
        "issue_person_token": {**named, "days": 1},
        "issue_service_token": {**named, "days": 1},
        "lock_environment": {"lock": lock()},
        "log_messages": {"messages": [{"message": "hello", "fields": {"a": 1}}]},
        "log_metrics": {"points": [{"name": "loss", "step_number": 1, "value": 0.5}]},
        "place_log_chunks": {
            "chunks": [{
                "attempt_id": ids["run_id"], "offset": 0, "size": 1, "sha256": DIGEST_C,
            }]
        },
        "preview_run": run_body(ids),
        "publish_policy": {"reason": "now"},
        "register_cluster": {
            **named, "executor": "noop", "runtime": "runc", "result_key": "0" * 64,
        },
        "register_pipeline": {"pipeline": short_pipeline()},
        "reject_change": {"reason": "no"},
        "request_step_uploads": {"objects": [{"sha256": DIGEST_C, "size": 1}]},
        "send_heartbeat": {"version": "1.0"},
        "set_mail_address": {"address": "somebody@people.test"},
        "set_capacity": {"limits": {"cpu": "64", "runs": 50}, "revision": 0, "reason": "fair"},
        "set_project_clusters": {"clusters": [], "revision": 0, "reason": "apart"},
        "set_quota": {"limits": {"cpu": "64", "runs": 50}, "revision": 0, "reason": "fair"},
        "submit_run": {
            **run_body(ids), "priority": "low",
            "trigger": {
                "system": "gitlab", "pipeline_url": "https://ci.example/7", "job": "train",
            },
        },
        "withdraw_decision": {"reason": "read again"},
        "withdraw_policy": {"reason": "now"},
    }  # fmt: skip
