"""Why a source pack is refused. The codes are part of the format: both implementations use them.

SourceRefused
├── SourceMalformed      not the grammar, or not in canonical form
├── SourceMismatch       other bytes, another commit or another directory than expected
├── SourcePathMissing    the chosen directory is not in the commit
├── SourceIncomplete     a needed object is not there
├── SourceSuperfluous    something is there that nothing needs
├── SourceUnsafe         a name or a symbolic link that must not be written to a disk
├── SourceConflict       one path twice, or a file where a directory is
└── SourceTooLarge       a limit is exceeded
"""

from __future__ import annotations

from animus.domain.errors import Invalid

_SHOWN = 120


class SourceRefused(Invalid):
    code = "source_refused"


class SourceMalformed(SourceRefused):
    code = "source_malformed"


class SourceMismatch(SourceRefused):
    code = "source_mismatch"


class SourcePathMissing(SourceRefused):
    code = "source_path_missing"


class SourceIncomplete(SourceRefused):
    code = "source_incomplete"


class SourceSuperfluous(SourceRefused):
    code = "source_superfluous"


class SourceUnsafe(SourceRefused):
    code = "source_unsafe"


class SourceConflict(SourceRefused):
    code = "source_conflict"


class SourceTooLarge(SourceRefused):
    code = "source_too_large"


def show_name(name: bytes) -> str:
    """A name from a pack, quoted and shortened: it may be hostile."""
    quoted = ascii(name[:_SHOWN].decode("utf-8", "backslashreplace"))
    return quoted if len(name) <= _SHOWN else quoted + "…"
