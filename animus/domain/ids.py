"""The names of identities. Every entity id is a UUIDv7; each has a type of its own."""

from __future__ import annotations

from typing import NewType
from uuid import UUID, uuid5

ProjectId = NewType("ProjectId", UUID)
PrincipalId = NewType("PrincipalId", UUID)
PersonId = NewType("PersonId", UUID)
TokenId = NewType("TokenId", UUID)
BindingId = NewType("BindingId", UUID)
ChangeId = NewType("ChangeId", UUID)
DatasetId = NewType("DatasetId", UUID)
DatasetVersionId = NewType("DatasetVersionId", UUID)
EnvironmentId = NewType("EnvironmentId", UUID)
LockId = NewType("LockId", UUID)
PolicyId = NewType("PolicyId", UUID)
PolicyVersionId = NewType("PolicyVersionId", UUID)
RunId = NewType("RunId", UUID)
GateId = NewType("GateId", UUID)
DecisionId = NewType("DecisionId", UUID)
QuestionId = NewType("QuestionId", UUID)
DelegationId = NewType("DelegationId", UUID)
AttemptId = NewType("AttemptId", UUID)
ArtifactId = NewType("ArtifactId", UUID)
UploadId = NewType("UploadId", UUID)
SourceId = NewType("SourceId", UUID)
ClusterId = NewType("ClusterId", UUID)
EventId = NewType("EventId", UUID)

_EFFECTS = UUID("6f1c1f0e-6c7b-5d0a-9a53-0d6f5f9c2b11")


def effect_event_id(*parts: str | int | UUID) -> EventId:
    """The deterministic id of the audit event of an effect, so that repeating cannot double it.

    `parts` name the effect completely, e.g. ("run", run_id, "planned", generation).
    """
    return EventId(uuid5(_EFFECTS, "/".join(str(part) for part in parts)))
