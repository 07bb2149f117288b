"""A graphic equaliser of 31 peak filters in series, and the gains that give a wanted curve."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import BANDS, CENTRES_HZ

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

Q = 4.318
"""Of a filter one third of an octave wide: sqrt(2^(1/3)) / (2^(1/3) - 1)."""

MOST_DB = 20.0
"""What a band may be turned up or down by at most."""

HIGHEST = 0.48
"""Of the rate: a filter that is to stand above has no room and is left out."""

STEP_DB = 0.5
ROUGHNESS_DB, LIFT_DB = 1.5, 15.0
"""How far a band is expected from the mean of its neighbours, and from 0, where nothing is heard of it."""


def usable(rate_hz: float) -> int:
    """Return how many of the 31 bands there is room for at this rate, from the lowest on."""
    return int((rate_hz * HIGHEST > CENTRES_HZ).sum())


def response(gains_db: Floats, at_hz: Floats, rate_hz: float) -> Complexes:
    """Return the complex response of the equaliser at some frequencies, complex128 `[n]`.

    Not promised  pedalboard's PeakFilter at 20 Hz: it has this design in float32, off by up to 0.6 dB there
    Source    Bristow-Johnson, Audio EQ Cookbook, peaking EQ
    """
    made = np.ones(len(at_hz), np.complex128)
    z = np.exp(-2j * np.pi * at_hz / rate_hz)
    for k in range(usable(rate_hz)):
        if gains_db[k] != 0.0:
            made *= _peak(CENTRES_HZ[k], gains_db[k], z, rate_hz)
    return made


def _peak(centre_hz: float, gain_db: float, z: Complexes, rate_hz: float) -> Complexes:
    root = 10.0 ** (gain_db / 40.0)
    w = 2.0 * np.pi * centre_hz / rate_hz
    alpha, middle = np.sin(w) / (2.0 * Q), -2.0 * np.cos(w)
    shared = z * (middle + z)
    top = (1.0 + alpha * root) + shared - alpha * root * (z * z)
    bottom = (1.0 + alpha / root) + shared - alpha / root * (z * z)
    made: Complexes = top / bottom
    return made


def curve_db(gains_db: Floats, at_hz: Floats, rate_hz: float) -> Floats:
    """Return the curve of the equaliser in dB, float64 `[n]`."""
    return 20.0 * np.log10(np.abs(response(gains_db, at_hz, rate_hz)))


class CurveFit:
    """The gains whose curve comes nearest to a wanted one, the bands that are not heard as smooth as can be."""

    def __init__(self, at_hz: Floats, rate_hz: float) -> None:
        self.at_hz = at_hz
        self.rate_hz = rate_hz
        bends = np.diff(np.eye(BANDS), 2, axis=0) / ROUGHNESS_DB
        self._prior = np.concatenate([bends, np.eye(BANDS) / LIFT_DB])

    def curve_db(self, gains_db: Floats) -> Floats:
        """Return the curve of the equaliser there."""
        return np.asarray(_peaks_db(tuple(gains_db), self.at_hz.tobytes(), self.rate_hz).sum(axis=0))

    def step(self, gains_db: Floats, missing_db: Floats, spread_db: Floats) -> Floats:
        """Return gains one Gauss-Newton step nearer to a curve that has `missing_db` more, but for a constant.

        Shapes    gains (31,); missing, spread (n,): what is wanted more, and its standard deviation
        """
        key = self.at_hz.tobytes()
        up = _peaks_db(tuple(gains_db + STEP_DB), key, self.rate_hz)
        down = _peaks_db(tuple(gains_db - STEP_DB), key, self.rate_hz)
        slopes = ((up - down) / (2.0 * STEP_DB)).T
        weights = 1.0 / spread_db
        rows = np.concatenate([slopes * weights[:, None], self._prior])
        constant = np.concatenate([weights, np.zeros(len(self._prior))])
        wanted = np.concatenate([missing_db * weights, -self._prior @ gains_db])
        solved = np.linalg.lstsq(np.column_stack([rows, constant]), wanted, rcond=None)[0]
        made = gains_db + np.clip(solved[:BANDS], -6.0, 6.0)
        return np.asarray(np.clip(made, -MOST_DB, MOST_DB))

    def spreads(self, gains_db: Floats, spread_db: Floats) -> Floats:
        """Return the standard deviation of each gain, float64 `[31]`, given those of the curve."""
        key = self.at_hz.tobytes()
        up = _peaks_db(tuple(gains_db + STEP_DB), key, self.rate_hz)
        down = _peaks_db(tuple(gains_db - STEP_DB), key, self.rate_hz)
        rows = np.concatenate([((up - down) / (2.0 * STEP_DB)).T / spread_db[:, None], self._prior])
        return np.asarray(np.sqrt(np.diag(np.linalg.inv(rows.T @ rows))))


@lru_cache(maxsize=8)
def _peaks_db(gains_db: tuple[float, ...], at_hz: bytes, rate_hz: float) -> Floats:
    """Return the curve of each filter alone, `[31, n]`."""
    z = np.exp(-2j * np.pi * np.frombuffer(at_hz) / rate_hz)
    made = np.zeros((BANDS, len(z)))
    for k in range(usable(rate_hz)):
        made[k] = 20.0 * np.log10(np.abs(_peak(CENTRES_HZ[k], gains_db[k], z, rate_hz)))
    return made
