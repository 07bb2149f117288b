"""Onsets and tempo of a sound, by librosa. Slow to load and to run: for what has time, never for the features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

LEAST_S = 0.1
MOST_S = 30.0
HOP = 512
LARGEST_S, MEAN_S, ABOVE_MEAN = 0.03, 0.1, 0.07


@dataclass(frozen=True)
class Rhythm:
    """Of a sound: how many onsets a second, and the tempo of their pattern, None with fewer than four of them."""

    onsets_per_s: float
    tempo_bpm: float | None


def rhythm(samples: Samples, rate_hz: float) -> Rhythm:
    """Return the rhythm of the first 30 s of float32 `[frames, channels]`.

    Source    librosa: spectral flux on 128 mel bands (Böck & Widmer 2013), tempo by autocorrelation (Ellis 2007)
    """
    mono = np.asarray(samples[: round(MOST_S * rate_hz)], np.float32).mean(axis=1)
    if len(mono) < LEAST_S * rate_hz or not mono.any():
        return Rhythm(0.0, None)
    import librosa

    strength = librosa.onset.onset_strength(y=mono, sr=rate_hz, hop_length=HOP)
    onsets = _peaks(strength, rate_hz / HOP)
    tempo = None
    if onsets >= 4:
        tempo = float(librosa.feature.tempo(onset_envelope=strength, sr=rate_hz, hop_length=HOP)[0])
    return Rhythm(onsets * rate_hz / len(mono), tempo)


def _peaks(strength: NDArray[np.float32], per_s: float) -> int:
    """Return how many onsets a curve of `per_s` values a second has: the largest of 30 ms, 0.07 above the mean around.

    Not by librosa's own `peak_pick`, which crashes where numba's cache of it was made by two programs at once
    (https://github.com/numba/numba/issues/10128).

    Source    Böck, Krebs & Schedl 2012, Evaluating the online capabilities of onset detection methods, section 2.3
    """
    level = strength - strength.min()
    level /= max(float(level.max()), 1e-30)
    short, long = int(LARGEST_S * per_s), int(MEAN_S * per_s)
    count, last = 0, -short - 1
    for i, value in enumerate(level):
        largest = level[max(0, i - short) : i + 1].max()
        mean = level[max(0, i - long) : i + long + 1].mean()
        if value == largest and value >= mean + ABOVE_MEAN and i - last > short:
            count, last = count + 1, i
    return count
