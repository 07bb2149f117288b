"""A sound whose family is known."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.learn.features import RATE_HZ

RATE = round(RATE_HZ)

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]


class Clip(NamedTuple):
    """float32 `[frames, 1]` at 44.1 kHz; clips of one `group` come from one source and are never torn apart."""

    family: str
    group: str
    samples: Samples


def normalised(sound: Floats, peak_db: float = -3.0) -> Samples:
    """Return a mono sound as a clip's samples, its peak at `peak_db`."""
    peak = max(float(np.abs(sound).max()), 1e-9)
    return np.ascontiguousarray((sound * (10.0 ** (peak_db / 20.0) / peak))[:, None], np.float32)
