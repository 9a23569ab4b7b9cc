"""Clocks of three machines compared: this one's, the gateway's, the store's.

The platform lets clocks of its own machines differ by 30 s; presigned URLs live ten minutes by
the gateway's clock, and are judged by the store's.
"""

from __future__ import annotations

from collections.abc import Iterator

from animus_sdk.doctor.findings import Finding, fault, note, ok
from animus_sdk.wire.clocks import TOLERANCE, TOO_MUCH, Reading, distance_words

CHECK = "clock"
_AGREE = f" within {TOLERANCE.seconds} s."
_SYNCHRONISE = (
    "Have it set by the network: timedatectl set-ntp true (or chrony, or systemd-timesyncd)."
)


def compare_with_gateway(gateway: Reading | None) -> Iterator[Finding]:
    if gateway is None:
        yield note(CHECK, "The gateway's answers tell no time, so the clocks are not compared.")
        return
    by = gateway.beyond_doubt
    said = f"This machine's clock is {distance_words(-gateway.ahead)} the gateway's."
    if by <= TOLERANCE:
        yield ok(CHECK, f"This machine's clock and the gateway's agree{_AGREE}")
    elif by <= TOO_MUCH:
        yield note(
            CHECK, f"{said} How long ago something was is told by the gateway's.", todo=_SYNCHRONISE
        )
    else:
        what = "Certificates are judged by this machine's; how long ago something was is not."
        yield fault(CHECK, f"{said} {what}", todo=_SYNCHRONISE)


def compare_with_store(gateway: Reading | None, store: Reading | None) -> Iterator[Finding]:
    """The two clocks that presigned URLs go by; neither is ours, and ours does not matter."""
    if gateway is None or store is None:
        return
    between = Reading(ahead=store.ahead - gateway.ahead, error=store.error + gateway.error)
    by = between.beyond_doubt
    said = f"The object store's clock is {distance_words(between.ahead)} the gateway's."
    todo = "Tell the operators: both clocks are to be set by the network."
    if by <= TOLERANCE:
        yield ok(CHECK, f"The object store's clock and the gateway's agree{_AGREE}")
    elif by <= TOO_MUCH:
        yield note(CHECK, f"{said} URLs live ten minutes, and lose that much.", todo=todo)
    else:
        yield fault(CHECK, f"{said} The store refuses URLs for it.", todo=todo)
