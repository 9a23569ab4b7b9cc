"""What main finds whatever machinery runs it: see docs/pipeline-spec.md."""

from __future__ import annotations

from animus.domain import parameters
from animus.ports import AttemptTask

SECRETS = "/animus/secrets"
"""A file for each of the step's secrets, of its name."""


def main_variables(task: AttemptTask) -> dict[str, str]:
    """Those of the spec, the scalar parameters, and main's place in its run."""
    order = task.order
    variables = {variable.name: variable.value for variable in task.assignment.step.env}
    variables |= parameters.environment(task.assignment.parameters)
    return variables | {
        "ANIMUS_RUN_ID": order.run_id,
        "ANIMUS_STEP": order.step,
        "ANIMUS_ATTEMPT": str(order.attempt),
    }
