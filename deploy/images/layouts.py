"""An image as an OCI image layout: a directory of blobs named by their digests.

Source: OCI image-spec v1.1, image-layout.md and manifest.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.images.layers import Layer

PLATFORM = "linux/amd64"
REPOSITORY = "localhost"
"""No registry has this name, so no engine looks for these images anywhere else."""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayout:
    path: Path
    name: str
    manifest_digest: str
    config_digest: str

    @property
    def reference(self) -> str:
        return f"{REPOSITORY}/{self.name}@{self.manifest_digest}"

    @property
    def tag(self) -> str:
        """A name of its own for each image, so that a newer one takes none away."""
        return f"{REPOSITORY}/{self.name}:{self.manifest_digest[7:19]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    media_type: str
    digest: str
    size: int

    def descriptor(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def write_layout(
    path: Path, *, name: str, layers: Sequence[Layer], settings: Mapping[str, object]
) -> ImageLayout:
    """Write the layout to the new directory `path`; `settings` are the image config's `config`."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        _link(layer.tar, blobs / _hex(layer.digest))
    config = _write_blob(blobs, _CONFIG, _config(layers, settings))
    manifest = _write_blob(blobs, MANIFEST, _manifest(layers, config))
    layout = ImageLayout(
        path=path, name=name, manifest_digest=manifest.digest, config_digest=config.digest
    )
    (path / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (path / "index.json").write_bytes(_json(_index(layout, manifest)))
    return layout


def read_layout(path: Path, *, name: str) -> ImageLayout:
    """The image in a layout that `write_layout` wrote."""
    (manifest,) = json.loads((path / "index.json").read_text())["manifests"]
    content = path / "blobs" / "sha256" / _hex(manifest["digest"])
    config = json.loads(content.read_text())["config"]
    return ImageLayout(
        path=path, name=name, manifest_digest=manifest["digest"], config_digest=config["digest"]
    )


def _config(layers: Sequence[Layer], settings: Mapping[str, object]) -> dict[str, object]:
    operating_system, architecture = PLATFORM.split("/")
    return {
        "created": _EPOCH,
        "architecture": architecture,
        "os": operating_system,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }


def _manifest(layers: Sequence[Layer], config: _Blob) -> dict[str, object]:
    packed = [_Blob(media_type=_LAYER, digest=each.digest, size=each.size) for each in layers]
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(),
        "layers": [blob.descriptor() for blob in packed],
    }


def _index(layout: ImageLayout, manifest: _Blob) -> dict[str, object]:
    names = {
        "io.containerd.image.name": layout.tag,
        "org.opencontainers.image.ref.name": layout.tag,
    }
    return {"schemaVersion": 2, "manifests": [manifest.descriptor() | {"annotations": names}]}


def _write_blob(blobs: Path, media_type: str, document: Mapping[str, object]) -> _Blob:
    data = _json(document)
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return _Blob(media_type=media_type, digest=f"sha256:{digest}", size=len(data))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
