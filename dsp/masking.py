"""How much each track must give way, per band, so that more important tracks are heard."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import (
    BANDS,
    SINE_POWER,
    SPL_AT_0DBFS,
    masking_offset_db,
    spreading_slopes,
    threshold_in_quiet_energy,
)
from dsp.jit import device, kernel

Floats = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

RANGE_DB = 20.0
"""Masker-to-signal ratio at which a band counts as fully masked, and the cut that a demand of 1 asks for."""
NEAR_DB = 6.0
"""Bands within this of the track's strongest band matter fully; 20 dB further down they no longer matter."""
ENERGY_FLOOR = 1e-16
NEVER, BY_IMPORTANCE, ALWAYS = 0.0, 1.0, 2.0
"""Whether a track yields: to nobody; to the more important, by the gap; or to everybody, as if the gap were 1."""

ZERO = np.float32(0.0)
PER_NEPER = 10.0 / math.log(10.0) / RANGE_DB
FULLY_MASKED = 10.0 ** (RANGE_DB / 10.0)
NEAR = 10.0 ** (-NEAR_DB / 10.0)
FAR = 10.0 ** (-(NEAR_DB + RANGE_DB) / 10.0)


@device
def _spread(energy: Floats, upward: Floats, downward: Floats, excitation: Floats, from_above: Floats) -> None:
    """Fill `excitation` (25, T) with S energy, S of `dsp.bark.spreading_matrix`, band by band."""
    bands, tracks = energy.shape
    for t in range(tracks):
        excitation[0, t] = energy[0, t]
        from_above[t] = 0.0
    for b in range(1, bands):
        for t in range(tracks):
            excitation[b, t] = energy[b, t] + upward[b - 1] * excitation[b - 1, t]
    for b in range(bands - 2, -1, -1):
        for t in range(tracks):
            from_above[t] = downward[b] * (energy[b + 1, t] + from_above[t])
            excitation[b, t] += from_above[t]


@device
def _sort(importance: Floats, rank: Floats, order: Ints) -> None:
    """Fill `rank` with the importances, made numbers of 0 to 1, and put `order` in that of falling ranks.

    It is an insertion sort, which takes T steps as long as nothing has changed. Equals are in order of number, so
    that the result does not depend on what was before.
    """
    for t in range(rank.shape[0]):
        p = importance[t]
        rank[t] = min(p, 1.0) if p > 0.0 else 0.0
    for n in range(1, order.shape[0]):
        t = order[n]
        place = n
        while place > 0:
            before = order[place - 1]
            if rank[before] > rank[t] or (rank[before] == rank[t] and before < t):
                break
            order[place] = before
            place -= 1
        order[place] = t


@kernel(
    "void(float64[:, ::1], float32[::1], float64, float64[::1], float64[::1], float64[::1], float64[::1],"
    " float64[::1], float64[::1], float64[::1], int64[::1], float64, float64, float64[:, ::1], float64[:, ::1],"
    " float64[:, ::1], float32[:, ::1])"
)
def demand_cuts(
    energy: Floats,
    peak: Samples,
    faintest: float,
    upward: Floats,
    downward: Floats,
    offset: Floats,
    quiet: Floats,
    importance: Floats,
    yielding: Floats,
    rank: Floats,
    order: Ints,
    strength: float,
    max_cut_db: float,
    excitation: Floats,
    masked: Floats,
    sums: Floats,
    target_db: Samples,
) -> None:
    """Turn band energies into the cut each track owes the more important tracks.

    X = S E;  T_i = max(Tq, 10^(-m/10) (Xtot - X_i));  MSR_i = 10 log10(T_i / E_i)
    mu_i = w_i clip(MSR_i / 20, 0, 1), w_i = clip(1 + (L_i - max L_i + 6) / 20, 0, 1), 0 where E_i <= Tq
    and in all bands while the peak of track i is below the faintest: what is left of E_i is only memory
    demand_j = X_j sum over p_i > p_j of (p_i - p_j) mu_i / (Xtot - X_i)
    of a track that always yields: X_j sum over i != j of mu_i / (Xtot - X_i)
    target_j = -min(max cut, 20 strength demand_j), 0 where E_j <= Tq and for a track that never yields

    Shapes    energy (25, T); peak (T); upward, downward (24); offset, quiet (25); importance, yielding, rank,
              order (T); excitation, masked (25, T) and sums (3, 25) scratch; target_db (T, 25)
    Units     mean squares; peak and faintest amplitudes; offset is a power ratio; strength 0 = none,
              1 = as designed; target in dB, <= 0
    State     order, any permutation at first
    Cost      O(25 T): from one track to the next less important the inner sum grows by the gap times the sum
              of all mu / (Xtot - X) so far. Every term is >= 0: nothing cancels, and equals add exactly 0
    Source    spreading and offset `dsp.bark`; MSR: Ronan, Ma, McNamara, Gunes & Reiss 2018, arXiv 1803.09960
    """
    bands, tracks = energy.shape
    total, inner, weight = sums[0], sums[1], sums[2]
    _spread(energy, upward, downward, excitation, masked[0])
    for b in range(bands):
        total[b] = 0.0
        for t in range(tracks):
            total[b] += excitation[b, t]
    _sort(importance, rank, order)
    lowest = rank[order[tracks - 1]]
    for t in range(tracks):
        if yielding[t] == ALWAYS:
            lowest = -1.0

    for t in range(tracks):
        # Nobody owes the least important tracks anything.
        if peak[t] <= faintest or rank[t] <= lowest:
            masked[:, t] = 0.0
            continue
        loudest = 0.0
        for b in range(bands):
            loudest = max(loudest, energy[b, t])
        for b in range(bands):
            own = energy[b, t]
            masked[b, t] = 0.0
            if own <= quiet[b] or own <= FAR * loudest:
                continue
            others = max(total[b] - excitation[b, t], ENERGY_FLOOR)
            ratio = offset[b] * others / own
            if ratio <= 1.0:
                continue
            mu = 1.0 if ratio >= FULLY_MASKED else math.log(ratio) * PER_NEPER
            if own < NEAR * loudest:
                mu *= 1.0 + math.log(own / loudest) * PER_NEPER + NEAR_DB / RANGE_DB
            masked[b, t] = mu / others

    for b in range(bands):
        inner[b] = 0.0
        weight[b] = 0.0
    above = rank[order[0]]
    for n in range(tracks):
        j = order[n]
        gap = max(above - rank[j], 0.0)
        above = rank[j]
        for b in range(bands):
            inner[b] += gap * weight[b]
            weight[b] += masked[b, j]
            cut_db = min(max_cut_db, RANGE_DB * strength * excitation[b, j] * inner[b])
            target_db[j, b] = -cut_db if energy[b, j] > quiet[b] else 0.0
    for j in range(tracks):
        if yielding[j] == NEVER:
            target_db[j, :] = ZERO
        elif yielding[j] == ALWAYS:
            for b in range(bands):
                demand = excitation[b, j] * max(weight[b] - masked[b, j], 0.0)
                cut_db = min(max_cut_db, RANGE_DB * strength * demand)
                target_db[j, b] = -cut_db if energy[b, j] > quiet[b] else 0.0


class Masking:
    """The demand on every track of a bank, from its band energies and the tracks' importances."""

    def __init__(self, tracks: int, spl_at_0dbfs: float = SPL_AT_0DBFS) -> None:
        # set once
        self._upward, self._downward = spreading_slopes()
        self._offset = 10.0 ** (-masking_offset_db() / 10.0)
        self._quiet = threshold_in_quiet_energy(spl_at_0dbfs)
        self._faintest = math.sqrt(self._quiet.min() / SINE_POWER)
        # render thread only
        self._excitation = np.zeros((BANDS, tracks))
        self._masked = np.zeros((BANDS, tracks))
        self._sums = np.zeros((3, BANDS))
        self._rank = np.zeros(tracks)
        self._order = np.arange(tracks)
        # shared
        self.importance = np.full(tracks, 0.5)
        """float64[T], 0..1; clipped, and what is no number counts as 0."""
        self.yielding = np.full(tracks, BY_IMPORTANCE)
        """float64[T]: `NEVER`, `BY_IMPORTANCE` or `ALWAYS`; anything else counts as by importance."""
        self.target_db = np.zeros((tracks, BANDS), np.float32)
        """float32[T, 25], dB, <= 0: the cut each track owes in each band."""

    def process(self, energy: Floats, peak: Samples, strength: float, max_cut_db: float) -> None:
        """Update `target_db` from float64[25, T] band energies.

        A track whose `peak`, float32[T], is below that of the faintest audible sine is not defended: it has
        ended, and only the memory of its energies decays.
        """
        demand_cuts(
            energy,
            peak,
            self._faintest,
            self._upward,
            self._downward,
            self._offset,
            self._quiet,
            self.importance,
            self.yielding,
            self._rank,
            self._order,
            strength,
            max_cut_db,
            self._excitation,
            self._masked,
            self._sums,
            self.target_db,
        )
