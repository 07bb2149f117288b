"""Onsets and tempo of a sound, by librosa. Slow to load and to run: for what has time, never for the features."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.jit import alone

Samples = NDArray[np.float32]

LEAST_S = 0.1
MOST_S = 30.0
HOP = 512


def _librosa() -> Any:
    """Return librosa with all that is used of it loaded.

    Its universal functions are compiled then, into a cache that two programs at once would spoil (numba issue 10128).
    """
    with alone("librosa"):
        import librosa
        import librosa.feature
        import librosa.onset

        return librosa


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
    librosa = _librosa()
    strength = librosa.onset.onset_strength(y=mono, sr=rate_hz, hop_length=HOP)
    onsets = librosa.onset.onset_detect(onset_envelope=strength, sr=rate_hz, hop_length=HOP)
    tempo = None
    if len(onsets) >= 4:
        tempo = float(librosa.feature.tempo(onset_envelope=strength, sr=rate_hz, hop_length=HOP)[0])
    return Rhythm(len(onsets) * rate_hz / len(mono), tempo)
