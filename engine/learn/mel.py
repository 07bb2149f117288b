"""Mel cepstrum, spectral centroid and flatness of a sound as librosa defines them, without its start-up."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.stft import hann

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

WINDOW, HOP = 2048, 512
MELS, COEFFICIENTS = 128, 20
TOP_DB = 80.0
LEAST_POWER = 1e-10

BREAK_HZ, HZ_PER_MEL = 1000.0, 200.0 / 3.0
LOG_STEP = float(np.log(6.4)) / 27.0


@dataclass(frozen=True)
class Timbre:
    """Means over the frames of a sound: mfcc float64 `[20]`, centroid in Hz, flatness 0 to 1."""

    mfcc: Floats
    centroid_hz: float
    flatness: float


def timbre(mono: Samples, rate_hz: float) -> Timbre:
    """Return the timbre of float32 `[frames]`; silence has the centroid 0 and the flatness 1.

    Source    Davis & Mermelstein 1980 (MFCC); mel scale and filters of Slaney's Auditory Toolbox, as in librosa:
              window 2048, hop 512, centred with silence around, 128 mels, DCT-II, at most 80 dB below the loudest
    """
    padded = np.pad(np.asarray(mono, np.float32), WINDOW // 2)
    views = sliding_window_view(padded, WINDOW)[::HOP]
    spectrum = np.fft.rfft(views * hann(WINDOW).astype(np.float32))
    power = spectrum.real**2 + spectrum.imag**2
    mels = power @ mel_weights(rate_hz)
    levels = 10.0 * np.log10(np.maximum(mels, LEAST_POWER))
    levels = np.maximum(levels, levels.max() - TOP_DB)
    mfcc = levels.mean(axis=0, dtype=np.float64) @ cosines()
    magnitude = np.sqrt(power)
    total = magnitude.sum(axis=1)
    hz = (np.arange(WINDOW // 2 + 1) * (rate_hz / WINDOW)).astype(np.float32)
    heard = total > 0.0
    centroids = (magnitude[heard] @ hz) / total[heard]
    floored = np.maximum(power, np.float32(LEAST_POWER))
    flatness = np.exp(np.log(floored).mean(axis=1)) / floored.mean(axis=1)
    return Timbre(
        mfcc,
        float(centroids.sum()) / len(total),
        float(flatness.mean()),
    )


@lru_cache(maxsize=4)
def mel_weights(rate_hz: float) -> NDArray[np.float32]:
    """Return the triangles of the mel bands, float32 `[1025, 128]`, each of the area of a band one Hz wide."""
    edges_hz = _hz(np.linspace(0.0, _mel(rate_hz / 2.0), MELS + 2))
    hz = np.arange(WINDOW // 2 + 1) * (rate_hz / WINDOW)
    widths = np.diff(edges_hz)
    rising = (hz[:, None] - edges_hz[:-2]) / widths[:-1]
    falling = (edges_hz[2:] - hz[:, None]) / widths[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (edges_hz[2:] - edges_hz[:-2]))).astype(np.float32)


@lru_cache(maxsize=1)
def cosines() -> Floats:
    """Return the orthonormal DCT-II, float64 `[128, 20]`."""
    n, k = np.arange(MELS)[:, None], np.arange(COEFFICIENTS)
    made: Floats = np.cos(np.pi * k * (2 * n + 1) / (2 * MELS)) * np.sqrt(2.0 / MELS)
    made[:, 0] /= np.sqrt(2.0)
    return made


def _mel(hz: float) -> float:
    if hz < BREAK_HZ:
        return hz / HZ_PER_MEL
    return BREAK_HZ / HZ_PER_MEL + float(np.log(hz / BREAK_HZ)) / LOG_STEP


def _hz(mels: Floats) -> Floats:
    first = BREAK_HZ / HZ_PER_MEL
    return np.where(
        mels < first, mels * HZ_PER_MEL, BREAK_HZ * np.exp(LOG_STEP * (np.maximum(mels, first) - first))
    )
