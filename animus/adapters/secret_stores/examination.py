"""Whether an agent's secret store is fit, asked as the agent; no value is read, let alone shown."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

from animus.adapters.findings import Finding
from animus.adapters.secret_stores.age import AgeFile, AgeStore
from animus.domain.ids import ProjectId
from animus.domain.secrets import place_of
from animus.ports import (
    SecretDenied,
    SecretMissing,
    SecretStore,
    SecretStoreUnavailable,
    SecretUnfit,
)

NOBODYS = place_of(ProjectId(UUID(int=0)), "doctor")
"""In the corner of a project that there can't be: a store that lets the agent look has nothing."""
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


async def examine(store: SecretStore) -> AsyncIterator[Finding]:
    """What was found, one after another."""
    try:
        if isinstance(store, AgeStore):
            for finding in _of_file(store.content):
                yield finding
        else:
            yield await _of_answer(store)
    except SecretStoreUnavailable as error:
        why = f" ({error.detail})" if error.detail else ""
        yield Finding(is_fault=True, said=f"{error.message}{why}")


async def _of_answer(store: SecretStore) -> Finding:
    try:
        await store.read(NOBODYS)
    except SecretDenied as error:
        return Finding(is_fault=True, said=error.message)
    except (SecretMissing, SecretUnfit):
        pass
    return Finding(
        is_fault=False,
        said="The secret store knows the agent and lets it look for secrets of a project.",
    )


def _of_file(content: AgeFile) -> Iterator[Finding]:
    content.check_identity()
    is_open = bool(content.identity_file.stat().st_mode & _FOR_OTHERS)
    yield Finding(
        is_fault=is_open,
        said=f"Others than its owner may use {content.identity_file}: take it from them with "
        f"chmod 600, and make another identity if they may have read it."
        if is_open
        else f"{content.identity_file} holds one identity, for its owner alone.",
    )
    if not content.file.exists():
        yield Finding(
            is_fault=False,
            said=f"There is no {content.file} yet: animusd secrets set makes it with a value.",
        )
        return
    projects = content.read()
    many = sum(len(secrets) for secrets in projects.values())
    yield Finding(
        is_fault=False,
        said=f"{content.file} can be read with it: {many} secrets of {len(projects)} projects.",
    )
