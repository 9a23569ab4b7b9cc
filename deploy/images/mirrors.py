"""Which Debian mirror to take packages from: the one that this machine's apt uses."""

from __future__ import annotations

import os
from dataclasses import dataclass

from deploy.images.errors import ImageBuildFailed
from deploy.programs import CommandFailed, ask

MIRROR_SETTING = "ANIMUS_DEBIAN_MIRROR"
SECURITY_MIRROR_SETTING = "ANIMUS_DEBIAN_SECURITY_MIRROR"

_FIELDS = ("REPO_URI", "RELEASE", "COMPONENT", "ORIGIN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    main: str
    security: str | None

    def sources(self, *, release: str, keyring: str) -> str:
        """The lines of a sources.list."""
        options = f"[arch=amd64 signed-by={keyring}]"
        lines = [f"deb {options} {self.main} {release} main"]
        if self.security:
            lines.append(f"deb {options} {self.security} {release}-security main")
        return "\n".join(lines) + "\n"


def get_mirrors() -> Mirrors:
    """From the settings, else from apt. Raises `ImageBuildFailed` where neither names one."""
    chosen = os.environ.get(MIRROR_SETTING)
    if chosen:
        return Mirrors(main=chosen, security=os.environ.get(SECURITY_MIRROR_SETTING))
    try:
        template = " ".join(f"$({field})" for field in _FIELDS)
        listed = ask(["apt-get", "indextargets", "--format", template, "Created-By: Packages"])
    except CommandFailed as failure:
        raise ImageBuildFailed(
            f"The images are assembled from Debian packages, which needs apt-get: {failure}. "
            "Use Debian or a distribution made from it, or build the Dockerfiles in deploy/images."
        ) from failure
    return choose_mirrors(listed)


def choose_mirrors(listed: str) -> Mirrors:
    main = security = None
    for line in listed.splitlines():
        address, release, component, *origin = line.split()
        if component != "main" or not _is_debian(address, origin):
            continue
        if "security" in release:
            security = security or address
        elif "-" not in release:  # neither -updates nor -backports
            main = main or address
    if main is None:
        raise ImageBuildFailed(
            "The images are assembled from Debian packages, and this machine's apt knows no Debian "
            f"mirror. Set {MIRROR_SETTING} (and {SECURITY_MIRROR_SETTING}) to the address of one."
        )
    return Mirrors(main=main, security=security)


def _is_debian(address: str, origin: list[str]) -> bool:
    """By the origin in the release file; before the first 'apt-get update' only by the address."""
    if origin:
        return origin[0] == "Debian"
    return address.rstrip("/").rsplit("/", 1)[-1].startswith("debian")
