"""Secrets and settings for docker-compose.yml: written once into one volume for each reader.

Runs as root in a container of its own, before everything else; keeps secrets that are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.accounts import Identity
from deploy.embedded.addresses import Addresses
from deploy.embedded.credentials import ensure_secrets_identity, ensure_signing_key, load_or_create
from deploy.embedded.files import make_directory, write_private
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.settings_files import ProcessFiles, SettingsWriter, to_toml
from deploy.embedded.sites import TEMPLATES
from deploy.embedded.temporal import KEYS_FILE
from deploy.embedded.temporal_access import TemporalAccess

VOLUMES = Path("/animus")
AGENT_HOME = Path("/var/lib/animus-agent")
AGENT_MEMORY = Path("/dev/shm/animus-agent")
"""On the host too: the engine mounts from the host's point of view."""

CLUSTER = "local"

ROOT = Identity(name="root", uid=0, gid=0)
OURS = Identity(name="animus", uid=10001, gid=10001)
POSTGRES = Identity(name="postgres", uid=999, gid=999)
TEMPORAL = Identity(name="temporal", uid=1000, gid=1000)
"""Users of the images: postgres (Debian), temporalio/server, and server.Dockerfile."""

ADDRESSES = Addresses(
    postgres="postgres:5432",
    temporal="temporal:7233",
    object_store="http://object-store:7070",
    object_store_public="http://localhost:9000",
    api_listen="0.0.0.0:8080",  # inside its container; published on the host's loopback only
    api="http://api:8080",
    api_public="http://localhost:8080",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """One secret for one reader that takes it from a file."""

    reader: str
    secret: str
    owner: Identity


SECRET_FILES = (
    SecretFile(reader="postgres", secret="postgres_password", owner=POSTGRES),
    SecretFile(reader="temporal", secret="temporal_password", owner=TEMPORAL),
    SecretFile(reader="databases", secret="postgres_password", owner=OURS),
    SecretFile(reader="databases", secret="temporal_password", owner=OURS),
    SecretFile(reader="object-store", secret="object_store_access_key", owner=ROOT),
    SecretFile(reader="object-store", secret="object_store_secret_key", owner=ROOT),
)

PROCESS_OWNERS = {"migrate": OURS, "api": OURS, "worker": OURS, "agent": ROOT}


def main() -> None:
    make_directory(VOLUMES / "secrets", owner=ROOT)
    credentials = load_or_create(VOLUMES / "secrets")
    for file in SECRET_FILES:
        _make_volume(file.reader, owner=file.owner)
        value = getattr(credentials, file.secret)
        write_private(VOLUMES / file.reader / file.secret, value, owner=file.owner)
    write_private(VOLUMES / "postgres" / "pg_hba.conf", _access_rules(), owner=POSTGRES)
    for process, owner in PROCESS_OWNERS.items():
        _make_volume(process, owner=owner)
    make_directory(AGENT_HOME, owner=ROOT)
    files = ProcessFiles(
        work_order_key=VOLUMES / "worker" / "work-order.key",
        worker_ready=VOLUMES / "worker" / "ready",
        agent_ready=VOLUMES / "agent" / "ready",
        bootstrap_token=VOLUMES / "migrate" / "bootstrap-token",
        agent_home=AGENT_HOME,
        agent_public_key=VOLUMES / "worker" / "agent.pub",
        temporal_worker_token=VOLUMES / "worker" / "temporal.token",
        temporal_agent_token=VOLUMES / "agent" / "temporal.token",
    )
    _write_temporal_access(files)
    _write_process_files(
        files,
        SettingsWriter(
            addresses=ADDRESSES,
            credentials=credentials,
            files=files,
            cluster=CLUSTER,
            agent_memory=AGENT_MEMORY,
        ),
    )


def _write_temporal_access(files: ProcessFiles) -> None:
    """The keys for everybody; each token for who may use it."""
    access = TemporalAccess.load_or_create(VOLUMES / "secrets" / "temporal-access.pem")
    _make_volume("temporal-keys", owner=OURS)
    write_private(VOLUMES / "temporal-keys" / KEYS_FILE, access.public_keys(), owner=OURS)
    _make_volume("temporal-operator", owner=OURS)
    write_private(VOLUMES / "temporal-operator" / "token", access.for_operator(), owner=OURS)
    write_private(files.temporal_worker_token, access.for_worker(), owner=OURS)
    write_private(files.temporal_agent_token, access.for_agent(CLUSTER), owner=ROOT)


def _access_rules() -> str:
    """Who may reach which database, as in the embedded stack, and the image's own first steps."""
    rules = (TEMPLATES / "pg_hba.conf").read_text()
    return "local all postgres peer\n" + rules.replace(f"{LOOPBACK}/32", "all")


def _make_volume(reader: str, *, owner: Identity) -> None:
    make_directory(VOLUMES / reader, owner=owner)


def _write_process_files(files: ProcessFiles, writer: SettingsWriter) -> None:
    write_private(files.worker_ready, "", owner=OURS)
    write_private(files.agent_ready, "", owner=ROOT)
    ensure_signing_key(
        files.work_order_key,
        private_owner=OURS,
        public=files.work_order_public_key,
        public_owner=ROOT,
    )
    ensure_signing_key(
        files.agent_key, private_owner=ROOT, public=files.agent_public_key, public_owner=OURS
    )
    ensure_secrets_identity(files.secrets_identity, owner=ROOT)
    for process, settings in writer.all().items():
        path = VOLUMES / process / f"{process}.toml"
        write_private(path, to_toml(settings), owner=PROCESS_OWNERS[process])


if __name__ == "__main__":
    main()
