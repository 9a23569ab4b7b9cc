"""What is mounted on this machine, as far as it lies below a directory."""

from __future__ import annotations

from pathlib import Path


def mounts_below(directory: Path) -> list[str]:
    """Where something is mounted in `directory`, the innermost first."""
    # proc(5): the fifth field; a space in it is written as \040.
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4].replace("\\040", " ") for line in lines]
    return sorted((each for each in places if each.startswith(f"{directory}/")), reverse=True)
