"""All examinations in their order: one whose ground is missing says so and is not made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from animus_sdk.client import Client
from animus_sdk.doctor.accounts import AccountExamination
from animus_sdk.doctor.findings import Finding, fault, skipped
from animus_sdk.doctor.gateways import GatewayExamination
from animus_sdk.doctor.machines import examine_machine
from animus_sdk.doctor.stores import StoreExamination
from animus_sdk.errors import SettingsUnfit
from animus_sdk.settings import Settings
from animus_sdk.wire.retries import RetryPolicy

AT_ONCE = RetryPolicy(retries=0)
"""Whoever examines wants to see what is wrong, not to wait until it is over."""
SECONDS = 15.0


def examine(load: Callable[[], Settings], *, folder: Path) -> Iterator[Finding]:
    """Each finding as it is made. The token goes to the gateway that it is for, nowhere else."""
    yield from examine_machine(folder)
    try:
        settings = load()
    except SettingsUnfit as error:
        yield fault("settings", error.message, todo="Mend the setting that is named.")
        yield from _skip("the settings can't be used", "gateway", "token", "store")
        return
    gateway = GatewayExamination(settings)
    try:
        yield from gateway.examine()
    except SettingsUnfit as error:  # of the environment, such as a proxy
        yield fault("gateway", error.message, todo="Mend the setting that is named.")
    if not gateway.is_reached:
        yield from _skip("the gateway is not reached", "token", "store")
        return
    with Client(settings=settings, retries=AT_ONCE, timeout=SECONDS) as client:
        account = AccountExamination(client, gateway.clock)
        yield from account.examine()
        if account.has_project:
            yield from StoreExamination(client, gateway.clock).examine()
        else:
            yield from _skip("it takes a project in which you hold a role", "store")


def _skip(why: str, *checks: str) -> Iterator[Finding]:
    for check in checks:
        yield skipped(check, f"Not tried: {why}.")
