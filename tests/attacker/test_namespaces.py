"""What someone can do in Temporal with the token of an agent: nothing outside its namespace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    DeleteNamespaceRequest,
    ListNexusEndpointsRequest,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeNamespaceRequest,
    GetWorkflowExecutionHistoryRequest,
    ListNamespacesRequest,
    ListWorkflowExecutionsRequest,
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    QueryWorkflowRequest,
    RegisterNamespaceRequest,
    RequestCancelWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondWorkflowTaskCompletedRequest,
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartActivityExecutionRequest,
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from animus.adapters.temporal import connect
from animus.contracts.execution import DISPATCH_QUEUE
from animus.contracts.runs import CONTROL_QUEUE, WAKE, WORKFLOW
from deploy.embedded.configuration import TEMPORAL_NAMESPACE, agent_namespace
from tests.attacker.puppets import Attacker
from tests.attacker.test_orders import TABLE
from tests.conftest import RecordCases
from tests.support.temporal import access_of
from tests.workflows.machines import HANG
from tests.workflows.platforms import CLUSTER, Platform
from tests.workflows.projects import Project
from tests.workflows.records import expect_end

pytestmark = pytest.mark.stack

ELSEWHERE = "elsewhere"
Call = Callable[[], Awaitable[object]]


async def test_an_agents_token_opens_nothing_of_the_control_plane(
    platform: Platform, project: Project, record_cases: RecordCases
) -> None:
    run = await _executing(project)
    for token in (access_of(platform.stack).for_agent(CLUSTER), None):
        thief = await _with(platform, TEMPORAL_NAMESPACE, token)
        calls = [*_on_the_run(thief, run), *_on_the_namespace(thief), *_on_temporal(thief)]
        await _expect_all_refused(calls)
        record_cases(TABLE, len(calls))
    assert platform.machine.starts_of(run) == [("train", 1)]
    platform.machine.release(run)
    await expect_end(project, run, "succeeded")


async def test_the_agents_of_one_cluster_have_no_part_in_another(
    platform: Platform, project: Project, record_cases: RecordCases
) -> None:
    run = await _executing(project)
    token = access_of(platform.stack).for_agent(ELSEWHERE)
    thief = await _with(platform, agent_namespace(CLUSTER), token)
    calls = [*_on_the_namespace(thief), *_on_temporal(thief)]
    await _expect_all_refused(calls)
    platform.machine.release(run)
    await expect_end(project, run, "succeeded")
    record_cases(TABLE, len(calls))


async def test_no_command_of_a_workflow_among_agents_leaves_their_namespace(
    platform: Platform, project: Project, record_cases: RecordCases
) -> None:
    """There an agent may run what it likes; signals, cancels and children stay inside."""
    run = await _executing(project)
    token = access_of(platform.stack).for_agent(CLUSTER)
    own = await _with(platform, agent_namespace(CLUSTER), token)
    commands = _reaching_out(run)
    for command in commands:
        queue = TaskQueue(name=f"thief-{uuid4()}")
        await own.start_workflow("attack.reach", id=queue.name, task_queue=queue.name)
        task = await own.workflow_service.poll_workflow_task_queue(
            PollWorkflowTaskQueueRequest(namespace=own.namespace, task_queue=queue)
        )
        with pytest.raises(RPCError) as refused:
            await own.workflow_service.respond_workflow_task_completed(
                RespondWorkflowTaskCompletedRequest(
                    namespace=own.namespace, task_token=task.task_token, commands=[command]
                )
            )
        assert refused.value.status is RPCStatusCode.INVALID_ARGUMENT
    platform.machine.release(run)
    await expect_end(project, run, "succeeded")
    record_cases(TABLE, len(commands))


async def test_an_agent_that_ends_its_own_activity_ends_an_attempt_and_no_more(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    """Its namespace is its own: what it refuses to do counts as not done."""
    run = await _executing(project)
    (attempt,) = await attacker.seen_attempts(project, run)
    token = access_of(platform.stack).for_agent(CLUSTER)
    own = await _with(platform, agent_namespace(CLUSTER), token)
    await own.get_activity_handle(attempt).terminate(reason="an attack")
    recorded = await expect_end(project, run, "failed", code="step_failed")
    assert recorded.artifacts == []
    assert platform.machine.running(run) == []
    record_cases(TABLE, 1)


async def _with(platform: Platform, namespace: str, token: str | None) -> Client:
    return await connect(platform.stack.site.addresses.temporal, namespace, token=token)


async def _executing(project: Project) -> str:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    return run


async def _expect_all_refused(calls: Sequence[Call]) -> None:
    for number, call in enumerate(calls):
        with pytest.raises(RPCError) as refused:
            await call()
        assert refused.value.status is RPCStatusCode.PERMISSION_DENIED, number


def _reaching_out(run: str) -> list[Command]:
    target = WorkflowExecution(workflow_id=run)
    return [
        Command(
            command_type=CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
            signal_external_workflow_execution_command_attributes=(
                SignalExternalWorkflowExecutionCommandAttributes(
                    namespace=TEMPORAL_NAMESPACE, execution=target, signal_name=WAKE
                )
            ),
        ),
        Command(
            command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
            request_cancel_external_workflow_execution_command_attributes=(
                RequestCancelExternalWorkflowExecutionCommandAttributes(
                    namespace=TEMPORAL_NAMESPACE, workflow_id=run
                )
            ),
        ),
        Command(
            command_type=CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
            start_child_workflow_execution_command_attributes=(
                StartChildWorkflowExecutionCommandAttributes(
                    namespace=TEMPORAL_NAMESPACE,
                    workflow_id=str(uuid4()),
                    workflow_type=WorkflowType(name=WORKFLOW),
                    task_queue=TaskQueue(name=CONTROL_QUEUE),
                )
            ),
        ),
    ]


def _on_the_run(thief: Client, run: str) -> list[Call]:
    service, namespace = thief.workflow_service, thief.namespace
    workflow_of = WorkflowExecution(workflow_id=run)
    kind, queue = WorkflowType(name=WORKFLOW), TaskQueue(name=CONTROL_QUEUE)
    return [
        lambda: service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace=namespace, workflow_id="x", workflow_type=kind, task_queue=queue
            )
        ),
        lambda: service.signal_with_start_workflow_execution(
            SignalWithStartWorkflowExecutionRequest(
                namespace=namespace,
                workflow_id=run,
                workflow_type=kind,
                task_queue=queue,
                signal_name=WAKE,
            )
        ),
        lambda: service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace=namespace, workflow_execution=workflow_of, signal_name=WAKE
            )
        ),
        lambda: service.terminate_workflow_execution(
            TerminateWorkflowExecutionRequest(namespace=namespace, workflow_execution=workflow_of)
        ),
        lambda: service.request_cancel_workflow_execution(
            RequestCancelWorkflowExecutionRequest(
                namespace=namespace, workflow_execution=workflow_of
            )
        ),
        lambda: service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(namespace=namespace, workflow_execution=workflow_of)
        ),
        lambda: service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=namespace, workflow_execution=workflow_of)
        ),
        lambda: service.query_workflow(
            QueryWorkflowRequest(namespace=namespace, execution=workflow_of)
        ),
        lambda: service.get_workflow_execution_history(
            GetWorkflowExecutionHistoryRequest(namespace=namespace, execution=workflow_of)
        ),
        lambda: service.respond_activity_task_completed_by_id(
            RespondActivityTaskCompletedByIdRequest(
                namespace=namespace, workflow_id=run, activity_id="1"
            )
        ),
        lambda: service.respond_activity_task_failed_by_id(
            RespondActivityTaskFailedByIdRequest(
                namespace=namespace, workflow_id=run, activity_id="1"
            )
        ),
    ]


def _on_the_namespace(thief: Client) -> list[Call]:
    service, namespace = thief.workflow_service, thief.namespace
    queues = [TaskQueue(name=name) for name in (CONTROL_QUEUE, DISPATCH_QUEUE)]
    polls: list[Call] = []
    for queue in queues:
        polls += [
            lambda queue=queue: service.poll_workflow_task_queue(  # type: ignore[misc]  # mypy can't infer a default
                PollWorkflowTaskQueueRequest(namespace=namespace, task_queue=queue)
            ),
            lambda queue=queue: service.poll_activity_task_queue(  # type: ignore[misc]  # the same
                PollActivityTaskQueueRequest(namespace=namespace, task_queue=queue)
            ),
            lambda queue=queue: service.poll_nexus_task_queue(  # type: ignore[misc]  # the same
                PollNexusTaskQueueRequest(namespace=namespace, task_queue=queue)
            ),
        ]
    return [
        *polls,
        lambda: service.start_activity_execution(
            StartActivityExecutionRequest(
                namespace=namespace, activity_id="x", task_queue=queues[0], request_id="x"
            )
        ),
        lambda: service.list_workflow_executions(
            ListWorkflowExecutionsRequest(namespace=namespace)
        ),
        lambda: service.describe_namespace(DescribeNamespaceRequest(namespace=namespace)),
        lambda: service.update_namespace(UpdateNamespaceRequest(namespace=namespace)),
        lambda: thief.operator_service.delete_namespace(
            DeleteNamespaceRequest(namespace=namespace)
        ),
    ]


def _on_temporal(thief: Client) -> list[Call]:
    target = EndpointTarget.Worker(namespace=TEMPORAL_NAMESPACE, task_queue=CONTROL_QUEUE)
    spec = EndpointSpec(name="door", target=EndpointTarget(worker=target))
    register = RegisterNamespaceRequest(
        namespace="mine", workflow_execution_retention_period=Duration(seconds=86_400)
    )
    return [
        lambda: thief.workflow_service.list_namespaces(ListNamespacesRequest()),
        lambda: thief.workflow_service.register_namespace(register, timeout=timedelta(seconds=30)),
        lambda: thief.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec)),
        lambda: thief.operator_service.list_nexus_endpoints(ListNexusEndpointsRequest()),
    ]
