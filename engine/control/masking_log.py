"""What becomes of the masking over a whole render, gathered moment by moment.

Memory does not grow with the length: there are sums over time for every pair, and rows of the cuts over time, which
are merged two by two, so that each stands for twice the time, whenever they fill `CUT_CELLS`.
"""

import numpy as np
from numpy.typing import NDArray

from dsp.bark import BANDS
from dsp.maskers import factors, product, weights, without_self

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

CUT_CELLS = 16 * 1024 * 1024
"""Cuts kept over time, a byte each: of 10 tracks 95 minutes, of 512 tracks 112 s, before rows are merged."""
BATCH = 32
"""Moments that are added up in one matrix product."""
ACTIVE_RANGE = 10.0 ** (-35.0 / 10.0)
"""A track is active while its strongest band is within 35 dB of the strongest so far."""
IN_CUT_DB = -0.5
"""A track is in cut while its deepest cut at the centre of a band is deeper."""
MASKS_FROM = 0.1
"""A track masks another while it hides at least this share of it."""
TENTHS = 10.0
"""Cuts over time are kept in tenths of a decibel: the deepest, -6 dB, fits an int8."""


class MaskingLog:
    """The masking among T tracks over all moments it took."""

    def __init__(self, tracks: int, cut_cells: int = CUT_CELLS) -> None:
        self.moments = 0
        """How many moments were taken; the next four count some of them."""
        self.active: Counts = np.zeros(tracks, np.int64)
        """int64[T]: where the track was active."""
        self.in_cut: Counts = np.zeros(tracks, np.int64)
        """int64[T]: where the track was in cut."""
        self.masking: Counts = np.zeros((tracks, tracks), np.int64)
        """int64[T, T], masker and maskee: where the one, after unmasking, hid a tenth or more of the other."""
        self.moments_a_row = 1
        """How many moments a row of `cut_tenths_db` stands for, a power of two."""
        self.deepest_db: Floats = np.zeros(tracks)
        """float64[T], dB, <= 0: the deepest cut of the track at the centre of a band."""
        self._loudest = np.zeros(tracks)
        self._cut_db = np.zeros((BANDS, tracks))
        self._rows = np.zeros((max(1, cut_cells // (2 * BANDS * tracks)) * 2, tracks, BANDS), np.int8)
        self._factors = np.zeros((2, 2, BATCH, BANDS, tracks))
        self._waiting = 0
        self._sums = np.zeros((2, BANDS, tracks, tracks))

    def take(self, energy: Floats, kept: Floats) -> None:
        """Add a moment: band energies before the cut and the share of their power that is left, float64[25, T]."""
        strongest = energy.max(axis=0)
        self._loudest = np.maximum(self._loudest, strongest)
        active = weights(energy).any(axis=0) & (strongest > ACTIVE_RANGE * self._loudest)
        self.active += active
        for stage, left in enumerate((None, kept)):
            excitation, hidden = factors(energy, left)
            hidden *= active
            self._factors[stage, 0, self._waiting] = excitation
            self._factors[stage, 1, self._waiting] = hidden
        self.masking += without_self(product(excitation, hidden)) >= MASKS_FROM
        self._take_cut(10.0 * np.log10(np.minimum(kept, 1.0)), active)
        self.moments += 1
        self._waiting += 1
        if self._waiting == BATCH:
            self._add_up()

    def _take_cut(self, cut_db: Floats, active: NDArray[np.bool_]) -> None:
        deepest_db = cut_db.min(axis=0)
        self.in_cut += deepest_db < IN_CUT_DB
        self.deepest_db = np.minimum(self.deepest_db, deepest_db)
        self._cut_db += np.where(active, cut_db, 0.0)
        row = self.moments // self.moments_a_row
        if row == len(self._rows):
            row //= 2
            self._rows[:row] = np.minimum(self._rows[0::2], self._rows[1::2])
            self._rows[row:] = 0
            self.moments_a_row *= 2
        tenths = np.rint(TENTHS * cut_db).astype(np.int8)
        self._rows[row] = np.minimum(self._rows[row], tenths.T)

    def _add_up(self) -> None:
        """Add the products of what waits to the sums."""
        for stage in range(2):
            excitation, hidden = self._factors[stage, :, : self._waiting]
            for b in range(BANDS):
                self._sums[stage, b] += product(excitation[:, b], hidden[:, b])
        self._waiting = 0

    def pairs(self) -> Floats:
        """Return the pairs of `dsp.maskers` before and after, float64[2, 25, T, T]: means while a maskee is active."""
        self._add_up()
        return without_self(self._sums / np.maximum(self.active, 1))

    @property
    def mean_cut_db(self) -> Floats:
        """float64[25, T], dB, <= 0: the mean cut while the track is active."""
        return self._cut_db / np.maximum(self.active, 1)

    @property
    def cut_tenths_db(self) -> NDArray[np.int8]:
        """int8[rows, T, 25], tenths of a decibel, <= 0: the deepest cut over the moments of each row."""
        rows = -(-self.moments // self.moments_a_row)
        return self._rows[:rows]
