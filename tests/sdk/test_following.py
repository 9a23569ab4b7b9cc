"""A run's events and its changes, also where the stream breaks, is refused or does not come."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from animus_sdk import AnimusError, ApiError, Unreachable, follow_run
from animus_sdk.wire.event_streams import RunEvents, ServerEvent, StreamCut, read_events

from tests.sdk.attempt_places import start_run
from tests.sdk.faulty_proxies import LOST, CutAfter, Fault, FaultyProxy, faulty_proxy
from tests.sdk.platforms import QUICK, Platform, pipeline


@pytest.fixture
def run_id(platform: Platform) -> str:
    return start_run(platform, {"pipeline": pipeline(data=False)})


@pytest.fixture
def proxy(platform: Platform) -> Iterator[FaultyProxy]:
    with faulty_proxy(platform.url) as proxy:
        proxy.method, proxy.path = "GET", "/events"
        yield proxy


@pytest.mark.parametrize("faults", [[CutAfter(1_500)], [CutAfter(1_500), LOST, CutAfter(900)]])
def test_a_stream_that_breaks_off_is_resumed_without_loss_or_repetition(
    platform: Platform, proxy: FaultyProxy, run_id: str, faults: list[Fault]
) -> None:
    with platform.client() as client:
        whole = list(client.runs.events(run_id))
    proxy.faults = list(faults)
    with platform.client(url=proxy.url) as client:
        events = RunEvents(
            client.runs._scope.gateway,
            project_id=platform.project_id,
            run_id=run_id,
            patience=QUICK,
        )
        assert list(events.read(follow=False)) == whole
    assert proxy.count("GET", "/events") > len(faults)


def test_a_stream_that_stays_broken_is_told(
    platform: Platform, proxy: FaultyProxy, run_id: str
) -> None:
    proxy.faults = [CutAfter(0)] * 100
    with platform.client(url=proxy.url) as client:
        events = RunEvents(
            client.runs._scope.gateway,
            project_id=platform.project_id,
            run_id=run_id,
            patience=QUICK,
        )
        with pytest.raises(Unreachable, match="stopped sending events"):
            list(events.read(follow=True))


def test_a_run_is_followed_to_its_end_without_the_stream(
    platform: Platform, proxy: FaultyProxy, run_id: str
) -> None:
    """Reading the run is enough; the stream only makes it quicker."""
    proxy.faults = [503] * 100
    with platform.client(url=proxy.url) as client:
        seen = follow_run(client, run_id)
        assert next(seen)["state"] == "running"
        client.runs.cancel(run_id)
        platform.driver.finalise(platform.project_id, run_id)
        assert [detail["state"] for detail in seen][-1] == "canceled"


def test_a_deadline_passes_also_while_the_gateway_is_away(
    platform: Platform, proxy: FaultyProxy, run_id: str
) -> None:
    proxy.faults, proxy.path = [503] * 100, f"/runs/{run_id}"
    told: list[AnimusError] = []
    times = iter([0.0, 1.0, 2.0])
    with platform.client(url=proxy.url) as client:
        seen = follow_run(client, run_id, deadline=1.5, clock=lambda: next(times), away=told.append)
        with pytest.raises(ApiError) as refused:
            next(seen)
    assert (refused.value.code, len(told)) == ("http_503", 2)


def test_following_leaves_no_thread_behind(platform: Platform, run_id: str) -> None:
    with platform.client() as client:
        seen = follow_run(client, run_id)
        next(seen)
        (reader,) = [t for t in threading.enumerate() if t.name == "animus-events"]
        seen.close()
        reader.join(10)
        assert not reader.is_alive()


def test_who_may_not_see_the_run_gets_no_stream(platform: Platform) -> None:
    with platform.client() as client, pytest.raises(ApiError) as refused:
        list(client.runs.events("0" * 8 + "-0000-7000-8000-" + "0" * 12))
    assert refused.value.status == 404


def test_an_interrupted_reader_reads_no_more(platform: Platform, run_id: str) -> None:
    with platform.client() as client:
        reader = client.runs.event_reader(run_id)
        reader.interrupt()
        with pytest.raises(StreamCut):
            list(reader.read_once(follow=True))


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        (["event: a", "data: 1", ""], [ServerEvent(kind="a", data="1")]),
        (["data: 1", "data: 2", ""], [ServerEvent(kind="message", data="1\n2")]),
        (
            [": comment", "", "id: 7", "event: end", "data:", ""],
            [ServerEvent(kind="end", data="", id=7)],
        ),
        (["data: not finished"], []),
    ],
)
def test_events_are_read_as_the_standard_says(lines: list[str], events: list[ServerEvent]) -> None:
    assert list(read_events(lines)) == events
