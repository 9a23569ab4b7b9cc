"""Where gateway, token and project come from, and what is refused on the way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from animus_sdk import SettingsUnfit
from animus_sdk.settings import DEFAULT_GATEWAY, Given, Settings, load_settings, normal_url
from animus_sdk.user_config import (
    KnownGateway,
    UserConfig,
    config_path,
    read_user_config,
    write_user_config,
)

TOKEN = "anmp_token"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "project"
    made.mkdir(parents=True)
    return made


def load(folder: Path, given: Given | None = None, **environment: str) -> Settings:
    said = {"HOME": str(folder.parents[1] / "home"), **environment}
    return load_settings(given, environment=said, folder=folder)


def test_without_any_setting_the_gateway_is_the_local_one(folder: Path) -> None:
    settings = load(folder)
    assert (settings.gateway_url, settings.auth_token) == (DEFAULT_GATEWAY, None)


def test_arguments_win_over_the_environment_the_folder_and_the_user(folder: Path) -> None:
    (folder / ".animus.toml").write_text('gateway = "http://folder"\nproject = "folder"\n')
    _keep(folder, gateway="http://user", token="of-user", project="user")
    environment = {
        "ANIMUS_GATEWAY_URL": "http://environment",
        "ANIMUS_AUTH_TOKEN": "of-environment",
        "ANIMUS_PROJECT": "environment",
    }
    given = Given(gateway_url="http://argument", auth_token="of-argument", project="argument")
    by_argument = load(folder, given, **environment)
    by_environment = load(folder, None, **environment)
    by_folder = load(folder)
    (folder / ".animus.toml").unlink()
    by_user = load(folder)
    found = [
        (settings.gateway_url, settings.auth_token, settings.project)
        for settings in (by_argument, by_environment, by_folder, by_user)
    ]
    assert found == [
        ("http://argument", "of-argument", "argument"),
        ("http://environment", "of-environment", "environment"),
        ("http://folder", None, "folder"),
        ("http://user", "of-user", "user"),
    ]


def test_the_folders_file_is_looked_for_upwards(folder: Path) -> None:
    (folder.parent / ".animus.toml").write_text('project = "above"\n')
    assert load(folder).project == "above"


def test_a_token_in_a_folder_is_refused(folder: Path) -> None:
    (folder / ".animus.toml").write_text('token = "anmp_secret"\n')
    with pytest.raises(SettingsUnfit, match="holds no credential") as refused:
        load(folder)
    assert "anmp_secret" not in refused.value.message


def test_the_environments_token_does_not_go_where_only_a_folder_points(folder: Path) -> None:
    (folder / ".animus.toml").write_text('gateway = "https://collector.example"\n')
    with pytest.raises(SettingsUnfit, match="ANIMUS_GATEWAY_URL=https://collector") as refused:
        load(folder, ANIMUS_AUTH_TOKEN=TOKEN)
    assert refused.value.code == "gateway_not_trusted"


def test_a_folder_may_point_to_a_gateway_that_the_user_knows(folder: Path) -> None:
    (folder / ".animus.toml").write_text('gateway = "https://known.example"\n')
    _keep(folder, gateway="https://other.example", known="https://known.example")
    assert load(folder, ANIMUS_AUTH_TOKEN=TOKEN).auth_token == TOKEN


def test_a_kept_token_belongs_to_its_gateway_and_goes_nowhere_else(folder: Path) -> None:
    _keep(folder, gateway="http://user", token=TOKEN)
    assert load(folder, ANIMUS_GATEWAY_URL="http://another").auth_token is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("gatway = 'x'", "is no setting here"),
        ("project = 7", "is no setting here"),
        ("project = ", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_folders_file_that_cannot_be_used_is_told(
    folder: Path, content: str | bytes, message: str
) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / ".animus.toml").write_bytes(raw)
    with pytest.raises(SettingsUnfit, match=message):
        load(folder)


def test_a_users_file_that_others_may_read_is_refused_with_the_command(folder: Path) -> None:
    path = _keep(folder, gateway="http://user", token=TOKEN)
    path.chmod(0o644)
    with pytest.raises(SettingsUnfit, match=f"chmod 600 {path}"):
        load(folder)


def test_the_users_file_is_written_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "animus" / "config.toml"
    hostile = 'quote " backslash \\ del \x7f newline \n end'
    config = UserConfig(
        gateway="http://one",
        gateways={"http://one": KnownGateway(token=TOKEN, project=hostile)},
    )
    write_user_config(path, config)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_user_config(path) == config
    assert [child.name for child in path.parent.iterdir()] == ["config.toml"]


def test_the_users_file_is_where_xdg_says() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/animus/config.toml")
    assert config_path({"HOME": "/h"}) == Path("/h/.config/animus/config.toml")


def test_a_token_is_in_no_representation() -> None:
    known = KnownGateway(token=TOKEN)
    settings = load_settings(Given(auth_token=TOKEN), environment={"HOME": "/nonexistent"})
    shown = [repr(one) for one in (Given(auth_token=TOKEN), known, settings)]
    assert not [text for text in shown if TOKEN in text]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://Gateway.Example/", "https://gateway.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080/base/", "http://[::1]:8080/base"),
        ("unix:///animus/sockets/api.sock", "unix:///animus/sockets/api.sock"),
    ],
)
def test_one_gateway_has_one_url(written: str, normal: str) -> None:
    assert normal_url(written, source="a test") == normal


@pytest.mark.parametrize(
    "written",
    ["gateway.example", "ftp://x", "http://", "http://u:p@host", "unix://relative", "http://h:x",
     "http://h?q=1", "\x1b[31m"],
)  # fmt: skip
def test_what_is_no_gateway_url_is_refused(written: str) -> None:
    with pytest.raises(SettingsUnfit) as refused:
        normal_url(written, source="a test")
    assert "\x1b" not in refused.value.message
    assert ":p@" not in refused.value.message


def _keep(
    folder: Path, *, gateway: str, token: str | None = None, project: str | None = None,
    known: str | None = None,
) -> Path:  # fmt: skip
    path = folder.parents[1] / "home" / ".config" / "animus" / "config.toml"
    gateways = {known or gateway: KnownGateway(token=token, project=project)}
    write_user_config(path, UserConfig(gateway=gateway, gateways=gateways))
    return path
