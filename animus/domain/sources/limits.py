"""The limits of a source pack, version 1. docs/source-pack.md and limits.json state the same."""

from __future__ import annotations

MAX_PACK_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Over all files: one blob may stand at many paths."""
MAX_FILES = 20_000
"""Files, symbolic links and submodules together; changes too are at most this many."""
MAX_DIRECTORIES = 20_000
MAX_OBJECTS = 50_000
MAX_COMMIT_BYTES = 1024 * 1024
MAX_TREE_BYTES = 4 * 1024 * 1024
MAX_TREE_ENTRIES = 100_000
"""Over all distinct trees, those above the chosen directory included."""
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_DEPTH = 64
"""Names in a path: of the chosen directory, and of a file below it."""
MAX_LIMITATIONS_PER_CODE = 50
"""Named one by one; how many more there are is one limitation."""
