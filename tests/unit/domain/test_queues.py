"""Who is let in, in which order: what is promised for every queue, and for a few in particular."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from animus.domain.queues import Priority, Queue, Turns, Use, Waiting, in_order, take_turns
from animus.domain.quotas import Quantities, find_excess, total
from animus.domain.runs import WaitingFor

START = datetime(2026, 1, 1, tzinfo=UTC)
PROJECTS = [UUID(int=1), UUID(int=2), UUID(int=3)]
CLUSTERS = [UUID(int=11), UUID(int=12)]
RESOURCES = ("cpu", "runs", "nvidia.com/gpu")

peaks = st.fixed_dictionaries(
    {"cpu": st.integers(0, 4), "runs": st.just(1), "nvidia.com/gpu": st.integers(0, 2)}
)
limits = st.dictionaries(st.sampled_from(RESOURCES), st.integers(1, 8), min_size=1)


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    waiting = [
        Waiting(
            run_id=UUID(int=100 + number),
            project_id=draw(st.sampled_from(PROJECTS)),
            cluster_id=draw(st.sampled_from(CLUSTERS)),
            priority=draw(st.sampled_from(Priority)),
            enqueued_at=START + timedelta(seconds=draw(st.integers(0, 5))),
            peak=draw(peaks),
        )
        for number in range(draw(st.integers(0, 12)))
    ]
    used = draw(
        st.lists(
            st.builds(
                Use,
                project_id=st.sampled_from(PROJECTS),
                cluster_id=st.sampled_from(CLUSTERS),
                peak=peaks,
            ),
            max_size=4,
        )
    )
    return Queue(
        waiting=waiting,
        used=used,
        projects=draw(st.dictionaries(st.sampled_from(PROJECTS), limits)),
        clusters=draw(st.dictionaries(st.sampled_from(CLUSTERS), limits)),
    )


@given(queues())
def test_nobody_is_let_in_over_a_limit(queue: Queue) -> None:
    turns = take_turns(queue)
    for project, ceiling in queue.projects.items():
        own = [one for one in turns.admitted if one.project_id == project]
        used = [use.peak for use in queue.used if use.project_id == project]
        _check_room(used, own, ceiling)
    for cluster, ceiling in queue.clusters.items():
        own = [one for one in turns.admitted if one.cluster_id == cluster]
        used = [use.peak for use in queue.used if use.cluster_id == cluster]
        _check_room(used, own, ceiling)


def _check_room(
    used: Sequence[Quantities], admitted: Sequence[Waiting], ceiling: Quantities
) -> None:
    """Together with those before it, each one is within the limits of what it asks for."""
    peaks = list(used)
    for one in admitted:
        assert find_excess(one.peak, used=total(peaks), limits=ceiling) is None
        peaks.append(one.peak)


@given(queues(), st.randoms(use_true_random=False))
def test_the_order_in_which_rows_are_read_decides_nothing(queue: Queue, random: object) -> None:
    shuffled = list(queue.waiting)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random of hypothesis
    assert take_turns(replace(queue, waiting=shuffled)) == take_turns(queue)


@given(queues())
def test_everybody_is_let_in_or_told_why_not(queue: Queue) -> None:
    turns = take_turns(queue)
    told = [one.run_id for one in (*turns.admitted, *turns.unfit)] + list(turns.blocked)
    assert sorted(told) == sorted(one.run_id for one in queue.waiting)


@given(queues())
def test_who_waits_needs_more_than_there_is_or_is_behind_one_who_does(queue: Queue) -> None:
    """Work-conserving as far as promised: no place is kept free without such a run."""
    turns = take_turns(queue)
    by_id = {one.run_id: one for one in queue.waiting}
    for run_id, block in turns.blocked.items():
        if block.excess is None:
            assert block.behind is not None
            holder, own = by_id[block.behind], by_id[run_id]
            assert turns.blocked[holder.run_id].excess is not None
            assert turns.blocked[holder.run_id].position < block.position
            assert own.project_id == holder.project_id or own.cluster_id == holder.cluster_id
        else:
            assert block.excess.used + block.excess.wanted > block.excess.limit


@given(queues())
def test_in_a_project_nobody_overtakes_for_the_same_cluster(queue: Queue) -> None:
    turns = take_turns(queue)
    admitted = {one.run_id for one in turns.admitted}
    for lane in _lanes(queue, turns).values():
        chosen = [one.run_id in admitted for one in sorted(lane, key=lambda one: one.turn)]
        limited = bool(queue.ceilings_of(lane[0]).cluster)
        if limited:
            assert chosen == sorted(chosen, reverse=True)


def _lanes(queue: Queue, turns: Turns) -> dict[tuple[UUID, UUID], list[Waiting]]:
    never = {one.run_id for one in turns.unfit}
    lanes: dict[tuple[UUID, UUID], list[Waiting]] = {}
    for one in queue.waiting:
        if one.run_id not in never:
            lanes.setdefault((one.project_id, one.cluster_id), []).append(one)
    return lanes


@settings(max_examples=50)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=6), st.integers(1, 4))
def test_small_runs_of_others_that_never_cease_do_not_starve_a_large_one(
    sizes: list[int], life: int
) -> None:
    """Runs end after `life` rounds; in each round more small ones come than there is room for."""
    large = _waiting(1, PROJECTS[0], {"cpu": 8}, second=0)
    world = _World(capacity={"cpu": 8}, life=life)
    world.waiting.append(large)
    for round_ in range(20 * life):
        for offset, size in enumerate(sizes * 3):
            number = 1_000 + round_ * 100 + offset
            world.waiting.append(_waiting(number, PROJECTS[1], {"cpu": size}, second=round_))
        if large in world.step():
            return
    raise AssertionError("the large run was never let in")


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(2, 6))
def test_a_project_that_submits_more_gets_no_more(life: int, flood: int) -> None:
    """Two projects that always want more than there is have the same, give or take one run."""
    world = _World(capacity={"runs": 4}, life=life)
    held = dict.fromkeys(PROJECTS[:2], 0)
    number = 0
    for round_ in range(10 * life):
        for project, many in zip(PROJECTS[:2], (4, 4 * flood), strict=True):
            for _ in range(many):
                number += 1
                world.waiting.append(_waiting(number, project, {"runs": 1}, second=round_))
        for one in world.step():
            held[one.project_id] += 1
    assert held[PROJECTS[0]] >= held[PROJECTS[1]] - 1


class _World:
    """A cluster on which runs that are let in end after a number of rounds."""

    def __init__(self, *, capacity: Quantities, life: int) -> None:
        self.waiting: list[Waiting] = []
        self._capacity = capacity
        self._life = life
        self._running: list[tuple[int, Waiting]] = []

    def step(self) -> Sequence[Waiting]:
        self._running = [(left - 1, one) for left, one in self._running if left > 1]
        used = [
            Use(project_id=one.project_id, cluster_id=one.cluster_id, peak=one.peak)
            for _, one in self._running
        ]
        queue = Queue(
            waiting=self.waiting, used=used, projects={}, clusters={CLUSTERS[0]: self._capacity}
        )
        admitted = take_turns(queue).admitted
        chosen = {one.run_id for one in admitted}
        self.waiting = [one for one in self.waiting if one.run_id not in chosen]
        self._running += [(self._life, one) for one in admitted]
        return admitted


def _waiting(
    number: int,
    project: UUID,
    peak: Mapping[str, int],
    *,
    second: int = 0,
    priority: Priority = Priority.NORMAL,
    cluster: UUID = CLUSTERS[0],
) -> Waiting:
    return Waiting(
        run_id=UUID(int=number),
        project_id=project,
        cluster_id=cluster,
        priority=priority,
        enqueued_at=START + timedelta(seconds=second),
        peak=peak,
    )


def test_priority_then_time_then_id_within_a_project() -> None:
    late_high = _waiting(9, PROJECTS[0], {}, second=9, priority=Priority.HIGH)
    second = _waiting(3, PROJECTS[0], {}, second=1)
    first = _waiting(2, PROJECTS[0], {}, second=1)
    low = _waiting(1, PROJECTS[0], {}, priority=Priority.LOW)
    queue = Queue(waiting=[low, second, first, late_high], used=[], projects={}, clusters={})
    assert list(in_order(queue, queue.waiting)) == [late_high, first, second, low]


def test_the_project_that_uses_less_goes_first() -> None:
    mine, other = _waiting(1, PROJECTS[0], {"cpu": 1}), _waiting(2, PROJECTS[1], {"cpu": 1})
    queue = Queue(
        waiting=[mine, other],
        used=[Use(project_id=PROJECTS[0], cluster_id=CLUSTERS[0], peak={"cpu": 3})],
        projects={}, clusters={CLUSTERS[0]: {"cpu": 4}},
    )  # fmt: skip
    turns = take_turns(queue)
    assert turns.admitted == [other]
    assert turns.blocked[mine.run_id].reason is WaitingFor.QUEUE_BLOCKED
    assert turns.blocked[mine.run_id].position == 2


def test_a_full_quota_holds_its_own_project_and_no_other() -> None:
    big, small = _waiting(1, PROJECTS[0], {"cpu": 2}), _waiting(2, PROJECTS[0], {"cpu": 1})
    other = _waiting(3, PROJECTS[1], {"cpu": 1})
    queue = Queue(
        waiting=[big, small, other],
        used=[Use(project_id=PROJECTS[0], cluster_id=CLUSTERS[1], peak={"cpu": 1})],
        projects={PROJECTS[0]: {"cpu": 2}}, clusters={CLUSTERS[0]: {"cpu": 8}},
    )  # fmt: skip
    turns = take_turns(queue)
    assert turns.admitted == [other]
    assert turns.blocked[big.run_id].reason is WaitingFor.QUOTA_EXCEEDED
    assert turns.blocked[small.run_id].behind == big.run_id


def test_who_can_never_fit_holds_nobody() -> None:
    never, other = _waiting(1, PROJECTS[0], {"cpu": 9}), _waiting(2, PROJECTS[0], {"cpu": 1})
    queue = Queue(waiting=[never, other], used=[], projects={PROJECTS[0]: {"cpu": 8}}, clusters={})
    turns = take_turns(queue)
    assert (turns.admitted, turns.unfit, turns.blocked) == ([other], [never], {})
