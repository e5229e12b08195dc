"""Random numbers that belong to a stream do not depend on who else draws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.seeds import key_of, uniforms

KEYS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5)


@given(KEYS, st.integers(0, 20), st.integers(0, 20))
def test_draws_depend_on_key_and_number_only(keys: list[int], n: int, offset: int) -> None:
    together = uniforms(np.array(keys, np.uint64), n + offset)
    for i, key in enumerate(keys):
        alone = uniforms(np.array([key], np.uint64), n, offset)
        assert (alone[0] == together[i, offset:]).all()


def test_draws_are_uniform_in_the_unit_interval() -> None:
    keys = np.array([key_of(f"stream-{i}", seed=1) for i in range(50)], np.uint64)
    draws = uniforms(keys, 400)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.histogram(draws, bins=10, range=(0, 1))[0]
    # 2,000 draws are due per tenth; five standard deviations of a binomial are 212.
    assert np.abs(counts - 2000).max() < 212


def test_the_key_depends_on_name_and_seed() -> None:
    keys = {key_of(name, seed) for name in ("a", "b", "1") for seed in (1, 2, 11)}
    assert len(keys) == 9
