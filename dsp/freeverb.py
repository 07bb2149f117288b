"""What the knobs of a Freeverb (Jezar; `juce::Reverb`, `pedalboard.Reverb`) mean in seconds and decibels.

Eight parallel combs with a one-pole low-pass in the loop, then four all-pass-like stages. Everything here is
closed form. `declared_rate_hz` is the rate the node is told, which sets the lengths of its delay lines;
`rate_hz` is the rate of the stream. They differ only where a short room is made by declaring a lower rate.

Source: Freeverb, constants of `juce_Reverb.h`; factor `MEASURED_OVER_LOOP_TIME` fitted to 192 measured T30s.
"""

import math

COMB_TUNINGS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
"""Comb lengths of the left channel, in frames at 44.1 kHz."""

TUNING_RATE_HZ = 44_100
FEEDBACK_OFFSET, FEEDBACK_SCALE = 0.7, 0.28
DAMPING_SCALE = 0.4
INPUT_GAIN, WET_SCALE = 0.015, 3.0
ALLPASS_STAGES, ALLPASS_ENERGY = 4, 7.0 / 3.0
"""(-1 + 1.5 z^-N) / (1 - 0.5 z^-N) is not all-pass: the energy of its impulse response is 7/3."""

MEASURED_OVER_LOOP_TIME = 1.053
"""Median of measured T30 over the loop formula; 5 to 95 % of the cases lie in 1.035 to 1.106."""

SMALLEST_FEEDBACK = 1e-6
"""Far below what the knob can set; keeps squares of ratios finite for absurdly short times."""

SHORTEST_RT60_S, RT60_SPAN = 0.25, 24.0


def mean_comb_frames(declared_rate_hz: float) -> float:
    """Return the mean length of the eight combs in frames, each rounded down as the reverb does it."""
    rate = int(declared_rate_hz)
    return sum(tuning * rate // TUNING_RATE_HZ for tuning in COMB_TUNINGS) / len(COMB_TUNINGS)


def room_size_to_rt60_s(size: float) -> float:
    """Return the reverberation time of a scene's room size 0..1: 0.25 * 24**size, 0.25 s to 6 s.

    This is the scene's size, not the knob: the knob's own range starts at 0.64 s and explodes at the top.
    """
    return SHORTEST_RT60_S * math.pow(RT60_SPAN, min(max(size, 0.0), 1.0))


def _feedback(rt60_s: float, rate_hz: float, declared_rate_hz: float | None) -> float:
    frames = mean_comb_frames(declared_rate_hz or rate_hz)
    gain = math.pow(10.0, -3.0 * MEASURED_OVER_LOOP_TIME * frames / (rate_hz * rt60_s))
    return max(gain, SMALLEST_FEEDBACK)


def _to_room_size(feedback: float) -> float:
    return min(max((feedback - FEEDBACK_OFFSET) / FEEDBACK_SCALE, 0.0), 1.0)


def rt60_to_room_size(rt60_s: float, rate_hz: float, declared_rate_hz: float | None = None) -> float:
    """Return the room_size knob for a reverberation time at damping 0, clamped to 0..1.

    Within 1.2 % of the target from 0.35 s to 8 s where the clamp does not act. At 48 kHz the knob spans 0.64
    s to 11.2 s, at half the declared rate 0.32 s to 5.6 s.
    """
    return _to_room_size(_feedback(rt60_s, rate_hz, declared_rate_hz))


def low_pass_gain(damping: float, frequency_hz: float, rate_hz: float) -> float:
    """Return the gain of the low-pass in the loops at one frequency: 1 at 0 Hz."""
    a = DAMPING_SCALE * damping
    angle = 2.0 * math.pi * frequency_hz / rate_hz
    return (1.0 - a) / math.sqrt(1.0 - 2.0 * a * math.cos(angle) + a * a)


def rt60_s(
    room_size: float,
    damping: float,
    frequency_hz: float,
    rate_hz: float,
    declared_rate_hz: float | None = None,
) -> float:
    """Return the reverberation time of the knobs at one frequency, in seconds.

    Octave-band T30s from 500 Hz to 2 kHz measure -5 % to +5 % of it; at 4 kHz under strong damping up to +13
    %, as the slow edge of the band sets what is measured.
    """
    gain = (FEEDBACK_OFFSET + FEEDBACK_SCALE * room_size) * low_pass_gain(damping, frequency_hz, rate_hz)
    frames = mean_comb_frames(declared_rate_hz or rate_hz)
    return -3.0 * MEASURED_OVER_LOOP_TIME * frames / (rate_hz * math.log10(gain))


def knobs_for_rt60(
    rt60_500_s: float, rt60_4k_s: float, rate_hz: float, declared_rate_hz: float | None = None
) -> tuple[float, float]:
    """Return (room_size, damping) for the reverberation times at 500 Hz and 4 kHz, both clamped to 0..1.

    The two loop gains G = g (1-a) / |1 - a e^-jw| are solved for a and g. 500 Hz is met within -5..+2 %; 4
    kHz within +12 % for ratios from 0.5 up, and reads long below that. At 96 kHz the damping's range is half
    as wide.
    """
    low = _feedback(rt60_500_s, rate_hz, declared_rate_hz)
    high = _feedback(rt60_4k_s, rate_hz, declared_rate_hz)
    ratio = (low / high) ** 2
    c_low = math.cos(2.0 * math.pi * 500.0 / rate_hz)
    c_high = math.cos(2.0 * math.pi * 4000.0 / rate_hz)
    q, b = ratio - 1.0, ratio * c_low - c_high
    # No one-pole tells the two frequencies that far apart: the strongest damping comes nearest.
    a = 0.0 if q <= 0.0 else (b - math.sqrt(max(b * b - q * q, 0.0))) / q
    damping = min(max(a / DAMPING_SCALE, 0.0), 1.0)
    return _to_room_size(low / low_pass_gain(damping, 500.0, rate_hz)), damping


def tail_energy_db(room_size: float, damping: float, wet_level: float, width: float, rate_hz: float) -> float:
    """Return the energy of the wet tail in one output channel for a unit impulse in both inputs, in dB.

    Within 0.3 dB of measurement. One-sided input is 6.0 dB lower. `rate_hz` does not enter: the energy of a
    comb depends on its gain per round and not on its length; it is taken so that all knob mappings are called
    alike.
    """
    g = FEEDBACK_OFFSET + FEEDBACK_SCALE * room_size
    a = DAMPING_SCALE * damping
    # (1/pi) * integral over 0..pi of 1 / (1 - G(w)^2) with G^2 = g^2 (1-a)^2 / (1 - 2a cos w + a^2)
    absorbed = (g * (1.0 - a)) ** 2
    rest = 1.0 + a * a - absorbed
    combs = len(COMB_TUNINGS) * (1.0 + absorbed / math.sqrt(rest * rest - 4.0 * a * a))
    gain = (2.0 * INPUT_GAIN * WET_SCALE * wet_level) ** 2
    spread = ((1.0 + width) ** 2 + (1.0 - width) ** 2) / 4.0
    return 10.0 * math.log10(gain * combs * ALLPASS_ENERGY**ALLPASS_STAGES * spread)


def correlation_from_width(width: float) -> float:
    """Return the correlation of the tail's two channels: (1 - w^2) / (1 + w^2)."""
    return (1.0 - width * width) / (1.0 + width * width)


def width_from_correlation(correlation: float) -> float:
    """Return the width knob for a correlation of the tail between 0 and 1; negative ones read as 0."""
    rho = min(max(correlation, 0.0), 1.0)
    return math.sqrt((1.0 - rho) / (1.0 + rho))
