"""How well the tracks of a scene are heard beside each other, and what it cost them: before and after processing.

The judge is the ear of PEAQ (`benchmarks.peaq_ear`), which the unmasking knows nothing of. Track i is masked in a
frame and band by MSR = 10 log10(mask of all others / own energy); bands count by

    w = clip(1 + (L - max L + 6) / 20, 0, 1),  L = own level, 0 where it lies below the ear's internal noise

taken from the track before processing, over the frames within 35 dB of its loudest, so that what counts is the
same on both sides and no track gains by being turned down. All of it is *objective* masking: nobody listened.

    M = mean w clip(MSR / 20, 0, 1) / mean w        how deep the track is buried, 0 to 1
    A = mean w clip(-MSR, 0, 15) / 15 / mean w      how far it stands out, 0 to 1
    F = mean w (MSR > 0) / mean w                   how much of it is hidden altogether, 0 to 1

Source    MSR: Ronan, Ma, McNamara, Gunes & Reiss 2018, arXiv 1803.09960; ratio M_after / M_before: Hafezi & Reiss
          2015, JAES 63(5)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks import peaq_ear
from benchmarks.level import GatedLoudness

Floats = NDArray[np.float64]
Tracks = NDArray[np.floating]

ACTIVE_RANGE_DB = 35.0
"""A track is active in frames within this of its loudest."""
NEAR_DB, RANGE_DB = 6.0, 20.0
"""Bands within `NEAR_DB` of the loudest count fully, those `RANGE_DB` further down no longer."""
FULLY_AUDIBLE_DB = 15.0
IMPORTANT = 0.6
"""From this importance on a track counts as important."""
HIGHEST_SI_SDR_DB = 60.0
"""Anything nearer to the original reads this."""


@dataclass(frozen=True, slots=True)
class Masking:
    """M, A and F of one track, each 0 to 1."""

    buried: float
    audible: float
    fully_masked: float


@dataclass(frozen=True, slots=True)
class TrackScore:
    """One track before and after; `lost_lu` is positive where it became quieter."""

    importance: float
    before: Masking
    after: Masking
    lost_lu: float
    si_sdr_db: float


@dataclass(frozen=True, slots=True)
class SceneScore:
    """All tracks of a scene that sound."""

    tracks: tuple[TrackScore, ...]

    @property
    def weighted_ratio(self) -> float:
        """M after over M before, each summed over the tracks by importance."""
        return _ratio(
            sum(t.importance * t.after.buried for t in self.tracks),
            sum(t.importance * t.before.buried for t in self.tracks),
        )

    @property
    def important_ratio(self) -> float:
        """Mean M of the important tracks after, over that before."""
        return _ratio(
            sum(t.after.buried for t in self.important), sum(t.before.buried for t in self.important)
        )

    @property
    def important(self) -> tuple[TrackScore, ...]:
        """The tracks of importance 0.6 and more."""
        return tuple(t for t in self.tracks if t.importance >= IMPORTANT)

    @property
    def others(self) -> tuple[TrackScore, ...]:
        """The tracks below."""
        return tuple(t for t in self.tracks if t.importance < IMPORTANT)

    def figures(self) -> dict[str, float]:
        """Return the figures of the scene: ratios, shares (0 to 1) of important tracks, LU, dB."""
        audible_before = _mean([t.before.audible for t in self.important])
        audible_after = _mean([t.after.audible for t in self.important])
        return {
            "weighted_ratio": self.weighted_ratio,
            "important_ratio": self.important_ratio,
            "audible_before": audible_before,
            "audible_after": audible_after,
            "audible_gain": _ratio(audible_after, audible_before) - 1.0,
            "fully_masked_before": _mean([t.before.fully_masked for t in self.important]),
            "fully_masked_after": _mean([t.after.fully_masked for t in self.important]),
            "important_lost_lu": _mean([t.lost_lu for t in self.important]),
            "others_lost_lu": _mean([t.lost_lu for t in self.others]),
            "si_sdr_db": _mean([t.si_sdr_db for t in self.tracks]),
        }


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _ratio(after: float, before: float) -> float:
    """Return after / before; where nothing was masked before it is 1, or infinite if something is now."""
    if before <= 0.0:
        return 1.0 if after <= 0.0 else float("inf")
    return float(after / before)


def si_sdr_db(before: NDArray[np.floating], after: NDArray[np.floating]) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB, at most 60; a plain fader has 60.

    Source    Le Roux, Wisdom, Erdogan & Hershey 2019, ICASSP
    """
    x, y = np.asarray(before, np.float64), np.asarray(after, np.float64)
    power = float(x @ x)
    if power == 0.0:
        return HIGHEST_SI_SDR_DB
    projected = float(x @ y) / power * x
    kept, lost = float(projected @ projected), float(np.sum((projected - y) ** 2))
    if lost <= kept * 10.0 ** (-HIGHEST_SI_SDR_DB / 10.0):
        return HIGHEST_SI_SDR_DB
    return 10.0 * float(np.log10(max(kept, 1e-30) / lost))


class Judge:
    """The listener of one scene, who knows the tracks as they were: mono, after the fader, before panning.

    tracks        float [tracks, frames] at 48 kHz
    importances   0 to 1, one each

    A track without any sound is left out of all scores.
    """

    def __init__(self, tracks: Tracks, importances: ArrayLike) -> None:
        self._tracks = np.asarray(tracks)
        self._importances = np.asarray(importances, np.float64)
        if self._importances.shape != self._tracks.shape[:1]:
            raise ValueError(f"{self._importances.shape} importances for {len(self._tracks)} tracks")
        self._sounding = [t for t, track in enumerate(self._tracks) if np.any(track)]
        self.active = np.array([active_frames(track) for track in self._tracks])
        """bool[tracks, ear frames]: where each track counts."""
        self._loudness = [GatedLoudness(track, peaq_ear.RATE_HZ) for track in self._tracks]
        self._weights: dict[int, Floats] = {}
        self._before = self._listen(self._tracks)

    def _listen(self, tracks: Tracks) -> dict[int, Masking]:
        """Return M, A and F of every sounding track of a mix."""
        mix = peaq_ear.spectra(np.sum(tracks, axis=0, dtype=np.float64))
        heard = {}
        for t in self._sounding:
            frames = self.active[t]
            alone = peaq_ear.spectra(tracks[t])
            own = peaq_ear.group(alone)
            # Forward masking reaches into active frames from those before, so the mask takes all of them.
            mask = peaq_ear.mask_patterns(peaq_ear.group(mix - alone))
            if t not in self._weights:
                self._weights[t] = band_weights(own[frames])
            msr_db = 10.0 * np.log10(mask[frames] / own[frames])
            heard[t] = _masking(msr_db, self._weights[t])
        return heard

    @property
    def before(self) -> dict[int, Masking]:
        """M, A and F of every track that sounds, as it was, by number."""
        return dict(self._before)

    def lost_lu(self, track: int, after: NDArray[np.floating]) -> float:
        """Return by how much the track has become quieter than it was, in LU."""
        return self._loudness[track].lost_lu(after)

    def score(self, after: Tracks) -> SceneScore:
        """Score the same tracks after processing."""
        if after.shape != self._tracks.shape:
            raise ValueError(f"{after.shape} does not fit {self._tracks.shape}")
        heard = self._listen(after)
        return SceneScore(
            tuple(
                TrackScore(
                    float(self._importances[t]),
                    self._before[t],
                    heard[t],
                    self.lost_lu(t, after[t]),
                    si_sdr_db(self._tracks[t], after[t]),
                )
                for t in self._sounding
            )
        )


def active_frames(track: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return for each frame of the ear whether the track is within 35 dB of its loudest frame there."""
    energy = np.square(peaq_ear.framed(track)).mean(axis=1)
    return np.asarray((energy > 0.0) & (energy >= energy.max() * 10.0 ** (-ACTIVE_RANGE_DB / 10.0)))


def band_weights(own: Floats) -> Floats:
    """Return w, float64[frames, 109], of pitch patterns."""
    level_db = 10.0 * np.log10(own)
    below_top_db = level_db - level_db.max(axis=1, keepdims=True)
    w = np.clip(1.0 + (below_top_db + NEAR_DB) / RANGE_DB, 0.0, 1.0)
    return np.where(own > peaq_ear.INTERNAL_NOISE, w, 0.0)


def _masking(msr_db: Floats, weights: Floats) -> Masking:
    total = float(weights.sum())
    if total == 0.0:
        return Masking(0.0, 0.0, 0.0)
    return Masking(
        float((weights * np.clip(msr_db / RANGE_DB, 0.0, 1.0)).sum()) / total,
        float((weights * np.clip(-msr_db, 0.0, FULLY_AUDIBLE_DB)).sum()) / FULLY_AUDIBLE_DB / total,
        float((weights * (msr_db > 0.0)).sum()) / total,
    )
