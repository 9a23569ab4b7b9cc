"""Whether people can be told with these settings: templates, mail server, webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from animus.adapters.couriers.smtp import SmtpCourier
from animus.adapters.couriers.webhooks import projects_in
from animus.adapters.findings import Finding
from animus.couriers import NotTaken
from animusd.notification_wiring import open_chat, read_templates, smtp_server
from animusd.settings import ChatSection, NotificationsSection, SmtpSection

_ADVICE = {
    "smtp_unreachable": "nothing answers there: check host, port and firewall",
    "smtp_tls_refused": "its certificate does not fit host or ca_file, or tls is another kind",
    "smtp_not_supported": "it does not offer what tls or user ask for",
    "smtp_ca_unreadable": "no certificates can be read from ca_file",
    "smtp_password_unreadable": "password_file cannot be read",
    "smtp_password_unfit": "user and what password_file holds are one line of ASCII each",
    "chat_address_unreadable": "the file cannot be read",
    "chat_address_unfit": "the file holds no address that begins with https://, and nothing else",
}
_LOGIN_REFUSED = "smtp_login_refused_"


async def examine_post(section: NotificationsSection) -> AsyncIterator[Finding]:
    """Raises `SettingsUnfit` for files that do not fit."""
    count = len(read_templates(section.templates))
    yield Finding(is_fault=False, said=f"{count} templates fit.")
    if section.public_url.startswith("http://"):
        said = f"Links go to {section.public_url}: in the clear. Whoever listens sees reviews."
        yield Finding(is_fault=False, said=said)
    if section.smtp is not None:
        yield await _examine_mail(section.smtp)
    if section.chat is not None:
        async for finding in _examine_chat(section.chat):
            yield finding


async def _examine_mail(section: SmtpSection) -> Finding:
    courier = SmtpCourier(smtp_server(section))
    place = f"{section.host}:{section.port}"
    try:
        await courier.examine()
    except NotTaken as error:
        return Finding(is_fault=True, said=f"The mail server {place}: {_explained(error)}.")
    who = f"as {section.user}" if section.user is not None else "without logging in"
    return Finding(is_fault=False, said=f"The mail server {place} lets us in, {who}.")


async def _examine_chat(section: ChatSection) -> AsyncIterator[Finding]:
    async with AsyncExitStack() as stack:
        courier = open_chat(section)
        stack.push_async_callback(courier.close)
        projects = projects_in(section.folder)
        if not projects:
            said = f"No project has a channel: {section.folder} has no file of a project's name."
            yield Finding(is_fault=True, said=said)
        for project in projects:
            try:
                courier.address_of(project)
            except NotTaken as error:
                said = f"The channel of {project}: {_explained(error)}."
                yield Finding(is_fault=True, said=said)
            else:
                yield Finding(is_fault=False, said=f"{project} has a channel.")


def _explained(error: NotTaken) -> str:
    if error.code.startswith(_LOGIN_REFUSED):
        reply = error.code.removeprefix(_LOGIN_REFUSED)
        return f"it refuses user, or what password_file holds ({reply})"
    return _ADVICE.get(error.code, error.code)
