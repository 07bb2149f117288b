"""An equaliser by rule: a little of the way to the spectrum that is usual for what a sound is taken for.

It is what a prediction has to be better than, and no part of the program: measured, it is worse than no equaliser.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import BANDS, CENTRES_HZ

Floats = NDArray[np.float64]

OCTAVES_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0)

SPECTRA_DB = {
    "vocals": (-21.1, -12.5, -4.2, 0.0, -1.3, -5.7, -8.5, -12.2, -25.0),
    "drums": (-2.3, -0.8, -4.9, -9.0, -13.2, -13.3, -10.5, -11.6, -18.5),
    "bass": (-3.9, 0.0, -7.2, -18.3, -23.3, -24.3, -32.9, -47.5, -50.2),
    "other": (-11.5, -5.7, -0.3, -0.8, -2.8, -2.7, -7.4, -20.8, -30.3),
}
"""Mean spectrum of mixed stems at the octaves, dB below the highest (MUSDB18, by Martínez-Ramírez et al. 2022)."""

STEMS = {
    **dict.fromkeys(("kick", "snare", "hat", "percussion"), "drums"),
    "bass": "bass",
    "voice": "vocals",
    **dict.fromkeys(("plucked", "keys", "pad", "lead", "wind"), "other"),
}
"""What a family is a stem of; an ambience is none."""

SHRINK = 0.1
"""How much of the way: an average is no target."""
AUDIBLE_DB = 40.0


def spectrum_db(name: str) -> Floats:
    """Return a target spectrum at the 31 bands, float64 `[31]`, in dB per third of an octave, zero mean."""
    level = np.interp(np.log2(CENTRES_HZ), np.log2(OCTAVES_HZ), SPECTRA_DB[name])
    return np.asarray(level - level.mean())


def curve_db(bands_db: Floats, chances: Mapping[str, float]) -> Floats:
    """Return float64 `[31]`, zero mean, of a sound's band levels in dB and the probability of each family."""
    heard = bands_db > bands_db.max() - AUDIBLE_DB
    made = np.zeros(BANDS)
    for family, chance in chances.items():
        if family in STEMS:
            away = np.where(heard, spectrum_db(STEMS[family]) - bands_db, 0.0)
            made += chance * SHRINK * np.where(heard, away - away[heard].mean(), 0.0)
    return np.asarray(made - made.mean())
