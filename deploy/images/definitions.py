"""Which images there are and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

DEBIAN_PACKAGES = ("coreutils", "dash", "libstdc++6", "python3-minimal", "python3.11")
"""With all they depend on. Wheels expect libstdc++ from the system, `run:` strings a shell."""

SITE = "usr/local/lib/python3.11/dist-packages"
"""On Debian's Python path without any setting."""

LAUNCHER = "usr/local/libexec/animus/launch"
"""Process 1 of a step's container on Kubernetes; fetch copies it there from here."""

STEP_USER = "10001:0"
"""Any user id works, as files belong to group 0 and are readable by all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefinition:
    name: str
    purpose: str
    libraries: tuple[str, ...]
    """What it holds beyond the SDK and what the SDK needs."""
    entrypoint: tuple[str, ...]
    has_launcher: bool = False

    @property
    def image_name(self) -> str:
        return f"animus-{self.name}"

    @property
    def requirements(self) -> Path:
        """The pins: one version and one file for each package."""
        return HERE / f"{self.name}-requirements.txt"

    @property
    def settings(self) -> dict[str, object]:
        """The `config` of the OCI image config."""
        start = {"Entrypoint": list(self.entrypoint)} if self.entrypoint else {}
        return start | {
            "User": STEP_USER,
            "WorkingDir": "/",
            "Env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
            "Labels": {"org.opencontainers.image.title": self.image_name},
        }


ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}

STEP = ImageDefinition(
    name="step",
    purpose="fetches inputs and collects outputs",
    libraries=(),
    entrypoint=("python3", "-m", "animus_sdk.step"),
    has_launcher=True,
)
DEMO = ImageDefinition(
    name="demo",
    purpose="runs the demo's training steps",
    libraries=("scikit-learn", "matplotlib"),
    entrypoint=(),
)
IMAGES = {definition.name: definition for definition in (STEP, DEMO)}
