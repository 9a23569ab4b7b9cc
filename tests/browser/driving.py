"""A browser that is driven as a person does: it opens addresses and presses what it shows."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

SECONDS = 60
_FROM_US, _TO_US = 3, 4
"""Where Chromium reads commands and writes answers, with `--remote-debugging-pipe`."""


class Window:
    """One page, without scripts: what is on it, and everything that it asked for."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._heard, self._count = b"", 0
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        self.asked: list[tuple[str, str]] = []
        """Method and address."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "DOM"):
            self._ask(f"{domain}.enable")
        self._ask("Page.setLifecycleEventsEnabled", enabled=True)
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def open(self, address: str) -> str:
        """The document that is there once it is loaded."""
        return self._loaded(self._ask("Page.navigate", url=address)["loaderId"])

    def reload(self) -> str:
        self._ask("Page.reload")
        return self._loaded()

    def press(self, selector: str) -> str:
        """With the mouse, in the middle of it; the document to which that leads."""
        root = self._ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        node = self._ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        x1, y1, _, _, x2, y2, _, _ = self._ask("DOM.getBoxModel", nodeId=node)["model"]["border"]
        place = {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "button": "left", "clickCount": 1}
        for act in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=act, **place)
        return self._loaded()

    def _loaded(self, loader: str | None = None) -> str:
        """By that loader, where it is known: an empty page may say late that it is there."""
        deadline = time.monotonic() + SECONDS
        while not any(loader in (None, one) for one in self._take_loaders()):
            self._hear(deadline)
        root = self._ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        return str(self._ask("DOM.getOuterHTML", nodeId=root)["outerHTML"])

    def _take_loaders(self) -> list[str]:
        """Of documents that said since that they are there."""
        told = [one["params"] for one in self._events if one["method"] == "Page.lifecycleEvent"]
        self._events.clear()
        return [one["loaderId"] for one in told if one["name"] == "load"]

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        said: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session is not None:
            said["sessionId"] = self._session
        os.write(self._commands, json.dumps(said).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._hear(deadline)
            if answer.get("id") == self._count:
                assert "result" in answer, answer
                return dict(answer["result"])

    def _hear(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._heard:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            assert ready, "the browser says nothing"
            more = os.read(self._answers, 65_536)
            assert more, "the browser has ended"
            self._heard += more
        said, _, self._heard = self._heard.partition(b"\0")
        heard: dict[str, Any] = json.loads(said)
        if "method" in heard:
            self._events.append(heard)
        if heard.get("method") == "Network.requestWillBeSent":
            request = heard["params"]["request"]
            self.asked.append((request["method"], request["url"]))
        return heard


@contextmanager
def window(chromium: str, profile: Path) -> Iterator[Window]:
    our_end, commands = os.pipe()
    answers, their_end = os.pipe()
    arguments = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    with (profile.parent / "chromium.log").open("wb") as log:
        process = os.posix_spawn(
            chromium, arguments, dict(os.environ), setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, our_end, _FROM_US), (os.POSIX_SPAWN_DUP2, their_end, _TO_US),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
        )  # fmt: skip
    os.close(our_end)
    os.close(their_end)
    try:
        yield Window(commands, answers)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process, SIGKILL)
        os.waitpid(process, 0)
        os.close(commands)
        os.close(answers)
