"""EnvironmentDefinition and EnvironmentLock: names, and their immutable resolution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from animus.domain import patterns
from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import DigestText, Document, Name, SparseDocument, Text
from animus.domain.errors import Fault, InvalidDocument
from animus.domain.placements import Placement

TAG = "animus.environment-lock/v1"
MAX_HASHES = 512
"""Of one package: a release has a wheel for each platform and version of Python."""
Repository = Annotated[str, StringConstraints(pattern=patterns.REPOSITORY)]
Platform = Literal["linux/amd64", "linux/arm64"]


class BaseImage(Document):
    name: Name
    repository: Repository


class EnvironmentDefinition(SparseDocument):
    """What an environment is made of, by name. Editing makes a new version."""

    name: Name
    description: Text | None = None
    images: Annotated[tuple[BaseImage, ...], Field(min_length=1, max_length=32)]
    resource_class: Name | None = None
    network_class: Name | None = None
    placement: Placement | None = None


class LockedImage(SparseDocument):
    name: Name
    repository: Repository
    platform: Platform
    manifest_digest: DigestText
    """Of the image for the platform: what runs."""
    index_digest: DigestText | None = None
    """Of the multi-platform index, where the reference names that."""
    config_digest: DigestText | None = None

    @property
    def digests(self) -> tuple[str, ...]:
        """All that an engine may call it by."""
        known = (self.manifest_digest, self.index_digest, self.config_digest)
        return tuple(sorted({digest for digest in known if digest is not None}))

    def answers_to(self, digest: str) -> bool:
        return digest in (self.manifest_digest, self.index_digest)


class LockedPackage(Document):
    ecosystem: Literal["pypi", "conda", "deb", "npm", "cran", "other"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    hashes: Annotated[tuple[DigestText, ...], Field(max_length=MAX_HASHES)] = ()


class EnvironmentLock(SparseDocument):
    schema_: Annotated[Literal["animus.environment-lock/v1"], Field(alias="schema")] = (
        "animus.environment-lock/v1"
    )
    images: Annotated[tuple[LockedImage, ...], Field(min_length=1, max_length=32)]
    packages: Annotated[tuple[LockedPackage, ...], Field(max_length=3_000)] = ()
    sbom_sha256: DigestText | None = None
    placement: Placement | None = None
    """The definition's: so it is under the lock's digest, and the plan's."""

    def find_image(self, digest: str) -> LockedImage | None:
        return next((image for image in self.images if image.answers_to(digest)), None)


def canonical_lock(lock: EnvironmentLock) -> bytes:
    """Canonical bytes, whatever the order of declaration."""
    ordered = lock.model_copy(
        update={
            "images": tuple(sorted(lock.images, key=lambda image: image.name)),
            "packages": tuple(
                sorted(
                    (
                        p.model_copy(update={"hashes": tuple(sorted(p.hashes))})
                        for p in lock.packages
                    ),
                    key=lambda p: (p.ecosystem, p.name, p.version),
                )
            ),
            "placement": _ordered(lock.placement),
        }
    )
    return canonical_bytes(ordered.content())


def lock_digest(canonical: bytes) -> Digest:
    return digest_of_canonical(TAG, canonical)


def check_lock(lock: EnvironmentLock, definition: EnvironmentDefinition) -> None:
    """Every image of the definition has its digest, and no image is there that it does not name."""
    faults = tuple(_lock_faults(lock, definition))
    if faults:
        raise InvalidDocument("This lock does not resolve its environment.", faults)


def _lock_faults(lock: EnvironmentLock, definition: EnvironmentDefinition) -> Iterator[Fault]:
    wanted = {image.name: image.repository for image in definition.images}
    for index, image in enumerate(lock.images):
        place = f"/lock/images/{index}"
        if image.name not in wanted:
            yield Fault(pointer=f"{place}/name", message="The environment has no such image.")
        elif image.repository != wanted[image.name]:
            yield Fault(
                pointer=f"{place}/repository",
                message=f"The environment says {wanted[image.name]!r}.",
            )
    counted = Counter(image.name for image in lock.images)
    if _ordered(lock.placement) != _ordered(definition.placement):
        yield Fault(pointer="/lock/placement", message="The environment says another placement.")
    for name in wanted:
        if counted[name] != 1:
            yield Fault(pointer="/lock/images", message=f"Image {name!r} needs exactly one digest.")


def _ordered(placement: Placement | None) -> Placement | None:
    return placement.ordered() if placement is not None else None
