"""Proactive energy reduction: how loud a sound is heard at the level it was given, and what is taken off for that.

Two sounds of the same BS.1770 loudness are not equally loud: energy spread over many critical bands is heard as several
times the loudness of the same energy in one, which the standard's weighting does not know. A sound that is dominant for
that reason is turned down before anything is mixed, by up to 6 dB; an important one by half of that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2, sqrt

import numpy as np
from numpy.typing import NDArray

from dsp.bark import EDGES_HZ
from dsp.perceived_loudness import LOUDNESS_BANDS, loudness_sone, main_bands
from dsp.stft import BandEnergies

ENERGY_VERSION = 1
"""Of what is measured; kept measures of another version are made anew."""

PEAK_SHARE = 0.95
"""A band's peak is exceeded in 5 % of the active frames, so that one click is not the whole sound."""
ACTIVE_RANGE = 1e-4
"""Active are the frames within 40 dB of the loudest."""

ENERGY_LUFS = -23.0
"""Sounds are compared at this loudness."""
TONE_SONE = 5.12
"""What a steady tone of 1 kHz comes to at `ENERGY_LUFS`: nothing is taken off it."""
DB_PER_PHON = 2.0 / 7.0
"""Puts an engine that runs, 21 phon above the tone, at the full reduction, and a chirping bird at a third of it."""
MOST_REDUCTION_DB = 6.0
IMPORTANT_SHARE = 0.5
"""What importance 1 leaves of a reduction."""

Bands = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Energy:
    """The energy of a sound at -23 LUFS: mean squares, float64 `[24]` each, full scale 1.0.

    `mean` is over the whole sound, its silences included; `peak` is that of its loudest moments.
    """

    mean: Bands
    peak: Bands

    @classmethod
    def from_array(cls, bands: NDArray[np.float32]) -> "Energy":
        """Return what `as_array` was made of; raises ValueError for anything else."""
        if bands.shape != (LOUDNESS_BANDS, 2) or not (np.isfinite(bands).all() and (bands >= 0.0).all()):
            raise ValueError("not the energy of a sound")
        return cls(bands[:, 0].astype(np.float64), bands[:, 1].astype(np.float64))

    def as_array(self) -> NDArray[np.float32]:
        """Return float32 `[24, 2]`: mean and peak of every band."""
        return np.stack([self.mean, self.peak], axis=1).astype(np.float32)

    @property
    def loudness_sone(self) -> float:
        """How loud it is heard: the geometric mean of the loudness of the mean and of the peak."""
        return sqrt(loudness_sone(self.mean) * loudness_sone(self.peak))

    @property
    def dominance_phon(self) -> float:
        """How much louder it is heard than a tone of the same LUFS; at least 0."""
        return max(0.0, 10.0 * log2(max(self.loudness_sone, 1e-9) / TONE_SONE))

    @property
    def main_hz(self) -> tuple[float, float]:
        """The range around its loudest band, in Hz."""
        low, high = main_bands(self.mean)
        return float(EDGES_HZ[low]), float(EDGES_HZ[high + 1])


def energy_of(samples: NDArray[np.float32], rate_hz: int, loudness_lufs: float) -> Energy:
    """Return the energy of float32 `[frames, channels]`, which has the given loudness, as it is at -23 LUFS."""
    bands = BandEnergies(1, rate_hz, samples.shape[1])
    bands.push(samples)
    energies = bands.finish()[0, :, :LOUDNESS_BANDS].astype(np.float64)
    total = energies.sum(axis=1)
    active = energies[total >= total.max() * ACTIVE_RANGE]
    gain = 10.0 ** (0.1 * (ENERGY_LUFS - loudness_lufs))
    return Energy(energies.mean(axis=0) * gain, np.quantile(active, PEAK_SHARE, axis=0) * gain)


def together(energies: Iterable[Energy]) -> Energy:
    """Return the energy of a track that plays each of several sounds as often as the others."""
    means, peaks = zip(*((e.mean, e.peak) for e in energies), strict=True)
    return Energy(np.mean(means, axis=0), np.max(peaks, axis=0))


@dataclass(frozen=True, eq=False)
class Reduction:
    """What is taken off a track, and what for."""

    energy: Energy
    importance: float
    reduction_db: float

    @property
    def why(self) -> str:
        """One line for people."""
        low, high = self.energy.main_hz
        return (
            f"heard {self.energy.dominance_phon:.0f} phon louder than a tone of its level, mostly "
            f"{low:.0f}–{high:.0f} Hz; importance {self.importance:g} leaves {100 * _share(self.importance):.0f} %"
        )

    def as_dict(self) -> dict[str, object]:
        """Return everything, for JSON; bands in dBFS."""
        return {
            "reduction_db": round(self.reduction_db, 2),
            "loudness_sone": round(self.energy.loudness_sone, 2),
            "dominance_phon": round(self.energy.dominance_phon, 2),
            "main_hz": list(self.energy.main_hz),
            "mean_db": _levels_db(self.energy.mean),
            "peak_db": _levels_db(self.energy.peak),
            "why": self.why,
        }


def reduce(energy: Energy, importance: float, most_db: float = MOST_REDUCTION_DB) -> Reduction:
    """Return what is taken off: 0 to `most_db`, more of what is dominant, of importance 1 half as much as of 0."""
    wanted_db = min(most_db, DB_PER_PHON * energy.dominance_phon)
    return Reduction(energy, importance, wanted_db * _share(importance))


def _share(importance: float) -> float:
    return 1.0 - (1.0 - IMPORTANT_SHARE) * importance


def _levels_db(bands: Bands) -> list[float]:
    return [round(float(level), 1) for level in 10.0 * np.log10(np.maximum(bands, 1e-14))]
