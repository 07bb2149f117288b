"""The sums of the mix, bit for bit those of numpy, one track after the other; magnitudes and peaks too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.mixing import LEFT_LEFT, LEFT_RIGHT, RIGHT_LEFT, RIGHT_RIGHT, SEND, hold_peaks, mix
from dsp.tiles import QUAD
from dsp.vectors import WIDTH

Lanes = NDArray[np.float32]


def bank_of(rng: np.random.Generator, frames: int, tracks: int) -> Lanes:
    """Noise over many magnitudes, with zeros of both signs and subnormals in it."""
    x = rng.standard_normal((frames, 2 * tracks)) * 10.0 ** rng.integers(-6, 3, (frames, 2 * tracks))
    samples = x.astype(np.float32)
    kinds = rng.integers(0, 20, samples.shape)
    for kind, value in enumerate((0.0, -0.0, 1e-42, -1e-42)):
        samples[kinds == kind] = value
    return samples


def mix_slowly(x: Lanes, targets: Lanes, steps: Lanes, left: int) -> tuple[Lanes, Lanes]:
    """Return dry and send in float32, every operation rounded: track by track, all frames side by side."""
    frames, tracks = x.shape[0], x.shape[1] // 2
    to_go = np.arange(left - 1, left - 1 - frames, -1)
    ramps, to_go = to_go >= 0, to_go.astype(np.float32)
    sums = np.zeros((3, frames), np.float32)
    half = np.float32(0.5)
    for t in range(tracks):
        a, b = x[:, t], x[:, tracks + t]
        c = [np.where(ramps, targets[row, t] - steps[row, t] * to_go, targets[row, t]) for row in range(5)]
        sums[0] += a * c[LEFT_LEFT] + b * c[RIGHT_LEFT]
        sums[1] += a * c[LEFT_RIGHT] + b * c[RIGHT_RIGHT]
        sums[2] += np.where(ramps, half * (a + b) * c[SEND], (a + b) * (half * targets[SEND, t]))
    return sums[:2].T, sums[[2, 2]].T


def mix_and_compare(rng: np.random.Generator, tracks: int, frames: int, left: int) -> None:
    x = bank_of(rng, frames, tracks)
    before = x.copy()
    targets, now = rng.uniform(0.0, 4.0, (2, 5, tracks)).astype(np.float32)
    steps = (rng.uniform(-1.0, 1.0, (5, tracks)) / 960.0).astype(np.float32)
    dry, send = np.full((2, frames, 2), np.nan, np.float32)
    sums = np.full((4, tracks + WIDTH), np.nan, np.float32)
    highest = np.full((2, -(-tracks // QUAD) * WIDTH), np.nan, np.float32)
    loudest = np.full((1, 2 * tracks), np.nan, np.float32)
    rest = mix(x, dry, send, now, targets, steps, left, sums, highest, loudest)
    assert rest == max(left - frames, 0)
    for heard, truth in zip((dry, send), mix_slowly(x, targets, steps, left), strict=True):
        assert np.array_equal(heard.view(np.int32), np.ascontiguousarray(truth).view(np.int32))
    assert np.array_equal(loudest[0].view(np.int32), np.max(np.abs(x), axis=0).view(np.int32))
    assert np.array_equal(now, targets - steps * np.float32(rest))
    assert np.array_equal(x.view(np.int32), before.view(np.int32))


@settings(max_examples=150)
@given(
    tracks=st.integers(1, 37), frames=st.integers(1, 300), left=st.integers(0, 400), seed=st.integers(0, 1000)
)
def test_a_bit_of_the_mix_is_not_the_sum_in_the_order_of_the_tracks(
    tracks: int, frames: int, left: int, seed: int
) -> None:
    """1 to 37 tracks, quanta of 1 to 300, with 0 to 400 frames of a ramp to go."""
    mix_and_compare(np.random.default_rng(seed), tracks, frames, left)


@pytest.mark.parametrize("tracks", [128, 511, 512, 1000])
@pytest.mark.parametrize("left", [0, 77, 960])
def test_a_bit_of_a_large_mix_is_not_the_sum_in_the_order_of_the_tracks(tracks: int, left: int) -> None:
    """128 frames of 128 to 1000 tracks."""
    mix_and_compare(np.random.default_rng(tracks), tracks, 128, left)


@settings(max_examples=50)
@given(tracks=st.integers(1, 37), frames=st.integers(1, 100), seed=st.integers(0, 1000))
def test_peaks_held_from_the_highest_magnitudes_are_not_those_of_the_block(
    tracks: int, frames: int, seed: int
) -> None:
    """A block and the one row of its lanes' highest magnitudes raise the same peaks to the same bits."""
    rng = np.random.default_rng(seed)
    x = bank_of(rng, frames, tracks)
    peaks = 10.0 ** rng.uniform(-12.0, 2.0, tracks)
    others = peaks.copy()
    hold_peaks(x, peaks, 0.97)
    hold_peaks(np.max(np.abs(x), axis=0, keepdims=True), others, 0.97)
    assert np.array_equal(peaks, others)
