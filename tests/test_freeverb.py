"""The closed forms must say what the reverb does: measured on `pedalboard.Reverb` impulse responses."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from pedalboard import Reverb
from scipy import signal

from dsp.freeverb import (
    correlation_from_width,
    knobs_for_rt60,
    room_size_to_rt60_s,
    rt60_s,
    rt60_to_room_size,
    tail_energy_db,
    width_from_correlation,
)

RATE = 48_000
GOLDEN = [
    ((0.0, 0.0, 1.0), (-4.01, -3.77), -3.78),
    ((0.0, 1.0, 1.0), (-5.81, -5.52), -5.54),
    ((0.5, 0.0, 1.0), (-1.57, -1.40), -1.40),
    ((0.5, 0.5, 1.0), (-3.81, -3.58), -3.60),
    ((0.5, 1.0, 1.0), (-4.92, -4.66), -4.67),
    ((0.8, 0.5, 1.0), (-2.29, -2.10), -2.10),
    ((0.95, 0.2, 1.0), (1.23, 1.34), 1.36),
    ((0.5, 0.5, 0.5), (-5.83, -5.64), -5.64),
    ((0.5, 0.5, 0.0), (-6.70, -6.70), -6.61),
]


def impulse_response(
    room_size: float, damping: float, seconds: float, width: float = 1.0, declared_rate_hz: int = RATE
) -> npt.NDArray[np.float64]:
    """Return the wet response (frames, 2) to a unit impulse in both channels."""
    x = np.zeros((2, int(seconds * RATE)), np.float32)
    x[:, 0] = 1.0
    reverb = Reverb(room_size=room_size, damping=damping, wet_level=1 / 3, dry_level=0.0, width=width)
    return np.asarray(reverb(x, declared_rate_hz), np.float64).T


def t30_s(response: npt.NDArray[np.float64]) -> float:
    """Return T30: twice the time from -5 to -35 dB of the backward-integrated energy (ISO 3382-1)."""
    energy = np.cumsum((response**2).sum(axis=1)[::-1])[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-30)
    first, last = int(np.argmax(level < -5)), int(np.argmax(level < -35))
    slope = np.polyfit(np.arange(first, last) / RATE, level[first:last], 1)[0]
    return float(-60 / slope)


def octave(response: npt.NDArray[np.float64], centre_hz: float) -> npt.NDArray[np.float64]:
    edges = [centre_hz / math.sqrt(2), centre_hz * math.sqrt(2)]
    sos = signal.butter(4, edges, "bandpass", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(sos, response, axis=0))


@pytest.mark.parametrize("knobs", GOLDEN, ids=str)
def test_tail_energy_is_within_a_third_of_a_db_of_the_reverb(
    knobs: tuple[tuple[float, float, float], tuple[float, float], float],
) -> None:
    """Formula within 0.02 dB of its golden value, within 0.3 dB of the golden and of a fresh measurement."""
    (room_size, damping, width), measured, predicted = knobs
    energy = tail_energy_db(room_size, damping, 1 / 3, width, RATE)
    assert energy == pytest.approx(predicted, abs=0.02)
    assert energy == pytest.approx(np.array(measured), abs=0.3)
    now = 10 * np.log10((impulse_response(room_size, damping, 6.0, width) ** 2).sum(axis=0))
    assert energy == pytest.approx(now, abs=0.3)


def test_tail_energy_follows_the_wet_level_in_decibels() -> None:
    """Half the wet level is 6.02 dB less."""
    full, half = (tail_energy_db(0.5, 0.5, wet, 1.0, RATE) for wet in (0.4, 0.2))
    assert full - half == pytest.approx(6.0206, abs=1e-3)


@pytest.mark.parametrize("target_s", [0.7, 1.0, 1.5, 2.5, 4.0, 8.0])
def test_the_room_lasts_as_long_as_was_asked(target_s: float) -> None:
    """Broadband T30 within 2 % of the target at damping 0."""
    room_size = rt60_to_room_size(target_s, RATE)
    assert t30_s(impulse_response(room_size, 0.0, 1.2 * target_s)) == pytest.approx(target_s, rel=0.02)


@pytest.mark.parametrize("target_s", [0.35, 0.5, 1.0, 3.0])
def test_a_short_room_at_half_the_declared_rate_lasts_as_long_as_was_asked(target_s: float) -> None:
    """Broadband T30 within 2 % of the target at damping 0."""
    room_size = rt60_to_room_size(target_s, RATE, RATE / 2)
    response = impulse_response(room_size, 0.0, 1.2 * target_s, declared_rate_hz=RATE // 2)
    assert t30_s(response) == pytest.approx(target_s, rel=0.02)


@pytest.mark.parametrize(("room_size", "damping"), [(0.25, 0.0), (0.5, 0.5), (0.75, 0.3), (0.9, 0.5)])
@pytest.mark.parametrize("centre_hz", [500.0, 1000.0, 2000.0, 4000.0])
def test_the_decay_of_each_octave_is_what_the_formula_says(
    room_size: float, damping: float, centre_hz: float
) -> None:
    """Octave-band T30 within 5 % of the forward formula, at 4 kHz within -5 % and +13 %."""
    expected = rt60_s(room_size, damping, centre_hz, RATE)
    response = octave(impulse_response(room_size, damping, 1.5 * expected + 0.5), centre_hz)
    assert 0.95 < t30_s(response) / expected < (1.05 if centre_hz < 4000.0 else 1.13)


@pytest.mark.parametrize(("low_s", "high_s"), [(1.0, 0.7), (2.0, 1.0), (4.0, 2.4)])
def test_both_ends_of_a_damped_room_are_met(low_s: float, high_s: float) -> None:
    """T30 within -5..+3 % of the target at 500 Hz and within -3..+12 % at 4 kHz."""
    response = impulse_response(*knobs_for_rt60(low_s, high_s, RATE), 1.4 * low_s)
    assert 0.95 < t30_s(octave(response, 500.0)) / low_s < 1.03
    assert 0.97 < t30_s(octave(response, 4000.0)) / high_s < 1.12


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_forward_and_inverse_agree(rate_hz: int) -> None:
    """Round trip through the knob within 1e-9 where the clamp does not act."""
    for target_s in (0.8, 1.0, 2.0, 6.0):
        room_size = rt60_to_room_size(target_s, rate_hz)
        assert rt60_s(room_size, 0.0, 500.0, rate_hz) == pytest.approx(target_s, rel=1e-9)
        room_size, damping = knobs_for_rt60(target_s, 0.9 * target_s, rate_hz)
        assert rt60_s(room_size, damping, 500.0, rate_hz) == pytest.approx(target_s, rel=1e-9)
        assert rt60_s(room_size, damping, 4000.0, rate_hz) == pytest.approx(0.9 * target_s, rel=1e-9)


def test_a_time_the_reverb_cannot_make_is_clamped_to_the_nearest_knob() -> None:
    """Knobs stay in 0..1 for 1 ms, for 1000 s, and for a treble longer or far shorter than the bass."""
    assert rt60_to_room_size(0.001, RATE) == 0.0
    assert rt60_to_room_size(1000.0, RATE) == 1.0
    assert knobs_for_rt60(1.0, 2.0, RATE)[1] == 0.0
    assert knobs_for_rt60(6.0, 0.1, RATE)[1] == 1.0
    assert all(0.0 <= knob <= 1.0 for knob in knobs_for_rt60(0.01, 0.001, RATE))


def test_the_scene_size_covers_a_quarter_second_to_six_seconds_evenly() -> None:
    """0.25 s at 0, 1.22 s at 0.5, 6 s at 1; outside is clamped."""
    assert [room_size_to_rt60_s(s) for s in (-1.0, 0.0, 1.0, 9.0)] == pytest.approx([0.25, 0.25, 6.0, 6.0])
    assert room_size_to_rt60_s(0.5) == pytest.approx(1.2247, abs=1e-4)
    assert np.diff([room_size_to_rt60_s(s) for s in np.linspace(0, 1, 50)]).min() > 0


@pytest.mark.parametrize("width", [0.0, 0.5, 1.0])
def test_the_tail_is_as_wide_as_the_formula_says(width: float) -> None:
    """Correlation of the measured tail within 0.03 of (1 - w^2) / (1 + w^2)."""
    tail = impulse_response(0.7, 0.2, 4.0, width)[RATE // 10 :]
    got = (tail[:, 0] @ tail[:, 1]) / math.sqrt((tail[:, 0] @ tail[:, 0]) * (tail[:, 1] @ tail[:, 1]))
    assert got == pytest.approx(correlation_from_width(width), abs=0.03)


def test_width_and_correlation_are_inverses() -> None:
    """Round trip within 1e-7; a negative correlation is full width."""
    for width in np.linspace(0, 1, 11):
        assert width_from_correlation(correlation_from_width(width)) == pytest.approx(width, abs=1e-7)
    assert width_from_correlation(-0.5) == 1.0
