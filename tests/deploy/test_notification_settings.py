"""A stack tells people where the environment says how; and nobody where it says nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from animusd.settings import (
    ChatSection,
    NotificationsSection,
    NotifierSettings,
    SmtpSection,
    read_settings,
)
from deploy.embedded.configuration import StackConfig
from deploy.embedded.errors import StackError
from deploy.embedded.notification_settings import KEYS, PREFIX, TABLES, names
from deploy.embedded.settings_files import overridden, to_toml

TOLD = {
    f"{PREFIX}PUBLIC_URL": "https://animus.test",
    f"{PREFIX}REMIND_AT": "0.25",
    f"{PREFIX}SMTP__HOST": "mail.test",
    f"{PREFIX}SMTP__PORT": "2525",
    f"{PREFIX}SMTP__SENDER": "animus@mail.test",
    f"{PREFIX}SMTP__USER": "animus",
    f"{PREFIX}SMTP__PASSWORD_FILE": "/etc/animus/smtp-password",
    f"{PREFIX}CHAT__FOLDER": "/etc/animus/channels",
    f"{PREFIX}TEMPLATES": "",
}


def test_there_is_a_variable_for_every_setting_and_none_more() -> None:
    assert {*KEYS, *TABLES} == NotificationsSection.model_fields.keys()
    assert set(TABLES["smtp"]) == SmtpSection.model_fields.keys()
    assert set(TABLES["chat"]) == ChatSection.model_fields.keys()
    assert not [name for name in names() if name.endswith("PASSWORD")]


def test_nobody_is_told_where_nothing_is_said(tmp_path: Path) -> None:
    for environment in ({}, {"ANIMUS_PORT_API": "18080"}, {f"{PREFIX}SMTP__HOST": ""}):
        assert StackConfig.from_environment(tmp_path, environment).overrides == {}


def test_what_is_said_reaches_the_worker_as_settings_and_nobody_else(tmp_path: Path) -> None:
    config = StackConfig.from_environment(tmp_path, TOLD)
    assert StackConfig.from_json(tmp_path, config.to_json()).overrides == config.overrides
    assert config.overrides.keys() == {"worker"}
    file = tmp_path / "worker.toml"
    file.write_text(to_toml(overridden({}, config.overrides["worker"])))
    assert tomllib.loads(file.read_text()).keys() == {"notifications"}
    found = read_settings(NotifierSettings, file).notifications
    assert found is not None
    assert found.smtp is not None
    assert found.chat is not None
    assert (found.remind_at, found.escalate_at, found.templates) == (0.25, 0.8, None)
    assert (found.smtp.port, found.smtp.tls) == (2525, "starttls")
    assert found.smtp.password_file == Path("/etc/animus/smtp-password")
    assert found.chat.folder == Path("/etc/animus/channels")


def test_the_worker_reads_the_same_names_from_its_own_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container: what compose passes on is read there, also what is set to nothing."""
    file = tmp_path / "worker.toml"
    config = StackConfig.from_environment(tmp_path, TOLD)
    file.write_text(to_toml(overridden({}, config.overrides["worker"])))
    for name, value in TOLD.items():
        monkeypatch.setenv(name, value)
    assert read_settings(NotifierSettings, None) == read_settings(NotifierSettings, file)
    for name in TOLD:
        monkeypatch.setenv(name, "")
    assert read_settings(NotifierSettings, None).notifications is None


@pytest.mark.parametrize("name", ["SMTP__PASSWORD", "SMTP_HOST", "MAIL__HOST", "CHAT__URL"])
def test_a_name_that_is_none_stops_it_and_its_value_is_not_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(StackError, match=f"{PREFIX}{name} is no setting") as caught:
        StackConfig.from_environment(tmp_path, {f"{PREFIX}{name}": "s3cr3t-canary"})
    assert "canary" not in str(caught.value)
