"""Images that a pipeline names by tag, written as digests before anything is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from animus_sdk.client import Client
from animus_sdk.images.found import FoundImage
from animus_sdk.images.names import parse_image_name
from animus_sdk.images.resolution import resolve_image

KUBERNETES = "kubernetes"


class ImageResolver:
    """Asks each name once, and the gateway once where runs of this project happen."""

    def __init__(self, client: Client, cluster: str | None) -> None:
        self._client = client
        self._cluster = cluster
        self._pulls: bool | None = None
        self._found: dict[str, FoundImage] = {}

    def resolve(self, written: str) -> FoundImage:
        if written not in self._found:
            name = parse_image_name(written)
            pulls = name.digest is None and self._do_clusters_pull()
            self._found[written] = resolve_image(name, pulls=pulls)
        return self._found[written]

    def pin(self, pipeline: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Writes a digest for each tag, in either form of a pipeline; what was done, in words.

        What is no text, or has a digest, stays: the gateway judges it.
        """
        for holder in _holders(pipeline):
            written = holder.get("image")
            if isinstance(written, str) and written and "@" not in written:
                found = self.resolve(written)
                holder["image"] = found.reference
                yield f"image {written}", image_words(found)

    def _do_clusters_pull(self) -> bool:
        """Whether images come from registries where the run may go; else from an engine's store."""
        if self._pulls is None:
            known = [one for one in self._client.clusters.all() if one["retired_at"] is None]
            meant = [one for one in known if self._cluster in (None, one["name"], one["id"])]
            self._pulls = any(one["executor"] == KUBERNETES for one in meant)
        return self._pulls


def image_words(found: FoundImage) -> str:
    return f"{found.reference} ({found.by})"


def _holders(pipeline: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where a pipeline, as it was written, may name an image: in either form."""
    yield pipeline
    spec = pipeline.get("spec")
    for steps in (pipeline.get("steps"), spec.get("steps") if isinstance(spec, dict) else None):
        listed = list(steps.values()) if isinstance(steps, dict) else steps
        if isinstance(listed, list):
            yield from (step for step in listed if isinstance(step, dict))
