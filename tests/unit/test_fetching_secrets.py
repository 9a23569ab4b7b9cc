"""What an agent does before a step gets its secrets: recorded first, from its project's corner."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from animus.adapters.signing import FileSigner, make_key
from animus.agent.orders import VerifiedOrder
from animus.agent.secrets import NoSecretStore, fetch_secrets, mark_of
from animus.domain.digests import Digest
from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId
from animus.domain.pipelines import SecretReference
from animus.domain.secrets import (
    MAX_SECRET_BYTES,
    MAX_SECRETS_BYTES,
    SecretPlace,
    SecretValue,
    StepSecret,
)
from animus.domain.work_orders import sealed
from animus.ports import AttemptTask, SecretMissing, SecretStore, SecretUnfit
from tests.unit.adapters.kubernetes.tasks import make_task


@dataclass(slots=True)
class Diary(SecretStore):
    """Both the records and the store: what was asked of either, in order."""

    values: dict[str, bytes]
    is_away: bool = False
    asked: list[str] = field(default_factory=list)

    async def record_secret_access(
        self, _digest: Digest, references: tuple[SecretReference, ...]
    ) -> None:
        if self.is_away:
            raise Unavailable("The api is not answering.")
        self.asked.append("recorded " + " ".join(one.secretRef for one in references))

    async def read(self, place: SecretPlace, /) -> SecretValue:
        self.asked.append(place.path)
        if place.reference not in self.values:
            raise SecretMissing("There is none.")
        return SecretValue(self.values[place.reference])

    async def close(self) -> None:
        """Nothing is open."""


def order_of(task: AttemptTask) -> VerifiedOrder:
    return VerifiedOrder(
        order=task.order, canonical=sealed(task.order), signature=b"",
        attempt_id=AttemptId(task.attempt_id),
    )  # fmt: skip


async def fetch(diary: Diary, *references: str, has_store: bool = True) -> tuple[StepSecret, ...]:
    named = [{"name": f"s{n}", "secretRef": each} for n, each in enumerate(references)]
    task = make_task(secrets=named)
    order = order_of(task)
    store = diary if has_store else None
    return await fetch_secrets(order, task.assignment, records=diary, store=store)


def test_the_mark_of_values_is_another_for_other_values_and_other_agents(tmp_path: Path) -> None:
    order = order_of(make_task())
    signers = []
    for name in ("one", "two"):
        make_key(tmp_path / name)
        signers.append(FileSigner(tmp_path / name))
    values = [(b"horse", b""), (b"", b"horse"), (b"horse", b"x")]
    given = [
        tuple(StepSecret(name=n, value=SecretValue(v)) for n, v in zip("ab", each, strict=True))
        for each in values
    ]
    marks = [mark_of(order, each, signer) for each in given for signer in signers]
    assert len(set(marks)) == len(marks)
    assert marks == [mark_of(order, each, signer) for each in given for signer in signers]
    assert mark_of(order, (), signers[0]) == ""


async def test_the_access_is_recorded_before_anything_is_read() -> None:
    diary, project = Diary({"a": b"1", "b/c": b"2"}), make_task().order.project_id
    found = await fetch(diary, "a", "b/c")
    assert {one.name: one.value.reveal() for one in found} == {"s0": b"1", "s1": b"2"}
    assert diary.asked == ["recorded a b/c", f"{project}/a", f"{project}/b/c"]


async def test_what_can_not_be_recorded_is_not_read() -> None:
    diary = Diary({"a": b"1"}, is_away=True)
    with pytest.raises(Unavailable):
        await fetch(diary, "a")
    assert diary.asked == []


async def test_a_step_without_secrets_asks_nobody() -> None:
    diary = Diary({})
    assert await fetch(diary) == ()
    assert await fetch(diary, has_store=False) == ()
    assert diary.asked == []


async def test_without_a_store_nothing_is_recorded_either() -> None:
    diary = Diary({})
    with pytest.raises(NoSecretStore, match=r"agent\.secrets"):
        await fetch(diary, "a", has_store=False)
    assert diary.asked == []


async def test_what_is_too_large_for_a_step_is_named() -> None:
    full = bytes(MAX_SECRET_BYTES)
    assert len(await fetch(Diary({"a": full}), "a")) == 1
    with pytest.raises(SecretUnfit, match="s1"):
        await fetch(Diary({"a": b"", "b": full + b"x"}), "a", "b")
    many = [f"s{n}" for n in range(MAX_SECRETS_BYTES // MAX_SECRET_BYTES + 1)]
    with pytest.raises(SecretUnfit, match="all together"):
        await fetch(Diary(dict.fromkeys(many, full)), *many)
