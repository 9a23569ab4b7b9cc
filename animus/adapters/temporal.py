"""Temporal as the place where runs' workflows live; and what of failures may enter a history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from animus.contracts.notifications import (
    NOTIFICATIONS_ID,
    NOTIFICATIONS_WORKFLOW,
    NotificationsRef,
)
from animus.contracts.queues import QUEUE_ID, QUEUE_WORKFLOW, QueueRef
from animus.contracts.runs import CONTROL_QUEUE, WAKE, WORKFLOW, RunRef
from animus.domain.errors import Unavailable
from animus.domain.ids import RunId
from animus.ports import RunWorkflows, WorkflowStatus, WorkflowSubject

PROJECT = SearchAttributeKey.for_keyword("AnimusProject")
STATE = SearchAttributeKey.for_keyword("AnimusState")
CLASSIFICATION = SearchAttributeKey.for_keyword("AnimusClassification")
REQUESTER = SearchAttributeKey.for_keyword("AnimusRequester")

_STATUSES = {
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING: WorkflowStatus.RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED: WorkflowStatus.TERMINATED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED: WorkflowStatus.CANCELED,
}


class CodesOnly(DefaultFailureConverter):
    """Failures in a history say their type and nothing else: messages may hold private detail."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(exception, payload_converter, failure)
        part: Failure | None = failure
        while part is not None:
            part.message = part.application_failure_info.type or type(exception).__name__
            part.stack_trace = ""
            part = part.cause if part.HasField("cause") else None


DATA_CONVERTER = DataConverter(failure_converter_class=CodesOnly)


async def connect(
    address: str, namespace: str, *, token: str | None = None, tls: TLSConfig | None = None
) -> Client:
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=DATA_CONVERTER,
        api_key=token,
        tls=tls or False,  # said, because a token alone would switch it on
    )


class TemporalRunWorkflows(RunWorkflows):
    def __init__(self, client: Client, *, notifies: bool = False) -> None:
        self._client = client
        self._notifies = notifies

    async def start(self, subject: WorkflowSubject, /) -> None:
        await self._start_once(subject)

    async def wake(self, subject: WorkflowSubject, /) -> None:
        await self._start_once(subject, signal=WAKE)

    async def restart(self, subject: WorkflowSubject, /) -> None:
        await self._start(subject, WorkflowIDReusePolicy.ALLOW_DUPLICATE, signal=WAKE)

    async def wake_queue(self) -> None:
        await self._wake_one(
            QUEUE_WORKFLOW, QueueRef(), id=QUEUE_ID, summary="runs that wait for resources"
        )

    async def is_queue_running(self) -> bool:
        return await self._is_running(QUEUE_ID)

    async def wake_notifications(self) -> None:
        if not self._notifies:
            return  # nobody could be told anything
        await self._wake_one(
            NOTIFICATIONS_WORKFLOW, NotificationsRef(), id=NOTIFICATIONS_ID,
            summary="whom to tell of what",
        )  # fmt: skip

    async def is_notifying(self) -> bool:
        return await self._is_running(NOTIFICATIONS_ID)

    async def _wake_one(
        self, workflow: str, request: QueueRef | NotificationsRef, *, id: str, summary: str
    ) -> None:
        """A workflow of which there is one: started if none runs, and signalled."""
        try:
            await self._client.start_workflow(
                workflow,
                request,
                id=id,
                task_queue=CONTROL_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=WAKE,
                static_summary=summary,
            )
        except RPCError as error:
            raise _away(error) from error

    async def _is_running(self, id: str) -> bool:
        try:
            found = await self._client.get_workflow_handle(id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise _away(error) from error
        return _status_of(found) is WorkflowStatus.RUNNING

    async def status(self, run_id: RunId, /) -> tuple[WorkflowStatus, str]:
        try:
            found = await self._client.get_workflow_handle(str(run_id)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return WorkflowStatus.MISSING, ""
            raise _away(error) from error
        return _status_of(found), found.run_id

    async def continued_by(self, run_id: RunId, workflow_run_id: str, /) -> str:
        handle = self._client.get_workflow_handle(str(run_id), run_id=workflow_run_id)
        try:
            async for event in handle.fetch_history_events(page_size=1):
                started = event.workflow_execution_started_event_attributes
                return started.continued_execution_run_id
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise _away(error) from error
        return ""

    async def recently_closed(self, since: datetime, /) -> Sequence[RunId]:
        query = (
            f"WorkflowType = '{WORKFLOW}' AND ExecutionStatus != 'Running' "
            f"AND CloseTime >= '{since.strftime('%Y-%m-%dT%H:%M:%SZ')}'"
        )
        try:
            closed = [found.id async for found in self._client.list_workflows(query)]
        except RPCError as error:
            raise _away(error) from error
        return [run_id for run_id in map(_find_run_id, closed) if run_id is not None]

    async def _start_once(self, subject: WorkflowSubject, *, signal: str | None = None) -> None:
        try:
            await self._start(subject, WorkflowIDReusePolicy.REJECT_DUPLICATE, signal=signal)
        except WorkflowAlreadyStartedError:
            return  # closed: the reconciler says why before anything is started again

    async def _start(
        self, subject: WorkflowSubject, reuse: WorkflowIDReusePolicy, *, signal: str | None
    ) -> None:
        """One call, whether it runs or not. Without a signal the worker beside us, if there is one,
        is given the first task with the answer."""
        try:
            await self._client.start_workflow(
                WORKFLOW,
                RunRef(run_id=str(subject.run_id), project_id=str(subject.project_id)),
                id=str(subject.run_id),
                task_queue=CONTROL_QUEUE,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=signal,
                request_eager_start=signal is None,
                search_attributes=_search_attributes(subject),
                static_summary=f"{subject.name} ({subject.classification})",
            )
        except RPCError as error:
            raise _away(error) from error


def _search_attributes(subject: WorkflowSubject) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(PROJECT, subject.project),
            SearchAttributePair(STATE, subject.state),
            SearchAttributePair(CLASSIFICATION, subject.classification),
            SearchAttributePair(REQUESTER, str(subject.requested_by)),
        ]
    )


def _find_run_id(workflow_id: str) -> RunId | None:
    """None for a name that Animus gives to no workflow; anybody in Temporal may have chosen it."""
    try:
        return RunId(UUID(workflow_id))
    except ValueError:
        return None


def _status_of(found: WorkflowExecutionDescription) -> WorkflowStatus:
    status = WorkflowExecutionStatus.ValueType(found.raw_info.status)
    return _STATUSES.get(status, WorkflowStatus.CLOSED)


def _away(error: RPCError) -> Unavailable:
    return Unavailable("Temporal is not answering.", detail=str(error))
