"""Finds the gain with which a render has the loudness it is to have, by rendering it and measuring."""

from collections.abc import Callable

from dsp.units import SILENCE_DB
from engine.nodes.loudness_trim import MOST_GAIN_DB

TOLERANCE_LU = 0.5
"""How far a render may be from its target."""

FIRST_CLOSE_LU, CLOSE_LU, BENT_CLOSE_LU = 0.6, 0.8, 0.4
"""Within this the next gain is taken unmeasured: after the first pass; once it is known what a decibel brings; where
that is less than half of one, and ever less."""

MOST_PASSES = 5

USUAL_SLOPE = 0.95
"""What a decibel more before glue and limiter usually brings behind them."""

LEAST_SLOPE = 0.2
"""Where it brings less, the limiter takes it all."""


def find_gain(measure: Callable[[float], float], target_lufs: float, first_db: float) -> float:
    """Return the gain in dB that brings what `measure` returns for a gain, a loudness in LUFS, to the target.

    Begins with `first_db`, which it returns where nothing can be measured: silence, or less than 400 ms. Where the
    limiter takes all that is added, or the gain is at its bounds, it is the last that brought something.
    """
    gain_db = _bounded(first_db)
    before: tuple[float, float] | None = None
    slope, close_lu = USUAL_SLOPE, FIRST_CLOSE_LU
    for _ in range(MOST_PASSES):
        loudness = measure(gain_db)
        if loudness <= SILENCE_DB:
            return gain_db
        if before is not None and gain_db != before[0]:
            slope = (loudness - before[1]) / (gain_db - before[0])
            close_lu = CLOSE_LU if slope > 0.5 else BENT_CLOSE_LU
            if slope < LEAST_SLOPE:
                return gain_db
        before = gain_db, loudness
        error = target_lufs - loudness
        following = _bounded(gain_db + error / min(1.0, slope))
        if abs(error) <= close_lu or following == gain_db:
            return following
        gain_db = following
    return gain_db


def _bounded(gain_db: float) -> float:
    return min(MOST_GAIN_DB, max(-MOST_GAIN_DB, gain_db))
