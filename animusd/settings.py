"""Settings of the processes: one TOML file each, overridden by `ANIMUS_<SECTION>__<KEY>`.

The one module that reads the environment. A process reads the sections it needs, so that the
api's file needs no Temporal address and the agent's no database.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from animus.domain.errors import Invalid
from animus.domain.notifications import check_address


class SettingsUnfit(Exception):
    """The settings do not let the process start; the message says which and why."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSection(Section):
    url: SecretStr
    reader_url: SecretStr | None = None
    pool_size: Annotated[int, Field(ge=2, le=200)] = 10


class TemporalSection(Section):
    address: str
    namespace: str
    token_file: Path | None = None
    """A JSON web token that Temporal knows; read anew each minute, so it may be replaced."""
    tls: bool = False
    tls_ca_file: Path | None = None
    """Whose certificates of Temporal's count, instead of the system's."""


class ObjectStoreSection(Section):
    endpoint: str
    public_endpoint: str
    access_key: str
    secret_key: SecretStr
    region: str
    bucket_prefix: str = "animus"
    upload_access_key: str | None = None
    upload_secret_key: SecretStr | None = None


class ApiSection(Section):
    listen: str
    public_url: str
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the listening socket."""
    requests_per_second: Annotated[float, Field(gt=0)] = 200.0
    burst: Annotated[float, Field(ge=1)] = 400.0


class WorkerSection(Section):
    work_order_key_file: Path
    roles: tuple[Literal["control", "relay", "log"], ...] = ("control", "relay", "log")
    ready_file: Path | None = None


class SmtpSection(Section):
    """The server that takes our mail."""

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    sender: str
    """The address that mails are from."""
    sender_name: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = "Animus"
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        try:
            check_address(self.sender)
        except Invalid as error:
            raise ValueError(f"sender: {error.message}") from None
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        if self.user is not None and self.tls == "none":
            raise ValueError('a password is not sent in the clear: tls is "starttls" or "implicit"')
        return self


class ChatSection(Section):
    """Channels that hear of their project's gates and runs."""

    folder: Path
    """A file for each project, of its name, that holds the webhook's address: a secret."""
    body_file: Path | None = None
    """JSON with `$text`, and `$title` if wanted; without it `{"text": $text}`."""
    ca_file: Path | None = None


class NotificationsSection(Section):
    """How people are told. Without it nobody is."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]
    """Of the api, as people reach it: links in mails begin with it."""
    smtp: SmtpSection | None = None
    chat: ChatSection | None = None
    templates: Path | None = None
    """A folder whose files take the place of ours, name by name."""
    remind_at: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Of a gate's life: who has not decided by then is reminded."""
    escalate_at: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """The project's administrators are told then."""

    @model_validator(mode="after")
    def _tell_somebody(self) -> Self:
        if self.smtp is None and self.chat is None:
            raise ValueError("name smtp, chat or both")
        return self


_HOST_AND_PORT = r"^[A-Za-z0-9.-]+:[0-9]{1,5}$"
_ADDRESS_AND_PORT = r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"


class GrantsSection(Section):
    """What environments may ask of a cluster; nothing, unless it is named."""

    node_labels: tuple[str, ...] = ()
    """Keys of labels by which nodes may be chosen."""
    tolerations: tuple[str, ...] = ()
    """Keys of taints that may be tolerated."""
    priority_classes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    """Keys of labels that pods may be given."""
    runtime_classes: tuple[str, ...] = ()
    """Sandboxes only: a run under one is not marked as sharing the host's kernel."""
    egress: tuple[Annotated[str, Field(pattern=_HOST_AND_PORT)], ...] = ()
    """host:port of what steps may reach, as plans name it; each has a network policy."""


class KubernetesSection(Section):
    """The cluster in which an agent starts Jobs."""

    kubeconfig: Path | None = None
    """Without it the agent uses the service account of the pod in which it runs."""
    namespaces: Literal["given", "owned"] = "given"
    """Owned: the agent makes one for each project."""
    namespace: str = ""
    """Given by the platform team; the agent has no right anywhere else."""
    prefix: str = ""
    """Of the names of owned namespaces, as the cluster's admission policy has it."""
    template: Path | None = None
    """YAML of what each owned namespace has: quota, default limits, network policies."""
    gateway_url: str
    """The api, as pods reach it."""
    store_address: str | None = None
    """host:port of the object store as pods reach it, where they can't reach its public name."""
    egress: Literal["shared", "switched"] = "shared"
    """Switched: main has not the network of fetch and collect, and what its plan grants instead."""
    egress_addresses: tuple[Annotated[str, Field(pattern=_ADDRESS_AND_PORT)], ...] = ()
    """address:port of api and object store as pods reach them, where egress is switched. No names:
    what they mean can't be asked any more once the network is closed."""
    latch_seconds: Annotated[int, Field(ge=1, le=3_600)] = 300
    """How long the network of fetch may take to go, once fetch has ended."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    user: Annotated[int, Field(ge=1)] | None = None
    """Of every container; without it the cluster assigns one, or the image names one."""
    gpu_resource: str = "nvidia.com/gpu"
    grants: GrantsSection = GrantsSection()
    room_seconds: Annotated[int, Field(ge=0)] = 1_800
    """How long an attempt may wait for a node or for the namespace's quota."""
    start_seconds: Annotated[int, Field(ge=0)] = 180
    """How long a container may fail to start, once the node has said why."""

    @model_validator(mode="after")
    def _say_where(self) -> Self:
        owns = bool(self.prefix) and self.template is not None
        if self.namespaces == "owned" and (self.namespace or not owns):
            raise ValueError('"owned" needs prefix and template, and no namespace')
        if self.namespaces == "given" and (not self.namespace or self.prefix or self.template):
            raise ValueError('"given" needs namespace, and neither prefix nor template')
        return self

    @model_validator(mode="after")
    def _say_what_is_closed(self) -> Self:
        if self.egress == "switched" and not (self.store_address or self.egress_addresses):
            raise ValueError('"switched" needs egress_addresses: those of api and object store')
        return self


class AgeSection(Section):
    """Secrets in one encrypted file: see `animusd secrets`."""

    file: Path
    identity_file: Path


class ClusterSecretsSection(Section):
    """Secrets as Kubernetes Secrets, in a namespace that only the agent reads."""

    namespace: str
    kubeconfig: Path | None = None
    """Without it the service account of the pod in which the agent runs."""


class VaultSection(Section):
    """HashiCorp Vault or OpenBao, key-value engine version 2."""

    address: str
    """Such as https://vault.example.org:8200."""
    mount: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "secret"
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?$")] = "animus"
    """Below it every project has a folder of its id."""
    namespace: str | None = None
    ca_file: Path | None = None
    auth: Literal["approle", "kubernetes"]
    auth_mount: str | None = None
    """Where the method is enabled; without it under its own name."""
    role: str
    """The Kubernetes method's role, or the AppRole's role id."""
    credential_file: Path
    """The service account's token, or the AppRole's secret id. Read at each login."""


class SecretsSection(Section):
    """Where the agent finds the secrets of steps: one of them."""

    age: AgeSection | None = None
    kubernetes: ClusterSecretsSection | None = None
    vault: VaultSection | None = None

    @model_validator(mode="after")
    def _is_one(self) -> SecretsSection:
        if sum(store is not None for store in (self.age, self.kubernetes, self.vault)) != 1:
            raise ValueError("name one store: age, kubernetes or vault")
        return self


class AgentSection(Section):
    cluster: str
    api_url: str
    token_file: Path
    """May come later than the agent; until it is there, nothing is claimed."""
    key_file: Path
    work_order_public_key_file: Path
    """Control's public keys, as SubjectPublicKeyInfo in PEM; two while one replaces the other."""
    state_dir: Path
    engine_file: Path | None = None
    """The description of the container engine."""
    step_image: str | None = None
    """The image of fetch and collect, pinned by digest."""
    executor: Literal["container", "kubernetes", "noop"] = "container"
    runtime: Literal["auto", "runsc", "runc"] = "auto"
    """What main may run under: as its plan says; in a sandbox alone; never in one."""
    host: str = ""
    ready_file: Path | None = None
    object_store: str | None = None
    """host:port of the store's public endpoint: the one place that collect may send bytes to."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 8
    kubernetes: KubernetesSection | None = None
    secrets: SecretsSection | None = None
    """Without it no step on this cluster can reference secrets."""
    memory_dir: Path = Path("/dev/shm")
    """On a file system in memory: the container executor's place for secrets while main runs."""


class MigrateSection(Section):
    role_passwords: dict[str, SecretStr] = {}
    bootstrap_token_file: Path | None = None
    """Where the one-time token of a new platform is written, mode 0600, instead of printed."""


class ApiSettings(BaseModel):
    database: DatabaseSection
    object_store: ObjectStoreSection
    api: ApiSection


class WorkerSettings(BaseModel):
    database: DatabaseSection
    temporal: TemporalSection
    object_store: ObjectStoreSection
    worker: WorkerSection
    notifications: NotificationsSection | None = None


class NotifierSettings(BaseModel):
    """What of the worker's settings its doctor reads."""

    notifications: NotificationsSection | None = None


class AgentSettings(BaseModel):
    temporal: TemporalSection
    agent: AgentSection

    @model_validator(mode="after")
    def _work_where_we_are_asked(self) -> Self:
        """In another namespace an agent would look well and be given nothing."""
        if not self.temporal.namespace.endswith(f"-{self.agent.cluster}"):
            raise ValueError(
                f"temporal.namespace is that of the agents of cluster {self.agent.cluster!r}: "
                f"it ends in -{self.agent.cluster}"
            )
        return self


class MigrateSettings(BaseModel):
    database: DatabaseSection
    migrate: MigrateSection = MigrateSection()


_FOR_THE_ENGINE = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR"),
    *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "CONTAINERS_CONF"),
)


def engine_environment() -> dict[str, str]:
    """What a client of a container engine goes by to find its storage and its own programs."""
    return {name: os.environ[name] for name in _FOR_THE_ENGINE if name in os.environ}


S = TypeVar("S", bound=BaseModel)


def _read_file(file: Path) -> dict[str, Any]:
    """One that is not there would be taken for one without settings."""
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise SettingsUnfit(f"The settings {file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsUnfit(f"The settings {file} are no text in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnfit(f"The settings {file} are no TOML: {error}.") from None


def read_settings(kind: type[S], file: Path | None) -> S:
    """Raises `SettingsUnfit` with every fault; values are never shown."""
    of_file = _read_file(file) if file is not None else {}

    class Sources(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix="ANIMUS_", env_nested_delimiter="__", env_ignore_empty=True, extra="ignore"
        )
        database: dict[str, Any] = {}
        temporal: dict[str, Any] = {}
        object_store: dict[str, Any] = {}
        api: dict[str, Any] = {}
        worker: dict[str, Any] = {}
        agent: dict[str, Any] = {}
        migrate: dict[str, Any] = {}
        notifications: dict[str, Any] = {}

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (env_settings, InitSettingsSource(settings_cls, of_file))

    given = {name: value for name, value in Sources().model_dump().items() if value}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise SettingsUnfit(f"The settings do not fit: {faults}") from None
