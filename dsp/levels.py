"""How level meters move: peaks fall at a steady rate, mean squares are averaged over a window."""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.jit import kernel

Levels = NDArray[np.float64]


@kernel("void(float64[::1], float64[::1], float64, float64, float64[::1], float64[::1], float64[::1])")
def settle_levels(
    peak: Levels,
    mean_square: Levels,
    fall: float,
    keep: float,
    square: Levels,
    shown_peak: Levels,
    shown_rms: Levels,
) -> None:
    """Move the shown levels on by one block whose `peak` and `mean_square` are given, all float64 `[channels]`.

    `fall` is the factor a peak falls by, `keep` the share of the averaged `square` that stays.
    """
    for c in range(peak.shape[0]):
        shown_peak[c] = max(peak[c], shown_peak[c] * fall)
        square[c] = mean_square[c] + (square[c] - mean_square[c]) * keep
        shown_rms[c] = math.sqrt(square[c])
