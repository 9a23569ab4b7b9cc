"""Secrets in Vault: what is asked of it, how the agent signs in, and every way of its saying no."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from animus.adapters.secret_stores.vault import AppRoleLogin, KubernetesLogin, Login, VaultStore
from animus.domain.ids import ProjectId
from animus.domain.secrets import place_of
from animus.ports import SecretDenied, SecretMissing, SecretStoreUnavailable, SecretUnfit
from tests.unit.adapters.secret_stores.vaults import (
    ACCOUNT_TOKEN,
    ROLE,
    ROLE_ID,
    SECRET_ID,
    Vault,
    serving,
)

MINE, OTHERS = ProjectId(uuid4()), ProjectId(uuid4())
CANARY = "correct horse"
PLACE = place_of(MINE, "warehouse/password")
PATH = f"animus/{MINE}/warehouse/password"


@pytest.fixture
def vault() -> Iterator[Vault]:
    secrets = {PATH: {"value": CANARY}, f"animus/{OTHERS}/token": {"value": "others"}}
    with serving(Vault(secrets=secrets)) as vault:
        yield vault


@pytest.fixture
def login(tmp_path: Path) -> AppRoleLogin:
    (tmp_path / "secret-id").write_text(SECRET_ID + "\n")
    return AppRoleLogin(mount="approle", role_id=ROLE_ID, secret_id_file=tmp_path / "secret-id")


@asynccontextmanager
async def opened(vault: Vault, login: Login, **changes: Any) -> AsyncIterator[VaultStore]:
    said: dict[str, Any] = {"address": vault.url, "mount": "kv", "prefix": "animus"}
    store = VaultStore(login=login, **(said | changes))
    try:
        yield store
    finally:
        await store.close()


async def test_a_value_is_read_with_one_login(vault: Vault, login: AppRoleLogin) -> None:
    async with opened(vault, login) as store:
        values = [await store.read(PLACE) for _ in range(3)]
    assert {value.reveal() for value in values} == {CANARY.encode()}
    assert vault.logins == 1
    assert vault.asked == ["/v1/auth/approle/login", *[f"/v1/kv/data/{PATH}"] * 3]


async def test_the_agent_signs_in_as_its_service_account(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(ACCOUNT_TOKEN)
    login = KubernetesLogin(mount="north", role=ROLE, token_file=tmp_path / "token")
    async with opened(vault, login, namespace="teams/ml") as store:
        assert (await store.read(PLACE)).reveal() == CANARY.encode()
    assert vault.namespaces == {"teams/ml"}


async def test_a_token_that_expired_is_replaced(vault: Vault, login: AppRoleLogin) -> None:
    async with opened(vault, login) as store:
        await store.read(PLACE)
        vault.expire_tokens()
        values = await asyncio.gather(*(store.read(PLACE) for _ in range(8)))
    assert {value.reveal() for value in values} == {CANARY.encode()}
    assert vault.logins == 2


async def test_only_paths_of_the_project_are_asked_for(vault: Vault, login: AppRoleLogin) -> None:
    async with opened(vault, login) as store:
        for reference in ("token", f"{OTHERS}/token", f"animus/{OTHERS}/token"):
            with pytest.raises(SecretMissing):
                await store.read(place_of(MINE, reference))
    read = [path for path in vault.asked if "/data/" in path]
    assert len(read) == 3
    assert all(path.startswith(f"/v1/kv/data/animus/{MINE}/") for path in read)


async def test_a_secret_that_is_not_there_or_was_deleted_is_missing(
    vault: Vault, login: AppRoleLogin
) -> None:
    vault.deleted.add(PATH)
    async with opened(vault, login) as store:
        for reference in ("warehouse/password", "none"):
            with pytest.raises(SecretMissing, match="platform team"):
                await store.read(place_of(MINE, reference))


async def test_a_policy_that_denies_is_no_expired_token(vault: Vault, login: AppRoleLogin) -> None:
    vault.denied.add(PATH)
    async with opened(vault, login) as store:
        for logins in (1, 2):  # the second time it might be the token
            with pytest.raises(SecretDenied, match="policy of its role"):
                await store.read(PLACE)
            assert vault.logins == logins


@pytest.mark.parametrize("fields", [{}, {"value": 1}, {"value": {"a": CANARY}}, {"pass": CANARY}])
async def test_a_secret_without_a_text_as_its_value_is_unfit(
    vault: Vault, login: AppRoleLogin, fields: dict[str, Any]
) -> None:
    vault.secrets[PATH] = fields
    async with opened(vault, login) as store:
        with pytest.raises(SecretUnfit, match="field 'value'") as caught:
            await store.read(PLACE)
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        (429, {"errors": ["rate limit quota exceeded"]}), (500, {"errors": [CANARY]}),
        (502, b"<html>bad gateway</html>"), (200, CANARY.encode()), (200, {"data": CANARY}),
        (200, []), (307, {"errors": [CANARY]}), (400, {"errors": [CANARY]}),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_waited_for_and_not_quoted(
    vault: Vault, login: AppRoleLogin, fault: tuple[int, Any]
) -> None:
    async with opened(vault, login) as store:
        await store.read(PLACE)
        vault.fault = fault
        with pytest.raises(SecretStoreUnavailable) as caught:
            await store.read(PLACE)
        vault.fault = None
        assert (await store.read(PLACE)).reveal() == CANARY.encode()
    assert CANARY not in f"{caught.value!r} {caught.value.detail}"


async def test_a_sealed_vault_is_waited_for(vault: Vault, login: AppRoleLogin) -> None:
    vault.is_sealed = True
    async with opened(vault, login) as store:
        for _ in range(2):
            with pytest.raises(SecretStoreUnavailable, match="sealed"):
                await store.read(PLACE)
        vault.is_sealed = False
        assert (await store.read(PLACE)).reveal() == CANARY.encode()


async def test_a_vault_that_says_nothing_is_given_up_in_time(
    vault: Vault, login: AppRoleLogin
) -> None:
    vault.hangs = threading.Event()
    async with opened(vault, login, patience=0.05) as store:
        with pytest.raises(SecretStoreUnavailable):
            await store.read(PLACE)


async def test_a_vault_that_is_away_is_waited_for(login: AppRoleLogin) -> None:
    with serving(Vault()) as gone:
        pass
    async with opened(gone, login) as store:
        with pytest.raises(SecretStoreUnavailable):
            await store.read(PLACE)


async def test_a_wrong_credential_is_the_operators_to_mend(
    vault: Vault, login: AppRoleLogin
) -> None:
    async with opened(vault, login) as store:
        login.secret_id_file.write_text("another")
        with pytest.raises(SecretStoreUnavailable, match=r"agent\.secrets\.vault") as caught:
            await store.read(PLACE)
        assert "another" not in f"{caught.value!r} {caught.value.detail}"
        login.secret_id_file.unlink()
        with pytest.raises(SecretStoreUnavailable):
            await store.read(PLACE)
        login.secret_id_file.write_text(SECRET_ID)
        assert (await store.read(PLACE)).reveal() == CANARY.encode()


async def test_nothing_of_the_environment_is_obeyed(
    vault: Vault, login: AppRoleLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.from-the-environment")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with opened(vault, login) as store:
        assert (await store.read(PLACE)).reveal() == CANARY.encode()
    assert vault.logins == 1
