"""The cluster's registry of images: TLS by an authority of its own, and nothing without a password.

It listens on loopback: the node pulls from it, and steps can't reach it.
"""

from __future__ import annotations

import ctypes
import secrets

from deploy.dev_cluster.configuration import ClusterConfig
from deploy.dev_cluster.credentials import REGISTRY_AUTHORITY, client_context
from deploy.dev_cluster.sites import Site, layout_of
from deploy.embedded.accounts import Account, caller
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.probes import answers_ok
from deploy.embedded.services import Service
from deploy.images.uploads import Registry

USER = "animus"
_PASSWORD_BYTES = 24
_LIBCRYPT = "libcrypt.so.1"
_BCRYPT, _COST = b"$2b$", 10


def describe_registry(site: Site) -> Service:
    port = site.config.ports.registry
    return Service(
        name="registry",
        argv=(site.program("registry"), "serve", site.settings_file("registry.yaml")),
        environment={"OTEL_TRACES_EXPORTER": "none"},
        ports={"registry": port},
        is_ready=answers_ok(
            port, "/", tls=client_context(site, authority=REGISTRY_AUTHORITY, client=None)
        ),
        address=f"https://{_address(site.config)}",
    )


def write_registry_settings(site: Site) -> None:
    """For the registry, and for the node that shall trust it."""
    address = _address(site.config)
    passwords = site.write_settings(
        "registry.htpasswd", _htpasswd(_password(site.layout)), account=Account.SERVICES
    )
    values = {
        "cluster": site.config.name,
        "address": address,
        "data": site.layout.data("registry"),
        "certificate": site.key_file("registry.crt"),
        "key": site.key_file("registry.key"),
        "passwords": passwords,
        "authority": site.key_file(f"{REGISTRY_AUTHORITY}.crt"),
    }
    settings = site.render("registry.yaml", values)
    site.write_settings("registry.yaml", settings, account=Account.SERVICES)
    trusted = site.layout.data("registries") / address
    trusted.mkdir(exist_ok=True)
    (trusted / "hosts.toml").write_text(site.render("hosts.toml", values))


def registry_of(config: ClusterConfig) -> Registry:
    """As who may push to it and pull from it sees it. Raises `StackError` without root."""
    layout = layout_of(config.state)
    return Registry(
        address=_address(config),
        authority=layout.keys / f"{REGISTRY_AUTHORITY}.crt",
        user=USER,
        password=_password(layout),
    )


def _address(config: ClusterConfig) -> str:
    return f"{LOOPBACK}:{config.ports.registry}"


def _password(layout: Layout) -> str:
    """Made once for a cluster: pull secrets hold it."""
    file = layout.keys / "registry-password"
    try:
        if not file.exists():
            write_private(file, secrets.token_urlsafe(_PASSWORD_BYTES), owner=caller())
        return file.read_text()
    except PermissionError:
        raise StackError("The registry's password is root's. Run the same with sudo.") from None


def _htpasswd(password: str) -> str:
    """The registry takes bcrypt alone, which Debian's libcrypt makes."""
    try:
        library = ctypes.CDLL(_LIBCRYPT)
    except OSError as error:
        raise StackError(
            f"{_LIBCRYPT} is missing. Install it: apt-get install libcrypt1"
        ) from error
    library.crypt_gensalt.restype = library.crypt.restype = ctypes.c_char_p
    salt = library.crypt_gensalt(_BCRYPT, _COST, None, 0)
    hashed = library.crypt(password.encode(), salt) if salt else None
    if hashed is None or not hashed.startswith(_BCRYPT):
        raise StackError(f"{_LIBCRYPT} does not know bcrypt.")
    return f"{USER}:{hashed.decode()}\n"
