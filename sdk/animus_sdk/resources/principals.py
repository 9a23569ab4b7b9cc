"""Persons, tokens, who one is, and the first start of a platform."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.errors import AnimusError
from animus_sdk.resources.references import is_id, pick
from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import MailAddress, Principal, Token, WhoAmI

DEFAULT_DAYS = 90


class SecretLost(AnimusError):
    default_code = "secret_lost"


@dataclass(frozen=True, slots=True)
class Principals:
    _scope: Scope

    def bootstrap(self, token: str, *, name: str, display_name: str = "") -> Token:
        """Spend the one-time token of the first start: the first platform administrator."""
        body = {"name": name, "display_name": display_name}
        return self._scope.gateway.call(operations.BOOTSTRAP, Token, body=body, token=token)

    def who_am_i(self) -> WhoAmI:
        return self._scope.call(operations.WHO_AM_I, WhoAmI)

    def persons(self) -> list[Principal]:
        return self._scope.call(operations.LIST_PERSONS, list[Principal])

    def resolve_person(self, reference: str) -> Principal:
        candidates = ((found["id"], found["name"], found) for found in self.persons())
        return pick(candidates, reference, what="person", see="animus person list")

    def create_person(
        self, name: str, *, display_name: str = "", platform_admin: bool = False
    ) -> Principal:
        body = {"name": name, "display_name": display_name, "platform_admin": platform_admin}
        return self._scope.call(operations.CREATE_PERSON, Principal, body=body)

    def disable_person(self, principal_id: str) -> Principal:
        return self._scope.call(operations.DISABLE_PERSON, Principal, principal_id=principal_id)

    def mail_address(self, principal_id: str) -> MailAddress:
        return self._scope.call(operations.GET_MAIL_ADDRESS, MailAddress, principal_id=principal_id)

    def set_mail_address(self, principal_id: str, address: str | None) -> MailAddress:
        """None deletes it."""
        return self._scope.call(
            operations.SET_MAIL_ADDRESS,
            MailAddress,
            body={"address": address},
            principal_id=principal_id,
        )

    def issue_person_token(self, principal_id: str, *, name: str, days: int) -> Token:
        body = {"name": name, "days": days}
        return with_secret(
            self._scope.call(
                operations.ISSUE_PERSON_TOKEN, Token, body=body, principal_id=principal_id
            )
        )

    def tokens(self) -> list[Token]:
        """One's own, without their secrets."""
        return self._scope.call(operations.LIST_TOKENS, list[Token])

    def issue_token(self, *, name: str, days: int = DEFAULT_DAYS) -> Token:
        body = {"name": name, "days": days}
        return with_secret(self._scope.call(operations.ISSUE_TOKEN, Token, body=body))

    def revoke_token(self, reference: str) -> Token:
        """By id; one's own also by name or by the end of the id."""
        token_id = reference
        if not is_id(reference):
            own = ((t["id"], t["name"], t["id"]) for t in self.tokens() if not t["revoked_at"])
            token_id = pick(own, reference, what="token", see="animus token list")
        return self._scope.call(operations.REVOKE_TOKEN, Token, token_id=token_id)


def with_secret(token: Token) -> Token:
    """A token that was just made. Its secret is told once: a repeated request does not get it."""
    if token["secret"] is None:
        raise SecretLost(
            "The token was made, but the answer with its secret was lost on the way. Revoke it,"
            f" and make another: animus token revoke {token['id']}"
        )
    return token
