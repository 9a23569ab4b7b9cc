"""`python -m tests.bench.cluster`: one JSON object; progress goes to standard error."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from animusd.logs import configure_logs
from deploy.embedded.console import Console
from tests.agent.control_planes import control_plane
from tests.bench.cluster.overhead import measure_overhead
from tests.bench.cluster.places import REGISTERED, Place, open_place
from tests.bench.cluster.scale import LOADS, PACE, measure_scale

PARTS = ("overhead", "scale")


def main() -> int:
    arguments = _parser().parse_args()
    configure_logs("bench")
    console = Console()
    with open_place(console) as place:
        figures = asyncio.run(
            _measure(
                place,
                arguments.parts,
                loads=arguments.loads,
                pace=arguments.pace,
                console=console,
            )
        )
    json.dump(figures, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


async def _measure(
    place: Place, parts: Sequence[str], *, loads: Sequence[int], pace: float, console: Console
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    async with control_plane(place.stack, home=place.home, clusters=[REGISTERED]) as platform:
        if "overhead" in parts:
            figures["overhead"] = await measure_overhead(place, platform, console=console)
        if "scale" in parts:
            figures["scale"] = await measure_scale(
                place, platform, loads=loads, pace=pace, console=console
            )
    return figures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster", description=__doc__)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        help="overhead: a step beside a bare Job on the real node; scale: many steps in flight "
        "on simulated nodes. Both unless told",
    )
    parser.add_argument(
        "--loads",
        nargs="+",
        type=int,
        default=LOADS,
        metavar="N",
        help=f"how many steps are in flight for scale; {' '.join(map(str, LOADS))} unless told",
    )
    parser.add_argument(
        "--pace",
        type=float,
        default=PACE,
        metavar="N",
        help="steps that this machine submits in a second: each lasts so long that all can be "
        f"running at once; {PACE:g} unless told",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
