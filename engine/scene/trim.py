"""Silence before and after a sound, which is left away so that it is heard when it starts."""

import numpy as np
from numpy.typing import NDArray

from dsp.units import ms_to_frames

TRIM_VERSION = 1
"""Another one is made of other samples."""

HOP_MS = 2.0
FLOOR_MS = 50.0
"""The noise floor is the quietest stretch of this length."""

RANGE_DB = 60.0
"""What is softer than the peak by more is silence."""

ABOVE_FLOOR_DB = 3.0
FLOOR_RANGE_DB = 40.0
"""A quietest stretch that is less below the loudest hop is part of the sound, and no noise floor."""

BEFORE_MS = 5.0
AFTER_MS = 50.0
"""What is kept before the first and after the last moment that is no silence."""


def trimmed(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Return a clip (`[frames, channels]`) without the silence before and after it; as it is where there is none.

    Silence is what is below -60 dB of the peak, or in power below the noise floor + 3 dB, in hops of 2 ms. 5 ms before
    and 50 ms after what is none are kept. Silence alone stays as it is.
    """
    frames, hop = len(samples), max(1, ms_to_frames(HOP_MS, rate_hz))
    magnitude = np.abs(samples).max(axis=1, initial=0.0)
    peak = float(magnitude.max(initial=0.0))
    if peak <= 0.0:
        return samples
    padded = np.zeros(-(-frames // hop) * hop, np.float32)
    padded[:frames] = magnitude
    peaks = padded.reshape(-1, hop).max(axis=1)
    np.square(padded, out=padded)
    powers = padded.reshape(-1, hop).mean(axis=1, dtype=np.float64)
    active = peaks >= peak * 10.0 ** (-RANGE_DB / 20.0)
    wide = max(1, round(FLOOR_MS / HOP_MS))
    # The last hop may be part of one, and would read too low.
    sums = np.concatenate(([0.0], np.cumsum(powers[: frames // hop])))
    if len(sums) > wide:
        floor = float((sums[wide:] - sums[:-wide]).min()) / wide
        if floor < powers.max() * 10.0 ** (-FLOOR_RANGE_DB / 10.0):
            active &= powers >= floor * 10.0 ** (ABOVE_FLOOR_DB / 10.0)
    heard = np.flatnonzero(active)
    begin = max(0, int(heard[0]) * hop - ms_to_frames(BEFORE_MS, rate_hz))
    end = min(frames, (int(heard[-1]) + 1) * hop + ms_to_frames(AFTER_MS, rate_hz))
    return samples if begin == 0 and end == frames else samples[begin:end]
