"""Crossing from scene to scene: the powers add up, and a fader that is up changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsp.crossfade import equal_power
from engine.errors import GraphError
from engine.nodes.fader import NEVER, UP, Fade, Fader


def faded(x: np.ndarray, quantum: int, rise: Fade, fall: Fade, frame: int = 0) -> np.ndarray:
    y = np.full_like(x, np.nan)
    for n in range(0, len(x), quantum):
        equal_power(x[n : n + quantum], y[n : n + quantum], frame + n, *rise, *fall)
    return y


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (frames, 2)).astype(np.float32)


def test_a_fader_that_is_up_passes_bit_for_bit() -> None:
    x = noise(512)
    np.testing.assert_array_equal(faded(x, 128, UP, NEVER), x)
    np.testing.assert_array_equal(faded(x, 128, Fade(-100, 100), Fade(511, 5)), x)


def test_before_it_rises_and_after_it_has_fallen_there_is_silence() -> None:
    x = noise(512)
    assert not faded(x, 128, NEVER, NEVER).any()
    assert not faded(x, 128, UP, Fade(-100, 100)).any()
    assert faded(x, 64, Fade(100, 50), Fade(200, 50))[150:200].tolist() == x[150:200].tolist()


@given(st.integers(1, 900), st.integers(-50, 300), st.sampled_from([16, 37, 128, 1000]))
def test_the_powers_of_a_rise_and_a_fall_add_up_to_one_at_every_frame(
    length: int, start: int, quantum: int
) -> None:
    """Within 1e-6, and at every quantum the same."""
    ones = np.ones((1000, 2), np.float32)
    fade = Fade(start, length)
    rising, falling = faded(ones, quantum, fade, NEVER), faded(ones, quantum, UP, fade)
    np.testing.assert_allclose(
        rising.astype(np.float64) ** 2 + falling.astype(np.float64) ** 2, 1.0, atol=1e-6
    )
    np.testing.assert_array_equal(rising, faded(ones, 1000, fade, NEVER))


def test_the_gain_is_a_sine_of_the_absolute_frame() -> None:
    """Within 1e-7 of sin(pi/2 t), far from frame 0 as well."""
    ones = np.ones((400, 2), np.float32)
    begin = 2**40
    gain = faded(ones, 128, Fade(begin + 100, 200), NEVER, begin)[:, 0]
    wanted = np.sin(0.5 * np.pi * np.clip((np.arange(400) - 100) / 200, 0.0, 1.0))
    np.testing.assert_allclose(gain, wanted, atol=1e-7)


def test_a_fade_that_is_interrupted_goes_on_from_where_it_was() -> None:
    """No step of more than 0.01 between two frames."""
    ones = np.ones((2000, 2), np.float32)
    gain = faded(ones, 128, Fade(0, 1000), Fade(400, 1000))[:, 0]
    assert np.abs(np.diff(gain)).max() < 0.01
    assert gain[400] == pytest.approx(np.sin(0.2 * np.pi), abs=1e-6)


def test_a_fade_without_a_length_is_refused() -> None:
    with pytest.raises(GraphError, match="at least one frame"):
        Fader(Fade(0, 0))
