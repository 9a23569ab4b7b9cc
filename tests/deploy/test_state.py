"""What a stack keeps on disk, who may read it, and what each process is told."""

from __future__ import annotations

import os
import pwd
import stat
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from deploy.embedded.accounts import Account
from deploy.embedded.configuration import StackConfig
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from tests.deploy.conftest import OpenStack
from tests.deploy.fakes import eventually, log_of, shell, sleeper

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="other users exist for root only")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def settings_of(stack: Stack, process: str) -> dict[str, Any]:
    return tomllib.loads((stack.layout.settings / f"{process}.toml").read_text())


def test_secrets_can_be_read_by_their_owner_alone(open_stack: OpenStack) -> None:
    stack = open_stack()
    files = list(stack.layout.secrets.iterdir())
    assert len(files) == 8
    assert mode_of(stack.layout.secrets) == 0o700
    assert {mode_of(file) for file in files} == {0o600}
    assert len({file.read_text() for file in files}) == len(files)


def test_secrets_are_the_same_at_the_next_start_and_other_in_another_stack(
    open_stack: OpenStack,
) -> None:
    first = open_stack()
    kept = first.site.credentials
    first.close()
    assert open_stack().site.credentials == kept
    assert open_stack(state="other").site.credentials != kept


def test_no_file_of_the_state_can_be_read_by_others(open_stack: OpenStack) -> None:
    stack = open_stack(sleeper("one"))
    stack.start()
    files = [path for path in stack.layout.state.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if mode_of(path) & 0o077] == []


def test_only_its_own_user_reads_the_settings_of_a_process(open_stack: OpenStack) -> None:
    stack = open_stack()
    accounts = stack.site.accounts
    expected = {"api": Account.SERVICES, "worker": Account.SERVICES, "agent": Account.ENGINE}
    for process, account in expected.items():
        found = (stack.layout.settings / f"{process}.toml").stat()
        assert found.st_uid == accounts.owner_of(account).uid
        assert stat.S_IMODE(found.st_mode) == 0o600


def test_the_api_knows_no_temporal_and_the_agent_neither_database_nor_store(
    open_stack: OpenStack,
) -> None:
    stack = open_stack()
    assert settings_of(stack, "api").keys() == {"api", "database", "object_store"}
    assert settings_of(stack, "agent").keys() == {"agent", "temporal"}
    text = (stack.layout.settings / "agent.toml").read_text()
    secrets = [file.read_text() for file in stack.layout.secrets.iterdir()]
    assert not any(secret in text for secret in secrets)


def test_each_process_has_a_database_role_of_its_own(open_stack: OpenStack) -> None:
    stack = open_stack()
    urls = {
        "api": settings_of(stack, "api")["database"]["url"],
        "reader": settings_of(stack, "api")["database"]["reader_url"],
        "worker": settings_of(stack, "worker")["database"]["url"],
    }
    passwords = settings_of(stack, "migrate")["migrate"]["role_passwords"]
    port = stack.config.ports.postgres
    for name, url in urls.items():
        role = f"animus_{name}"
        assert url == f"postgresql://{role}:{passwords[role]}@127.0.0.1:{port}/animus"


def test_the_keys_fit_and_each_signer_keeps_its_own(open_stack: OpenStack) -> None:
    stack = open_stack()
    worker, agent = settings_of(stack, "worker")["worker"], settings_of(stack, "agent")["agent"]
    for private, public in (
        (worker["work_order_key_file"], agent["work_order_public_key_file"]),
        (agent["key_file"], stack.layout.keys / "agent.pub"),
    ):
        key: Any = load_pem_private_key(Path(private).read_bytes(), password=None)
        verifier: Any = load_pem_public_key(Path(public).read_bytes())
        verifier.verify(key.sign(b"order"), b"order")


def test_overrides_reach_one_process_alone(tmp_path: Path) -> None:
    config = StackConfig(state=tmp_path / "state", ports=free_ports())
    config = replace(config, overrides={"agent": {"agent": {"executor": "noop"}}})
    with Stack(config, services=()) as stack:
        assert settings_of(stack, "agent")["agent"]["executor"] == "noop"
        assert settings_of(stack, "agent")["agent"]["cluster"] == "local"
        assert "executor" not in str(settings_of(stack, "worker"))
        assert StackConfig.from_json(config.state, config.to_json()) == config


@as_root
def test_services_run_without_any_privilege(open_stack: OpenStack) -> None:
    stack = open_stack(shell("one", "id -un; groups; cat /proc/self/status; exec sleep 1000"))
    stack.start()
    eventually(lambda: "NoNewPrivs" in log_of(stack, "one"))
    log = log_of(stack, "one")
    assert log.splitlines()[:2] == ["animus", "animus"]
    facts = dict(line.split(":\t", 1) for line in log.splitlines() if ":\t" in line)
    assert facts["NoNewPrivs"] == "1"
    assert {int(facts[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}


@as_root
def test_the_agent_keeps_root_and_its_directory_to_itself(open_stack: OpenStack) -> None:
    stack = open_stack(
        shell("agent", "id -un; exec sleep 1000", account=Account.ENGINE),
        shell("api", f"ls {stack_agent(open_stack)}; exec sleep 1000"),
    )
    stack.start()
    eventually(lambda: log_of(stack, "agent") and log_of(stack, "api"))
    assert log_of(stack, "agent") == "root\n"
    assert "Permission denied" in log_of(stack, "api")


def stack_agent(open_stack: OpenStack) -> Path:
    """The agent's directory of the state that the next stack of this test uses."""
    first = open_stack()
    first.close()
    return first.layout.data("agent")


@as_root
def test_nothing_a_service_owns_lies_where_root_writes(open_stack: OpenStack) -> None:
    stack = open_stack()
    service_uid = pwd.getpwnam(stack.site.accounts.services.name).pw_uid
    written_by_root = [
        stack.layout.state,
        stack.layout.settings,
        stack.layout.keys,
        stack.layout.logs,
        stack.layout.running,
    ]
    assert service_uid not in {path.stat().st_uid for path in written_by_root}
