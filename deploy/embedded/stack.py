"""One stack of Animus: its settings, its secrets and its services."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from deploy.embedded.accounts import Accounts
from deploy.embedded.addresses import loopback_addresses
from deploy.embedded.catalogue import describe_services, write_all_settings
from deploy.embedded.configuration import StackConfig
from deploy.embedded.credentials import load_or_create
from deploy.embedded.crews import Crew
from deploy.embedded.engine.storage import get_storage
from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.locks import share
from deploy.embedded.servers import cache_directory
from deploy.embedded.services import Service
from deploy.embedded.sites import Site


class Stack(Crew):
    """Open it, start services, stop or kill them, close it (or use it in a `with`)."""

    def __init__(
        self,
        config: StackConfig,
        *,
        services: Sequence[Service] | None = None,
        programs: Path | None = None,
    ) -> None:
        """`services` replaces the real ones, `programs` is the cache with the built servers."""
        super().__init__(
            layout=Layout(state=config.state),
            mark=config.to_json(),
            programs=programs or cache_directory(),
        )
        self.config = config
        self._given = services
        self._site: Site | None = None
        self._images: int | None = None

    @property
    def site(self) -> Site:
        """Addresses, secrets and paths of an open stack."""
        if self._site is None:
            raise StackError("The stack is not open.")
        return self._site

    def open(self) -> None:
        if self.config.engine_file is not None:  # nobody deletes the images while it is open
            self._images = share(get_storage().in_use)
        try:
            super().open()
        except BaseException:
            self._release_images()
            raise

    def close(self) -> None:
        super().close()
        self._release_images()

    def _release_images(self) -> None:
        if self._images is not None:
            os.close(self._images)
            self._images = None

    def _prepare(self, accounts: Accounts) -> Sequence[Service]:
        self._site = Site(
            config=self.config,
            addresses=loopback_addresses(self.config.ports),
            layout=self.layout,
            accounts=accounts,
            credentials=load_or_create(self.layout.secrets),
            programs=self._programs,
        )
        write_all_settings(self._site)
        return describe_services(self._site) if self._given is None else self._given
