"""Conversions between decibels, amplitudes, milliseconds, seconds and frames: the only place that has them."""

import math

SILENCE_DB = -144.0
"""What a level of nothing reads as: the floor of a 24-bit signal."""


def db_to_amplitude(level_db: float) -> float:
    """Return the amplitude ratio of `level_db`; anything at or below `SILENCE_DB` is exactly 0."""
    return 0.0 if level_db <= SILENCE_DB else 10.0 ** (level_db / 20.0)


def amplitude_to_db(amplitude: float) -> float:
    """Return 20 log10 |amplitude|, never below `SILENCE_DB`."""
    return max(SILENCE_DB, 20.0 * math.log10(abs(amplitude))) if amplitude else SILENCE_DB


def power_to_db(power: float) -> float:
    """Return 10 log10 power, never below `SILENCE_DB`."""
    return max(SILENCE_DB, 10.0 * math.log10(power)) if power > 0.0 else SILENCE_DB


def ms_to_frames(duration_ms: float, rate_hz: float) -> int:
    """Return the nearest whole number of frames in `duration_ms`."""
    return seconds_to_frames(duration_ms * 1e-3, rate_hz)


def seconds_to_frames(duration_s: float, rate_hz: float) -> int:
    """Return the nearest whole number of frames in `duration_s`."""
    return round(duration_s * rate_hz)


def frames_to_seconds(frames: int, rate_hz: float) -> float:
    """Return how long `frames` last, in seconds."""
    return frames / rate_hz
