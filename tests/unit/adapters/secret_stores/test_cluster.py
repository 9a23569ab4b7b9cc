"""Secrets as Kubernetes Secrets: one namespace, a project's id before every name."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from animus.adapters.secret_stores.cluster import ClusterStore
from animus.domain.ids import ProjectId
from animus.domain.secrets import place_of
from animus.ports import SecretDenied, SecretMissing, SecretStoreUnavailable, SecretUnfit
from tests.unit.adapters.kubernetes.api_servers import Asked, Said, client_of, refusal, serving

MINE = ProjectId(uuid4())
CANARY = b"correct horse"


def answer(asked: Asked) -> Said:
    if asked.path == f"/api/v1/namespaces/runs/secrets/{MINE}.warehouse":
        data = {"password": b64encode(CANARY).decode(), "value": b64encode(b"v").decode()}
        return Said(body=orjson.dumps({"kind": "Secret", "data": data}))
    return refusal(404, "NotFound", "not found")


async def test_a_reference_is_a_secret_of_the_project_and_its_key(tmp_path: Path) -> None:
    with serving(answer) as server:
        store = ClusterStore(client=client_of(server.url, tmp_path))
        assert (await store.read(place_of(MINE, "warehouse/password"))).reveal() == CANARY
        assert (await store.read(place_of(MINE, "warehouse"))).reveal() == b"v"
        for reference in ("warehouse/other", "token"):
            with pytest.raises(SecretMissing, match="platform team"):
                await store.read(place_of(MINE, reference))


async def test_whatever_is_referenced_only_objects_of_the_project_are_asked_for(
    tmp_path: Path,
) -> None:
    other = ProjectId(uuid4())
    with serving(answer) as server:
        store = ClusterStore(client=client_of(server.url, tmp_path))
        for reference in (f"{MINE}.warehouse", "a/b/c", "Upper", "under_score", "a.b", "x" * 64):
            with pytest.raises(SecretUnfit, match="secretRef"):
                await store.read(place_of(other, reference))
        for reference in (f"{MINE}", f"{MINE}/warehouse", "warehouse"):
            with pytest.raises(SecretMissing):
                await store.read(place_of(other, reference))
    assert all(f"/secrets/{other}." in asked.path for asked in server.asked)


async def test_a_right_that_the_agent_lacks_is_said(tmp_path: Path) -> None:
    with serving(lambda _: refusal(403, "Forbidden", "cannot get")) as server:
        store = ClusterStore(client=client_of(server.url, tmp_path))
        with pytest.raises(SecretDenied, match="namespace runs"):
            await store.read(place_of(MINE, "warehouse"))


@pytest.mark.parametrize(
    "said", [refusal(500, "InternalError", "etcd"), Said(body=b"{"),
             Said(body=orjson.dumps({"data": {"value": "no base64!"}}))],
)  # fmt: skip
async def test_a_cluster_that_does_not_answer_is_waited_for(tmp_path: Path, said: Said) -> None:
    with serving(lambda _: said) as server:
        store = ClusterStore(client=client_of(server.url, tmp_path))
        with pytest.raises(SecretStoreUnavailable):
            await store.read(place_of(MINE, "warehouse"))
