"""Bodies and views of principals, tokens, projects, roles and changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from animus.domain.access import Actor, PrincipalKind, Role
from animus.domain.agents import AgentState
from animus.domain.tokens import TokenKind
from animus.services.changes import ChangeKind, ChangeState
from animus.services.principals import IssuedToken
from api.schemas.fields import Body, Name, Sentence, View
from api.versions import SERVER_VERSION

MAX_CLUSTERS = 1_000
TokenDays = Annotated[int, Field(ge=1, le=365, strict=True)]


class Bootstrap(Body):
    name: Name
    display_name: Sentence = ""


class CreatePerson(Body):
    name: Name
    display_name: Sentence = ""
    platform_admin: Annotated[bool, Field(strict=True)] = False


class SetMailAddress(Body):
    address: Annotated[str, Field(max_length=254)] | None
    """Null deletes it."""


class MailAddressOut(View):
    person_id: UUID
    name: str
    address: str | None


class CreateServiceAccount(Body):
    name: Name
    display_name: Sentence = ""
    accountable: Name | None = None
    """The person who answers for it; who creates it, if nobody is named."""


class IssueToken(Body):
    name: Name
    days: TokenDays = 90


class PrincipalOut(View):
    id: UUID
    kind: PrincipalKind
    name: str
    display_name: str
    person_id: UUID
    project_id: UUID | None
    platform_admin: bool
    created_at: datetime
    disabled_at: datetime | None


class TokenOut(View):
    id: UUID
    principal_id: UUID
    kind: TokenKind
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    secret: str | None = None
    """There once, in the answer that made it; a repeated request does not show it again."""

    @classmethod
    def issued(cls, issued: IssuedToken) -> TokenOut:
        return cls.model_validate(issued.view).model_copy(update={"secret": issued.secret})


class WhoAmI(View):
    principal_id: UUID
    person_id: UUID
    kind: PrincipalKind
    name: str
    platform_admin: bool
    server_version: str
    """Of the control plane, for clients that compare it with their own."""

    @classmethod
    def of(cls, actor: Actor) -> Self:
        return cls(
            principal_id=actor.principal_id,
            person_id=actor.person_id,
            kind=actor.kind,
            name=actor.name,
            platform_admin=actor.platform_admin,
            server_version=SERVER_VERSION,
        )


class CreateProject(Body):
    name: Name
    description: Sentence = ""
    allows_production: Annotated[bool, Field(strict=True)] = True
    members: Annotated[
        dict[Name, Annotated[list[Role], Field(max_length=5)]], Field(max_length=200)
    ] = {}
    """First members by name, with their roles."""


class ProjectOut(View):
    id: UUID
    name: str
    description: str
    allows_production: bool
    created_by: UUID
    created_at: datetime


class GrantRole(Body):
    principal: Name
    role: Role
    reason: Sentence = ""


class BindingOut(View):
    id: UUID
    principal_id: UUID
    principal: str
    kind: PrincipalKind
    role: Role
    created_at: datetime


class DecideChange(Body):
    reason: Sentence = ""


class ChangeOut(View):
    id: UUID
    kind: ChangeKind
    subject: dict[str, Any]
    reason: str
    state: ChangeState
    requested_by: UUID
    requester_person_id: UUID
    created_at: datetime
    expires_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None


class RegisterCluster(Body):
    name: Name
    executor: Annotated[str, Field(pattern="^(container|kubernetes|noop)$")]
    runtime: Name
    host: Annotated[str, Field(max_length=253, pattern="^[A-Za-z0-9.-]*$")] = ""
    result_key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """The agent's Ed25519 public key, raw, in hexadecimal."""
    gives_secrets: bool = False
    """Whether the agent has a secret store; else plans that reference secrets are denied."""
    switches_egress: bool = False
    """Whether steps have not the network of fetch and collect: by the agent's settings and the
    cluster's network policies. Else runs carry the limitation `egress_shared`."""


class AgentOut(View):
    state: AgentState
    seen_at: datetime | None
    """When it was last heard of; null if never."""
    version: str | None


class ClusterOut(View):
    id: UUID
    name: str
    executor: str
    runtime: str
    host: str
    gives_secrets: bool
    switches_egress: bool
    principal_id: UUID
    result_key_id: str
    created_at: datetime
    retired_at: datetime | None
    agent: AgentOut | None
    """Null of a retired cluster: its agent is not heard."""


class SetProjectClustersIn(Body):
    clusters: Annotated[list[Name], Field(max_length=MAX_CLUSTERS)] | None
    """All that the project may use, by name; null for every cluster, those to come too."""
    revision: Annotated[int, Field(ge=0, le=2**31 - 2)]
    """The one you saw: if another is in force by now, nothing is set."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class ProjectClustersOut(View):
    revision: int
    clusters: list[str] | None
    """Null: every cluster."""
    reason: str
    set_by: UUID | None
    set_at: datetime | None


class RegisteredCluster(View):
    cluster: ClusterOut
    token: TokenOut
