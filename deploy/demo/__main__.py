"""`python -m deploy.demo run|smoke|down`: the stack and the walk, for a person or for CI."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from deploy.demo.handover import hand_over
from deploy.demo.scenes import Scene, say
from deploy.demo.stages import STATES, WORK, Executor, Stage, clear_stages, set_stage
from deploy.demo.walk import walk
from deploy.embedded.addresses import loopback_addresses
from deploy.embedded.console import Console
from deploy.embedded.daemon import bring_up, take_down
from deploy.embedded.errors import StackError
from deploy.images.builds import BuiltImage, ensure_image
from deploy.images.datasets import get_breast_cancer_csv
from deploy.images.definitions import DEMO
from deploy.local.accounts import Accounts, make_accounts, read_accounts
from deploy.local.platform import accounts_file, settle

GATEWAY_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deploy.demo", description=__doc__)
    parser.add_argument("command", choices=("run", "smoke", "down"))
    parser.add_argument("--purge", action="store_true", help="down: delete the data too")
    parser.add_argument(
        "--executor",
        type=Executor,
        choices=list(Executor),
        default=Executor.CONTAINER,
        help="run, smoke: what steps run on (kubernetes: on the cluster of 'make cluster-up')",
    )
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "down":
            clear_stages(purge_data=arguments.purge, console=Console())
        elif os.environ.get("DEMO_NO_DOCKER") == "1":
            _walk_only(arguments.executor)
        else:
            _demo(arguments.executor, stay=arguments.command == "run")
    except StackError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _demo(executor: Executor, *, stay: bool) -> None:
    console = Console()
    say("==> starting demo stack")
    stage = set_stage(executor, console=console)
    bring_up(stage.config, console=console)
    say(f"    executor      {stage.executor}, {stage.runtime}")
    say(f"    its steps     {stage.look}")
    addresses = loopback_addresses(stage.config.ports)
    _await_gateway(addresses.api_public)
    accounts = settle(stage.config, executor=stage.executor, runtime=stage.runtime)
    try:
        with _workplace() as work:
            walk(
                Scene(
                    url=addresses.api_public,
                    accounts=accounts,
                    image=stage.demo_image,
                    dataset=get_breast_cancer_csv(console=console),
                    work=Path(work),
                    temporal_ui=f"http://localhost:{stage.config.ports.temporal_ui}",
                )
            )
        if stay:
            _stay(stage, hand_over(stage, accounts, url=addresses.api_public))
    finally:
        if not stay:
            take_down(stage.config.state)


def _walk_only(executor: Executor) -> None:
    """Walk a gateway that runs already; start nothing."""
    url = os.environ.get("DEMO_BASE_URL", "http://localhost:8080").rstrip("/")
    console = Console()
    say("==> starting demo stack")
    say("    DEMO_NO_DOCKER=1: using the gateway that runs")
    _await_gateway(url)
    with _workplace() as work:
        walk(
            Scene(
                url=url,
                accounts=_find_accounts(url, STATES[executor]),
                image=_demo_image(console),
                dataset=get_breast_cancer_csv(console=console),
                work=Path(work),
                temporal_ui=None,
            )
        )


def _find_accounts(url: str, state: Path) -> Accounts:
    token = os.environ.get("ANIMUS_AUTH_TOKEN")
    if token:
        return make_accounts(url, token)
    accounts = read_accounts(accounts_file(state))
    if accounts is None:
        raise StackError(
            "No credential. Set ANIMUS_AUTH_TOKEN to a platform administrator's token, or start "
            "the local stack with 'make demo'."
        )
    return accounts


def _demo_image(console: Console) -> BuiltImage:
    return ensure_image(DEMO, console=console)


def _await_gateway(url: str) -> None:
    say(f"==> waiting for gateway {url}/healthz")
    give_up = time.monotonic() + GATEWAY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > give_up:
                raise StackError(f"{url} does not answer: {error}. Is the stack up?") from None
        time.sleep(0.2)


def _workplace() -> tempfile.TemporaryDirectory[str]:
    WORK.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="project-", dir=WORK)


def _stay(stage: Stage, commands: Sequence[str]) -> None:
    """Stay up until Ctrl+C, then stop. `commands` are for who wants to use it meanwhile."""
    ports = stage.config.ports
    say("")
    say(f"    api           http://localhost:{ports.api}")
    say(f"    Temporal UI   http://localhost:{ports.temporal_ui}")
    say(f"    object store  http://localhost:{ports.object_store}")
    say(f"    steps         {stage.look}")
    say(f"    accounts      {accounts_file(stage.config.state)}")
    say("    to use it, in a folder with a train.py that is under git:")
    for command in commands:
        say(f"        {command}")
    say("    Ctrl+C stops the stack; 'make demo-down PURGE=1' deletes its data.")
    try:
        signal.pause()
    finally:
        say("==> stopping demo stack")
        take_down(stage.config.state)


if __name__ == "__main__":
    sys.exit(main())
