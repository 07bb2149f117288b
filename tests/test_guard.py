"""The guard must stop every non-finite sample and leave the rest of the sound alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dsp.guard import LIMIT_AMPLITUDE, has_run_away, sanitise


@pytest.mark.parametrize("bits", [0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF])
def test_every_kind_of_nan_and_infinity_becomes_zero_and_is_counted(bits: int) -> None:
    """+inf, -inf, quiet, signalling and negative NaN: one sample each, count 1."""
    block = np.full((4, 2), 0.5, np.float32)
    block.view(np.uint32)[2, 1] = bits
    assert sanitise(block, LIMIT_AMPLITUDE) == 1
    assert block[2, 1] == 0.0
    assert np.count_nonzero(block == np.float32(0.5)) == 7


def test_a_sound_within_the_limit_is_not_touched() -> None:
    """Every bit stays, subnormals and -0 included; count 0."""
    block = np.random.default_rng(1).standard_normal((128, 6)).astype(np.float32)
    block[0] = [-0.0, 1e-42, -1e-42, 15.0, -15.0, 3.4e-38]
    before = block.copy()
    assert sanitise(block, LIMIT_AMPLITUDE) == 0
    assert np.array_equal(block.view(np.uint32), before.view(np.uint32))


def test_a_runaway_sample_is_clamped_to_24_dbfs_but_not_counted_as_a_fault() -> None:
    """The limit is 10**(24/20) = 15.8489 in both directions."""
    block = np.array([[3e38, -3e38], [16.0, -16.0]], np.float32)
    assert sanitise(block, LIMIT_AMPLITUDE) == 0
    assert np.float32(10 ** (24 / 20)) == np.float32(LIMIT_AMPLITUDE)
    assert np.array_equal(block, np.array([[LIMIT_AMPLITUDE, -LIMIT_AMPLITUDE]] * 2, np.float32))


@given(
    hnp.arrays(
        np.uint32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 2**32 - 1)
    )
)
def test_no_bit_pattern_passes_the_guard(bits: np.ndarray) -> None:
    """Output is finite and within ±15.85 for any 32 bits, and the count is numpy's."""
    block = bits.view(np.float32)
    bad = int(np.count_nonzero(~np.isfinite(block)))
    assert sanitise(block, LIMIT_AMPLITUDE) == bad
    assert np.isfinite(block).all()
    assert np.abs(block).max() <= np.float32(LIMIT_AMPLITUDE)


def test_a_strided_view_is_refused_and_not_misread() -> None:
    """Only C-contiguous blocks have a compiled path."""
    block = np.zeros((8, 4), np.float32)
    with pytest.raises(TypeError):
        sanitise(block[:, ::2], LIMIT_AMPLITUDE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 15.9, -1e30])
def test_one_sample_that_has_run_away_is_seen_wherever_it_is(bad: float) -> None:
    """Beyond 15.85 or not finite; 15.84 and subnormals are fine."""
    block = np.full((64, 2), 15.84, np.float32)
    block[0] = 1e-40, -15.84
    assert not has_run_away(block, LIMIT_AMPLITUDE)
    for place in ((0, 0), (31, 1), (63, 1)):
        broken = block.copy()
        broken[place] = bad
        assert has_run_away(broken, LIMIT_AMPLITUDE)
