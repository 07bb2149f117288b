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
from dsp.memory import aligned
from dsp.vectors import WIDTH, Vector, larger, load, splat, store, within

Floats = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.int32]
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
NEVER, BY_IMPORTANCE, ALWAYS = 0.0, 1.0, 2.0
"""Whether a track yields: to nobody; to the more important, by the gap; or to everybody, as if the gap were 1."""
LINE = 16
ROW = 32
"""The bands of a track in a row: 25, and nothing behind them, so that a row is whole vectors."""

# In single precision a number written as such would be a double one, and double all that it meets.
F = np.float32
ZERO, HALF, ONE, TWO = F(0.0), F(0.5), F(1.0), F(2.0)
THIRD, FIFTH, SEVENTH = F(1 / 3), F(1 / 5), F(1 / 7)
ENERGY_FLOOR = F(1e-16)
MANTISSA, EXPONENT_BITS, EXPONENT_BIAS = np.int32(0x007FFFFF), np.int32(23), np.int32(127)
STEP = F(2.0**-23)
LN_2, ROOT_2 = F(math.log(2.0)), F(math.sqrt(2.0))
DB, FADE = F(10.0 / math.log(10.0)), F(10.0 / math.log(10.0) / FADE_DB)
NEAR = F(1.0 + NEAR_DB / FADE_DB)
EDGE = F(1.0 / EDGE_DB)
RISE, FALL = F(HALF - CLEAR_DB / EDGE_DB), F(HALF + HOPELESS_DB / EDGE_DB)
NOTHING, FAINT = F(1e-9), F(-1e9)
ASKED = F(ASKED_DB)


@device
def _logarithms(values: Samples, bits: Words, result: Samples) -> None:
    """Fill `result` with the natural logarithms of positive, normal `values`; `bits` is a view of them.

    2 artanh((m - 1) / (m + 1)) to the 7th power, m in sqrt(1/2) .. sqrt(2): 1e-7 of the result or of 1, and, unlike
    the library's logarithm, as many at once as a vector holds.
    """
    for t in range(values.shape[0]):
        word = bits[t]
        exponent = F((word >> EXPONENT_BITS) - EXPONENT_BIAS)
        m = F(word & MANTISSA) * STEP + ONE
        high = ONE if m > ROOT_2 else ZERO
        m = m * (ONE - HALF * high)
        s = (m - ONE) / (m + ONE)
        q = s * s
        result[t] = (exponent + high) * LN_2 + TWO * s * (ONE + q * (THIRD + q * (FIFTH + q * SEVENTH)))


@device
def _spread(
    energy: Samples, upward: Samples, downward: Samples, excitation: Samples, from_above: Samples
) -> None:
    """Fill `excitation` (25, T) with S energy, S of `dsp.bark.spreading_matrix`, band by band."""
    bands, tracks = energy.shape
    for t in range(tracks):
        excitation[0, t] = energy[0, t]
        from_above[t] = ZERO
    for b in range(1, bands):
        row, below, own, slope = excitation[b], excitation[b - 1], energy[b], upward[b - 1]
        for t in range(tracks):
            row[t] = own[t] + slope * below[t]
    for b in range(bands - 2, -1, -1):
        row, above, slope = excitation[b], energy[b + 1], downward[b]
        for t in range(tracks):
            from_above[t] = slope * (above[t] + from_above[t])
            row[t] += from_above[t]


@device
def _sum(row: Samples) -> float:
    """Return the sum of a row in double precision, in four parts, of every fourth value each."""
    p, q, r, s = 0.0, 0.0, 0.0, 0.0
    whole = row.shape[0] // 4 * 4
    for t in range(0, whole, 4):
        p, q, r, s = p + row[t], q + row[t + 1], r + row[t + 2], s + row[t + 3]
    for t in range(whole, row.shape[0]):
        p += row[t]
    return (p + q) + (r + s)


@device
def _sort(importance: Floats, rank: Samples, order: Ints) -> None:
    """Fill `rank` with the importances, made numbers of 0 to 1, and put `order` in that of falling ranks.

    It is an insertion sort, which takes T steps as long as nothing has changed. Equals are in order of number, so
    that the result does not depend on what was before.
    """
    for t in range(rank.shape[0]):
        p = importance[t]
        rank[t] = F(min(p, 1.0) if p > 0.0 else 0.0)
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
    energy: Samples,
    peak: Samples,
    faintest: np.float32,
    offset: Samples,
    quiet: Samples,
    excitation: Samples,
    level: Samples,
    others: Samples,
    loudest: Samples,
    sum_of_weights: Samples,
    need: Samples,
) -> None:
    """Fill `need` (25, T) with n of `demand_cuts`, `others` with Xtot - X, the energy of all other tracks."""
    bands, tracks = energy.shape
    for t in range(tracks):
        loudest[t] = FAINT
        sum_of_weights[t] = NOTHING
    for b in range(bands):
        _logarithms(energy[b], energy[b].view(np.int32), level[b])
        own = level[b]
        for t in range(tracks):
            loudest[t] = max(loudest[t], own[t])
    for t in range(tracks):
        # A track that is hardly there defends no band: none reaches so far up.
        loudest[t] = loudest[t] if peak[t] > faintest else -FAINT
    for b in range(bands):
        total, row, rest = _sum(excitation[b]), excitation[b], others[b]
        for t in range(tracks):
            rest[t] = max(F(total - row[t]), ENERGY_FLOOR)
        _logarithms(rest, rest.view(np.int32), need[b])
        log_offset, log_quiet = F(math.log(offset[b])), F(math.log(quiet[b]))
        own, mine = level[b], need[b]
        for t in range(tracks):
            w = min(ONE, max(ZERO, NEAR + FADE * (own[t] - loudest[t])))
            w = w if own[t] > log_quiet else ZERO
            sum_of_weights[t] += w
            mask = log_offset + mine[t]
            msr_db = DB * (mask - own[t])
            rise = min(ONE, max(ZERO, RISE + EDGE * msr_db))
            fall = min(ONE, max(ZERO, FALL - EDGE * msr_db))
            mine[t] = w * rise * fall if mask > log_quiet else ZERO
    for t in range(tracks):
        sum_of_weights[t] = F(bands) / sum_of_weights[t]
    for b in range(bands):
        mine = need[b]
        for t in range(tracks):
            mine[t] *= sum_of_weights[t]


@device
def _turn(columns: Samples, rows: Samples) -> None:
    """Write `columns` (25, T) into `rows` (T, ROW), a line of the cache of each column at a time."""
    bands, tracks = columns.shape
    for first in range(0, tracks, LINE):
        last = min(first + LINE, tracks)
        for b in range(bands):
            column = columns[b]
            for t in range(first, last):
                rows[t, b] = column[t]


@device
def _ask(strength: Vector, most: Vector, demand: Vector, row: Samples, at: int) -> None:
    """Write the cut for a demand, as a number below 0."""
    nothing = splat(ZERO)
    cut = larger(splat(ASKED) * strength * demand, nothing)
    store(row, at, nothing - within(cut, most, cut, most))


@kernel(
    "void(float32[:, ::1], float32[::1], float64, float32[::1], float32[::1], float32[::1], float32[::1],"
    " float64[::1], float64[::1], float32[::1], int64[::1], float64, float64, float64, float64,"
    " float32[:, :, ::1], float32[:, ::1], float32[:, :, ::1], float32[:, ::1], float32[:, ::1])"
)
def demand_cuts(
    energy: Samples,
    peak: Samples,
    faintest: float,
    upward: Samples,
    downward: Samples,
    offset: Samples,
    quiet: Samples,
    importance: Floats,
    yielding: Floats,
    rank: Samples,
    order: Ints,
    equals_share: float,
    own_need: float,
    strength: float,
    max_cut_db: float,
    spectra: Samples,
    sums: Samples,
    rows: Samples,
    totals: Samples,
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

    Shapes    energy (25, T), at least 1e-37; peak (T); upward, downward (24); offset, quiet (25); importance,
              yielding, rank, order (T); spectra (4, 25, T), sums (3, T), rows (3, T, ROW) and totals (5, ROW) scratch,
              rows 0 behind 25; target_db (T, 25)
    Units     mean squares; peak and faintest amplitudes; offset is a power ratio; equals_share and own_need are
              the 0.02 and the 0.75; strength 0 = none, 1 = as designed; target in dB, <= 0
    State     order, any permutation at first
    Cost      O(25 T): from one importance to the next lower one, g below, the sum A of all n / (Xtot - X) so far
              gives the sum with gaps, G += g A, and with their squares, Q += 2 g G + g^2 A. Up to there track beside
              track, from there band beside band, in the order of importance
    Precision single but for Xtot and Xtot - X, where nearly all may cancel: 1e-4 of a demand
    Source    spreading and offset `dsp.bark`; MSR: Ronan, Ma, McNamara, Gunes & Reiss 2018, arXiv 1803.09960
    """
    bands, tracks = energy.shape
    excitation, level, others, need = spectra[0], spectra[1], spectra[2], spectra[3]
    _spread(energy, upward, downward, excitation, sums[0])
    _needs(
        energy, peak, F(faintest), offset, quiet, excitation, level, others, sums[0], sums[1], need,
    )  # fmt: skip
    _sort(importance, rank, order)
    spared = sums[2]
    for t in range(tracks):
        spared[t] = F(own_need) * rank[t] * rank[t] * rank[t]
    for b in range(bands):
        weight, mine, own, row, faint = others[b], need[b], energy[b], excitation[b], quiet[b]
        for t in range(tracks):
            weight[t] = mine[t] / weight[t]  # from here on: n / (Xtot - X)
            mine[t] *= spared[t]
            row[t] = row[t] if own[t] > faint else ZERO
    caused, wanted, held = rows[0], rows[1], rows[2]
    _turn(excitation, caused)
    _turn(others, wanted)
    _turn(need, held)

    share, force, most = splat(F(equals_share)), splat(F(strength)), splat(F(GREED * max_cut_db))
    above, equals, by_gap, by_square, owed = totals[0], totals[1], totals[2], totals[3], totals[4]
    totals[:] = ZERO
    nothing = splat(ZERO)
    last, first = rank[order[0]], 0
    while first < tracks:
        p, behind = rank[order[first]], first
        for at in range(0, ROW, WIDTH):
            store(equals, at, nothing)
        while behind < tracks and rank[order[behind]] == p:
            row = wanted[order[behind]]
            for at in range(0, ROW, WIDTH):
                store(equals, at, load(equals, at) + load(row, at))
            behind += 1
        gap = splat(last - p)
        for at in range(0, ROW, WIDTH):
            one, all_above = load(by_gap, at), load(above, at)
            store(by_square, at, load(by_square, at) + (gap * (one + one) + gap * gap * all_above))
            store(by_gap, at, one + gap * all_above)
        for n in range(first, behind):
            j = order[n]
            for at in range(0, ROW, WIDTH):
                rest = larger(load(equals, at) - load(wanted[j], at), nothing)
                asked = load(by_square, at) + share * (load(above, at) + rest)
                _ask(force, most, load(caused[j], at) * asked - load(held[j], at), owed, at)
            for b in range(bands):
                target_db[j, b] = owed[b]
        for at in range(0, ROW, WIDTH):
            store(above, at, load(above, at) + load(equals, at))
        last, first = p, behind
    for j in range(tracks):
        if yielding[j] == NEVER:
            target_db[j, :] = ZERO
        elif yielding[j] == ALWAYS:
            for at in range(0, ROW, WIDTH):
                rest = larger(load(above, at) - load(wanted[j], at), nothing)
                _ask(force, most, load(caused[j], at) * rest, owed, at)
            for b in range(bands):
                target_db[j, b] = owed[b]


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
        upward, downward = spreading_slopes(upward_db_per_bark)
        self._upward, self._downward = upward.astype(np.float32), downward.astype(np.float32)
        self._equals, self._own_need = equals, own_need
        quiet = threshold_in_quiet_energy(spl_at_0dbfs)
        self._offset = (10.0 ** (-masking_offset_db() / 10.0)).astype(np.float32)
        self._quiet = quiet.astype(np.float32)
        self._faintest = math.sqrt(quiet.min() / SINE_POWER)
        # render thread only
        self._spectra = aligned((4, BANDS, tracks))
        self._sums = aligned((3, tracks))
        self._rows = aligned((3, tracks, ROW))
        self._totals = aligned((5, ROW))
        self._rank = np.zeros(tracks, np.float32)
        self._order = np.arange(tracks)
        # shared
        self.importance = np.full(tracks, 0.5)
        """float64[T], 0..1; clipped, and what is no number counts as 0."""
        self.yielding = np.full(tracks, BY_IMPORTANCE)
        """float64[T]: `NEVER`, `BY_IMPORTANCE` or `ALWAYS`; anything else counts as by importance."""
        self.target_db = np.zeros((tracks, BANDS), np.float32)
        """float32[T, 25], dB, <= 0: the cut each track owes in each band."""

    def process(self, energy: Samples, peak: Samples, strength: float, max_cut_db: float) -> None:
        """Update `target_db` from float32[25, T] band energies, each at least 1e-37.

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
            self._rows,
            self._totals,
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
