"""The guard must stop every non-finite sample and leave the rest of the sound alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dsp.guard import LIMIT_AMPLITUDE, RUNAWAY_AMPLITUDE, mend, sanitise, watch, watched


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


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf, 10_001.0, -1e30])
@pytest.mark.parametrize("lanes", [1, 2, 7, 64])
def test_one_sample_that_has_run_away_is_seen_wherever_it_is(bad: float, lanes: int) -> None:
    """Beyond 15.85 or not finite is refused, and the last frame kept from before; 15.84, -0 and subnormals are fine."""
    block = np.full((64, lanes), 15.84, np.float32)
    block[0], block[1], block[2], block[-1] = 1e-40, -15.84, -0.0, 0.25
    last = np.ones(lanes, np.float32)
    for place in ((0, 0), (31, lanes - 1), (63, lanes // 2)):
        broken = block.copy()
        broken[place] = bad
        assert not watch(*watched(broken, last))
    assert np.all(last == 1.0)
    assert watch(*watched(block, last))
    assert np.all(last == 0.25)


@given(hnp.arrays(np.uint32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_the_watch_agrees_with_numpy_on_any_bits(bits: np.ndarray) -> None:
    """Fine exactly if every sample is finite and within ±10 000."""
    block = bits.view(np.float32)
    fine = bool(np.all(np.isfinite(block) & (np.abs(block) <= np.float32(RUNAWAY_AMPLITUDE))))
    last = np.zeros(block.shape[1], np.float32)
    assert watch(*watched(block, last)) == fine


def test_what_is_watched_by_its_address_is_checked_first() -> None:
    """Strided, of doubles, or with a last frame that is too short: refused."""
    block, last = np.zeros((8, 4), np.float32), np.zeros(4, np.float32)
    for bad in ((block[:, ::2], last[:2]), (block.astype(float), last), (block, last[:3]), (block[0], last)):
        with pytest.raises(TypeError):
            watched(*bad)


class Lanes:
    """The state of `mend` for a rise of 50 frames and a decay to 1/e in 8."""

    def __init__(self, lanes: int) -> None:
        self.last = np.full(lanes, 0.5, np.float32)
        self.rest = np.zeros(lanes)
        self.risen = np.full(lanes, 50)
        self.bad = np.zeros(lanes, np.bool_)
        self.again = np.zeros(lanes, np.bool_)
        self._worst = np.zeros(lanes, np.int32)
        self._rise = (0.5 - 0.5 * np.cos(np.pi * np.arange(50) / 50)).astype(np.float32)

    def mend(self, block: np.ndarray) -> int:
        state = self.last, self.rest, self.risen, self.bad, self.again, self._worst
        return mend(block, *state, self._rise, float(np.exp(-1 / 8)))


def test_a_lane_that_ran_away_dies_away_and_comes_back_and_the_others_keep_every_bit() -> None:
    """After 0.5 a bad block is 0.5 e**(-n/8); the next ones are that going on, plus the sound times the rise."""
    lanes = Lanes(5)
    blocks = np.random.default_rng(1).uniform(-1, 1, (10, 16, 5)).astype(np.float32)
    given_blocks = blocks.copy()
    blocks[0, 7, 3] = np.nan
    busy = [lanes.mend(block) for block in blocks]
    heard, meant = blocks.reshape(-1, 5), given_blocks.reshape(-1, 5)
    assert np.array_equal(np.delete(heard, 3, 1), np.delete(meant, 3, 1))
    n = np.arange(160)
    rise = np.clip((n - 16) / 50, 0.0, 1.0)
    expected = 0.5 * np.exp(-(n + 1) / 8) + (0.5 - 0.5 * np.cos(np.pi * rise)) * (n >= 16) * meant[:, 3]
    np.testing.assert_allclose(heard[:, 3], expected, atol=2e-6)
    assert np.array_equal(heard[-16:, 3], meant[-16:, 3])
    assert (busy[0], busy[-1]) == (1, 0)


def test_only_a_lane_that_is_bad_twice_in_a_row_is_bad_again() -> None:
    lanes = Lanes(3)
    seen = []
    for bad in ((0,), (0, 1), (), (1,)):
        block = np.zeros((16, 3), np.float32)
        block[3, list(bad)] = np.inf
        lanes.mend(block)
        assert np.isfinite(block).all()
        seen.append((lanes.bad.tolist(), lanes.again.tolist()))
    assert [[i for i in range(3) if bad[i]] for bad, _ in seen] == [[0], [0, 1], [], [1]]
    assert [[i for i in range(3) if again[i]] for _, again in seen] == [[], [0], [], []]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_no_sequence_of_faults_steps(faults: list[int]) -> None:
    """A lane of constant 0.5 never moves by more than 0.06 + 0.02: the decay begins, the rise is steepest."""
    lanes = Lanes(1)
    heard = [0.5]
    for fault in faults:
        block = np.full((8, 1), 0.5, np.float32)
        if fault < 3:
            block[fault] = np.nan
        lanes.mend(block)
        heard += block[:, 0].tolist()
    assert np.abs(np.diff(heard)).max() < 0.08
