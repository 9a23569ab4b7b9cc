"""Where a step finds itself: which run, which gateway, and the token for both.

The agent gives these to steps with `telemetry: true`, and to no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import NotInStep
from animus_sdk.resources.scopes import Scope
from animus_sdk.settings import GATEWAY_VARIABLE, normal_url
from animus_sdk.transfer.stores import Store, StoreRoute, read_store_route
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.retries import RetryPolicy

TOKEN_FILE_VARIABLE = "ANIMUS_RUN_TOKEN_FILE"
RUN_VARIABLE = "ANIMUS_RUN_ID"
PROJECT_VARIABLE = "ANIMUS_PROJECT_ID"
STEP_VARIABLE = "ANIMUS_STEP"
NEEDED = (GATEWAY_VARIABLE, TOKEN_FILE_VARIABLE, RUN_VARIABLE, PROJECT_VARIABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    gateway_url: str
    token_file: Path
    run_id: str
    project_id: str
    step: str
    store: StoreRoute

    def read_token(self) -> str:
        """Read each time: the file is the agent's, and may be replaced."""
        try:
            return self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise NotInStep(
                f"Cannot read the run's token at {self.token_file}. It is there for the user that"
                " the step runs as."
            ) from None

    def open(self, *, timeout: float, retries: RetryPolicy) -> Scope:
        """Gateway and store, as the run itself. The caller closes both."""
        return Scope(
            gateway=Gateway(
                self.gateway_url, token=self.read_token, timeout=timeout, retries=retries
            ),
            store=Store(route=self.store, retries=retries),
            project_id=lambda: self.project_id,
        )


def find_step_context(environment: Mapping[str, str]) -> StepContext | None:
    """None outside a step, and in a step without telemetry."""
    if not all(environment.get(name) for name in NEEDED):
        return None
    return StepContext(
        gateway_url=normal_url(environment[GATEWAY_VARIABLE], source=GATEWAY_VARIABLE),
        token_file=Path(environment[TOKEN_FILE_VARIABLE]),
        run_id=environment[RUN_VARIABLE],
        project_id=environment[PROJECT_VARIABLE],
        step=environment.get(STEP_VARIABLE, ""),
        store=read_store_route(environment),
    )


def get_step_context(environment: Mapping[str, str]) -> StepContext:
    context = find_step_context(environment)
    if context is None:
        absent = ", ".join(name for name in NEEDED if not environment.get(name))
        raise NotInStep(
            "This works inside a step that has 'telemetry: true' only (absent here:"
            f" {absent}). Ask animus_sdk.in_step() first where code also runs elsewhere."
        )
    return context
