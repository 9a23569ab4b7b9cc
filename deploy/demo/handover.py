"""What a person needs to use the stack that the demo left up, as a file for a shell to read."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.demo.stages import WORK, Stage
from deploy.embedded.accounts import caller
from deploy.embedded.files import write_private
from deploy.local.accounts import Accounts, Gateway

PAGE = 500
FILE = WORK / "engineer.sh"
_HEAD = "# Written by 'make demo': the engineer of its stack. It holds a token.\n"


def hand_over(stage: Stage, accounts: Accounts, *, url: str) -> list[str]:
    """Write the file; the lines that say what to do with it."""
    said = {
        "ANIMUS_GATEWAY_URL": url,
        "ANIMUS_AUTH_TOKEN": accounts.engineer,
        "ANIMUS_PROJECT": _newest_project(url, accounts.engineer),
        "PATH": f"{Path(sys.executable).parent}:",
    }
    if stage.engine:
        said["ANIMUS_ENGINE"] = shlex.join(stage.engine)
        said["ANIMUS_ENGINE_OPTIONS"] = shlex.join(stage.engine_options)
    write_private(FILE, shell_text(said), owner=caller())
    image = stage.demo_image.tag if stage.engine else stage.demo_image.reference
    return [
        f". {FILE}",
        f"animus run submit --image {image} --out model -- python3 train.py",
    ]


def shell_text(said: Mapping[str, str]) -> str:
    """PATH goes before the one there is."""
    lines = [
        f'export PATH={shlex.quote(value)}"$PATH"\n'
        if name == "PATH"
        else f"export {name}={shlex.quote(value)}\n"
        for name, value in said.items()
    ]
    return _HEAD + "".join(lines)


def _newest_project(url: str, token: str) -> str:
    """Of those that the engineer sees, which come in the order of their making: the demo makes one
    each time."""
    gateway = Gateway(url, token)
    newest, after = "", ""
    try:
        while page := gateway.get(f"/projects?limit={PAGE}{after}"):
            newest, after = page[-1]["name"], f"&after={page[-1]['id']}"
    finally:
        gateway.close()
    return newest
