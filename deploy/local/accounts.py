"""Accounts on a local stack: an administrator, an engineer and a reviewer, each with a token.

Kept in one file with mode 0600 beside the stack's other secrets, so that a second start finds
them. Persons and tokens are made through the api, as an administrator would.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.embedded.accounts import caller
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private

_LOST = (
    "If this stack was killed in its very first seconds, its administrator's token is lost, and "
    "there is nothing on it yet: make demo-down PURGE=1, then start it again."
)
PERSONS = ("engineer", "reviewer")
TOKEN_DAYS = 90
TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    admin: str
    engineer: str
    reviewer: str

    def token_of(self, name: str) -> str:
        return str(asdict(self)[name])


class Gateway:
    """The few api calls that make accounts; everything else the demo does through the CLI."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/api/v1", timeout=TIMEOUT, headers={"Authorization": f"Bearer {token}"}
        )

    def get(self, path: str) -> Any:
        return _answer(self._http.get(path))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return _answer(self._http.post(path, json=body))

    def close(self) -> None:
        self._http.close()


def _answer(response: httpx.Response) -> Any:
    if response.is_error:
        problem = response.json()
        raise StackError(f"{problem.get('detail')} ({problem.get('code')})")
    return response.json()


def read_accounts(file: Path) -> Accounts | None:
    if not file.exists():
        return None
    return Accounts(**json.loads(file.read_text()))


def make_accounts(url: str, admin_token: str) -> Accounts:
    """The demo's persons with a token each; those that are there already are used."""
    gateway = Gateway(url, admin_token)
    try:
        known = {person["name"]: person["id"] for person in gateway.get("/principals")}
        tokens = {}
        for name in PERSONS:
            if name not in known:
                known[name] = gateway.post("/principals", {"name": name})["id"]
            issued = {"name": "demo", "days": TOKEN_DAYS}
            tokens[name] = gateway.post(f"/principals/{known[name]}/tokens", issued)["secret"]
        return Accounts(admin=admin_token, **tokens)
    finally:
        gateway.close()


def bootstrap(url: str, token: str) -> str:
    """Spend the one-time token of a new stack; the administrator's own token."""
    gateway = Gateway(url, token)
    try:
        return str(gateway.post("/bootstrap", {"name": "admin"})["secret"])
    except StackError as error:
        raise StackError(f"{error} {_LOST}") from None
    finally:
        gateway.close()


def register_cluster(gateway: Gateway, body: Mapping[str, Any]) -> str:
    """Its agent's token."""
    return str(gateway.post("/clusters", body)["token"]["secret"])


def find_agent_token(gateway: Gateway, name: str) -> str | None:
    """Another token for the agent of a cluster that was registered before: the first is lost."""
    known = [each for each in gateway.get("/clusters") if each["name"] == name]
    if not known:
        return None
    issued = {"name": "agent", "days": TOKEN_DAYS}
    path = f"/principals/{known[0]['principal_id']}/tokens"
    return str(gateway.post(path, issued)["secret"])


def keep_accounts(file: Path, accounts: Accounts) -> None:
    write_private(file, json.dumps(asdict(accounts)), owner=caller())
