"""A compressor's settings from the envelope of a sound: its times from the crest, its threshold from what it takes."""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.identify_kernels import CANDIDATES, block_envelopes, block_levels, time_share
from engine.learn.features import RATE_HZ

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

PEDALBOARD = 2.0 * math.pi
"""pedalboard's times are this much longer than the time constants they have."""

LONGEST_ATTACK_MS, LONGEST_RELEASE_MS = 80.0, 1000.0
CREST_MS = 200.0
ATTACK_MS, RELEASE_MS = (0.5, 500.0), (20.0, 6000.0)
"""What pedalboard is given."""

BLOCK = 44
ACTIVE_DB = 40.0
PERCENTILE = 95.0
LOWEST_DB, HIGHEST_DB = -80.0, 0.0


def times_ms(samples: Samples) -> tuple[float, float]:
    """Return attack and release as pedalboard takes them, of float32 `[frames, channels]` at 44.1 kHz.

    With the crest factor C of 200 ms, median of those that sound: 2 · 80 ms / C² and 2 · 1 s / C² less the attack.

    Source    Giannoulis, Massberg & Reiss 2013, Parameter automation in a dynamic range compressor, eqs. 15 and 16
    """
    length = min(len(samples), round(CREST_MS * RATE_HZ / 1000.0))
    count = len(samples) // length
    squares = np.square(samples[: count * length], dtype=np.float64).reshape(count, length, -1)
    power = squares.mean(axis=(1, 2))
    heard = power > power.max() * 10.0 ** (-0.1 * ACTIVE_DB)
    if not heard.any():
        return ATTACK_MS[0] * PEDALBOARD, RELEASE_MS[0] * PEDALBOARD
    square_crest = max(1.0, float(np.median(squares.max(axis=(1, 2))[heard] / power[heard])))
    attack_ms = 2.0 * LONGEST_ATTACK_MS / square_crest
    release_ms = 2.0 * LONGEST_RELEASE_MS / square_crest - attack_ms
    return (
        float(np.clip(attack_ms * PEDALBOARD, *ATTACK_MS)),
        float(np.clip(release_ms * PEDALBOARD, *RELEASE_MS)),
    )


def envelope_db(samples: Samples, attack_ms: float, release_ms: float) -> Floats:
    """Return the compressor's envelope in dBFS, each millisecond in which the sound is heard, of all channels."""
    x = np.ascontiguousarray(samples)
    blocks = len(x) // BLOCK
    if not blocks:
        return np.zeros(0)
    rising = np.full(CANDIDATES, time_share(attack_ms, RATE_HZ), np.float32)
    falling = np.full(CANDIDATES, time_share(release_ms, RATE_HZ), np.float32)
    levels = np.empty((x.shape[1], blocks))
    block_levels(x, BLOCK, levels)
    envelopes = np.empty((CANDIDATES, x.shape[1], blocks))
    block_envelopes(x, rising, falling, BLOCK, envelopes)
    return np.asarray(envelopes[0][levels > levels.max() - ACTIVE_DB])


def threshold_db(envelope: Floats, ratio: float, reduction_db: float) -> float:
    """Return the threshold at which 5 % of the envelope is reduced by `reduction_db` or more, -80 to 0 dBFS.

    Above the threshold T the gain is (1/R - 1)(e - T): what is exceeded by 5 % of e is reduced the most by 5 %.
    """
    if not len(envelope):
        return HIGHEST_DB
    peak_db = float(np.percentile(envelope, PERCENTILE))
    return float(np.clip(peak_db - reduction_db / (1.0 - 1.0 / ratio), LOWEST_DB, HIGHEST_DB))
