"""What octave bands show of a decay whose rate changes along the frequencies, and what to ask for so that they show it.

Where high frequencies die faster, the slow lower edge of a band is what is left of it in the end, and so its T30 is
longer than the reverberation time at its centre: by 20 % where that halves within an octave.

Source    ISO 3382-1 (T30 from the backward integral, -5 to -35 dB); IEC 61260-1 (the octave band, here a Butterworth
          band-pass of order 4)
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from dsp.room_box import OCTAVES_HZ, SPEED_OF_SOUND_M_S, mean_free_path_m, octave_rt60_s

Floats = npt.NDArray[np.float64]

RATIOS = 2.0 ** np.arange(-2.0, 2.01, 1 / 8)
"""Frequencies looked at, over the centre of the band."""
TIMES = np.linspace(0.0, 0.75, 50)
"""Where the decay is looked at, in reverberation times of the band."""
ORDER = 4
TURNS = 8
SIZE_STEPS, DAMPING_STEPS = 4, 16
ONSET = 0.5
"""What is heard of a network is its decay without the first half of a mean free path."""


def rt60_at_s(rt60_s: Floats, frequencies_hz: Floats) -> Floats:
    """Return the reverberation times (n, …) at frequencies (…) between those of the octaves (n, 7): in equal ratios."""
    last = len(OCTAVES_HZ) - 1
    at = np.clip(np.log2(frequencies_hz / OCTAVES_HZ[0]), 0.0, last)
    below = np.minimum(at.astype(np.int64), last - 1)
    share = at - below
    logs = np.log(rt60_s)
    times: Floats = np.exp(logs[..., below] * (1.0 - share) + logs[..., below + 1] * share)
    return times


def band_t30_s(rt60_s: Floats, onset_s: float = 0.0) -> Floats:
    """Return the T30 (n, 7) that the octave bands show of a decay with the times `rt60_s` (n, 7) at the centres.

    The decay is white at 0 s, and heard from `onset_s` on.
    """
    detuning = (RATIOS - 1.0 / RATIOS) * np.sqrt(2.0)
    weight = RATIOS / (1.0 + detuning ** (2 * ORDER))  # of equal steps in log f
    times_s = rt60_at_s(rt60_s, np.asarray(OCTAVES_HZ)[:, None] * RATIOS)
    at_s = rt60_s[:, :, None] * TIMES
    decay = 10.0 ** (-6.0 * (onset_s + at_s[..., None]) / times_s[:, :, None, :])
    left = np.einsum("f,nbf,nbtf->nbt", weight, times_s, decay, optimize=True)
    level_db = 10.0 * np.log10(left / left[:, :, :1])
    used = ((level_db <= -5.0) & (level_db >= -35.0)).astype(np.float64)
    count = used.sum(axis=-1, keepdims=True)
    t = used * (at_s - (used * at_s).sum(axis=-1, keepdims=True) / count)
    t30_s: Floats = -60.0 * (t * t).sum(axis=-1) / (t * level_db).sum(axis=-1)
    return t30_s


def times_that_show(rt60_s: Floats, onset_s: float = 0.0) -> Floats:
    """Return the times (n, 7) at the octaves' centres that the bands show as `rt60_s` (n, 7).

    Within 0.5 % where no time is less than half of that an octave below.
    """
    wanted = np.array(rt60_s, np.float64)
    times_s = wanted.copy()
    for _ in range(TURNS):
        times_s *= wanted / band_t30_s(times_s, onset_s)
    return times_s


@cache
def _log_times() -> Floats:
    """Logarithms of the times (sizes, dampings, 7)."""
    dampings = np.arange(DAMPING_STEPS + 1) / DAMPING_STEPS
    table = []
    for size in np.arange(SIZE_STEPS + 1) / SIZE_STEPS:
        wanted = np.array([octave_rt60_s(size, damping) for damping in dampings])
        onset_s = ONSET * mean_free_path_m(size) / SPEED_OF_SOUND_M_S
        table.append(np.log(times_that_show(wanted, onset_s)))
    return np.array(table)


def room_times_s(size: float, damping: float, times_s: Floats) -> None:
    """Write what times (7,) a network of the room is to be given, so that its octaves show `octave_rt60_s`.

    Allocates no array but for the table behind it, which the first call makes.
    """
    table = _log_times()
    at_size = min(max(size, 0.0), 1.0) * SIZE_STEPS
    at_damping = min(max(damping, 0.0), 1.0) * DAMPING_STEPS
    i, j = min(int(at_size), SIZE_STEPS - 1), min(int(at_damping), DAMPING_STEPS - 1)
    u, v = at_size - i, at_damping - j
    for octave in range(len(times_s)):
        small = (1.0 - v) * table[i, j, octave] + v * table[i, j + 1, octave]
        large = (1.0 - v) * table[i + 1, j, octave] + v * table[i + 1, j + 1, octave]
        times_s[octave] = math.exp((1.0 - u) * small + u * large)
