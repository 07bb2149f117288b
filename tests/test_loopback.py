"""A sweep in a recording: found where it is to a tenth of a frame, and not found where it is not."""

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from benchmarks.bench.loopback import CLEAR_DB, LOWEST_HZ, find_delay, sweep

RATE_HZ = 48_000
MOST_FRAMES = RATE_HZ


def heard(
    delay_frames: float, noise: float, rate_hz: int = RATE_HZ, gain: float = 0.1
) -> NDArray[np.float32]:
    """The sweep `delay_frames` late, drawn anew there and not interpolated, in `noise` relative to its amplitude."""
    played = gain * sweep(rate_hz, late_frames=delay_frames)
    recording = np.random.default_rng(440).standard_normal(2 * rate_hz).astype(np.float32)
    recording *= np.float32(abs(gain) * noise)
    recording[: len(played)] += played
    return recording


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("delay_frames", [0.0, 1.0, 128.0, 300.37, 1000.5, 20_000.81])
def test_a_delay_is_found_in_noise_as_loud_as_the_sweep_to_a_tenth_of_a_frame(
    delay_frames: float, rate_hz: int
) -> None:
    found = find_delay(sweep(rate_hz), heard(delay_frames, 1.0, rate_hz), rate_hz, rate_hz)
    assert found.clear
    assert not found.inverted
    assert found.frames == pytest.approx(delay_frames, abs=0.1)


def test_without_noise_it_is_found_to_a_thousandth() -> None:
    found = find_delay(sweep(RATE_HZ), heard(777.77, 0.0), RATE_HZ, MOST_FRAMES)
    assert found.frames == pytest.approx(777.77, abs=0.001)
    assert found.clarity_db > 40.0


def test_an_inverted_cable_is_found_and_told() -> None:
    found = find_delay(sweep(RATE_HZ), heard(256.25, 0.1, gain=-0.1), RATE_HZ, MOST_FRAMES)
    assert found.inverted
    assert found.clear
    assert found.frames == pytest.approx(256.25, abs=0.1)


def test_an_echo_12_db_lower_does_not_hide_the_direct_sound() -> None:
    recording = heard(500.0, 0.1)
    recording[2400:] += 0.25 * recording[:-2400]
    found = find_delay(sweep(RATE_HZ), recording, RATE_HZ, MOST_FRAMES)
    assert found.clear
    assert found.frames == pytest.approx(500.0, abs=0.1)
    assert found.clarity_db == pytest.approx(12.0, abs=1.0)


def test_an_echo_as_loud_as_the_direct_sound_is_refused() -> None:
    recording = heard(500.0, 0.0)
    recording[2400:] += recording[:-2400].copy()
    assert not find_delay(sweep(RATE_HZ), recording, RATE_HZ, MOST_FRAMES).clear


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_refused(seed: int) -> None:
    """It comes to half of what is asked for at most."""
    noise = np.random.default_rng(seed).standard_normal(2 * RATE_HZ).astype(np.float32)
    found = find_delay(sweep(RATE_HZ), noise, RATE_HZ, MOST_FRAMES)
    assert not found.clear
    assert found.clarity_db < 0.5 * CLEAR_DB


@pytest.mark.parametrize("what", ["silence", "hum", "tone", "click", "another sweep"])
def test_what_is_not_the_sweep_is_refused(what: str) -> None:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    recording = {
        "silence": np.zeros_like(t),
        "hum": 0.5 * np.sin(2 * np.pi * 50.0 * t),
        "tone": 0.5 * np.sin(2 * np.pi * 1000.0 * t),
        "click": (t == 1.0).astype(float),
        "another sweep": np.append(sweep(RATE_HZ)[::-1], np.zeros(RATE_HZ)),
    }[what].astype(np.float32)
    assert not find_delay(sweep(RATE_HZ), recording, RATE_HZ, MOST_FRAMES).clear


def test_the_sweep_is_the_exponential_one_that_others_draw() -> None:
    """From 50 Hz to 0.4 of the rate in a second, as scipy's chirp; it fades in and out over 10 ms."""
    t = np.arange(RATE_HZ) / RATE_HZ
    chirp = scipy.signal.chirp(t, LOWEST_HZ, 1.0, 0.4 * RATE_HZ, method="logarithmic", phi=-90)
    played = sweep(RATE_HZ)
    inside = slice(RATE_HZ // 100, -RATE_HZ // 100)
    np.testing.assert_allclose(played[inside], chirp[inside], atol=1e-5)
    assert len(played) == RATE_HZ
    assert abs(played[0]) < 1e-6
    assert np.abs(played[-2:]).max() < 1e-3
