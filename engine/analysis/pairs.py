"""Who masks whom: for every pair of tracks a matrix over time and bands, and what it comes to.

After Zhao & Perez-Cota 2024, Signals 5(4), 633-641, doi 10.3390/signals5040035, whose abstract asks for masking
matrices of pairs over time and frequency and for the "temporal interchangeability between the masker and maskee". The
definitions and thresholds here are our own, not theirs. With E the energies of `BandEnergies`:

    X_j = S E_j                         excitation by track j
    M_ji = 10 log10(X_j 10^(-m/10) / E_i)   how far j's masked threshold lies above i; j masks i where it is > 0
    w_i = 1 + (L_i - max L_i) / 35      how much a cell (frame, band) of i matters: 0 where it is 35 dB below the
                                        track's loudest cell, or not above the threshold in quiet

The share of i that j masks is the sum of w_i where j masks i over the sum of w_i. Not modelled: masking before and
after a sound beyond the window's 43 ms, tonality, and that sounds from different directions mask each other less.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.bark import BANDS, masking_offset_db, spreading_matrix, threshold_in_quiet_energy
from dsp.stft import Energies

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]

ACTIVE_RANGE_DB = 35.0
"""Cells this far below a track's loudest one no longer matter."""

HIDDEN = 0.5
"""A frame counts as masked where at least this share of its weight is."""

BRIDGED_S = 0.1
"""Masked times with a shorter pause between them are one."""

Progress = Callable[[int, int], None]
"""Called as (pairs done, pairs in all)."""


@dataclass(frozen=True, eq=False)
class Masked:
    """What becomes of one track: the weighted `share` of it that is masked, 0 to 1.

    `excess_db` is the weighted mean of M over the masked cells, `band_share` float64[25] what each band adds to
    `share`, and `intervals_s` the times during which at least half of the track is masked, in seconds.
    """

    share: float
    excess_db: float
    band_share: Floats
    intervals_s: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Exchange:
    """How often two tracks swap roles: in some band one masked the other, and the next to be masked is the masker.

    `changes` counts every such moment of every band; they lie in so many `bands` and in the frames at `times_s`.
    """

    changes: int
    bands: int
    times_s: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Masking:
    """All pairs of T tracks.

    `pairs[j, i]` is i masked by j and `exchanges[i, j]`, i < j, their swaps; pairs without any are left out. `totals`
    is each track masked by all others together, `over_time` the share of that in every frame, float32[T, frames], NaN
    where the track is silent.
    """

    hop_s: float
    pairs: dict[tuple[int, int], Masked]
    exchanges: dict[tuple[int, int], Exchange]
    totals: tuple[Masked, ...]
    over_time: NDArray[np.float32]

    @property
    def matrix(self) -> Floats:
        """float64[T, T], the share of the track of the column that the track of the row masks."""
        shares = np.zeros((len(self.totals), len(self.totals)))
        for pair, masked in self.pairs.items():
            shares[pair] = masked.share
        return shares

    def worst(self, track: int, count: int) -> list[int]:
        """Return up to `count` tracks that mask `track`, the worst first."""
        shares = self.matrix[:, track]
        return [int(j) for j in np.argsort(-shares, kind="stable")[:count] if shares[j] > 0.0]


def masked_threshold(energy: NDArray[np.floating]) -> Floats:
    """Return the energies below which a track of `energy` [..., 25] masks others, float64 of the same shape."""
    spread = spreading_matrix() * 10.0 ** (-masking_offset_db()[:, None] / 10.0)
    return energy.astype(np.float64) @ spread.T


def weights(energy: Energies) -> Weights:
    """Return w, float32 `[tracks, frames, 25]`, 0 to 1: 0 where a track is not active."""
    matters = np.zeros(energy.shape, np.float32)
    quiet = threshold_in_quiet_energy()
    for track, matter in zip(energy.astype(np.float32, copy=False), matters, strict=True):
        audible = track > quiet
        if audible.any():
            level_db = 10.0 * np.log10(track[audible] / track.max())
            matter[audible] = np.maximum(1.0 + level_db / ACTIVE_RANGE_DB, 0.0)
    return matters


def analyse(energy: Energies, weight: Weights, hop_s: float, progress: Progress | None = None) -> Masking:
    """Return the masking among tracks of `energy`, every `weight`ed cell, analysis frames `hop_s` apart.

    Both float32 `[T, frames, 25]`. To compare a sound before and after unmasking, weigh both by `weights(before)`:
    what was to be heard stays the same.
    """
    tracks = len(energy)
    total = np.zeros(energy.shape[1:])
    for own in energy:
        total += own
    pairs: dict[tuple[int, int], Masked] = {}
    exchanges: dict[tuple[int, int], Exchange] = {}
    totals = []
    over_time = np.full(energy.shape[:2], np.nan, np.float32)
    done = 0
    for i in range(tracks):
        threshold = masked_threshold(energy[i])
        others = masked_threshold(np.maximum(total - energy[i], 0.0))
        hidden = _excess_db(others, energy[i], weight[i])
        totals.append(_masked(hidden, weight[i], hop_s))
        over_time[i] = _frame_shares(hidden, weight[i])
        for j in range(i + 1, tracks):
            to_i = _excess_db(masked_threshold(energy[j]), energy[i], weight[i])
            to_j = _excess_db(threshold, energy[j], weight[j])
            for pair, excess_db in (((j, i), to_i), ((i, j), to_j)):
                if (excess_db > 0.0).any():
                    pairs[pair] = _masked(excess_db, weight[pair[1]], hop_s)
            exchange = _exchange(to_i, to_j, hop_s)
            if exchange.changes:
                exchanges[i, j] = exchange
            done += 1
            if progress:
                progress(done, tracks * (tracks - 1) // 2)
    return Masking(hop_s, pairs, exchanges, tuple(totals), over_time)


def pair_map(energy: Energies, weight: Weights, masker: int, maskee: int) -> Floats:
    """Return float64 `[frames, 25]` in dB: above 0 where `masker` masks `maskee`, below 0 where the reverse holds.

    NaN where neither is active; 0 where one is and neither is masked. Where each masks the other, the greater excess.
    """
    there = _excess_db(masked_threshold(energy[masker]), energy[maskee], weight[maskee])
    back = _excess_db(masked_threshold(energy[maskee]), energy[masker], weight[masker])
    signed = np.where(there >= back, there, -back)
    signed[np.maximum(there, back) <= 0.0] = 0.0
    signed[(weight[masker] == 0.0) & (weight[maskee] == 0.0)] = np.nan
    return signed


def main_bands(band_share: Sequence[float] | Floats) -> list[tuple[int, int]]:
    """Return the runs (first, last + 1) of bands that each hold at least half as much as the fullest."""
    share = np.asarray(band_share)
    full = share >= 0.5 * share.max() if share.max() > 0.0 else np.zeros(BANDS, bool)
    return _runs(full)


def weighted_share(masking: Masking, importance: Sequence[float]) -> float:
    """Return the share that is masked over all tracks that sound, weighted by importance; NaN if nothing counts."""
    heard = ~np.isnan(masking.over_time).all(axis=1)
    by = np.where(heard, np.asarray(importance, np.float64), 0.0)
    shares = np.array([m.share for m in masking.totals])
    return float(by @ shares / by.sum()) if by.sum() > 0.0 else float("nan")


def _excess_db(threshold: Floats, energy: NDArray[np.float32], weight: NDArray[np.float32]) -> Floats:
    """Return M, float64 `[frames, 25]`, where it is positive and the maskee active; -inf elsewhere."""
    excess_db = np.full(threshold.shape, -np.inf)
    masked = (weight > 0.0) & (threshold > energy)
    excess_db[masked] = 10.0 * np.log10(threshold[masked] / energy[masked])
    return excess_db


def _masked(excess_db: Floats, weight: Weights, hop_s: float) -> Masked:
    whole = weight.sum(dtype=np.float64)
    if whole == 0.0:
        return Masked(0.0, 0.0, np.zeros(BANDS), ())
    hidden = np.where(excess_db > 0.0, weight, 0.0).astype(np.float64)
    area = hidden.sum()
    mean_db = hidden[hidden > 0.0] @ excess_db[hidden > 0.0] / area if area else 0.0
    frames = hidden.sum(axis=1)
    times = (frames > 0.0) & (frames >= HIDDEN * weight.sum(axis=1))
    return Masked(float(area / whole), float(mean_db), hidden.sum(axis=0) / whole, _intervals(times, hop_s))


def _frame_shares(excess_db: Floats, weight: Weights) -> NDArray[np.float32]:
    whole = weight.sum(axis=1)
    hidden = np.where(excess_db > 0.0, weight, 0.0).sum(axis=1)
    return np.where(whole > 0.0, hidden / np.where(whole > 0.0, whole, 1.0), np.nan).astype(np.float32)


def _exchange(to_i: Floats, to_j: Floats, hop_s: float) -> Exchange:
    """Count where, band by band, the sign of the last masking before a frame is not that of the frame."""
    role = np.where(to_i > to_j, 1, -1).astype(np.int8)
    role[(to_i <= 0.0) & (to_j <= 0.0)] = 0
    frame = np.where(role != 0, np.arange(len(role))[:, None], 0)
    last = np.take_along_axis(role, np.maximum.accumulate(frame, axis=0), axis=0)
    swaps = role[1:] * last[:-1] < 0
    times = np.flatnonzero(swaps.any(axis=1)) + 1
    seconds = tuple(round(float(t) * hop_s, 3) for t in times)
    return Exchange(int(swaps.sum()), int(swaps.any(axis=0).sum()), seconds)


def _intervals(times: NDArray[np.bool_], hop_s: float) -> tuple[tuple[float, float], ...]:
    """Return the runs of true frames in seconds, half a hop to both sides of their centres, short gaps closed."""
    spans: list[tuple[float, float]] = []
    for first, end in _runs(times):
        begin_s = max(0.0, (first - 0.5) * hop_s)
        end_s = min((end - 0.5) * hop_s, (len(times) - 1) * hop_s)
        if spans and begin_s - spans[-1][1] < BRIDGED_S:
            begin_s = spans.pop()[0]
        spans.append((begin_s, end_s))
    return tuple((round(a, 3), round(b, 3)) for a, b in spans)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, last + 1) of every run of true values."""
    steps = np.diff(np.concatenate(([False], flags, [False])).astype(np.int8))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))
