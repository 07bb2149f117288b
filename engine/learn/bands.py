"""The 31 third-octave bands of a graphic equaliser, 20 Hz to 20 kHz, and the energy of a sound in them."""

import numpy as np
from numpy.typing import NDArray

from dsp.units import SILENCE_DB

Floats = NDArray[np.float64]

BANDS = 31
CENTRES_HZ: Floats = np.array([1000.0 * 2.0 ** (k / 3.0) for k in range(-17, 14)], np.float64)
"""Base-2 centres, float64 `[31]`: 19.7 Hz to 20.2 kHz (IEC 61260-1 calls the bands 20 Hz to 20 kHz)."""
EDGES_HZ: Floats = np.array([1000.0 * 2.0 ** ((k - 0.5) / 3.0) for k in range(-17, 15)], np.float64)
"""float64 `[32]`."""

NOMINAL_HZ = (
    *(20.0, 25.0, 31.5, 40.0, 50.0, 63.0, 80.0, 100.0, 125.0, 160.0, 200.0, 250.0, 315.0, 400.0, 500.0, 630.0),
    *(800.0, 1e3, 1.25e3, 1.6e3, 2e3, 2.5e3, 3.15e3, 4e3, 5e3, 6.3e3, 8e3, 10e3, 12.5e3, 16e3, 20e3),
)  # fmt: skip
"""What the bands are called."""


def fast_length(least: int) -> int:
    """Return a length of at least `least` with no prime factor above 5, so that its Fourier transform is fast."""
    best = 1 << max(0, least - 1).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            twos = -(-least // threes)
            best = min(best, threes << max(0, twos - 1).bit_length())
            threes *= 3
        fives *= 5
    return best


def band_powers(samples: NDArray[np.floating], rate_hz: float) -> Floats:
    """Return the mean square of `[frames, channels]` in each band, mean over the channels, float64 `[31]`.

    By the energy of the Fourier transform of the whole (Parseval); a bin that an edge cuts is shared out by width.
    A band above the Nyquist frequency has 0.
    """
    frames = len(samples)
    length = fast_length(max(frames, 2))
    spectrum = np.fft.rfft(np.asarray(samples, np.float32), length, axis=0)
    power = (np.square(spectrum.real, dtype=np.float64) + np.square(spectrum.imag, dtype=np.float64)).mean(
        axis=1
    )
    power *= 2.0 / (length * max(frames, 1))
    power[0] *= 0.5
    if length % 2 == 0:
        power[-1] *= 0.5
    total = np.concatenate(([0.0], np.cumsum(power)))
    width_hz = rate_hz / length
    edges = np.interp((EDGES_HZ / width_hz) + 0.5, np.arange(len(total)), total)
    return np.diff(edges)


def to_db(power: Floats) -> Floats:
    """Return 10 log10 power, never below -144 dB."""
    return np.maximum(SILENCE_DB, 10.0 * np.log10(np.maximum(power, 1e-30)))
