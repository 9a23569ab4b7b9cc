"""CodeRef: which commit of which repository, and how well its bytes are proved."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from animus.domain import patterns
from animus.domain.canonical import canonical_bytes
from animus.domain.documents import DigestText, Document, SparseDocument, Text
from animus.domain.errors import Fault, InvalidDocument


class CodeState(StrEnum):
    PROVED = "proved"
    """The commit id was recomputed from the bytes that are executed."""
    CLAIMED = "claimed"
    """Part of the code, or all of it, is outside the bytes that were proved."""
    UNCOMMITTED = "uncommitted"
    """The bytes differ from the commit; only development may run them."""


class CodeLimitation(Document):
    code: Literal[
        "submodule",
        "submodules_more",
        "lfs_pointer",
        "lfs_pointers_more",
        "changed_file",
        "changed_files_more",
    ]
    subject: Text


class CodeRef(SparseDocument):
    repo_url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] | None = None
    """Where the client says that the commit is from; none for a repository without a remote."""
    commit: Annotated[str, StringConstraints(pattern=patterns.COMMIT)]
    object_format: Literal["sha1", "sha256"] = "sha1"
    path: Annotated[str, StringConstraints(max_length=1_024)] = ""
    """The chosen directory, relative to the repository's root; '' is the root."""
    state: CodeState
    pack_sha256: DigestText | None = None
    """SHA-256 over the source pack; none where the code is only in the image."""
    limitations: Annotated[tuple[CodeLimitation, ...], Field(max_length=200)] = ()


def canonical_limitations(limitations: Iterable[CodeLimitation]) -> bytes:
    """For comparing what a client says of its source with what the server found."""
    return canonical_bytes([one.content() for one in _sorted(limitations)])


def in_order(code: CodeRef) -> CodeRef:
    """The same reference, with its limitations in the one order that is hashed."""
    return code.model_copy(update={"limitations": _sorted(code.limitations)})


def _sorted(limitations: Iterable[CodeLimitation]) -> tuple[CodeLimitation, ...]:
    return tuple(sorted(limitations, key=lambda one: (one.code, one.subject)))


def check_code_ref(code: CodeRef) -> None:
    """Raise `InvalidDocument` where the parts of a CodeRef contradict each other."""
    expected = 40 if code.object_format == "sha1" else 64
    if len(code.commit) != expected:
        _refuse("commit", f"A {code.object_format} commit id has {expected} digits.")
    if code.pack_sha256 is None and code.state is not CodeState.CLAIMED:
        _refuse("state", "Without a source pack the code is 'claimed'.")
    if code.state is CodeState.PROVED and code.limitations:
        _refuse("limitations", "Proved code has no limitations.")


def _refuse(key: str, message: str) -> None:
    raise InvalidDocument("This code reference cannot be right.", [
        Fault(pointer=f"/code/{key}", message=message)
    ])  # fmt: skip
