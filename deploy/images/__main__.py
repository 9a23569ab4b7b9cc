"""`python -m deploy.images build [step|demo] [--json] [--refresh]`, and `lock` for new pins."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.images.builds import BuiltImage, ensure_image
from deploy.images.definitions import IMAGES
from deploy.images.locking import write_pins


def main() -> int:
    arguments = _parse()
    console = Console()
    names = [arguments.image] if arguments.image else list(IMAGES)
    try:
        if arguments.command == "lock":
            _lock(names, console)
        else:
            _build(names, console, refresh=arguments.refresh, as_json=arguments.json)
    except StackError as error:
        console.say(str(error))
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build images into the cache")
    lock = commands.add_parser("lock", help="pin the newest Python packages that fit")
    for command in (build, lock):
        command.add_argument("image", nargs="?", choices=IMAGES, help="all if not given")
    build.add_argument("--json", action="store_true", help="print what was built as JSON")
    build.add_argument("--refresh", action="store_true", help="take today's Debian packages")
    return parser.parse_args()


def _build(names: list[str], console: Console, *, refresh: bool, as_json: bool) -> None:
    # The images share one base: it is refreshed once.
    images = [
        ensure_image(IMAGES[name], console=console, refresh=refresh and name == names[0])
        for name in names
    ]
    if as_json:
        sys.stdout.write(json.dumps([_describe(image) for image in images], indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{image.reference}\n" for image in images)


def _describe(image: BuiltImage) -> dict[str, object]:
    return asdict(image) | {"path": str(image.path), "reference": image.reference}


def _lock(names: list[str], console: Console) -> None:
    for name in names:
        pins = write_pins(IMAGES[name])
        console.say(f"    {IMAGES[name].requirements}: {len(pins)} packages")


if __name__ == "__main__":
    sys.exit(main())
