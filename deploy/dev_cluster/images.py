"""Brings images into a cluster's containerd from archives, without a registry."""

from __future__ import annotations

import re
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.programs import CommandFailed, ask

PATIENCE = 600.0
NAMESPACE = "k8s.io"
"""Of containerd: the kubelet sees the images in this one."""

_UNPACKED = re.compile(r"unpacking (?P<name>\S+) \((?P<digest>sha256:[0-9a-f]{64})\)")


def load_image(archive: Path, *, socket: Path) -> tuple[str, ...]:
    """Import an OCI or docker archive; the references by digest under which pods find its images.

    Loading it again changes nothing. Raises `StackError`.
    """
    if not archive.is_file():
        raise StackError(f"There is no archive {archive}.")
    try:
        said = ask(import_command(socket, archive), patience=PATIENCE)
    except CommandFailed as failure:
        raise StackError(
            f"containerd can't import {archive}: {failure}\n"
            "It takes OCI and docker archives, as 'podman save' writes them."
        ) from failure
    loaded = tuple(_by_digest(found, socket=socket) for found in _UNPACKED.finditer(said))
    if not loaded:
        raise StackError(
            f"{archive} has no image with a name. Save it by its name: "
            "podman save --format oci-archive --output FILE NAME"
        )
    return loaded


def has_image(reference: str, *, socket: Path) -> bool:
    """Whether an image with this very reference is there, whole and unpacked."""
    try:
        known = ask(_command(socket, "check", "--quiet", f"name=={reference}"))
    except CommandFailed as failure:
        raise StackError(f"containerd does not say which images it has: {failure}") from failure
    return known.split() == [reference]


def import_command(socket: Path, archive: Path) -> tuple[str, ...]:
    return _command(socket, "import", str(archive))


def _by_digest(found: re.Match[str], *, socket: Path) -> str:
    """The kubelet looks an image up by the name that the pod gives: it needs this one as well."""
    repository = _without_tag(found["name"])
    reference = f"{repository}@{found['digest']}"
    ask(_command(socket, "tag", "--force", found["name"], reference))
    return reference


def _without_tag(name: str) -> str:
    """'localhost:5000/a/b:1' without ':1'."""
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{re.split('[:@]', last)[0]}"


def _command(socket: Path, *arguments: str) -> tuple[str, ...]:
    return ("ctr", "--address", str(socket), "--namespace", NAMESPACE, "images", *arguments)
