"""The four real servers together: what is configured is what they do."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from pathlib import Path

import psycopg
import pytest
from minio import Minio
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from deploy.embedded.accounts import Account
from deploy.embedded.configuration import TEMPORAL_NAMESPACE, StackConfig
from deploy.embedded.ports import free_ports
from deploy.embedded.processes import descendants_of, find_process
from deploy.embedded.stack import Stack
from deploy.embedded.temporal_namespace import SEARCH_ATTRIBUTES
from tests.support.temporal import as_operator
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.stack

DAY = 86_400


def test_every_server_runs_as_the_service_user(servers: Stack) -> None:
    uid = servers.site.accounts.owner_of(Account.SERVICES).uid
    for name in ("postgres", "temporal", "temporal-ui", "object-store"):
        assert Path(f"/proc/{servers.pid(name)}").stat().st_uid == uid


def test_every_server_listens_on_loopback_alone(servers: Stack) -> None:
    ours = {f":{port:04X}" for port in servers.config.ports.as_dict().values()}
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows += [row.split() for row in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1][-5:] in ours]
    assert len(listening) == len(ours) - 1  # all but the api's
    assert all(address.startswith("0100007F:") for address in listening)


def test_postgres_is_durable_and_asks_for_passwords(servers: Stack) -> None:
    url = servers.site.addresses.superuser_url(servers.site.credentials)
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
    }
    assert expected.items() <= dict(rows).items()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.site.addresses.database_url("postgres", "guess"))


def test_temporals_role_reaches_its_own_databases_only(servers: Stack) -> None:
    url = servers.site.addresses.database_url
    password = servers.site.credentials.temporal_password
    psycopg.connect(url("temporal", password, "temporal_visibility")).close()
    for database in ("animus", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="rejects connection"):
            psycopg.connect(url("temporal", password, database))


def test_other_roles_do_not_reach_temporals_databases(servers: Stack) -> None:
    site = servers.site
    with psycopg.connect(site.addresses.superuser_url(site.credentials), autocommit=True) as root:
        root.execute("CREATE ROLE curious LOGIN PASSWORD 'curious'")
    psycopg.connect(site.addresses.database_url("curious", "curious")).close()
    for database in ("temporal", "temporal_visibility"):
        with pytest.raises(psycopg.OperationalError, match="rejects connection"):
            psycopg.connect(site.addresses.database_url("curious", "curious", database))


async def test_the_namespace_keeps_runs_for_thirty_days_and_finds_them_by_attribute(
    servers: Stack,
) -> None:
    client = await as_operator(servers)
    told = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=TEMPORAL_NAMESPACE)
    )
    assert told.config.workflow_execution_retention_ttl.seconds == 30 * DAY
    await client.start_workflow(
        "nobody-runs-this",
        id="findable",
        task_queue="nobody-polls-this",
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(SearchAttributeKey.for_keyword(name), f"value of {name}")
                for name in SEARCH_ATTRIBUTES
            ]
        ),
    )
    for name in SEARCH_ATTRIBUTES:
        assert await _find(client, f"{name} = 'value of {name}'") == ["findable"]


async def _find(client: Client, query: str) -> list[str]:
    """Visibility follows the start of a workflow after a moment."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if found := [item.id async for item in client.list_workflows(query)]:
                return found
            await asyncio.sleep(0.05)


def test_the_ui_shows_and_changes_nothing(servers: Stack) -> None:
    port = servers.config.ports.temporal_ui
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/api/v1/settings")
    answer = connection.getresponse()
    settings = json.loads(answer.read())
    assert settings["DefaultNamespace"] == TEMPORAL_NAMESPACE
    assert settings["DisableWriteActions"] is True
    connection.request("GET", f"/api/v1/namespaces/{TEMPORAL_NAMESPACE}")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    token = answer.headers["Set-Cookie"].partition("_csrf=")[2].partition(";")[0]
    headers = {"Content-Type": "application/json", "X-CSRF-Token": token}
    headers["Cookie"] = f"_csrf={token}"
    target = f"/api/v1/namespaces/{TEMPORAL_NAMESPACE}/workflows/any/terminate"
    connection.request("POST", target, body="{}", headers=headers)
    assert connection.getresponse().status == http.client.METHOD_NOT_ALLOWED
    connection.close()


def test_the_object_store_keeps_versions_and_wants_its_keys(servers: Stack) -> None:
    credentials = servers.site.credentials
    endpoint = servers.site.addresses.object_store.removeprefix("http://")
    client = Minio(
        endpoint,
        access_key=credentials.object_store_access_key,
        secret_key=credentials.object_store_secret_key,
        secure=False,
    )
    client.make_bucket("kept")
    client.set_bucket_versioning("kept", VersioningConfig("Enabled"))
    versions = [
        client.put_object("kept", "name", io.BytesIO(body), len(body)).version_id
        for body in (b"first", b"second")
    ]
    answer = client.get_object("kept", "name", version_id=versions[0])
    assert answer.read() == b"first"
    answer.close()
    stranger = Minio(endpoint, access_key="guess", secret_key="guessguess", secure=False)
    with pytest.raises(S3Error, match="No user exists with the provided access key"):
        stranger.list_buckets()


def test_postgres_recovers_what_was_committed_before_it_was_killed(servers: Stack) -> None:
    url = servers.site.addresses.superuser_url(servers.site.credentials)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        postmaster = find_process(servers.pid("postgres"))
        assert postmaster
        assert len(descendants_of(postmaster)) > 5
        servers.kill("postgres")
    servers.start(["temporal"])
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
    assert "automatic recovery" in servers.layout.log("postgres").read_text()


async def test_temporal_serves_again_after_it_was_killed(servers: Stack) -> None:
    servers.kill("temporal")
    servers.start(["temporal"])
    client = await as_operator(servers)
    assert await client.service_client.check_health()


def test_a_second_whole_stack_runs_beside_the_first(servers: Stack, tmp_path: Path) -> None:
    with Stack(StackConfig(state=tmp_path / "second", ports=free_ports())) as second:
        second.start(["temporal-ui", "object-store"])
        assert second.pid("temporal") != servers.pid("temporal")
        for stack in (servers, second):
            client = asyncio.run(_describe(stack))
            assert client == TEMPORAL_NAMESPACE


async def _describe(stack: Stack) -> str:
    client = await as_operator(stack)
    told = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=TEMPORAL_NAMESPACE)
    )
    return str(told.namespace_info.name)
