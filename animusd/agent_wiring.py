"""The agent's composition root, apart from the others': its machine has no database driver."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from animus.adapters.chunk_uploads import ChunkUploads
from animus.adapters.container.engines import Engine, EngineUnfit, read_engine
from animus.adapters.container.executor import ContainerExecutor
from animus.adapters.container.forwarders import Upstream, upstream_of
from animus.adapters.container.phases import Naming
from animus.adapters.container.places import STEP_GID, STEP_UID, Place, Places
from animus.adapters.container.sandboxes import Runtimes, find_fault
from animus.adapters.container.secret_files import SecretRoom, is_in_memory
from animus.adapters.container.starting import OwnImage
from animus.adapters.gateway import Gateway
from animus.adapters.noop_executor import NoopExecutor
from animus.adapters.signing import FileSigner
from animus.agent.execution import Agent
from animus.agent.journals import Journals
from animus.agent.live_logs import LiveLogs
from animus.agent.orders import OrderVerifier
from animus.domain.execution_names import AGENT_LENGTH
from animus.ledger.signatures import key_id
from animus.ports import Executor, SecretStore, Signer
from animusd.secret_wiring import open_secret_store
from animusd.settings import AgentSection, SettingsUnfit, engine_environment

_PEM_END = b"-----END PUBLIC KEY-----"

_log = structlog.get_logger()


def utc_now() -> datetime:
    return datetime.now(UTC)


def attempts_of(section: AgentSection) -> Journals:
    return Journals(directory=section.state_dir / "attempts")


def build_agent(
    section: AgentSection,
    gateway: Gateway,
    *,
    runtimes: Runtimes | None = None,
    executor: Executor | None = None,
    secrets: SecretStore | None = None,
) -> Agent:
    """The agent on its real parts. Raises `SettingsUnfit`, and nothing is started yet.

    Without an executor it is one of this machine; without `runtimes` the description of the engine
    is believed.
    """
    signer = FileSigner(section.key_file)
    journals = attempts_of(section)
    journals.prepare()
    return Agent(
        verifier=OrderVerifier(
            cluster=section.cluster, keys=read_public_keys(section.work_order_public_key_file)
        ),
        signer=signer,
        control=gateway,
        executor=executor or _executor(section, journals, signer, gateway, runtimes),
        journals=journals,
        now=utc_now,
        concurrency=section.concurrency,
        secrets=secrets if secrets is not None else open_secret_store(section),
    )


async def find_runtimes(section: AgentSection) -> Runtimes | None:
    """What main can run under here, seen by running something in it.

    Raises `Unavailable` while the engine runs nothing at all, and `EngineUnfit` where the sandbox
    that the settings demand does not work.
    """
    if section.executor != "container" or section.runtime == "runc":
        return None
    engine, step_image = _engine(section), section.step_image
    if engine.sandbox is None or step_image is None:
        fault = "The description of the engine names no sandbox."
    else:
        folder = section.state_dir / "probe"
        place = Place(directory=_mountable(folder), owner=_owner(rootless=engine.rootless))
        naming = _naming(section, FileSigner(section.key_file))
        found = await find_fault(engine, place=place, naming=naming, image=step_image)
        if found is None:
            return _described_runtimes(section, engine)
        fault = found
    if section.runtime == "runsc":
        raise EngineUnfit(f"agent.runtime demands a sandbox. {fault}")
    _log.warning("no_sandbox", reason=fault, advice="runs planned for a sandbox will fail here")
    return Runtimes(fault="The agent's log says why (no_sandbox).")


def read_public_keys(file: Path) -> tuple[bytes, ...]:
    """Raw Ed25519 keys from one PEM block or several."""
    try:
        blocks = [part + _PEM_END for part in file.read_bytes().split(_PEM_END)[:-1]]
        keys = [load_pem_public_key(block.strip()) for block in blocks]
    except (OSError, ValueError) as error:
        raise SettingsUnfit(f"agent.work_order_public_key_file: {file}: {error}") from None
    if not keys or not all(isinstance(key, Ed25519PublicKey) for key in keys):
        raise SettingsUnfit(f"agent.work_order_public_key_file: {file} holds no Ed25519 key.")
    return tuple(key.public_bytes(Encoding.Raw, PublicFormat.Raw) for key in keys)


def _executor(
    section: AgentSection,
    journals: Journals,
    signer: Signer,
    gateway: Gateway,
    runtimes: Runtimes | None,
) -> Executor:
    if section.executor == "noop":
        return NoopExecutor(now=utc_now)
    engine, step_image, object_store = _engine(section), section.step_image, section.object_store
    if step_image is None or object_store is None:
        raise _incomplete()
    return ContainerExecutor(
        engine=engine,
        runtimes=runtimes or _described_runtimes(section, engine),
        naming=_naming(section, signer),
        places=Places(
            directory=_mountable(journals.directory), owner=_owner(rootless=engine.rootless)
        ),
        secrets=_room(section, signer, rootless=engine.rootless),
        journals=journals,
        step_image=OwnImage(engine, step_image),
        api=_upstream(section.api_url),
        object_store=_upstream(f"http://{object_store}"),
        live=LiveLogs(ChunkUploads(gateway)),
        now=utc_now,
    )


def _engine(section: AgentSection) -> Engine:
    if section.engine_file is None:
        raise _incomplete()
    return read_engine(section.engine_file, environment=engine_environment())


def _incomplete() -> SettingsUnfit:
    return SettingsUnfit(
        "The container executor needs agent.engine_file, agent.step_image and agent.object_store."
    )


def _described_runtimes(section: AgentSection, engine: Engine) -> Runtimes:
    if section.runtime == "runc":
        return Runtimes(fault="The agent's settings forbid it.")
    name = engine.sandbox.name if engine.sandbox is not None else None
    return Runtimes(sandbox=name, sandbox_only=section.runtime == "runsc")


def _naming(section: AgentSection, signer: Signer) -> Naming:
    return Naming(cluster=section.cluster, agent=key_id(signer.public_key)[:AGENT_LENGTH])


def _room(section: AgentSection, signer: Signer, *, rootless: bool) -> SecretRoom:
    directory = _mountable(section.memory_dir)
    if section.secrets is not None and not is_in_memory(directory):
        raise SettingsUnfit(
            f"agent.memory_dir: {directory} is on a disk. Name a directory on a tmpfs: secrets of "
            "steps are put there while main runs."
        )
    name = f"animus-{key_id(signer.public_key)[:AGENT_LENGTH]}"
    return SecretRoom(directory=directory / name, owner=_owner(rootless=rootless))


def _owner(*, rootless: bool) -> tuple[int, int] | None:
    """Who the step's user is on this machine."""
    if rootless:
        return None
    if os.geteuid() != 0:
        raise SettingsUnfit(
            "The agent must run as root: the step's files belong to a user of their own. "
            "(With podman without root it may run as yourself.)"
        )
    return STEP_UID, STEP_GID


def _mountable(directory: Path) -> Path:
    resolved = directory.resolve()
    if any(character in str(resolved) for character in ',"\n'):
        raise SettingsUnfit(f"agent.state_dir: {resolved}: no engine mounts such a path.")
    return resolved


def _upstream(url: str) -> Upstream:
    try:
        return upstream_of(url)
    except ValueError as error:
        raise SettingsUnfit(f"agent.api_url or agent.object_store: {error}") from None
