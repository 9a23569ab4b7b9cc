"""Preparing a local platform before it starts, and settling it once its api answers."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from deploy.embedded.accounts import caller
from deploy.embedded.addresses import loopback_addresses
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.engine import Engine, get_engine
from deploy.embedded.engine.storage import get_storage
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.locks import share
from deploy.embedded.ports import Ports
from deploy.images.builds import BuiltImage, ensure_image
from deploy.images.definitions import DEMO, STEP
from deploy.images.loading import provide
from deploy.local.accounts import (
    Accounts,
    Gateway,
    bootstrap,
    find_agent_token,
    keep_accounts,
    make_accounts,
    read_accounts,
    register_cluster,
)

CLUSTER = "local"
ENGINE_FILE = "engine.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a stack needs before it can start, and what runs on it."""

    config: StackConfig
    engine: Engine
    demo_image: BuiltImage


def prepare(state: Path, ports: Ports, *, console: Console) -> Prepared:
    """Servers, container engine and images, built or found; nothing runs yet.

    Nobody deletes the images until this process ends: the stack is up then, and keeps them itself.
    """
    share(get_storage().in_use)
    build_servers(console=console)
    engine_file = state.parent / ENGINE_FILE
    engine = get_engine(engine_file, console=console)
    step = ensure_image(STEP, console=console)
    demo = ensure_image(DEMO, console=console)
    for image in (step, demo):
        provide(image, engine=engine, console=console)
    config = StackConfig(
        state=state.absolute(),
        ports=ports,
        cluster=CLUSTER,
        engine_file=engine_file.absolute(),
        overrides={
            "agent": {
                "agent": {
                    "step_image": step.reference,
                    "host": socket.gethostname(),
                    "object_store": f"127.0.0.1:{ports.object_store}",
                }
            }
        },
    )
    return Prepared(config=config, engine=engine, demo_image=demo)


def accounts_file(state: Path) -> Path:
    return Layout(state=state).secrets / "accounts.json"


def find_agent_mark(state: Path) -> str | None:
    """What the agent of this stack puts on its containers: the beginning of its key's id."""
    public = Layout(state=state).keys / "agent.pub"
    if not public.exists():
        return None
    return hashlib.sha256(b"animus.key/v1\n" + _raw_public_key(public)).hexdigest()[:8]


def settle(config: StackConfig, *, executor: str, runtime: str) -> Accounts:
    """Accounts and the registered cluster, made once; the agent's token where it looks for it.

    Wherever it was killed, the next call brings it to its end.
    """
    url = loopback_addresses(config.ports).api
    file = accounts_file(config.state)
    accounts = read_accounts(file)
    if accounts is None:
        accounts = make_accounts(url, _admin_token(config, url))
        keep_accounts(file, accounts)
    _admin_file(config).unlink(missing_ok=True)
    _register_cluster(config, url, accounts, executor=executor, runtime=runtime)
    return accounts


def _admin_file(config: StackConfig) -> Path:
    """Until there are accounts: the first token can be had only once."""
    return Layout(state=config.state).secrets / "first-admin-token"


def _admin_token(config: StackConfig, url: str) -> str:
    kept = _admin_file(config)
    if not kept.exists():
        spent = (Layout(state=config.state).handed_over / "bootstrap-token").read_text()
        write_private(kept, bootstrap(url, spent), owner=caller())
    return kept.read_text()


def _register_cluster(
    config: StackConfig, url: str, accounts: Accounts, *, executor: str, runtime: str
) -> None:
    layout = Layout(state=config.state)
    token_file = layout.data("agent") / "api-token"
    if token_file.exists():
        return
    gateway = Gateway(url, accounts.admin)
    try:
        token = find_agent_token(gateway, config.cluster) or register_cluster(
            gateway,
            {
                "name": config.cluster,
                "executor": executor,
                "runtime": runtime,
                "host": "" if executor == "kubernetes" else socket.gethostname(),
                "gives_secrets": True,
                "result_key": _raw_public_key(layout.keys / "agent.pub").hex(),
            },
        )
    finally:
        gateway.close()
    write_private(token_file, token, owner=caller())


def _raw_public_key(file: Path) -> bytes:
    key = load_pem_public_key(file.read_bytes())
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
