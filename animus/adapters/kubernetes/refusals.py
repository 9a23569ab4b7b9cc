"""Why an agent does not begin an attempt, or not go on with it, put as a person needs it."""

from __future__ import annotations

from animus.adapters.kubernetes.placements import EgressNotGranted, NotGranted
from animus.adapters.steps.failures import environment_failure, platform_failure
from animus.domain.work_orders import Failure

FOREIGN_JOB = platform_failure(
    "foreign_job",
    "Under its name there is a Job that was made for another order. Who else makes Jobs in this "
    "namespace?",
)


def not_granted(refusal: NotGranted) -> Failure:
    return environment_failure(
        "placement_not_granted",
        f"The environment asks for what this cluster does not grant: {refusal}. Who runs the "
        "cluster's agent grants it in agent.kubernetes.grants, or the environment does without.",
    )


def egress_not_granted(refusal: EgressNotGranted) -> Failure:
    return environment_failure(
        "egress_not_granted",
        f"The plan lets the step reach {refusal}, and this cluster has no way there. Who runs the "
        "cluster makes a network policy for it and names it in agent.kubernetes.grants.egress.",
    )


UNSWITCHED = environment_failure(
    "egress_not_switched",
    "The plan promises that main has not the network of fetch and collect, and this cluster's "
    'agent does not take it away. Set agent.kubernetes.egress to "switched" (after animusd doctor '
    "cluster), or run it on a cluster that is registered without.",
)
UNCOMMANDED = environment_failure(
    "command_missing",
    "On Kubernetes a step names its command: what an image would start by itself is known to no "
    "one but the node. Add `command` to the step.",
)
