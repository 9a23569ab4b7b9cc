"""Source as content: packs the code of a run, proves a pack, unpacks it. See docs/source-pack.md.

The control plane proves the same bytes with its own code.
"""

from __future__ import annotations

from animus_sdk._source_build import SourcePack, build_source_pack
from animus_sdk._source_format import MEDIA_TYPE, SourceError, SourceRefused
from animus_sdk._source_git import GitError
from animus_sdk._source_unpack import UnpackError, unpack
from animus_sdk._source_verify import (
    SourceEntry,
    SourceLimitation,
    SourceState,
    VerifiedSource,
    verify,
)

__all__ = [
    "MEDIA_TYPE",
    "GitError",
    "SourceEntry",
    "SourceError",
    "SourceLimitation",
    "SourcePack",
    "SourceRefused",
    "SourceState",
    "UnpackError",
    "VerifiedSource",
    "build_source_pack",
    "unpack",
    "verify",
]
