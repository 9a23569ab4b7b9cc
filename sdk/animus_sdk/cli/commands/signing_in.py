"""login, logout, whoami: who one is, at which gateway."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from animus_sdk.cli.secrets_out import read_secret
from animus_sdk.cli.sessions import RETRIES, Session, command
from animus_sdk.client import Client
from animus_sdk.errors import SettingsUnfit
from animus_sdk.settings import FOLDER_FILE, TOKEN_VARIABLE, Given, load_settings
from animus_sdk.user_config import (
    KnownGateway,
    UserConfig,
    config_path,
    read_user_config,
    write_user_config,
)

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def add_to(app: typer.Typer) -> None:
    command(app, "login")(login)
    command(app, "logout")(logout)
    command(app, "whoami")(who_am_i)


def login(
    here: Session,
    *,
    token_file: Annotated[Path | None, typer.Option(help="Read the token from this file.")] = None,
    bootstrap: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="Spend the one-time token of a new platform."),
    ] = None,
    bootstrap_file: Annotated[
        Path | None, typer.Option(help="Read the one-time token from this file.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With a one-time token: your name as administrator.")
    ] = None,
) -> None:
    """Keep a token for a gateway, after asking the gateway whose it is.

    The token comes from a terminal, from standard input, or from a file; never as an argument.
    """
    url = _gateway_to_sign_in_to(here)
    _warn_of_plain_text(here, url)
    if bootstrap is not None or bootstrap_file is not None:
        token = _spend_bootstrap(here, url, bootstrap, bootstrap_file, name)
    else:
        token = read_secret(here.screen, file=token_file, question=f"Token for {url}")
    with _client(url, token) as client:
        me = client.principals.who_am_i()
    path = config_path(os.environ)
    config = read_user_config(path)
    known = replace(config.known(url), token=token)
    write_user_config(path, replace(config.with_known(url, known), gateway=url))
    here.screen.answer(
        {**me, "gateway": url, "kept_in": str(path)},
        lambda: here.screen.line(f"Signed in to {url} as {me['name']}. Kept in {path}."),
    )


def logout(here: Session) -> None:
    """Forget the token for a gateway on this machine. The token itself stays good until revoked."""
    given = Given(gateway_url=here.options.gateway, auth_token="not-needed")
    url = load_settings(given).gateway_url
    path = config_path(os.environ)
    config = read_user_config(path)
    was_there = config.known(url).token is not None
    if was_there:
        write_user_config(path, _without_token(config, url))

    def render() -> None:
        if was_there:
            here.screen.line(f"Forgot the token for {url} on this machine.")
        else:
            here.screen.line(f"There was no token for {url}.")
        if os.environ.get(TOKEN_VARIABLE):
            here.screen.note(f"{TOKEN_VARIABLE} is still set in this shell.")

    here.screen.answer({"gateway": url, "forgotten": was_there}, render)


def who_am_i(here: Session) -> None:
    """Who you are, at which gateway, and where both were said."""
    me = here.client.principals.who_am_i()
    settings = here.settings
    where = {
        "gateway": settings.gateway_url,
        "gateway_from": settings.gateway_from,
        "token_from": settings.token_from,
        "project": settings.project,
    }

    def render() -> None:
        here.screen.pairs(
            [
                ("name", me["name"]),
                ("kind", me["kind"]),
                ("id", me["principal_id"]),
                ("answers for it", me["person_id"] if me["kind"] != "person" else None),
                ("platform admin", "yes" if me["platform_admin"] else None),
                ("gateway", f"{settings.gateway_url} ({settings.gateway_from})"),
                ("token", f"from {settings.token_from}"),
                ("project", settings.project),
            ]
        )

    here.screen.answer({**me, **where}, render)


def _gateway_to_sign_in_to(here: Session) -> str:
    """A folder's file may come from anybody: a token that is piped in does not go where it says."""
    given = Given(gateway_url=here.options.gateway, auth_token="not-known-yet")
    settings = load_settings(given)
    if settings.gateway_from.endswith(FOLDER_FILE) and not here.screen.may_ask:
        raise SettingsUnfit(
            f"{settings.gateway_from} names the gateway {settings.gateway_url}. If you mean it, say"
            f" --gateway {settings.gateway_url}",
            code="gateway_not_trusted",
        )
    return settings.gateway_url


def _client(url: str, token: str | None) -> Client:
    settings = load_settings(Given(gateway_url=url, auth_token=token))
    return Client(settings=settings, retries=RETRIES)


def _spend_bootstrap(
    here: Session, url: str, said: str | None, file: Path | None, name: str | None
) -> str:
    if said is not None and file is not None:
        raise SettingsUnfit("Say --bootstrap or --bootstrap-file, not both.", code="usage")
    if name is None:
        if not here.screen.may_ask:
            raise SettingsUnfit("Say who you will be: --name NAME.", code="usage")
        name = here.screen.ask("Your name")
    one_time = said or read_secret(here.screen, file=file, question="One-time token")
    with _client(url, one_time) as client:
        return client.principals.bootstrap(one_time, name=name)["secret"] or ""


def _without_token(config: UserConfig, url: str) -> UserConfig:
    return config.with_known(url, KnownGateway(project=config.known(url).project))


def _warn_of_plain_text(here: Session, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        here.screen.note(
            f"Warning: {url} is not encrypted. Whoever is on the way can read your token."
        )
