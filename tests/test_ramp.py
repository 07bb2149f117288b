"""Gains must move without a jump, in their own time, and stand exactly still afterwards."""

import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.ramp import LaneRamp

RAMP = 480


def gains(ramp: LaneRamp, sizes: list[int]) -> np.ndarray:
    """Read a bank's gains by running ones through it."""
    pieces = []
    for size in sizes:
        x = np.ones((size, len(ramp.target)), np.float32)
        ramp.apply(x, x)
        pieces.append(x)
    return np.concatenate(pieces)


def test_a_ramp_is_the_straight_line_from_here_to_there() -> None:
    """480 frames from 1 to 0.25 and from 1 to 3: numpy's line within 1e-6, the last frame exact."""
    ramp = LaneRamp(2, RAMP)
    ramp.set_targets(np.array([0.25, 3.0], np.float32))
    got = gains(ramp, [600])
    n = np.minimum(np.arange(1, 601), RAMP) / RAMP
    assert np.abs(got - (1.0 + n[:, None] * (np.array([0.25, 3.0]) - 1.0))).max() < 1e-6
    assert (got[RAMP - 1 :] == np.array([0.25, 3.0], np.float32)).all()
    assert (got[RAMP - 2] != np.array([0.25, 3.0], np.float32)).all()


@pytest.mark.parametrize("size", [1, 7, 64, 128, 479, 480, 481])
def test_the_quantum_size_does_not_change_the_ramp(size: int) -> None:
    """Bit-equal to one call of 1024 frames."""
    whole, cut = LaneRamp(3, RAMP, 0.0), LaneRamp(3, RAMP, 0.0)
    for ramp in (whole, cut):
        ramp.set_targets(np.array([1.0, -0.3, 0.0], np.float32))
    sizes = [size] * (1024 // size) + [1024 % size] * (1024 % size > 0)
    assert np.array_equal(gains(whole, [1024]), gains(cut, sizes))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.floats(0.0, 4.0, width=32)), min_size=1, max_size=12))
def test_a_new_target_at_any_moment_makes_no_jump(changes: list[tuple[int, float]]) -> None:
    """No step between frames exceeds 4/480 of the range 0..4 (plus 1e-6 of rounding)."""
    ramp = LaneRamp(2, RAMP, 1.0)
    pieces = [np.ones((1, 2), np.float32)]
    for frames, value in changes:
        ramp.set_targets(np.array([value, 4.0 - value], np.float32))
        pieces.append(gains(ramp, [frames]))
    assert np.abs(np.diff(np.concatenate(pieces), axis=0)).max() <= 4.0 / RAMP + 1e-6


def test_telling_the_same_target_every_quantum_does_not_stretch_the_ramp() -> None:
    """The target is reached after 480 frames, not postponed by each call."""
    ramp = LaneRamp(1, RAMP, 0.0)
    pieces = []
    for _ in range(8):
        ramp.set_targets(np.array([1.0], np.float32))
        pieces.append(gains(ramp, [64]))
    got = np.concatenate(pieces)[:, 0]
    assert got[RAMP - 2] < 1.0
    assert got[RAMP - 1] == 1.0


def test_one_lane_in_motion_does_not_disturb_a_lane_at_rest() -> None:
    """The resting lane's output is its input times the target, bit for bit."""
    ramp = LaneRamp(2, RAMP, np.array([0.3, 1.0], np.float32))
    ramp.set_targets(np.array([0.3, 0.0], np.float32))
    x = np.random.default_rng(3).standard_normal((700, 2)).astype(np.float32)
    y = np.empty_like(x)
    ramp.apply(x, y)
    assert np.array_equal(y[:, 0], x[:, 0] * np.float32(0.3))


def test_unity_gain_is_transparent() -> None:
    """With nothing set the output is the input, bit for bit."""
    x = np.random.default_rng(4).standard_normal((256, 5)).astype(np.float32)
    y = np.empty_like(x)
    LaneRamp(5, RAMP).apply(x, y)
    assert np.array_equal(x, y)


def test_a_target_that_is_not_a_number_is_ignored() -> None:
    """NaN and infinity keep the old target; the other lane ramps."""
    ramp = LaneRamp(3, 4, 0.5)
    ramp.set_targets(np.array([np.nan, np.inf, 1.0], np.float32))
    assert gains(ramp, [8])[-1].tolist() == [0.5, 0.5, 1.0]


def test_a_jump_stops_a_running_ramp() -> None:
    """After `jump_to` every frame has the new gain."""
    ramp = LaneRamp(2, RAMP, 0.0)
    ramp.set_targets(np.array([1.0, 1.0], np.float32))
    gains(ramp, [100])
    ramp.jump_to(0.25)
    assert (gains(ramp, [600]) == 0.25).all()


def test_a_lane_taken_over_goes_on_where_it_was() -> None:
    """With the same target bit-equal to the old ramp; with another target no step above 1/480."""
    old, same, other = LaneRamp(2, RAMP, 0.0), LaneRamp(3, RAMP, 1.0), LaneRamp(3, RAMP, 0.5)
    old.set_targets(np.array([0.0, 1.0], np.float32))
    last = gains(old, [100])[-1, 1]
    same.resume(2, old, 1)
    other.resume(2, old, 1)
    moved = gains(other, [600])
    assert np.array_equal(gains(same, [600])[:, 2], gains(old, [600])[:, 1])
    assert np.abs(np.diff(moved[:, 2], prepend=last)).max() <= 1 / RAMP
    assert moved[-1].tolist() == [0.5, 0.5, 0.5]
    assert (moved[:, :2] == 0.5).all()


@pytest.mark.parametrize("frames", [0, -1, (1 << 24) + 1])
def test_a_ramp_length_it_cannot_count_is_refused(frames: int) -> None:
    """1 to 2**24 frames are allowed."""
    with pytest.raises(ValueError, match="ramp_frames"):
        LaneRamp(1, frames)


def test_ramping_allocates_nothing() -> None:
    """200 quanta with a new target each: less than one block of 128 x 2 (1024 bytes) at the peak."""
    ramp = LaneRamp(2, RAMP)
    x, y = np.ones((128, 2), np.float32), np.empty((128, 2), np.float32)
    targets = np.zeros(2, np.float32)

    def run() -> None:
        for i in range(200):
            targets[0] = i
            ramp.set_targets(targets)
            ramp.apply(x, y)

    run()
    gc.collect()
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024
