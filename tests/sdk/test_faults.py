"""Lost answers, servers that are busy or away: nothing is lost, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from animus_sdk import ApiError, OutcomeUnknown, Unreachable
from animus_sdk.client import Client
from animus_sdk.resources.principals import SecretLost
from animus_sdk.settings import Settings
from animus_sdk.wire.retries import Patience, RetryPolicy, retry_after

from tests.sdk.faulty_proxies import LOST, Fault, FaultyProxy, faulty_proxy
from tests.sdk.platforms import CLUSTER, Platform, pipeline, unique


@pytest.fixture
def proxy(platform: Platform) -> Iterator[FaultyProxy]:
    with faulty_proxy(platform.url) as proxy:
        yield proxy


@pytest.mark.parametrize("faults", [[LOST], [LOST, LOST], [503, LOST], [502, 504, 503], [429]])
def test_a_creating_call_is_repeated_and_creates_once(
    platform: Platform, proxy: FaultyProxy, faults: list[Fault]
) -> None:
    name = unique("dataset")
    proxy.faults, proxy.path = list(faults), "/datasets"
    with platform.client(url=proxy.url) as client:
        made = client.datasets.create(name)
        assert [d["id"] for d in client.datasets.all() if d["name"] == name] == [made["id"]]
    assert proxy.count("POST", "/datasets") == len(faults) + 1


def test_a_run_whose_answer_was_lost_is_submitted_once(
    platform: Platform, proxy: FaultyProxy
) -> None:
    written = pipeline(data=False)
    proxy.faults, proxy.path = [LOST, LOST], "/runs"
    with platform.client(url=proxy.url) as client:
        run = client.runs.submit({"pipeline": written, "cluster": CLUSTER})
        found = client.runs.page(pipeline=written["pipeline"])["runs"]
    assert [one["id"] for one in found] == [run["id"]]


def test_each_call_has_a_key_of_its_own(platform: Platform) -> None:
    written = pipeline(data=False)
    with platform.client() as client:
        ids = {
            client.runs.submit({"pipeline": written, "cluster": CLUSTER})["id"] for _ in range(2)
        }
    assert len(ids) == 2


def test_reading_is_repeated(platform: Platform, proxy: FaultyProxy) -> None:
    proxy.faults, proxy.method = [LOST, 503], "GET"
    with platform.client(url=proxy.url) as client:
        assert client.principals.who_am_i()["name"] == "engineer"
    assert proxy.count("GET", "/whoami") == 3


def test_what_must_not_happen_twice_is_not_repeated_after_a_lost_answer(
    platform: Platform, proxy: FaultyProxy
) -> None:
    proxy.faults, proxy.path = [LOST], ":confirm"
    with platform.client("admin", url=proxy.url) as client, pytest.raises(OutcomeUnknown) as lost:
        client.changes.confirm(str(uuid4()))
    assert not lost.value.retryable
    assert proxy.count("POST", ":confirm") == 1


def test_a_lost_answer_of_a_new_cluster_is_told_and_the_cluster_can_be_retired(
    platform: Platform, proxy: FaultyProxy
) -> None:
    name = unique("cluster")
    proxy.faults, proxy.path = [LOST], "/clusters"
    with platform.client("admin", url=proxy.url) as client:
        with pytest.raises(SecretLost, match=f"animus cluster retire {name}"):
            client.clusters.register(name, executor="noop", runtime="none", result_key="0" * 64)
        retired = client.clusters.retire(client.clusters.resolve(name)["id"])
    assert retired["retired_at"] is not None


def test_a_lost_answer_of_a_new_token_is_told_and_the_token_named(
    platform: Platform, proxy: FaultyProxy
) -> None:
    """The gateway tells a secret once; the repeated request gets the token without it."""
    proxy.faults, proxy.path = [LOST], "/tokens"
    with platform.client(url=proxy.url) as client:
        with pytest.raises(Exception, match="animus token revoke") as lost:
            client.principals.issue_token(name=unique("token"), days=1)
        made = client.principals.tokens()[-1]
    assert made["id"] in str(lost.value)


def test_who_does_not_answer_is_told_after_the_time_limit() -> None:
    clock = _Clock()
    policy = RetryPolicy(retries=100, total_seconds=30.0, clock=clock.now, sleep=clock.sleep)
    settings = Settings(
        gateway_url="http://127.0.0.1:9",
        gateway_from="the test",
        auth_token="anmp_x",
        token_from="the test",
        project=None,
    )
    with Client(settings=settings, retries=policy) as client, pytest.raises(Unreachable) as away:
        client.principals.who_am_i()
    assert away.value.retryable
    assert "http://127.0.0.1:9" in away.value.message
    assert 15.0 < clock.seconds <= 30.0


def test_a_wait_that_would_pass_the_limit_is_not_begun() -> None:
    clock = _Clock()
    policy = RetryPolicy(total_seconds=5.0, clock=clock.now, sleep=clock.sleep)
    assert not policy.begin().wait(at_least=6.0)
    assert clock.seconds == 0.0


def test_waits_grow_to_a_cap_and_retries_end() -> None:
    clock = _Clock()
    patience: Patience = RetryPolicy(
        total_seconds=1_000.0, clock=clock.now, sleep=clock.sleep
    ).begin()
    while patience.wait():
        continue
    assert len(clock.slept) == 6
    assert max(clock.slept) <= 10.0
    assert clock.slept[0] <= 0.25


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), (None, 0.0), ("soon", 0.0), ("-1", 0.0), ("99999999", 3600.0)],
)
def test_retry_after_is_read_in_seconds(header: str | None, seconds: float) -> None:
    assert retry_after(header) == seconds


def test_a_wrong_token_is_told_with_the_gateways_words(platform: Platform) -> None:
    settings = Settings(
        gateway_url=platform.url,
        gateway_from="the test",
        auth_token="anmp_" + "x" * 49,
        token_from="the test",
        project=None,
    )
    with Client(settings=settings) as client, pytest.raises(ApiError) as refused:
        client.principals.who_am_i()
    error = refused.value
    assert (error.status, error.code) == (401, "credential_refused")
    assert error.request_id
    assert "x" * 49 not in f"{error.message}{error.problem()}{client!r}"


class _Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    @property
    def seconds(self) -> float:
        return sum(self.slept)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
