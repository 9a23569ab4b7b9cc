"""What an attempt was given, for a member of its project who runs the step again elsewhere."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import ProjectId, RunId
from animus.services import step_inputs
from api.callers import Reader
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.data import DownloadOut
from api.schemas.execution import AttemptInputsOut, StepInputOut
from api.schemas.fields import AttemptNumber, StepName

router = APIRouter(prefix="/projects/{project_id}", tags=["runs"], route_class=StrictRoute)


@router.get("/runs/{run_id}/steps/{step}/attempts/{number}/inputs")
async def get_attempt_inputs(
    call: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID,
    step: StepName,
    number: AttemptNumber,
) -> AttemptInputsOut:
    """The step with its parameters and inputs, and URLs that are good for some minutes; no secrets.

    That they were issued is recorded.
    """
    context = context_of(request)
    async with context.database.write() as uow:
        found = await step_inputs.issue_attempt_inputs(
            uow, call, ProjectId(project_id), RunId(run_id),
            step=step, number=number, store=context.store,
        )  # fmt: skip
    given, assignment = found.given, found.assignment
    code = assignment.code
    return AttemptInputsOut(
        attempt_id=found.attempt_id,
        run_id=run_id,
        step=step,
        attempt=number,
        spec=assignment.step.content(),
        sandbox=assignment.sandbox,
        parameters=assignment.parameters,
        inputs=StepInputOut.all_of(given.inputs),
        source=DownloadOut.of(given.source) if given.source else None,
        commit=code.commit if code else None,
        source_path=code.path if code else None,
    )
