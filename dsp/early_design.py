"""Early reflections of a shoe-box room: when, how loud, how dull and from where each of the first ones comes.

A wall mirrors the source; a mirror source reflected k times at distance d is heard (d - d0) / c after the direct sound,
which comes from d0, and beta^k d0 / d as loud, with beta^2 = 1 - alpha of the walls. What high frequencies lose on the
way, in the walls and in the air, is a one-pole low-pass that is exact at 0 Hz and at 4 kHz.

Source and listener stand at fixed shares of length, width and height, so that rooms of all sizes are alike, and the
listener faces the source.

Source    Allen & Berkley, "Image method for efficiently simulating small-room acoustics", JASA 1979, eq. 10; ISO 9613-1
          (air of 20 °C and 50 % humidity)
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from dsp.room_acoustics import damping_to_treble_ratio
from dsp.room_box import PROPORTIONS, SPEED_OF_SOUND_M_S, dimensions_m, mean_absorption

Floats = npt.NDArray[np.float64]

REFLECTIONS = 12
SOURCE, LISTENER = (0.29, 0.56, 0.42), (0.64, 0.43, 0.38)
"""Where they stand, in shares of length, width and height."""
HIGH_HZ = 4000.0
AIR_DB_M = 0.029
"""What air takes of 4 kHz in a metre."""
MOST_ABSORPTION = 0.95
ORDERS = range(-1, 2)
"""Boxes looked at along each axis: those next to the room hold all of the first reflections."""


@dataclass(frozen=True, slots=True)
class Reflections:
    """The first `REFLECTIONS` of a room in the order they come in, all (REFLECTIONS,)."""

    delays_s: Floats
    distances_m: Floats
    bounces: Floats
    lateral: Floats
    """Where from: -1 is left, 0 in front or behind, 1 right."""


@cache
def _unit() -> tuple[float, Floats]:
    """Return, for a height of 1, the way of the direct sound; distance, bounces and lateral of the first images."""
    room = np.asarray(PROPORTIONS)
    source, listener = room * SOURCE, room * LISTENER
    ahead = (source - listener) / np.linalg.norm((source - listener)[:2])
    right = np.array([ahead[1], -ahead[0], 0.0])
    found = []
    for box in product(ORDERS, repeat=3):
        for mirrored in product((0, 1), repeat=3):
            m, q = np.array(box), np.array(mirrored)
            at = (1 - 2 * q) * source + 2 * m * room - listener
            distance = float(np.linalg.norm(at))
            bounces = int(np.sum(np.abs(m - q) + np.abs(m)))
            if bounces:
                found.append((distance, bounces, float(at @ right) / distance))
    return float(np.linalg.norm(source - listener)), np.array(sorted(found)[:REFLECTIONS])


def direct_m(size: float) -> float:
    """Return the way of the direct sound."""
    return _unit()[0] * dimensions_m(size)[2]


def reflections(size: float) -> Reflections:
    """Return the reflections of a room of `size` 0..1, after the direct sound."""
    height = dimensions_m(size)[2]
    direct, first = _unit()
    return Reflections(
        delays_s=height * (first[:, 0] - direct) / SPEED_OF_SOUND_M_S,
        distances_m=height * first[:, 0],
        bounces=first[:, 1],
        lateral=first[:, 2],
    )


def low_pass(ratio: float, frequency_hz: float, rate_hz: float) -> float:
    """Return a of (1 - a) / (1 - a / z) that lets `ratio` (amplitude, 0..1) of a frequency through."""
    square = ratio * ratio
    if square >= 1.0:
        return 0.0
    b = (1.0 - square * math.cos(2.0 * math.pi * frequency_hz / rate_hz)) / (1.0 - square)
    return b - math.sqrt(b * b - 1.0)


def wall_ratio(size: float, damping: float) -> float:
    """Return beta at 4 kHz over beta at 500 Hz: walls that make the tail die that much faster take that much more."""
    alpha = mean_absorption(size)
    high = min(alpha / damping_to_treble_ratio(damping), MOST_ABSORPTION)
    return math.sqrt((1.0 - high) / (1.0 - alpha))
