"""What the doctor says of a secret store: fit, or what to do; and never a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from animus.adapters.findings import Finding
from animus.adapters.secret_stores.age import AgeFile, AgeStore, make_identity
from animus.adapters.secret_stores.cluster import ClusterStore
from animus.adapters.secret_stores.examination import examine
from animus.adapters.secret_stores.vault import AppRoleLogin, VaultStore
from animus.ports import SecretStore
from tests.unit.adapters.kubernetes.api_servers import Said, client_of, refusal
from tests.unit.adapters.kubernetes.api_servers import serving as serving_cluster
from tests.unit.adapters.secret_stores.vaults import ROLE_ID, SECRET_ID, Vault, serving

CANARY = "correct horse"
Break = Callable[[AgeFile], None]


async def findings_of(store: SecretStore) -> list[Finding]:
    found = [finding async for finding in examine(store)]
    assert not any(CANARY in finding.said for finding in found)
    return found


def faults_in(found: list[Finding]) -> str:
    return " ".join(finding.said for finding in found if finding.is_fault)


@pytest.fixture
def file(tmp_path: Path) -> AgeFile:
    make_identity(tmp_path / "identity")
    file = AgeFile(file=tmp_path / "secrets.age", identity_file=tmp_path / "identity")
    file.write({"project": {"one": CANARY, "two": CANARY}})
    return file


async def test_a_file_that_can_be_read_is_fit_and_only_counted(file: AgeFile) -> None:
    found = await findings_of(AgeStore(content=file))
    assert faults_in(found) == ""
    assert "2 secrets of 1 projects" in found[-1].said


async def test_a_file_that_is_not_there_yet_is_no_fault(file: AgeFile) -> None:
    file.file.unlink()
    found = await findings_of(AgeStore(content=file))
    assert faults_in(found) == ""
    assert "animusd secrets set" in found[-1].said


def another_identity(file: AgeFile) -> None:
    file.identity_file.unlink()
    make_identity(file.identity_file)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda file: file.identity_file.unlink(), "identity"),
        (lambda file: file.identity_file.write_text("AGE-SECRET-KEY-1"), "one age identity"),
        (another_identity, "not encrypted for"),
        (lambda file: file.file.write_bytes(b"\0"), "not encrypted for"),
        (lambda file: file.identity_file.chmod(0o640), "chmod 600"),
    ],
)
async def test_what_is_wrong_with_a_file_is_said(file: AgeFile, broken: Break, said: str) -> None:
    broken(file)
    assert said in faults_in(await findings_of(AgeStore(content=file)))


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [(404, "NotFound", ""), (403, "Forbidden", "namespace runs"), (500, "Error", "answer")],
)
async def test_a_namespace_is_tried_with_the_agents_own_right(
    tmp_path: Path, status: int, reason: str, said: str
) -> None:
    def answer(_: object) -> Said:
        return refusal(status, reason, "no")

    with serving_cluster(answer) as server:
        store = ClusterStore(client=client_of(server.url, tmp_path))
        faults = faults_in(await findings_of(store))
    assert bool(faults) == bool(said)
    assert said in faults


@pytest.fixture
def vault() -> Iterator[Vault]:
    with serving(Vault(secrets={})) as vault:
        yield vault


@pytest.mark.parametrize(
    ("secret_id", "address", "said"),
    [
        (SECRET_ID, None, ""),
        ("another", None, "does not know the agent"),
        (SECRET_ID, "http://127.0.0.1:1", "does not answer"),
    ],
)
async def test_vault_is_asked_who_the_agent_is(
    vault: Vault, tmp_path: Path, secret_id: str, address: str | None, said: str
) -> None:
    (tmp_path / "secret-id").write_text(secret_id)
    login = AppRoleLogin(mount="approle", role_id=ROLE_ID, secret_id_file=tmp_path / "secret-id")
    store = VaultStore(address=address or vault.url, login=login, mount="kv", prefix="animus")
    try:
        faults = faults_in(await findings_of(store))
    finally:
        await store.close()
    assert bool(faults) == bool(said)
    assert said in faults
