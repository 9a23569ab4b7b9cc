"""Why a step failed, in the same words whatever machinery ran it."""

from __future__ import annotations

from animus.adapters.steps.reports import CollectReport
from animus.domain.pipelines import Step
from animus.domain.runs import FailureClass
from animus.domain.work_orders import Failure

_EXPLAINED = {
    126: "the command was found but cannot be executed",
    127: "a command was not found in the image",
    134: "it aborted itself",
    136: "an arithmetic error",
    139: "a memory access violation",
}


class Unrunnable(Exception):
    """The attempt ends here, for this reason: main will not be started."""

    def __init__(self, failure: Failure, exit_code: int | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.exit_code = exit_code


def user_failure(code: str, message: str) -> Failure:
    return Failure(failure_class=FailureClass.USER, code=code, message=message)


def environment_failure(code: str, message: str) -> Failure:
    return Failure(failure_class=FailureClass.ENVIRONMENT, code=code, message=message)


def platform_failure(code: str, message: str) -> Failure:
    return Failure(failure_class=FailureClass.PLATFORM, code=code, message=message)


def timed_out(step: Step) -> Failure:
    return user_failure("timed_out", f"It ran longer than its {step.timeoutSeconds} s.")


def out_of_memory(step: Step) -> Failure:
    limit = step.resources.memory
    return user_failure("out_of_memory", f"It needed more than its {limit} of memory.")


def storage_exceeded(step: Step) -> Failure:
    allowed = step.resources.ephemeralStorage
    return user_failure("storage_exceeded", f"It wrote more than its {allowed} of storage.")


def exited_with(code: int) -> Failure:
    reason = _EXPLAINED.get(code)
    return user_failure("exit_code", f"exited with {code}" + (f": {reason}" if reason else ""))


def collect_failure(step: Step, report: CollectReport | None) -> Failure | None:
    """What could not be collected, which matters where main ended well."""
    if report is None:
        return platform_failure("collect_failed", "Collect ended without saying what it did.")
    if report.failure is not None:
        return report.failure.failure()
    required = {output.name for output in step.outputs.artifacts if not output.optional}
    missing = sorted(required.intersection(report.missing))
    if missing:
        named = ", ".join(missing)
        return user_failure("missing_output", f"It ended without its required output: {named}.")
    if not report.ok:
        return platform_failure("collect_failed", "Collect failed without saying why.")
    return None
