"""token, person, service-account: who may sign in, and with what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from animus_sdk.cli.screens import Screen
from animus_sdk.cli.secrets_out import check_writable, show_token
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.resources.principals import DEFAULT_DAYS
from animus_sdk.resources.references import short
from animus_sdk.wire.views import MailAddress, Principal, Token

_Name = Annotated[str, typer.Argument(help="A name to recognise it by.")]
_Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name or id.")]
_Days = Annotated[int, typer.Option(min=1, max=365, help="How long it is good for.")]
_File = Annotated[
    Path | None,
    typer.Option("--token-file", help="Write the secret to this new file, mode 0600."),
]
_TokenName = Annotated[str, typer.Option("--name", help="A name to recognise the token by.")]
_DisplayName = Annotated[str, typer.Option(help="As people write it.")]


def add_to(app: typer.Typer) -> None:
    _add_tokens(app)
    _add_persons(app)
    _add_service_accounts(app)


def _add_tokens(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="token", help="Your own api tokens.")
    command(group, "create")(create_token)
    command(group, "list")(list_tokens)
    command(group, "revoke")(revoke_token)


def _add_persons(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="person", help="Persons (platform administrators).")
    command(group, "create")(create_person)
    command(group, "list")(list_persons)
    command(group, "token")(issue_person_token)
    command(group, "address")(person_address)
    command(group, "disable")(disable_person)


def _add_service_accounts(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="service-account", help="Accounts of programs, in a project.")
    command(group, "create")(create_service_account)
    command(group, "list")(list_service_accounts)
    command(group, "token")(issue_service_token)


def create_token(
    here: Session, name: _Name, *, days: _Days = DEFAULT_DAYS, token_file: _File = None
) -> None:
    """Make another token for yourself. Its secret is shown once."""
    check_writable(token_file)
    token = here.client.principals.issue_token(name=name, days=days)
    show_token(here.screen, token, file=token_file)


def list_tokens(here: Session) -> None:
    """Your tokens, without their secrets."""
    tokens = here.client.principals.tokens()
    here.screen.answer(tokens, lambda: _show_tokens(here.screen, tokens))


def revoke_token(
    here: Session,
    reference: Annotated[
        str, typer.Argument(metavar="TOKEN", help="Id; of your own also name or end of id.")
    ],
) -> None:
    """End a token, everywhere and at once."""
    token = here.client.principals.revoke_token(reference)
    here.screen.answer(token, lambda: here.screen.line(f"Revoked {token['name']!r}."))


def create_person(
    here: Session,
    name: _Name,
    *,
    display_name: _DisplayName = "",
    platform_admin: Annotated[
        bool, typer.Option("--platform-admin", help="May administer the platform.")
    ] = False,
) -> None:
    """Add a person. They sign in with a token: see 'animus person token'."""
    made = here.client.principals.create_person(
        name, display_name=display_name, platform_admin=platform_admin
    )
    here.screen.answer(made, lambda: here.screen.line(f"Added {made['name']}."))


def list_persons(here: Session) -> None:
    """All persons of the platform."""
    found = here.client.principals.persons()
    here.screen.answer(found, lambda: _show_principals(here.screen, found))


def issue_person_token(
    here: Session,
    person: _Account,
    *,
    name: _TokenName = "issued-by-administrator",
    days: _Days = DEFAULT_DAYS,
    token_file: _File = None,
) -> None:
    """Make a token for a person. Its secret is shown once."""
    check_writable(token_file)
    found = here.client.principals.resolve_person(person)
    token = here.client.principals.issue_person_token(found["id"], name=name, days=days)
    show_token(here.screen, token, file=token_file)


def person_address(
    here: Session,
    person: _Account,
    address: Annotated[
        str | None, typer.Argument(help="Where the person gets mail from now on.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Nowhere any more: delete it.")] = False,
) -> None:
    """Show or set where a person is told by mail of gates and runs."""
    if none and address is not None:
        raise SettingsUnfit("Say an address, or --none.", code="usage")
    principals = here.client.principals
    found = principals.resolve_person(person)
    if none or address is not None:
        said = principals.set_mail_address(found["id"], address)
    else:
        said = principals.mail_address(found["id"])
    here.screen.answer(said, lambda: _show_address(here.screen, said))


def _show_address(screen: Screen, said: MailAddress) -> None:
    if said["address"] is None:
        screen.line(f"{said['name']} gets no mail: there is no address.")
    else:
        screen.line(f"{said['name']} gets mail at {said['address']}.")


def disable_person(here: Session, person: _Account) -> None:
    """End a person's access. What they did stays theirs."""
    found = here.client.principals.resolve_person(person)
    disabled = here.client.principals.disable_person(found["id"])
    here.screen.answer(disabled, lambda: here.screen.line(f"Disabled {disabled['name']}."))


def create_service_account(
    here: Session,
    name: _Name,
    *,
    display_name: _DisplayName = "",
    accountable: Annotated[
        str | None, typer.Option(help="The person who answers for it (default: you).")
    ] = None,
) -> None:
    """Add an account for a program. Give it roles with 'animus role grant'."""
    made = here.client.service_accounts.create(
        name, display_name=display_name, accountable=accountable
    )
    here.screen.answer(made, lambda: here.screen.line(f"Added service account {made['name']}."))


def list_service_accounts(here: Session) -> None:
    """The service accounts of the project."""
    found = here.client.service_accounts.all()
    here.screen.answer(found, lambda: _show_principals(here.screen, found))


def issue_service_token(
    here: Session,
    account: _Account,
    *,
    name: _TokenName = "default",
    days: _Days = DEFAULT_DAYS,
    token_file: _File = None,
) -> None:
    """Make a token for a service account. Its secret is shown once."""
    check_writable(token_file)
    found = here.client.service_accounts.resolve(account)
    token = here.client.service_accounts.issue_token(found["id"], name=name, days=days)
    show_token(here.screen, token, file=token_file)


def _show_tokens(screen: Screen, tokens: list[Token]) -> None:
    screen.table(
        ["id", "name", "begins with", "made", "ends", "state"],
        [
            [
                short(token["id"]),
                token["name"],
                token["hint"] + "…",
                ago_words(token["created_at"]),
                ago_words(token["expires_at"]),
                "revoked" if token["revoked_at"] else "good",
            ]
            for token in tokens
        ],
    )


def _show_principals(screen: Screen, found: list[Principal]) -> None:
    screen.table(
        ["id", "name", "kind", "", "made"],
        [
            [
                short(one["id"]),
                one["name"],
                one["kind"],
                " ".join(
                    word
                    for word, holds in (
                        ("platform admin", one["platform_admin"]),
                        ("disabled", one["disabled_at"] is not None),
                    )
                    if holds
                ),
                ago_words(one["created_at"]),
            ]
            for one in found
        ],
    )
