"""What is otherwise in a step on this machine than on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from animus_sdk.local.engines import StepEngine
from animus_sdk.local.steps import LocalStep


def differences(
    step: LocalStep, *, sandbox: str | None, engine: StepEngine, secrets: Mapping[str, str]
) -> Iterator[str]:
    """In words, one a line; nothing where all is as it was."""
    absent = [name for name in step.secrets if name not in secrets]
    if absent:
        yield (
            f"secrets {', '.join(absent)} are not given: the platform hands them to no laptop. Your"
            " own: --secret NAME=VARIABLE"
        )
    if sandbox is not None:
        yield (
            f"{sandbox} stood between the step and the kernel by its plan; here the step is on this"
            " machine's own kernel"
        )
    if step.egress:
        yield (
            f"network: its plan lets it reach {', '.join(step.egress)}; here it reaches what this"
            " machine reaches"
        )
    if step.gpus:
        yield f"no GPU is given, of {step.gpus} that it asks for"
    if step.telemetry:
        yield "metrics and messages that it logs stay in files here"
    missing = [one for one in ("cpu", "memory", "pids") if not engine.may_limit(one)]
    if missing:
        yield f"no limit of {', '.join(missing)}: this user may set none on this machine"
