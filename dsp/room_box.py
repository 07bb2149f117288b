"""A shoe-box room of the scene's size: its dimensions, walls, and how long it rings in each octave.

`room_size` 0..1 is a reverberation time (`dsp.freeverb.room_size_to_rt60_s`). The box has the proportions `PROPORTIONS`
and walls of the mean absorption `mean_absorption(size)`, falling from a furnished room to bare stone; Sabine's formula
T = 24 ln 10 / c * V / (alpha S) then leaves one height: 2.7 m (37 m³) at size 0, 7.6 m (860 m³) at 0.5 and 22 m
(20 000 m³) at 1.

Source    Sabine; mean free path 4 V / S (Kosten 1960)
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.freeverb import room_size_to_rt60_s
from dsp.room_acoustics import LOUDNESS_WEIGHTS, damping_to_treble_ratio
from dsp.room_acoustics import OCTAVES_HZ as ALL_OCTAVES_HZ

Floats = npt.NDArray[np.float64]

SPEED_OF_SOUND_M_S = 343.0
PROPORTIONS = (1.62, 1.21, 1.0)
"""Length, width and height; no two in the ratio of small whole numbers."""
SMALLEST_ABSORPTION, LARGEST_ABSORPTION = 0.12, 0.35
"""Share of the energy that walls take: of the largest room, of the smallest."""

OCTAVES_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
DAMPED_SHAPE = (0.0, 0.0, 0.0, 0.0, 0.4, 1.0, 1.4)
"""Which power of the ratio at 4 kHz holds in each octave: flat to 1 kHz, then bending down."""


def mean_absorption(size: float) -> float:
    """Return the mean absorption of the walls of a room of `size`: 0.35 down to 0.12 in equal ratios."""
    return float(LARGEST_ABSORPTION * (SMALLEST_ABSORPTION / LARGEST_ABSORPTION) ** min(max(size, 0.0), 1.0))


def mean_free_path_m(size: float) -> float:
    """Return the mean way between two walls, 4 V / S: 2.2 m to 17.9 m."""
    return room_size_to_rt60_s(size) * mean_absorption(size) * SPEED_OF_SOUND_M_S / (6.0 * math.log(10.0))


def dimensions_m(size: float) -> tuple[float, float, float]:
    """Return length, width and height of the room."""
    a, b, c = PROPORTIONS
    height = mean_free_path_m(size) * (a * b + b * c + a * c) / (2.0 * a * b * c)
    return a * height, b * height, c * height


def octave_rt60_s(size: float, damping: float) -> Floats:
    """Return the reverberation time (7,) in each of `OCTAVES_HZ`."""
    return room_size_to_rt60_s(size) * damping_to_treble_ratio(damping) ** np.asarray(DAMPED_SHAPE)


def loudness_of_energy(size: float, rt60_s: Floats, rate_hz: int) -> float:
    """Return how much K-weighted pink energy a tail has over its energy for an impulse, with the times (7,) of octaves.

    An octave's energy is in proportion to its time, but for what has died before the first walls answer, after a mean
    free path. An impulse has as much in each hertz, pink noise in each octave.
    """
    centres_hz = np.asarray(ALL_OCTAVES_HZ)
    times_s = np.concatenate([rt60_s[:1], rt60_s, rt60_s[-1:]])
    onset_s = mean_free_path_m(size) / SPEED_OF_SOUND_M_S
    times_s *= 10.0 ** (-6.0 * onset_s / times_s)
    edges_hz = np.minimum(np.concatenate([[0.0], centres_hz[:-1] * math.sqrt(2.0), [rate_hz]]), rate_hz / 2.0)
    white = np.diff(edges_hz)
    pink = np.where(centres_hz < rate_hz / 2.0, LOUDNESS_WEIGHTS, 0.0)
    return float((pink @ times_s / pink.sum()) / (white @ times_s / white.sum()))
