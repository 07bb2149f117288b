"""How much each track must give way, per band, so that more important tracks are heard."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import (
    BANDS,
    SINE_POWER,
    SPL_AT_0DBFS,
    UPWARD_DB_PER_BARK,
    masking_offset_db,
    spreading_slopes,
    threshold_in_quiet_energy,
)
from dsp.bell_fit import GREED
from dsp.jit import device, kernel

Floats = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

HOPELESS_DB = 20.0
"""Masker-to-signal ratio from which on a cut of a few dB uncovers nothing."""
CLEAR_DB = -18.0
"""Masker-to-signal ratio below which a track stands out clearly, and gains nothing from a cut."""
EDGE_DB = 6.0
"""How wide the two edges of that range are."""
NEAR_DB, FADE_DB = 6.0, 20.0
"""Bands within 6 dB of the track's strongest band matter fully; 20 dB further down they no longer matter."""
ASKED_DB = 60.0
"""The cut that a demand of 1 asks for."""
EQUALS = 0.02
"""What is added to the square of every gap of importances, so that a track also yields, a little, to its equals."""
OWN_NEED = 0.75
"""How much a track's own need counts, times the cube of its importance, against what others ask of it."""
ENERGY_FLOOR = 1e-16
NEVER, BY_IMPORTANCE, ALWAYS = 0.0, 1.0, 2.0
"""Whether a track yields: to nobody; to the more important, by the gap; or to everybody, as if the gap were 1."""

ZERO = np.float32(0.0)
MANTISSA = 0x000FFFFFFFFFFFFF
LN_2 = math.log(2.0)
ROOT_2 = math.sqrt(2.0)
PER_DB = math.log(10.0) / 10.0


@device
def _logarithms(values: Floats, bits: Ints, result: Floats) -> None:
    """Fill `result` with the natural logarithms of positive, normal `values`; `bits` is a view of them.

    2 artanh((m - 1) / (m + 1)) to the 13th power, m in sqrt(1/2) .. sqrt(2): 2e-12, and, unlike the library's
    logarithm, eight at once.
    """
    for t in range(values.shape[0]):
        word = bits[t]
        exponent = (word >> 52) - 1023
        m = (word & MANTISSA) * 2.0**-52 + 1.0
        high = 1.0 if m > ROOT_2 else 0.0
        m = m * (1.0 - 0.5 * high)
        s = (m - 1.0) / (m + 1.0)
        q = s * s
        series = q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q / 13)))))
        result[t] = (exponent + high) * LN_2 + 2.0 * s * (1.0 + series)


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


@device
def _needs(
    energy: Floats,
    peak: Samples,
    faintest: float,
    offset: Floats,
    quiet: Floats,
    total: Floats,
    excitation: Floats,
    level: Floats,
    others: Floats,
    sums: Floats,
    need: Floats,
) -> None:
    """Fill `need` (25, T) with n of `demand_cuts`, `others` with Xtot - X, the energy of all other tracks."""
    bands, tracks = energy.shape
    loudest, sum_of_weights = sums[0], sums[1]
    for t in range(tracks):
        loudest[t] = -1e9
        sum_of_weights[t] = 1e-9
    for b in range(bands):
        _logarithms(energy[b], energy[b].view(np.int64), level[b])
        for t in range(tracks):
            loudest[t] = max(loudest[t], level[b, t])
    for b in range(bands):
        for t in range(tracks):
            others[b, t] = max(total[b] - excitation[b, t], ENERGY_FLOOR)
        _logarithms(others[b], others[b].view(np.int64), need[b])
        log_offset, log_quiet = math.log(offset[b]), math.log(quiet[b])
        for t in range(tracks):
            own = level[b, t]
            matters = 1.0 + (own - loudest[t] + NEAR_DB * PER_DB) / (FADE_DB * PER_DB)
            w = min(1.0, max(0.0, matters))
            w = w if own > log_quiet and peak[t] > faintest else 0.0
            sum_of_weights[t] += w
            mask = log_offset + need[b, t]
            msr_db = (mask - own) / PER_DB
            rise = min(1.0, max(0.0, (msr_db - CLEAR_DB) / EDGE_DB + 0.5))
            fall = min(1.0, max(0.0, (HOPELESS_DB - msr_db) / EDGE_DB + 0.5))
            need[b, t] = w * rise * fall if mask > log_quiet else 0.0
    for b in range(bands):
        for t in range(tracks):
            need[b, t] *= bands / sum_of_weights[t]


@kernel(
    "void(float64[:, ::1], float32[::1], float64, float64[::1], float64[::1], float64[::1], float64[::1],"
    " float64[::1], float64[::1], float64[::1], int64[::1], float64, float64, float64, float64,"
    " float64[:, :, ::1], float64[:, ::1], float32[:, ::1])"
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
    equals_share: float,
    own_need: float,
    strength: float,
    max_cut_db: float,
    spectra: Floats,
    sums: Floats,
    target_db: Samples,
) -> None:
    """Turn band energies into the cut each track owes the others.

    X = S E;  MSR_i = 10 log10(10^(-m/10) (Xtot - X_i) / E_i)
    w_i = clip(1 + (L_i - max L_i + 6) / 20, 0, 1), 0 where E_i <= Tq, and in all bands while the peak of track i is
    below the faintest: what is left of E_i is only memory
    n_i = w_i / mean(w_i) where -18 < MSR_i < 20 and the mask of the others reaches Tq, with edges 6 dB wide: the bands
    in which less of the others uncovers more of track i, no matter how many bands it has
    demand_j = X_j sum over p_i >= p_j, i != j of ((p_i - p_j)^2 + 0.02) n_i / (Xtot - X_i)  -  0.75 p_j^3 n_j
    of a track that always yields: X_j sum over i != j of n_i / (Xtot - X_i)
    target_j = -min(10/6 max cut, 60 strength demand_j), 0 where that is positive, where E_j <= Tq and for a track
    that never yields

    Shapes    energy (25, T); peak (T); upward, downward (24); offset, quiet (25); importance, yielding, rank,
              order (T); spectra (4, 25, T) and sums (6, max(25, T)) scratch; target_db (T, 25)
    Units     mean squares; peak and faintest amplitudes; offset is a power ratio; equals_share and own_need are
              the 0.02 and the 0.75; strength 0 = none, 1 = as designed; target in dB, <= 0
    State     order, any permutation at first
    Cost      O(25 T): from one importance to the next lower one, g below, the sum A of all n / (Xtot - X) so far
              gives the sum with gaps, G += g A, and with their squares, Q += 2 g G + g^2 A. A track's own part is
              taken out of the sum of its equals only, where it is at most of the order of 1 / X_j: no more than 1e-14
              of a demand is lost
    Source    spreading and offset `dsp.bark`; MSR: Ronan, Ma, McNamara, Gunes & Reiss 2018, arXiv 1803.09960
    """
    bands, tracks = energy.shape
    excitation, level, others, need = spectra[0], spectra[1], spectra[2], spectra[3]
    total, above, equals, by_gap, by_square = sums[0], sums[1], sums[3], sums[4], sums[5]
    _spread(energy, upward, downward, excitation, sums[4])
    for b in range(bands):
        total[b] = 0.0
        for t in range(tracks):
            total[b] += excitation[b, t]
    _needs(energy, peak, faintest, offset, quiet, total, excitation, level, others, sums[3:5], need)
    for b in range(bands):
        for t in range(tracks):
            others[b, t] = need[b, t] / others[b, t]  # from here on: n / (Xtot - X)
    _sort(importance, rank, order)

    most_asked_db = GREED * max_cut_db
    for b in range(bands):
        above[b] = 0.0
        by_gap[b] = 0.0
        by_square[b] = 0.0
    last = rank[order[0]]
    first = 0
    while first < tracks:
        p = rank[order[first]]
        behind = first
        for b in range(bands):
            equals[b] = 0.0
        while behind < tracks and rank[order[behind]] == p:
            for b in range(bands):
                equals[b] += others[b, order[behind]]
            behind += 1
        gap = last - p
        for b in range(bands):
            by_square[b] += 2.0 * gap * by_gap[b] + gap * gap * above[b]
            by_gap[b] += gap * above[b]
        for n in range(first, behind):
            j = order[n]
            for b in range(bands):
                asked = by_square[b] + equals_share * (above[b] + max(equals[b] - others[b, j], 0.0))
                demand = excitation[b, j] * asked - own_need * p * p * p * need[b, j]
                cut_db = min(most_asked_db, max(0.0, ASKED_DB * strength * demand))
                target_db[j, b] = -cut_db if energy[b, j] > quiet[b] else 0.0
        for b in range(bands):
            above[b] += equals[b]
        last = p
        first = behind
    for j in range(tracks):
        if yielding[j] == NEVER:
            target_db[j, :] = ZERO
        elif yielding[j] == ALWAYS:
            for b in range(bands):
                demand = excitation[b, j] * max(above[b] - others[b, j], 0.0)
                cut_db = min(most_asked_db, ASKED_DB * strength * demand)
                target_db[j, b] = -cut_db if energy[b, j] > quiet[b] else 0.0


@kernel("void(int64[::1], float32[:, ::1], float32[:, ::1])")
def take_rows(mapping: Ints, old: Samples, new: Samples) -> None:
    """Fill row i of `new` (T, 25) with row mapping[i] of `old`, or with 0 where that is -1."""
    for t in range(mapping.shape[0]):
        s, row = mapping[t], new[t]
        for b in range(row.shape[0]):
            row[b] = old[s, b] if s >= 0 else ZERO


class Masking:
    """The demand on every track of a bank, from its band energies and the tracks' importances.

    `upward_db_per_bark` is how steeply masking falls towards higher bands.
    """

    def __init__(
        self,
        tracks: int,
        *,
        spl_at_0dbfs: float = SPL_AT_0DBFS,
        upward_db_per_bark: float = UPWARD_DB_PER_BARK,
        equals: float = EQUALS,
        own_need: float = OWN_NEED,
    ) -> None:
        # set once
        self._upward, self._downward = spreading_slopes(upward_db_per_bark)
        self._equals, self._own_need = equals, own_need
        self._offset = 10.0 ** (-masking_offset_db() / 10.0)
        self._quiet = threshold_in_quiet_energy(spl_at_0dbfs)
        self._faintest = math.sqrt(self._quiet.min() / SINE_POWER)
        # render thread only
        self._spectra = np.zeros((4, BANDS, tracks))
        self._sums = np.zeros((6, max(BANDS, tracks)))
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
            self._equals,
            self._own_need,
            strength,
            max_cut_db,
            self._spectra,
            self._sums,
            self.target_db,
        )

    def reset(self) -> None:
        """Ask for no cuts."""
        self.target_db.fill(0.0)

    def reset_tracks(self, bad: Flags) -> None:
        """Ask for no cuts of the tracks marked in bool[T]."""
        np.copyto(self.target_db, 0.0, where=bad[:, None])

    def adopt(self, old: "Masking", mapping: Ints) -> None:
        """Ask of track i what was asked of old track mapping[i], of -1 nothing; importances are not taken over."""
        take_rows(mapping, old.target_db, self.target_db)
