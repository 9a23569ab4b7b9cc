"""A local platform whose first start is killed in between is settled by the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.local import accounts, platform
from deploy.local.accounts import PERSONS, Gateway
from deploy.local.platform import accounts_file, settle

pytestmark = pytest.mark.stack

EXECUTOR, RUNTIME = "noop", "none"


class Killed(BaseException):
    """Nothing that comes after it is done."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    build_servers(console=Console())
    state = tmp_path_factory.mktemp("settling") / "state"
    with Stack(StackConfig(state=state, ports=free_ports())) as stack:
        stack.start(["api"])
        yield stack


def kill_after(
    monkeypatch: pytest.MonkeyPatch, stack: Stack, place: object, name: str, *, calls: int = 1
) -> None:
    """Settle until something has been done so often, and no further."""
    real, done = getattr(place, name), 0

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal done
        answer = real(*arguments, **named)
        done += 1
        if done == calls:
            raise Killed
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(place, name, deadly)
        with pytest.raises(Killed):
            settle(stack.config, executor=EXECUTOR, runtime=RUNTIME)


def test_a_first_start_that_is_killed_anywhere_is_mended_by_the_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_after(monkeypatch, stack, platform, "write_private")  # the administrator's token is kept
    for calls in range(1, 2 * len(PERSONS) + 1):  # each person and each token of one
        kill_after(monkeypatch, stack, Gateway, "post", calls=min(calls, len(PERSONS)))
    kill_after(monkeypatch, stack, platform, "keep_accounts")
    kill_after(monkeypatch, stack, platform, "register_cluster")
    kill_after(monkeypatch, stack, platform, "find_agent_token")
    settled = settle(stack.config, executor=EXECUTOR, runtime=RUNTIME)
    assert settle(stack.config, executor=EXECUTOR, runtime=RUNTIME) == settled
    url = stack.site.addresses.api
    for name in ("admin", *PERSONS):
        assert said_by(url, settled.token_of(name), "/whoami")["name"] == name
    (cluster,) = said_by(url, settled.admin, "/clusters")
    token = (stack.layout.data("agent") / "api-token").read_text()
    assert said_by(url, token, "/whoami")["principal_id"] == cluster["principal_id"]
    names = [each["name"] for each in said_by(url, settled.admin, "/principals")]
    assert sorted(name for name in names if name in PERSONS) == sorted(PERSONS)
    kept = {file.name for file in Path(accounts_file(stack.config.state)).parent.iterdir()}
    assert "first-admin-token" not in kept


def said_by(url: str, token: str, path: str) -> Any:
    gateway = accounts.Gateway(url, token)
    try:
        return gateway.get(path)
    finally:
        gateway.close()
