"""The post of the worker: couriers and templates, as the settings name them."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path

import animusd
from animus.adapters.couriers.smtp import SmtpCourier, SmtpServer
from animus.adapters.couriers.webhooks import WebhookCourier, Webhooks, projects_in
from animus.couriers import Courier
from animus.domain.errors import Invalid
from animus.domain.notification_templates import (
    LetterTemplate,
    file_name,
    read_template,
    wanted_templates,
)
from animus.domain.notifications import Channel, Kind, Terms
from animus.services.notifications import Post
from animusd.settings import ChatSection, NotificationsSection, SettingsUnfit, SmtpSection


def open_post(section: NotificationsSection, stack: AsyncExitStack) -> Post:
    """Raises `SettingsUnfit` for files that do not fit; `stack` closes what is opened."""
    couriers: dict[Channel, Courier] = {}
    if section.smtp is not None:
        couriers[Channel.MAIL] = SmtpCourier(smtp_server(section.smtp))
    if section.chat is not None:
        chat = open_chat(section.chat)
        stack.push_async_callback(chat.close)
        couriers[Channel.CHAT] = chat
    return Post(
        couriers=couriers,
        templates=read_templates(section.templates),
        terms=lambda: terms_of(section),
        public_url=section.public_url,
    )


def terms_of(section: NotificationsSection) -> Terms:
    return Terms(
        remind_at=section.remind_at,
        escalate_at=section.escalate_at,
        chat_projects=projects_in(section.chat.folder) if section.chat else (),
        sends_mail=section.smtp is not None,
    )


def smtp_server(section: SmtpSection) -> SmtpServer:
    _check_certificates(section.ca_file, "notifications.smtp.ca_file")
    return SmtpServer(
        host=section.host,
        port=section.port,
        sender=section.sender,
        sender_name=section.sender_name,
        tls=section.tls,
        ca_file=section.ca_file,
        user=section.user,
        password_file=section.password_file,
    )


def open_chat(section: ChatSection) -> WebhookCourier:
    _check_certificates(section.ca_file, "notifications.chat.ca_file")
    body = _read(section.body_file) if section.body_file else '{"text": $text}'
    try:
        return WebhookCourier(Webhooks(folder=section.folder, body=body, ca_file=section.ca_file))
    except Invalid as error:
        raise SettingsUnfit(f"notifications.chat.body_file: {error.message}") from None


def read_templates(folder: Path | None) -> dict[tuple[Kind, Channel], LetterTemplate]:
    """Ours, each in whose place the folder has one of the same name taken from there."""
    ours = files(animusd).joinpath("templates")
    found = {}
    for kind, channel in wanted_templates():
        name = file_name(kind, channel)
        own = folder / name if folder is not None else None
        source = _read(own) if own is not None and own.exists() else ours.joinpath(name).read_text()
        try:
            found[kind, channel] = read_template(kind, channel, source)
        except Invalid as error:
            raise SettingsUnfit(f"notifications.templates: {error.message}") from None
    _refuse_strays(folder)
    return found


def _refuse_strays(folder: Path | None) -> None:
    """A mistyped name would be a template that is never used."""
    known = {file_name(kind, channel) for kind, channel in wanted_templates()}
    try:
        there = {one.name for one in folder.glob("*.txt")} if folder is not None else set()
    except OSError as error:
        raise SettingsUnfit(f"notifications.templates: {error}") from None
    if folder is not None and (not folder.is_dir() or there - known):
        said = ", ".join(sorted(there - known)) or f"{folder} is no folder"
        raise SettingsUnfit(
            f"notifications.templates: {said}. A template is named {', '.join(sorted(known))}."
        )


def _check_certificates(file: Path | None, name: str) -> None:
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        raise SettingsUnfit(f"{name}: no certificates can be read from {file}: {error}") from None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsUnfit(f"notifications: {file} cannot be read: {error}") from None
