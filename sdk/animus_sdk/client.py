"""The client: one gateway, as one caller, mostly about one project."""

from __future__ import annotations

import threading
from datetime import datetime
from types import TracebackType

from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.artifacts import Artifacts
from animus_sdk.resources.audit import Audit
from animus_sdk.resources.clusters import Clusters
from animus_sdk.resources.datasets import Datasets
from animus_sdk.resources.delegations import Delegations
from animus_sdk.resources.environments import Environments
from animus_sdk.resources.gates import Gates
from animus_sdk.resources.logs import Logs
from animus_sdk.resources.pipelines import Pipelines
from animus_sdk.resources.policies import Policies
from animus_sdk.resources.principals import Principals
from animus_sdk.resources.projects import Changes, Projects, Roles, ServiceAccounts
from animus_sdk.resources.questions import Questions
from animus_sdk.resources.queues import Queue, Quotas
from animus_sdk.resources.references import is_id
from animus_sdk.resources.runs import Runs
from animus_sdk.resources.scopes import Scope
from animus_sdk.resources.sources import Sources
from animus_sdk.resources.steps import Steps
from animus_sdk.resources.store_checks import StoreChecks
from animus_sdk.settings import Given, Settings, load_settings
from animus_sdk.transfer.stores import Store
from animus_sdk.wire.clocks import Reading
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.retries import RetryPolicy


class Client:
    """Use it in a `with`, or close it. Safe to use from several threads."""

    def __init__(
        self,
        gateway_url: str | None = None,
        auth_token: str | None = None,
        project: str | None = None,
        timeout: float = 30.0,
        *,
        retries: RetryPolicy | None = None,
        settings: Settings | None = None,
    ) -> None:
        """What is not said comes from the environment, the folder's and the user's files.

        `project` is a name or an id. Nothing is asked of the gateway yet.
        """
        self.settings = settings or load_settings(
            Given(gateway_url=gateway_url, auth_token=auth_token, project=project)
        )
        self._gateway = Gateway(
            self.settings.gateway_url,
            token=lambda: self.settings.auth_token,
            timeout=timeout,
            retries=retries,
        )
        self._store = Store(retries=retries)
        self._lock = threading.Lock()
        self._project_id: str | None = None
        scope = Scope(gateway=self._gateway, store=self._store, project_id=self.project_id)
        self.principals = Principals(scope)
        self.projects = Projects(scope)
        self.roles = Roles(scope)
        self.changes = Changes(scope)
        self.service_accounts = ServiceAccounts(scope)
        self.clusters = Clusters(scope)
        self.datasets = Datasets(scope)
        self.sources = Sources(scope)
        self.store_checks = StoreChecks(scope)
        self.environments = Environments(scope)
        self.pipelines = Pipelines(scope)
        self.policies = Policies(scope)
        self.runs = Runs(scope)
        self.steps = Steps(scope)
        self.logs = Logs(scope)
        self.quotas = Quotas(scope)
        self.queue = Queue(scope)
        self.gates = Gates(scope)
        self.questions = Questions(scope)
        self.delegations = Delegations(scope)
        self.artifacts = Artifacts(scope)
        self.audit = Audit(scope)

    def __repr__(self) -> str:
        return f"Client({self.settings.gateway_url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._gateway.close()
        self._store.close()

    def now(self) -> datetime:
        """By the gateway's clock as its answers tell it; by this machine's before the first."""
        return self._gateway.clock.now()

    @property
    def clock(self) -> Reading | None:
        """How far the gateway's clock is from this machine's, by its quickest answer."""
        return self._gateway.clock.reading

    def project_id(self) -> str:
        """The id of the project that is meant; a name is looked up once."""
        with self._lock:
            if self._project_id is None:
                self._project_id = self._find_project_id()
            return self._project_id

    def _find_project_id(self) -> str:
        said = self.settings.project
        if said is None:
            raise SettingsUnfit(
                "Say which project: 'animus project use NAME', --project NAME, ANIMUS_PROJECT or"
                " .animus.toml.",
                code="no_project",
            )
        return said.lower() if is_id(said) else self.projects.resolve(said)["id"]
