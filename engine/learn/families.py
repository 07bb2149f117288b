"""The families of sounds that settings are chosen by, and what is usual for each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import CENTRES_HZ

Floats = NDArray[np.float64]

OCTAVES_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)

SPECTRA_DB = {
    "vocals": (-21.1, -12.5, -4.2, 0.0, -1.3, -5.7, -8.5, -12.2, -25.0),
    "drums": (-2.3, -0.8, -4.9, -9.0, -13.2, -13.3, -10.5, -11.6, -18.5),
    "bass": (-3.9, 0.0, -7.2, -18.3, -23.3, -24.3, -32.9, -47.5, -50.2),
    "other": (-11.5, -5.7, -0.3, -0.8, -2.8, -2.7, -7.4, -20.8, -30.3),
}
"""Mean spectrum of mixed stems at the octaves, dB below the highest (MUSDB18, by Martínez-Ramírez et al. 2022)."""


@dataclass(frozen=True)
class Family:
    """What is usual: the spectrum it is drawn towards, a ratio, and how much of its crest a compressor takes.

    `share` is the gain reduction (95th percentile) in dB for each dB of crest factor above 12 dB, at most 6 dB.
    """

    spectrum: str | None
    ratio: float
    share: float


FAMILIES: dict[str, Family] = {
    "kick": Family("drums", 4.0, 0.45),
    "snare": Family("drums", 4.0, 0.45),
    "hat": Family("drums", 3.0, 0.25),
    "percussion": Family("drums", 3.0, 0.35),
    "bass": Family("bass", 4.0, 0.5),
    "plucked": Family("other", 3.0, 0.35),
    "keys": Family("other", 2.5, 0.3),
    "pad": Family("other", 2.0, 0.2),
    "lead": Family("other", 3.0, 0.3),
    "wind": Family("other", 2.5, 0.3),
    "voice": Family("vocals", 3.0, 0.5),
    "ambience": Family(None, 2.0, 0.15),
}
"""Ratios after the compressors of FxNorm-automix (drums 6, bass 5, vocals and others 4), made milder."""

UNKNOWN_FAMILY = Family(None, 2.5, 0.25)
"""Of a sound that no family is known of: any sound of a soundscape."""


def spectrum_db(name: str) -> Floats:
    """Return a target spectrum at the 31 bands, float64 `[31]`, in dB per third of an octave, zero mean."""
    level = np.interp(np.log2(CENTRES_HZ), np.log2(OCTAVES_HZ), SPECTRA_DB[name])
    return np.asarray(level - level.mean())
