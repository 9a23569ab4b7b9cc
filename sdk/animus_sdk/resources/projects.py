"""Projects, roles on them, changes that need a second person, service accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from animus_sdk.resources.principals import with_secret
from animus_sdk.resources.references import is_id, pick
from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.wire import operations
from animus_sdk.wire.views import (
    Change,
    Principal,
    Project,
    ProjectClusters,
    RoleBinding,
    Token,
)

ROLES = ("viewer", "editor", "reviewer", "admin", "auditor")


@dataclass(frozen=True, slots=True)
class Projects:
    _scope: Scope

    def all(self) -> Iterator[Project]:
        """Those on which one holds a role; for a platform administrator all."""
        after = None
        while True:
            query = {"after": after, "limit": PAGE}
            page = self._scope.call(operations.LIST_PROJECTS, list[Project], query=query)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1]["id"]

    def create(
        self,
        name: str,
        *,
        description: str = "",
        allows_production: bool = True,
        members: Mapping[str, Sequence[str]] | None = None,
    ) -> Project:
        body = {
            "name": name,
            "description": description,
            "allows_production": allows_production,
            "members": {member: list(roles) for member, roles in (members or {}).items()},
        }
        return self._scope.call(operations.CREATE_PROJECT, Project, body=body)

    def clusters(self, project_id: str) -> ProjectClusters:
        """Those that its runs may use."""
        return self._scope.gateway.call(
            operations.GET_PROJECT_CLUSTERS, ProjectClusters, path={"project_id": project_id}
        )

    def set_clusters(
        self, project_id: str, clusters: Sequence[str] | None, *, revision: int, reason: str
    ) -> ProjectClusters:
        """All of them by name, None for every cluster; `revision` is the one that was seen."""
        names = None if clusters is None else list(clusters)
        return self._scope.gateway.call(
            operations.SET_PROJECT_CLUSTERS,
            ProjectClusters,
            path={"project_id": project_id},
            body={"clusters": names, "revision": revision, "reason": reason},
        )

    def resolve(self, reference: str) -> Project:
        """By id, by name, or by the end of its id."""
        if is_id(reference):
            return self._scope.gateway.call(
                operations.GET_PROJECT, Project, path={"project_id": reference}
            )
        candidates = ((found["id"], found["name"], found) for found in self.all())
        return pick(candidates, reference, what="project", see="animus project list")


@dataclass(frozen=True, slots=True)
class Roles:
    _scope: Scope

    def all(self) -> list[RoleBinding]:
        return self._scope.call(operations.LIST_ROLES, list[RoleBinding])

    def grant(self, principal: str, role: str, *, reason: str = "") -> Change:
        """Applied at once, or pending until a second person confirms it."""
        body = {"principal": principal, "role": role, "reason": reason}
        return self._scope.call(operations.GRANT_ROLE, Change, body=body)

    def find(self, principal: str, role: str) -> RoleBinding | None:
        matching = (b for b in self.all() if (b["principal"], b["role"]) == (principal, role))
        return next(matching, None)

    def revoke(self, binding_id: str) -> RoleBinding:
        return self._scope.call(operations.REVOKE_ROLE, RoleBinding, binding_id=binding_id)


@dataclass(frozen=True, slots=True)
class Changes:
    _scope: Scope

    def all(self) -> list[Change]:
        return self._scope.call(operations.LIST_CHANGES, list[Change])

    def resolve(self, reference: str) -> Change:
        if is_id(reference):
            return self._scope.call(operations.GET_CHANGE, Change, change_id=reference)
        candidates = ((found["id"], "", found) for found in self.all())
        return pick(candidates, reference, what="change", see="animus change list")

    def confirm(self, change_id: str, *, reason: str = "") -> Change:
        """Be the second person: the change is applied."""
        body = {"reason": reason}
        return self._scope.call(operations.CONFIRM_CHANGE, Change, body=body, change_id=change_id)

    def reject(self, change_id: str, *, reason: str = "") -> Change:
        body = {"reason": reason}
        return self._scope.call(operations.REJECT_CHANGE, Change, body=body, change_id=change_id)


@dataclass(frozen=True, slots=True)
class ServiceAccounts:
    _scope: Scope

    def all(self) -> list[Principal]:
        return self._scope.call(operations.LIST_SERVICE_ACCOUNTS, list[Principal])

    def create(
        self, name: str, *, display_name: str = "", accountable: str | None = None
    ) -> Principal:
        """`accountable` is the person who answers for it; who creates it, if nobody is named."""
        body: dict[str, object] = {"name": name, "display_name": display_name}
        if accountable is not None:
            body["accountable"] = accountable
        return self._scope.call(operations.CREATE_SERVICE_ACCOUNT, Principal, body=body)

    def resolve(self, reference: str) -> Principal:
        candidates = ((found["id"], found["name"], found) for found in self.all())
        return pick(
            candidates, reference, what="service account", see="animus service-account list"
        )

    def issue_token(self, principal_id: str, *, name: str, days: int) -> Token:
        body = {"name": name, "days": days}
        return with_secret(
            self._scope.call(
                operations.ISSUE_SERVICE_TOKEN, Token, body=body, principal_id=principal_id
            )
        )
