"""What is shown of a local run: what its steps write, how they end, what they made and where."""

from __future__ import annotations

from animus_sdk.cli.commands.run_logs import STYLES
from animus_sdk.cli.screens import Screen, state_text, styled
from animus_sdk.cli.wording import count_words, duration_words, size_words
from animus_sdk.local.attempts import AttemptEnd
from animus_sdk.local.differences import differences
from animus_sdk.local.runs import STEPS, LocalRun, RunEnd, StepEnd
from animus_sdk.local.steps import LocalStep


class LocalScreen:
    """Watches a local run for who sits before it; with --json only what it ends with is written."""

    def __init__(self, screen: Screen, run: LocalRun) -> None:
        names = [step.name for step in run.pipeline.steps]
        self._screen = screen
        self._run = run
        self._labelled = len(names) > 1
        self._width = max(map(len, names))
        self._styles = {name: STYLES[n % len(STYLES)] for n, name in enumerate(names)}

    def begins(self, step: LocalStep, attempt: int) -> None:
        again = f", attempt {attempt}" if attempt > 1 else ""
        self._screen.note(f"{step.name}{again} begins")
        if attempt == 1:
            secrets = self._run.secrets
            for line in differences(step, sandbox=None, engine=self._run.engine, secrets=secrets):
                self._screen.note(f"  not as on a cluster: {line}")

    def says(self, step: LocalStep, line: bytes) -> None:
        if self._screen.as_json:
            return
        label = None
        if self._labelled:
            label = styled(f"{step.name.ljust(self._width)} | ", self._styles[step.name])
        self._screen.line_of_others(line.decode("utf-8", "replace").rstrip("\n"), label=label)

    def warns(self, step: LocalStep, warning: str) -> None:
        self._screen.note(f"{step.name}: the engine says: {warning}")

    def ends(self, step: LocalStep, attempt: int, end: AttemptEnd, waits: float | None) -> None:
        took = duration_words(end.seconds)
        if end.failure is None:
            self._screen.note(f"{step.name} succeeded in {took}")
            return
        failure = end.failure
        again = f"; tried again in {duration_words(waits)}" if waits is not None else ""
        self._screen.note(
            f"{step.name}, attempt {attempt} failed after {took}"
            f" ({failure.failure_class}, {failure.code}): {failure.message}{again}"
        )


def show_end(screen: Screen, end: RunEnd) -> None:
    screen.line()
    for step in end.steps:
        screen.line(styled(step.name, "bold"), " ", state_text(step.state))
        _show_step(screen, step)
    screen.line(f"Everything of it is in {end.folder}")
    screen.line(
        styled(
            f"{end.name} is local: no evidence, and nothing to register, promote or approve. As a"
            " run: animus run submit",
            "dim",
        )
    )


def _show_step(screen: Screen, step: StepEnd) -> None:
    if step.failure is not None:
        failure = step.failure
        screen.line(f"{failure.failure_class}, {failure.code}: {failure.message}", indent=4)
    if not step.attempts:
        return
    last = step.attempts[-1]
    for metric in last.metrics:
        points = count_words(metric.points, "point")
        screen.line(
            f"{metric.name} = {metric.value:g} (at {metric.step_number}, {points})", indent=4
        )
    for output in last.outputs:
        screen.line(
            f"{output.name}  {size_words(output.total_bytes)}  {output.sha256}"
            f"  {STEPS}/{step.name}/out",
            indent=4,
        )
