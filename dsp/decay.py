"""Room acoustics measured on an impulse response: octave bands, decay times, loudness, correlation.

Source: ISO 3382-1 (T30, backward integration after M. R. Schroeder, 1965); octaves as Butterworth magnitudes of the
fourth order without phase, so that no filter rings on behind a short decay.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dsp.room_acoustics import LOUDNESS_WEIGHTS, OCTAVES_HZ

Response = NDArray[np.float64]
"""An impulse response `[frames, channels]`."""

BUTTERWORTH_ORDER = 4


def octave_t30_s(response: Response, rate_hz: float, centres_hz: Sequence[float]) -> tuple[float, ...]:
    """Return T30 of each octave, its edges 3 dB down; NaN without a decay, or above the rate."""
    size = _padded(len(response))
    spectrum = np.fft.rfft(response, size, axis=0)
    hz = np.fft.rfftfreq(size, 1.0 / rate_hz)
    hz[0] = 1e-3
    times = []
    for centre_hz in centres_hz:
        if centre_hz * math.sqrt(2.0) >= 0.5 * rate_hz:
            times.append(math.nan)
            continue
        # What lies three octaves above is gone: a lower rate holds the rest.
        step = max(
            1, 1 << int(math.log2(0.5 * rate_hz / (8.0 * centre_hz))) if rate_hz > 16.0 * centre_hz else 1
        )
        bins = size // step // 2 + 1
        detune = math.sqrt(2.0) * (hz[:bins] / centre_hz - centre_hz / hz[:bins])
        gain = 1.0 / np.sqrt(1.0 + np.minimum(np.abs(detune), 1e12) ** (2 * BUTTERWORTH_ORDER))
        band = np.fft.irfft(spectrum[:bins] * gain[:, None], size // step, axis=0)[: len(response) // step]
        times.append(t30_s(band, rate_hz / step))
    return tuple(times)


def t30_s(response: Response, rate_hz: float) -> float:
    """Return T30: twice the time from -5 to -35 dB of the backward-integrated energy; NaN where it ends before."""
    energy = np.cumsum((response**2).sum(axis=1)[::-1])[::-1]
    if not len(energy) or not energy[0] > 0.0:
        return math.nan
    level_db = 10.0 * np.log10(energy / energy[0] + 1e-30)
    first, last = int(np.argmax(level_db < -5.0)), int(np.argmax(level_db < -35.0))
    if last < first + 2:
        return math.nan
    slope = np.polyfit(np.arange(first, last) / rate_hz, level_db[first:last], 1)[0]
    return float(-60.0 / slope)


def loudness_energy(response: Response, rate_hz: float) -> float:
    """Return the loudness of pink noise through the response, as a power beside that noise: the mean of the channels.

    Octaves from 63 Hz to 16 kHz of equal energy, K-weighted; an impulse of 1 gives 1.
    """
    size = _padded(len(response))
    hz = np.fft.rfftfreq(size, 1.0 / rate_hz)
    power = (np.abs(np.fft.rfft(response, size, axis=0)) ** 2).mean(axis=1)
    energy, weights = 0.0, 0.0
    for centre_hz, weight in zip(OCTAVES_HZ, LOUDNESS_WEIGHTS, strict=True):
        inside = (hz >= centre_hz / math.sqrt(2.0)) & (hz < centre_hz * math.sqrt(2.0))
        if centre_hz < 0.5 * rate_hz and inside.any():
            energy += weight * float(np.average(power[inside], weights=1.0 / hz[inside]))
            weights += weight
    return energy / weights


def correlation(response: Response) -> float:
    """Return the correlation of the two channels, without delay; 0 where one is silent."""
    left, right = response[:, 0], response[:, 1]
    power = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / power if power > 0.0 else 0.0


def _padded(frames: int) -> int:
    """A length that ends in silence, so that nothing comes round, and that halves well."""
    return -(-(frames + 8192) // 4096) * 4096
