"""Which Freeverb makes a room: the share of the stream's rate it is told, and its knobs, for a `RoomTarget`.

The knob of a Freeverb begins at 0.64 s. Told a lower rate than the stream has, its delays are shorter, and so are its
rooms: told 0.375 of it, 0.24 s. All times scale alike, so such a room has as many modes in the width of one mode as
the full one has at the same knob, and more echoes a second. Shorter delays also pass the low-pass in the loop more
often, so the treble can die away faster.

Source: `dsp.freeverb`; factors fitted to T30s of `pedalboard.Reverb`, octaves of 500 Hz to 4 kHz.
"""

import math
from functools import lru_cache

from dsp.freeverb import (
    ALLPASS_ENERGY,
    ALLPASS_STAGES,
    COMB_TUNINGS,
    DAMPING_SCALE,
    FEEDBACK_OFFSET,
    FEEDBACK_SCALE,
    INPUT_GAIN,
    MEASURED_OVER_LOOP_TIME,
    WET_SCALE,
    low_pass_gain,
    mean_comb_frames,
)
from dsp.room_acoustics import LOUDNESS_WEIGHTS, OCTAVES_HZ

MID_HZ, TREBLE_HZ = 707.0, 4000.0

DECLARED_SHARES = (1.0, 0.62, 0.375)
"""The rates that the reverbs of a room are told, as shares of the stream's: 0.64 s, 0.40 s and 0.24 s at the least."""

SPARSEST_FEEDBACK = 0.93
"""Damping may ask for shorter delays as long as their modes stand no wider apart than a feedback of this has them."""

ALIKE_S = 0.145
"""How long the two sides of a reverb with short delays are still alike in the bass; fitted."""

HYSTERESIS = 1.1
"""Longer delays than those that play are taken up only when they would do by so much."""


def usable_share(rt60_s: float, treble_ratio: float, rate_hz: float) -> float:
    """Return the largest share of the rate with which a Freeverb comes near both times; it may be more than 1."""
    longest_loss = _loss_s(rate_hz, 1.0)
    by_time = -rt60_s * math.log(FEEDBACK_OFFSET) / longest_loss
    ratio = _ratio_of_loop(treble_ratio)
    low, high = (low_pass_gain(1.0, hz, rate_hz) for hz in (MID_HZ, TREBLE_HZ))
    by_damping = math.log(low / high) * ratio / max(1.0 - ratio, 1e-9) * rt60_s / longest_loss
    sparse = -rt60_s * math.log(SPARSEST_FEEDBACK) / longest_loss
    return min(by_time, max(by_damping, sparse))


def choose_share(rt60_s: float, treble_ratio: float, rate_hz: float, present: int = -1) -> int:
    """Return the place in `DECLARED_SHARES` that makes such a room; `present` is the one that plays, -1 for none."""
    usable = usable_share(rt60_s, treble_ratio, rate_hz)
    for place, share in enumerate(DECLARED_SHARES):
        if share * (HYSTERESIS if 0 <= place < present else 1.0) <= usable:
            return place
    return len(DECLARED_SHARES) - 1


def knobs(rt60_s: float, treble_ratio: float, rate_hz: float, declared_rate_hz: float) -> tuple[float, float]:
    """Return (room_size, damping) of the Freeverb that comes nearest to T_mid and to T(4 kHz) / T_mid.

    The loop gains G = g (1-a) / |1 - a e^-jw| at 707 Hz and 4 kHz are solved for g and a; both knobs end at 0 and 1.
    """
    loss = _loss_s(rate_hz, declared_rate_hz / rate_hz)
    low = max(math.exp(-loss / rt60_s), 1e-6)
    high = max(math.exp(-loss / (rt60_s * _ratio_of_loop(treble_ratio))), 1e-9)
    ratio = (low / high) ** 2
    c_low, c_high = (math.cos(2.0 * math.pi * hz / rate_hz) for hz in (MID_HZ, TREBLE_HZ))
    q, b = ratio - 1.0, ratio * c_low - c_high
    a = 0.0 if q <= 0.0 else (b - math.sqrt(max(b * b - q * q, 0.0))) / q
    damping = min(max(a / DAMPING_SCALE, 0.0), 1.0)
    feedback = low / low_pass_gain(damping, MID_HZ, rate_hz)
    return min(max((feedback - FEEDBACK_OFFSET) / FEEDBACK_SCALE, 0.0), 1.0), damping


def mid_rt60_s(room_size: float, damping: float, rate_hz: float, declared_rate_hz: float) -> float:
    """Return T_mid of the knobs, in seconds."""
    gain = (FEEDBACK_OFFSET + FEEDBACK_SCALE * room_size) * low_pass_gain(damping, MID_HZ, rate_hz)
    return _loss_s(rate_hz, declared_rate_hz / rate_hz) / -math.log(gain)


def tail_loudness_db(
    room_size: float, damping: float, wet_level: float, width: float, rate_hz: float, declared_rate_hz: float
) -> float:
    """Return how loud one channel of the tail is for pink noise in both inputs, beside that noise, in dB.

    As loudness has it: equal energy in every octave from 63 Hz to 16 kHz, K-weighted (ITU-R BS.1770). White noise would
    give the highest octave half of the weight, and a damped room would be turned up. Within 0.5 dB of measurement.
    """
    g = FEEDBACK_OFFSET + FEEDBACK_SCALE * room_size
    energy, weights = 0.0, 0.0
    for hz, weight in zip(OCTAVES_HZ, LOUDNESS_WEIGHTS, strict=True):
        if hz < 0.5 * rate_hz:
            energy += weight / (1.0 - (g * low_pass_gain(damping, hz, rate_hz)) ** 2)
            weights += weight
    gain = (2.0 * INPUT_GAIN * WET_SCALE * wet_level) ** 2 * len(COMB_TUNINGS)
    time_s = mid_rt60_s(room_size, damping, rate_hz, declared_rate_hz)
    alike = min(ALIKE_S * (1.0 - declared_rate_hz / rate_hz) / time_s, 1.0)
    spread = ((1.0 + width) ** 2 + (1.0 - width) ** 2) / 4.0 + 0.5 * (1.0 - width * width) * alike
    return 10.0 * math.log10(energy / weights * gain * ALLPASS_ENERGY**ALLPASS_STAGES * spread)


@lru_cache(maxsize=64)
def _loss_s(rate_hz: float, share: float) -> float:
    """The reverberation time with a loop gain of 1/e: T = loss / -ln G."""
    frames = mean_comb_frames(rate_hz * share)
    return 3.0 * math.log(10.0) * MEASURED_OVER_LOOP_TIME * frames / rate_hz


def _ratio_of_loop(measured: float) -> float:
    """Return the ratio of the times at 4 kHz itself, for that of the octave, whose low edge dies away last.

    Fitted: octave / loop = 1 + 0.6 (1 - loop) ** 2.3, within 2 % from 0.2 to 1.
    """
    ratio = measured
    for _ in range(4):
        ratio = measured / (1.0 + 0.6 * (1.0 - ratio) ** 2.3)
    return ratio
