"""The part of a sound that is looked at, so that a long one takes no longer than a short one."""

import numpy as np
from numpy.typing import NDArray

from engine.learn.features import RATE_HZ
from engine.media.decode import resample

Samples = NDArray[np.float32]

MOST_S = 10.0
PARTS = 3


def excerpt(samples: Samples, rate_hz: float) -> Samples:
    """Return float32 `[frames, 1 or 2]` at 44.1 kHz: the whole up to 10 s, else its three loudest thirds of that.

    The parts do not overlap and stay in their order. Raises ValueError for another shape, no frame, or samples that
    are not finite.
    """
    if samples.ndim != 2 or samples.shape[1] not in (1, 2) or not len(samples):
        raise ValueError(f"the sound has the shape {samples.shape}; it must be [frames, 1 or 2]")
    if not np.isfinite(samples).all():
        raise ValueError("the sound holds samples that are not finite")
    part = round(MOST_S / PARTS * rate_hz)
    if len(samples) > PARTS * part:
        starts = np.arange(0, len(samples) - part + 1, part)
        energies = [float(np.square(samples[s : s + part], dtype=np.float64).sum()) for s in starts]
        loudest = np.sort(np.argsort(energies, kind="stable")[-PARTS:])
        samples = np.concatenate([samples[starts[i] : starts[i] + part] for i in loudest])
    made = np.ascontiguousarray(resample(np.ascontiguousarray(samples, np.float32), rate_hz, RATE_HZ))
    return made if len(made) else np.zeros((1, samples.shape[1]), np.float32)
