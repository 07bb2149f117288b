"""How far one sound is from another that it should equal."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.clip_loudness import active_loudness
from dsp.loudness import measure
from dsp.stft import hann

Samples = NDArray[np.float32]

LENGTHS = (512, 2048, 8192)
FLOOR_DB = 80.0
"""Bins further below the loudest one count as that far below."""
GATED_S = 0.5
"""From this length on a sound has an integrated loudness."""


class Likeness:
    """Compares sounds with one, `[frames, channels]` each."""

    def __init__(self, wanted: Samples) -> None:
        self._spectra = [_magnitudes(wanted, length) for length in LENGTHS]

    def distance(self, other: Samples) -> float:
        """Return the multi-resolution STFT distance, 0 for the same sound.

        Mean over windows of 512, 2048 and 8192 frames, a quarter apart, of the spectral convergence plus the mean
        difference of the logarithms of the magnitudes, in nepers.

        Source    Yamamoto, Song & Kim 2020 (Parallel WaveGAN), eq. 4 to 6
        """
        total = 0.0
        for length, a in zip(LENGTHS, self._spectra, strict=True):
            b = _magnitudes(other, length)
            floor = max(float(a.max()), 1e-9) * 10.0 ** (-FLOOR_DB / 20.0)
            missed = float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(a)), 1e-12)
            logs = float(np.mean(np.abs(np.log(np.maximum(a, floor)) - np.log(np.maximum(b, floor)))))
            total += missed + logs
        return total / len(LENGTHS)


def _magnitudes(samples: Samples, length: int) -> NDArray[np.float32]:
    padded = np.pad(samples, ((0, max(0, length - len(samples))), (0, 0)))
    views = sliding_window_view(padded, length, axis=0)[:: length // 4]
    return np.abs(np.fft.rfft(views * hann(length).astype(np.float32)))


def loudness_lufs(samples: Samples, rate_hz: float) -> float:
    """Return the integrated loudness of `[frames, 1 or 2]`, of one shorter than 0.5 s that of its active part."""
    if len(samples) >= GATED_S * rate_hz:
        return measure(samples, rate_hz).integrated_lufs
    return active_loudness(samples, rate_hz)
