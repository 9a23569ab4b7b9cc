"""Names of runs: readable, and as different as the randomness they are made of."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from animus.domain import patterns
from animus.domain.run_names import RANDOM_BYTES, run_name

ENTROPY = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(ENTROPY)
def test_a_name_is_a_name(entropy: bytes) -> None:
    assert re.fullmatch(r"[a-z]+-[a-z]+-[0-9a-f]{8}", run_name(entropy))
    assert re.fullmatch(patterns.NAME, f"run-{run_name(entropy)}")


@given(ENTROPY, ENTROPY)
def test_the_last_bytes_are_all_in_the_name(one: bytes, other: bytes) -> None:
    if one[2:] != other[2:]:
        assert run_name(one) != run_name(other)
