"""What a Job's objects say of its attempt, read from the cluster's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from animus.adapters.kubernetes.manifests import FETCH, MAIN
from animus.domain.canonical import JsonObject
from animus.ports import ExecutionPhase


@dataclass(frozen=True, slots=True)
class ContainerSighting:
    """One container's status; empty where the kubelet has said nothing yet."""

    raw: JsonObject

    @property
    def has_ended(self) -> bool:
        return self._terminated is not None

    @property
    def is_running(self) -> bool:
        return "running" in self._state

    @property
    def exit_code(self) -> int | None:
        ended = self._terminated
        return int(ended["exitCode"]) if ended is not None else None

    @property
    def reason(self) -> str:
        """Why it waits or ended, in the kubelet's word."""
        state = self._terminated or self._state.get("waiting") or {}
        return str(state.get("reason") or "")

    @property
    def said(self) -> str:
        """The kubelet's sentence beside the reason, or the container's termination message."""
        state = self._terminated or self._state.get("waiting") or {}
        return str(state.get("message") or "")

    @property
    def started_at(self) -> datetime | None:
        ended = self._terminated or self._state.get("running") or {}
        return _time(ended.get("startedAt"))

    @property
    def finished_at(self) -> datetime | None:
        return _time((self._terminated or {}).get("finishedAt"))

    @property
    def image_digest(self) -> str:
        """Of the image that runs, as the kubelet names it: its index, manifest or config."""
        found = str(self.raw.get("imageID") or "")
        digest = found.rpartition("@")[2].rpartition("//")[2]
        return digest if digest.startswith("sha256:") else ""

    @property
    def _state(self) -> JsonObject:
        state: JsonObject = self.raw.get("state") or {}
        return state

    @property
    def _terminated(self) -> JsonObject | None:
        """Its end: of a sidecar that was started again, its first would be in `lastState`."""
        found: JsonObject | None = self._state.get("terminated")
        return found


@dataclass(frozen=True, slots=True)
class PodSighting:
    raw: JsonObject

    @property
    def name(self) -> str:
        return str(self.raw["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.raw["metadata"].get("labels") or {})

    @property
    def has_ended(self) -> bool:
        """Whether all of its containers have, for good."""
        return self._status.get("phase") in ("Succeeded", "Failed")

    @property
    def reason(self) -> str:
        return str(self._status.get("reason") or "")

    @property
    def said(self) -> str:
        return str(self._status.get("message") or "")

    @property
    def is_being_deleted(self) -> bool:
        return "deletionTimestamp" in self.raw["metadata"]

    @property
    def unschedulable(self) -> str:
        """Why no node takes it, in the scheduler's words; empty where it says nothing."""
        for condition in self._status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return str(condition.get("message") or condition.get("reason") or "unschedulable")
        return ""

    @property
    def phase(self) -> ExecutionPhase:
        if self.container(MAIN).has_ended:
            return ExecutionPhase.COLLECT
        if self.container(MAIN).is_running or self.container(FETCH).exit_code == 0:
            return ExecutionPhase.MAIN
        return ExecutionPhase.FETCH

    def container(self, name: str) -> ContainerSighting:
        kind = "containerStatuses" if name == MAIN else "initContainerStatuses"
        for status in self._status.get(kind) or ():
            if status.get("name") == name:
                return ContainerSighting(status)
        return ContainerSighting({})

    @property
    def _status(self) -> JsonObject:
        status: JsonObject = self.raw.get("status") or {}
        return status


@dataclass(frozen=True, slots=True)
class JobSighting:
    raw: JsonObject

    @property
    def has_ended(self) -> bool:
        return self._has("Failed") or self._has("Complete")

    @property
    def is_suspended(self) -> bool:
        return bool((self.raw.get("spec") or {}).get("suspend"))

    @property
    def makes_no_pod(self) -> bool:
        """If it has none now, it never will."""
        return self.has_ended or self.is_suspended or self.is_being_deleted

    @property
    def is_being_deleted(self) -> bool:
        return "deletionTimestamp" in self.raw["metadata"]

    def _has(self, condition: str) -> bool:
        conditions = (self.raw.get("status") or {}).get("conditions") or ()
        return any(c.get("type") == condition and c.get("status") == "True" for c in conditions)


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None
