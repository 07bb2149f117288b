"""What an equaliser and a compressor have done to a sound already, as far as it is heard in the sound alone.

Two forests learned it from sounds whose treatment is known. How far they err is known too, from sounds of sources that
they had not seen: intervals and confidence are these shares, not judgement.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import BANDS, NOMINAL_HZ
from engine.learn.features import schema
from engine.learn.forest import Forest
from engine.learn.mix_settings import MOST_EQ_DB, Curve, Figure
from engine.learn.shape import shape

Floats = NDArray[np.float64]

AUDIBLE_DB = 40.0
"""A band further below the loudest one is not heard."""

JUDGED = slice(3, 30)
"""The bands from 40 Hz to 16 kHz: what is done beyond is hardly ever heard."""

_PLACE = {feature.name: i for i, feature in enumerate(schema())}
_BANDS = [_PLACE[f"band_{hz:g}_hz"] for hz in NOMINAL_HZ]


@dataclass(frozen=True)
class Treatment:
    """What undoes the colour that a sound is found to have, and the gain reduction it is found to have behind it."""

    undo_db: Curve
    reduction_db: Figure


_FLAT = np.zeros(BANDS)
NOTHING_KNOWN = Treatment(Curve(_FLAT, _FLAT, _FLAT, 0.0, "none"), Figure(0.0, 0.0, 0.0, 0.0, "none"))


@dataclass(frozen=True, eq=False)
class TreatmentModel:
    """What is asked about a sound's `shape`.

    equaliser       a forest of `[k]` numbers, of which `basis` `[k, 31]` and `centre` `[31]` make a curve in dB
    compressor      a forest of one number, a gain reduction in dB
    least_db        a curve whose RMS from 40 Hz to 16 kHz is less is taken for none, any other is made so much smaller
    sizes_db        `[m]`, rising: RMS of curves, of which `nearer` `[m]` tells how often they came nearer to the truth
                    than none did, and `errors_db` `[m]` what 80 % of their errors stayed below
    reductions_db   `[m]`, rising: of which `low_db` and `high_db` `[m]` tell between what 80 % of the truth lay
    """

    equaliser: Forest
    compressor: Forest
    basis: Floats
    centre: Floats
    least_db: float
    sizes_db: Floats
    nearer: Floats
    errors_db: Floats
    reductions_db: Floats
    low_db: Floats
    high_db: Floats

    def found(self, features: Floats) -> tuple[Floats, Floats]:
        """Return curves float64 `[n, 31]`, zero mean, and gain reductions `[n]`, of features `[n, len(schema())]`."""
        x = shape(features)
        curves = self.equaliser(x) @ self.basis + self.centre
        return curves - curves.sum(axis=1, keepdims=True) / BANDS, np.maximum(self.compressor(x)[:, 0], 0.0)

    def treatment(self, features: Floats) -> Treatment:
        """Return what is found of the features of one sound, float64 `[len(schema())]`."""
        curves, reductions = self.found(features[None, :])
        sizes = size_db(curves)
        undo = _undone(curves, sizes, features[None, :], self.least_db)[0]
        size = sizes[0]
        error = np.interp(size, self.sizes_db, self.errors_db)
        flat = not undo.any()
        nearer = 0.0 if flat else float(np.interp(size, self.sizes_db, self.nearer))
        reduction = float(reductions[0])
        low, high = (
            float(np.interp(reduction, self.reductions_db, of)) for of in (self.low_db, self.high_db)
        )
        return Treatment(
            Curve(undo, undo - error, undo + error, nearer, "model"),
            Figure(reduction, min(low, reduction), max(high, reduction), 0.8, "model"),
        )


def size_db(curves: Floats) -> Floats:
    """Return the RMS of curves `[n, 31]` from 40 Hz to 16 kHz, less their mean there, float64 `[n]`."""
    judged = curves[:, JUDGED]
    square_mean = np.square(judged.sum(axis=1) / judged.shape[1])
    squares = np.einsum("nb,nb->n", judged, judged) / judged.shape[1]
    return np.asarray(np.sqrt(np.maximum(squares - square_mean, 0.0)))


def undone_db(curves: Floats, features: Floats, least_db: float) -> Floats:
    """Return the curves `[n, 31]` that undo those found, zero mean, at most ±6 dB; nothing where no more is found.

    They are smaller by `least_db` of RMS than what was found, and turn up no band that is not heard in the sound.

    Source    Donoho & Johnstone 1994, soft thresholding: what may be chance is left away without a jump
    """
    return _undone(curves, size_db(curves), features, least_db)


def _undone(curves: Floats, sizes: Floats, features: Floats, least_db: float) -> Floats:
    made = -curves * np.maximum(0.0, 1.0 - least_db / np.maximum(sizes, 1e-9))[:, None]
    bands_db = features[:, _BANDS]
    heard = bands_db > bands_db.max(axis=1, keepdims=True) - AUDIBLE_DB
    made = np.where(heard, made, np.minimum(made, 0.0))
    made -= made.sum(axis=1, keepdims=True) / made.shape[1]
    most = np.abs(made).max(axis=1, keepdims=True)
    return np.asarray(made * np.minimum(1.0, MOST_EQ_DB / np.maximum(most, 1e-9)))
