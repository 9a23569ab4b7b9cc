"""One real object store for the adapter's tests, a client of it, and a project."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from secrets import token_hex
from uuid import uuid4

import httpx
import pytest

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.s3.settings import S3Settings
from animus.domain.ids import ProjectId
from tests.adapters.clients import opened
from tests.adapters.gateways import Gateway, running_gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("object-store")) as running:
        yield running


@pytest.fixture(scope="module")
def settings(gateway: Gateway) -> S3Settings:
    return gateway.settings(bucket_prefix=f"t{token_hex(4)}")


@pytest.fixture(scope="module")
async def store(settings: S3Settings) -> AsyncIterator[S3ObjectStore]:
    async with opened(settings) as store:
        await store.prepare()
        await store.probe()
        yield store


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client somewhere else, with nothing but URLs."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def project() -> ProjectId:
    return ProjectId(uuid4())
