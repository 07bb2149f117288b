"""What the room parameters of a scene mean: 0…1 → seconds, decibels, correlation; and rooms from their surfaces.

Whatever makes the reverberation, it takes its targets from here, so that a room means the same in every engine.

Source: ISO 3382-1 (T_mid, octave bands); C. F. Eyring, "Reverberation Time in 'Dead' Rooms", 1930.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from dsp.freeverb import RT60_SPAN, SHORTEST_RT60_S, room_size_to_rt60_s

MOST_DAMPED_RATIO = 0.5
"""The ratio of the reverberation times at 4 kHz and at mid frequencies with damping 1; with damping 0 it is 1."""

OCTAVES_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)
K_WEIGHTING_DB = (-2.66, -0.73, -0.15, 0.04, 0.70, 3.07, 3.96, 4.04, 4.04)
LOUDNESS_WEIGHTS = tuple(10.0 ** (db / 10.0) for db in K_WEIGHTING_DB)
"""What an octave of pink noise gives to its loudness: the K-weighting of ITU-R BS.1770-5, as a power."""

METRES_PER_S = 343.0
EYRING_S_PER_M = 24.0 * math.log(10.0) / METRES_PER_S


class RoomTarget(NamedTuple):
    """What a room is to be like.

    `rt60_s` is T_mid, the mean of the octaves of 500 Hz and 1 kHz; `treble_ratio` that of 4 kHz over it; `drr_db` the
    energy of the direct sound of the reference object over that of the return, infinite without a room; `correlation`
    that of the tail's two channels.
    """

    rt60_s: float
    treble_ratio: float
    drr_db: float
    correlation: float


def room_target(size: float, damping: float, wet_level: float, width: float) -> RoomTarget:
    """Return what the parameters of a scene, each 0…1, mean."""
    return RoomTarget(
        room_size_to_rt60_s(size),
        damping_to_treble_ratio(damping),
        wet_level_to_drr_db(wet_level),
        width_to_correlation(width),
    )


def rt60_to_size(rt60_s: float) -> float:
    """Return the room size 0…1 that means `rt60_s`; what is beyond 0.25 s to 6 s becomes 0 or 1."""
    return _unit(math.log(max(rt60_s, 1e-9) / SHORTEST_RT60_S) / math.log(RT60_SPAN))


def damping_to_treble_ratio(damping: float) -> float:
    """Return T(4 kHz) / T_mid of a damping 0…1: 0.5 ** damping."""
    return math.pow(MOST_DAMPED_RATIO, _unit(damping))


def treble_ratio_to_damping(ratio: float) -> float:
    """Return the damping 0…1 that means `ratio`; beyond 0.5 to 1 it becomes 1 or 0."""
    return _unit(math.log(max(ratio, 1e-9)) / math.log(MOST_DAMPED_RATIO))


def width_to_correlation(width: float) -> float:
    """Return the correlation of the tail's channels: 1 - width, from mono to diffuse."""
    return 1.0 - _unit(width)


def correlation_to_width(correlation: float) -> float:
    """Return the width 0…1 for a correlation; a negative one reads as 0."""
    return 1.0 - _unit(correlation)


def wet_level_to_drr_db(wet_level: float) -> float:
    """Return the direct-to-reverberant ratio of the reference object: -20 log10(wet level), infinite at 0."""
    wet = _unit(wet_level)
    return -20.0 * math.log10(wet) if wet > 0.0 else math.inf


def drr_db_to_wet_level(drr_db: float) -> float:
    """Return the wet level 0…1 for a direct-to-reverberant ratio; below 0 dB it is 1."""
    return _unit(math.pow(10.0, -drr_db / 20.0))


def eyring_rt60_s(
    volume_m3: float, areas_m2: Sequence[float], absorption: Sequence[float], air_per_m: float
) -> float:
    """Return the reverberation time of a diffuse room: 24 ln 10 / c * V / (-S ln(1 - mean absorption) + 4 m V).

    `absorption` has the coefficient, 0 to below 1, of each of `areas_m2`; `air_per_m` is the energy attenuation of air.
    """
    surface = sum(areas_m2)
    mean = sum(area * share for area, share in zip(areas_m2, absorption, strict=True)) / surface
    return EYRING_S_PER_M * volume_m3 / (-surface * math.log1p(-mean) + 4.0 * air_per_m * volume_m3)


def critical_distance_m(volume_m3: float, rt60_s: float) -> float:
    """Return the distance at which an omnidirectional source is as loud as its reverberation: 0.057 sqrt(V / T)."""
    return 0.057 * math.sqrt(volume_m3 / rt60_s)


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)
