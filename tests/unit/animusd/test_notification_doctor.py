"""`animusd doctor notifications`: each fault of settings, files and servers by its name."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, Session

from animusd.__main__ import main
from deploy.embedded.settings_files import Scalar, Section, to_toml
from tests.sdk.odd_servers import make_certificate
from tests.support.ports import closed_port
from tests.unit.adapters.test_couriers import Kept, mail_server

CANARY = "s3cr3t-canary"
Smtp = dict[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A folder with fitting files, and a mail server that wants TLS and a login."""

    folder: Path
    port: int
    handler: Kept

    def smtp(self) -> dict[str, Scalar]:
        return {
            "host": "localhost", "port": self.port, "sender": "animus@mail.test",
            "user": "animus", "password_file": str(self.folder / "password"),
            "ca_file": str(self.folder / "ca.pem"),
        }  # fmt: skip

    async def examine(self, **notifications: Scalar | Smtp) -> int:
        file = self.folder / "worker.toml"
        told: Section = {
            "public_url": "https://animus.test", "smtp": self.smtp(), **notifications,
        }  # fmt: skip
        file.write_text(to_toml({"notifications": told}))
        return await examine(file)


async def examine(file: Path, *more: str) -> int:
    return await asyncio.to_thread(
        main, ["doctor", "notifications", "--settings", str(file), *more]
    )


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    def check(server: SMTP, session: Session, *rest: object) -> AuthResult:
        said = rest[-1]
        assert isinstance(said, LoginPassword)
        return AuthResult(success=said.password == CANARY.encode(), handled=False)

    made = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made)
    (tmp_path / "ca.pem").write_bytes(made.read_bytes())
    (tmp_path / "password").write_text(f"{CANARY}\n")
    handler = Kept()
    options = {
        "tls_context": context, "require_starttls": True, "auth_required": True,
        "authenticator": check,
    }  # fmt: skip
    async with mail_server(handler, **options) as port:
        yield Office(folder=tmp_path, port=port, handler=handler)


async def test_what_is_fit_is_said_to_be_and_nothing_is_sent(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await office.examine() == 0
    said = capsys.readouterr()
    assert f"The mail server localhost:{office.port} lets us in, as animus." in said.out
    assert CANARY not in said.out + said.err
    assert office.handler.mails == []


@pytest.mark.parametrize(
    ("file", "holds", "said"),
    [
        ("password", None, "password_file cannot be read"),
        ("password", b"", "one line of ASCII each"),
        ("password", f"{CANARY}\nand another".encode(), "one line of ASCII each"),
        ("password", f"{CANARY}gr\u00fcn".encode(), "one line of ASCII each"),
        ("password", f"{CANARY}gr\u00fcn".encode("latin-1"), "one line of ASCII each"),
        ("password", f"{CANARY}\x1b[2J".encode(), "one line of ASCII each"),
        ("password", f"another-{CANARY}".encode(), "it refuses user, or what password_file"),
        ("ca.pem", None, "notifications.smtp.ca_file"),
        ("ca.pem", b"no certificate", "notifications.smtp.ca_file"),
    ],
)
async def test_a_file_that_does_not_fit_is_named_and_never_shown(
    office: Office, capsys: pytest.CaptureFixture[str],
    file: str, holds: bytes | None, said: str,
) -> None:  # fmt: skip
    place = office.folder / file
    if holds is None:
        place.unlink()
    else:
        place.write_bytes(holds)
    assert await office.examine() == 1
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert CANARY not in shown.out + shown.err
    assert "Traceback" not in shown.err


async def test_a_certificate_of_another_authority_is_named(
    office: Office, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (office.folder / "ca.pem").write_bytes(make_certificate(tmp_path / "other").read_bytes())
    assert await office.examine() == 1
    assert "its certificate does not fit host or ca_file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": closed_port()}, "nothing answers there"),
        ({"host": "mail.invalid"}, "nothing answers there"),
        ({"tls": "implicit"}, "or tls is another kind"),
        ({"user": "gr\u00fcn"}, "one line of ASCII each"),
    ],
)
async def test_a_server_that_is_not_there_or_is_another_is_named(
    office: Office, capsys: pytest.CaptureFixture[str], change: Smtp, said: str
) -> None:
    assert await office.examine(smtp=office.smtp() | change) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sender": "Animus <a@b>"}, "smtp: Value error, sender"),
        ({"sender": "a@b\r\nBcc: c@d"}, "smtp: Value error, sender"),
        ({"sender_name": "Animus\r\nBcc: c@d"}, "smtp.sender_name"),
        ({"password_file": None}, "user and password_file go together"),
        ({"tls": "none"}, "a password is not sent in the clear"),
        ({"tls": "maybe"}, "smtp.tls"),
        ({"port": 0}, "smtp.port"),
        ({"host": None}, "smtp.host: Field required"),
        ({"password": CANARY}, "smtp.password: Extra inputs"),
    ],
)
async def test_a_setting_of_mail_that_does_not_fit_is_named(
    office: Office, capsys: pytest.CaptureFixture[str],
    change: Mapping[str, Scalar | None], named: str,
) -> None:  # fmt: skip
    told = office.smtp()
    for key, value in change.items():
        if value is None:
            del told[key]
        else:
            told[key] = value
    assert await office.examine(smtp=told) == 1
    said = capsys.readouterr()
    assert named in said.err
    assert CANARY not in said.out + said.err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public_url", "animus.test"), ("public_url", "https://animus.test/below"),
        ("public_url", "https://user:word@animus.test"), ("public_url", "https://animus.test\n"),
        ("remind_at", 1), ("escalate_at", 0), ("colour", "red"),
    ],
)  # fmt: skip
async def test_a_setting_of_the_section_that_does_not_fit_is_named(
    office: Office, capsys: pytest.CaptureFixture[str], key: str, value: Scalar
) -> None:
    assert await office.examine(**{key: value}) == 1
    assert f"notifications.{key}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        (None, "can't be read: No such file"),
        (b"[notifications\n", "are no TOML: "),
        (b"[notifications]\npublic_url = 'gr\xfcn'\n", "are no text in UTF-8"),
        (b"", "have no section notifications"),
        (b"[notifications]\npublic_url = 'https://animus.test'\n", "name smtp, chat or both"),
    ],
)
async def test_settings_that_are_not_there_are_not_taken_for_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], holds: bytes | None, said: str
) -> None:
    file = tmp_path / "worker.toml"
    if holds is not None:
        file.write_bytes(holds)
    assert await examine(file) == 1
    assert said in capsys.readouterr().err


async def test_templates_and_channels_are_looked_at(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    own, chat = office.folder / "own", office.folder / "chat"
    for folder in (own, chat):
        folder.mkdir()
    (chat / "credit").write_text("https://chat.test/hook")
    (chat / "fraud").write_text(f"http://chat.test/{CANARY}")
    assert await office.examine(chat={"folder": str(chat)}, templates=str(own)) == 1
    said = capsys.readouterr().out
    assert "credit has a channel." in said
    assert "The channel of fraud: the file holds no address that begins with https://" in said
    assert CANARY not in said
    (own / "gate_opened.mail.txt").write_text("Subject: $secret\n\nx\n")
    assert await office.examine(templates=str(own)) == 1
    assert "gate_opened.mail.txt names secret" in capsys.readouterr().err


async def test_a_program_is_told_the_same_as_json(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    (office.folder / "password").unlink()
    assert await office.examine() == 1
    capsys.readouterr()
    assert await examine(office.folder / "worker.toml", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["fit"] is False
    assert [one["said"] for one in said["findings"] if one["is_fault"]] == [
        f"The mail server localhost:{office.port}: password_file cannot be read."
    ]
