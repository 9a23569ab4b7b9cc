"""A purge of one stack leaves the images of another, also of one that is not up yet."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.embedded.console import Console
from deploy.embedded.engine.storage import get_storage
from deploy.embedded.errors import StackError
from deploy.embedded.locks import is_locked, share, try_lock
from deploy.embedded.ports import free_ports
from deploy.local import platform


def test_a_stack_that_is_being_prepared_keeps_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: list[bool] = []

    def look(*, console: Console) -> None:
        seen.append(is_locked(get_storage().in_use))
        raise StackError("that is all there is to see")

    monkeypatch.setattr(platform, "build_servers", look)  # minutes
    with pytest.raises(StackError):
        platform.prepare(tmp_path / "stack", free_ports(), console=Console())
    assert seen == [True]


def test_who_waited_for_a_purge_has_the_lock_that_others_find(tmp_path: Path) -> None:
    lock = tmp_path / "containers" / "in-use"
    lock.parent.mkdir()
    purging = try_lock(lock)
    assert purging is not None
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(share, lock)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        shutil.rmtree(lock.parent)
        os.close(purging)
        shared = waiting.result(timeout=10)
    assert is_locked(lock)
    os.close(shared)
    assert not is_locked(lock)
