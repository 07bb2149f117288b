"""Who masks whom in a scene that plays, computed by the control side from the meters of the unmask node."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.maskers import pairs
from engine.meters import MeterTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MaskingMoment:
    """The masking among T tracks at one moment, as `dsp.maskers` defines it.

    `before` and `after` unmasking are float64 `[T, T]`: `after[j, i]` is the share of track i, 0 to 1, that is hidden
    and track j's doing; a column sums to how deep that track is buried. `before_bands` and `after_bands`, float64
    `[25, T, T]` or None, say in which of the bands of `dsp.bark.EDGES_HZ`.
    """

    labels: tuple[str, ...]
    before: Floats
    after: Floats
    before_bands: Floats | None = None
    after_bands: Floats | None = None

    def worst(self) -> list[tuple[str, float]]:
        """Return for each track who masks it most after unmasking, and that share; ("", 0.0) where nobody does."""
        by = self.after.argmax(axis=0)
        shares = self.after[by, np.arange(len(by))]
        return [
            (self.labels[j], float(share)) if share > 0.0 else ("", 0.0)
            for j, share in zip(by, shares, strict=True)
        ]


def masking_moment(meters: MeterTable, labels: tuple[str, ...], per_band: bool = False) -> MaskingMoment:
    """Return the masking that the meters of the node `unmask` show.

    They come up to date every 85 ms. Read while they do, some bands may be of the moment before.
    """
    energy, kept = meters.read("unmask", "energy"), meters.read("unmask", "kept")
    if not per_band:
        return MaskingMoment(labels, pairs(energy), pairs(energy, kept))
    before, after = pairs(energy, per_band=True), pairs(energy, kept, per_band=True)
    return MaskingMoment(labels, before.sum(axis=0), after.sum(axis=0), before, after)
