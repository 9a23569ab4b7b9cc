"""Who one is for the gateway: the token, how long it is good, and the roles on the project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from animus_sdk.client import Client
from animus_sdk.doctor.findings import Finding, fault, note, ok
from animus_sdk.doctor.gateways import compare_versions
from animus_sdk.errors import AnimusError, NotSignedIn
from animus_sdk.printable import printable
from animus_sdk.wire.clocks import Reading
from animus_sdk.wire.views import Token, WhoAmI

HINT_LENGTH = 12
"""So much of a token the gateway keeps, for recognising it in a list."""
SOON = timedelta(days=7)
_KINDS = {"anmp": "a person's", "anms": "a service account's"}
"""By how a token begins."""
_SIGN_IN = "Sign in: animus login"


@dataclass(slots=True)
class AccountExamination:
    client: Client
    clock: Reading | None
    """The gateway's, by which tokens end."""
    has_project: bool = False

    def examine(self) -> Iterator[Finding]:
        try:
            me = self.client.principals.who_am_i()
        except NotSignedIn:
            yield fault("token", "You are not signed in here.", todo=_SIGN_IN)
            return
        except AnimusError as error:
            source = printable(self.client.settings.token_from)
            yield fault("token", f"{error.message} The token is from {source}.", todo=_SIGN_IN)
            return
        yield from self._examine_token(me)
        yield from compare_versions(_text(me, "server_version"))
        yield from self._examine_project(me)

    def _examine_token(self, me: WhoAmI) -> Iterator[Finding]:
        said = self.client.settings.auth_token or ""
        kind = _KINDS.get(said[:4], "some other")
        who = f"You are {printable(me['name'])}, by {kind} token"
        token = self._find_own(said)
        if token is None:
            yield ok("token", f"{who}.")
            return
        ends = datetime.fromisoformat(token["expires_at"].replace("Z", "+00:00"))
        left = ends - self._now()
        words = f"{who} that ends on {ends:%Y-%m-%d %H:%M} UTC"
        if left > SOON:
            yield ok("token", f"{words}.")
        else:
            todo = "Make another before: animus token create; then animus login"
            yield note("token", f"{words}, in {max(0, left.days)} days.", todo=todo)

    def _find_own(self, said: str) -> Token | None:
        try:
            tokens = self.client.principals.tokens()
        except AnimusError:
            return None  # it is good for something else
        return next((one for one in tokens if one["hint"] == said[:HINT_LENGTH]), None)

    def _now(self) -> datetime:
        ahead = self.clock.ahead if self.clock is not None else timedelta(0)
        return datetime.now(timezone.utc) + ahead

    def _examine_project(self, me: WhoAmI) -> Iterator[Finding]:
        if self.client.settings.project is None:
            yield note(
                "project", "No project is chosen.", todo="Choose one: animus project use NAME"
            )
            return
        name = printable(self.client.settings.project)
        try:
            bindings = self.client.roles.all()
        except AnimusError as error:
            yield fault(
                "project",
                f"Project {name}: {error.message}",
                todo="See which there are for you: animus project list",
            )
            return
        held = sorted(one["role"] for one in bindings if one["principal_id"] == me["principal_id"])
        self.has_project = bool(held)
        if held:
            yield ok("project", f"In project {name} you are {' and '.join(held)}.")
        else:
            yield note(
                "project",
                f"In project {name} you hold no role.",
                todo="Ask an administrator of the project for one: animus role grant",
            )


def _text(document: WhoAmI, key: str) -> str | None:
    value = dict(document).get(key)
    return value if isinstance(value, str) else None
