"""Steps of runs as they were executed: what an attempt was given, down here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animus_sdk.local.folders import StepFolder
from animus_sdk.local.inputs import Layout
from animus_sdk.local.objects import Objects
from animus_sdk.resources.scopes import Scope
from animus_sdk.transfer.progress import Progress, Silent
from animus_sdk.wire import operations
from animus_sdk.wire.step_views import AttemptInputs


@dataclass(frozen=True, slots=True)
class Steps:
    _scope: Scope

    def inputs(self, run_id: str, step: str, *, attempt: int) -> AttemptInputs:
        """What an attempt was given, with URLs that are good for some minutes; no secrets."""
        return self._scope.call(
            operations.GET_ATTEMPT_INPUTS, AttemptInputs, run_id=run_id, step=step, number=attempt
        )

    def lay_out(
        self,
        said: AttemptInputs,
        folder: StepFolder,
        *,
        cache: Path,
        fresh: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Inputs and source below `folder`, each compared with the plan; `cache` keeps them by
        digest. What was worked on in it is left, unless `fresh`."""

        def ask() -> AttemptInputs:
            return self.inputs(said["run_id"], said["step"], attempt=said["attempt"])

        objects = Objects(directory=cache, store=self._scope.store, progress=progress or Silent())
        Layout(said=said, ask=ask, objects=objects, folder=folder).lay_out(fresh=fresh)
