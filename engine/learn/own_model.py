"""What a user's own mixes tell: the names of sounds, and how sounds of a name are equalised and compressed there.

It is made by `roomtone learn fit` of a table, and holds only what did better there than chance, than no equaliser, or
than the rules, on songs it had not seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.learn.classify import Classifier
from engine.learn.mix_settings import MOST_EQ_DB, Curve, Figure, Name

Floats = NDArray[np.float64]

NAMES = ("instrument", "equipment")
COMPRESSOR = ("reduction_db", "ratio", "attack_ms", "release_ms")
LIMITS = ((0.0, 12.0), (1.0, 20.0), (0.1, 1000.0), (10.0, 20_000.0))
"""What of each is used at most, whatever a mix had."""


@dataclass(frozen=True, eq=False)
class OwnModel:
    """What was learned, as far as it was.

    names       of `NAMES` those that can be told, each by its classifier
    eq_db       float64 `[instruments, 31]`: the equaliser of each instrument, already made smaller; None if no better
                than none, and then `nearer` is 0, else the share of unseen tracks that it came nearer to
    compressor  float64 `[instruments, 4]`, of `COMPRESSOR`; None if no better than the rules
    """

    names: Mapping[str, Classifier] = field(default_factory=dict)
    eq_db: Floats | None = None
    nearer: float = 0.0
    compressor: Floats | None = None

    def told(self, features: Floats) -> "Told":
        """Return what is told of the features of one sound, float64 `[len(schema())]`."""
        chances = {name: model.chances(features[None, :])[0] for name, model in self.names.items()}
        made = Told({name: _name(self.names[name].families, chance) for name, chance in chances.items()})
        if "instrument" not in chances:
            return made
        chance = chances["instrument"]
        if self.eq_db is not None:
            curve = chance @ self.eq_db
            curve = curve - curve.mean()
            curve *= min(1.0, MOST_EQ_DB / max(float(np.abs(curve).max()), 1e-9))
            made = replace(made, eq_db=Curve(curve, curve - 6.0, curve + 6.0, self.nearer, "model"))
        if self.compressor is not None:
            sure = float(chance.max())
            values = np.concatenate(
                [[chance @ self.compressor[:, 0]], np.exp(chance @ np.log(self.compressor[:, 1:]))]
            )
            figures = {}
            for name, (low, high), value in zip(COMPRESSOR, LIMITS, values, strict=True):
                within = [min(high, max(low, v)) for v in (value, 0.5 * value, 2.0 * value)]
                figures[name] = Figure(within[0], within[1], within[2], sure, "model")
            made = replace(made, compressor=figures)
        return made


@dataclass(frozen=True, eq=False)
class Told:
    """Of one sound: names by `NAMES`, an equaliser, a compressor by `COMPRESSOR`; what is not told is not there."""

    names: Mapping[str, Name] = field(default_factory=dict)
    eq_db: Curve | None = None
    compressor: Mapping[str, Figure] | None = None


NOTHING_TOLD = Told()


def _name(labels: tuple[str, ...], chances: Floats) -> Name:
    ranked = tuple(sorted(zip(labels, chances.tolist(), strict=True), key=lambda pair: -pair[1]))
    return Name(*ranked[0], "model", ranked)
