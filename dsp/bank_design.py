"""How the band filters of `dsp.bank` are laid out for a sample rate: which run at a lower one, and all their numbers.

A band-pass of 100 Hz needs few samples a second. The lowest bands are filtered at rate / D behind a low-pass, which
costs less than one of them at the full rate. What could fold into them is 80 dB down; what the low-pass takes away
from a band is given back in its weight.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, CENTRES_HZ, EDGES_HZ, usable_bands
from dsp.svf import bandpass_sections, direct_section

Floats = npt.NDArray[np.float64]

NOISE_BANDWIDTH = math.pi / (2.0 * math.sqrt(2.0))
"""Noise bandwidth of an order-2 Butterworth band-pass over its -3 dB width (1.1107): dividing by it makes the
energy of noise read true; a tone at a band's centre reads 0.456 dB low."""
SLOWEST_HZ = 5000.0
"""A rate below which no band is filtered."""
LOW_EDGE = 0.181
"""Bands whose upper edge lies below this share of the lower rate are filtered at it."""
TAPS_PER_PHASE = 8
"""The low-pass has this many taps for each of the D samples that become one."""
KAISER_BETA = 7.86
"""80 dB of attenuation (Kaiser 1974, as in Oppenheim & Schafer, Discrete-Time Signal Processing, eq. 7.75)."""


@dataclass(frozen=True, eq=False)
class BankDesign:
    """Filters of the 25 bands at one rate.

    Attributes: `usable` bands fit under the rate; the first `low` of them run at rate / `decimation`; `lowpass`
    float64 `[8 D]`, of gain 1 at 0 Hz; `coefs` float64 `[25, 4]`, c1 and c2 of both sections (`dsp.svf`); `power`
    float64 `[25]`, what turns the mean square of the second section's w into the energy of the band.
    """

    rate_hz: int
    usable: int
    low: int
    decimation: int
    lowpass: Floats
    coefs: Floats
    power: Floats


def decimation(rate_hz: float) -> int:
    """Return D, a power of two, such that rate / D is 5 to 10 kHz."""
    return 1 << max(0, math.floor(math.log2(rate_hz / SLOWEST_HZ)))


def lowpass(factor: int, beta: float = KAISER_BETA) -> Floats:
    """Return float64[8 D], a linear-phase low-pass with its edge at half the lower rate; its sum is 1."""
    taps = TAPS_PER_PHASE * factor
    at = (np.arange(taps) - 0.5 * (taps - 1)) / factor
    window = np.i0(beta * np.sqrt(1.0 - (2.0 * np.arange(taps) / (taps - 1) - 1.0) ** 2))
    response = np.sinc(at) * window
    return np.asarray(response / response.sum(), dtype=np.float64)


def lowpass_gain(taps: Floats, frequency_hz: float, rate_hz: float) -> float:
    """Return the amplitude response of symmetrical `taps` at a frequency."""
    at = np.arange(len(taps)) - 0.5 * (len(taps) - 1)
    return float(np.sum(taps * np.cos(2.0 * np.pi * frequency_hz / rate_hz * at)))


def design_bank(rate_hz: int) -> BankDesign:
    """Return the filters for a rate."""
    factor, usable = decimation(rate_hz), usable_bands(rate_hz)
    taps = lowpass(factor)
    low = int(np.count_nonzero(EDGES_HZ[1:] < LOW_EDGE * rate_hz / factor)) if factor > 1 else 0
    coefs, power = np.zeros((BANDS, 4)), np.zeros(BANDS)
    for band in range(usable):
        own_hz = rate_hz / factor if band < low else rate_hz
        first, second, gain = bandpass_sections(EDGES_HZ[band], EDGES_HZ[band + 1], own_hz)
        *coefs[band, :2], scale1 = direct_section(*first)
        *coefs[band, 2:], scale2 = direct_section(*second)
        passed = lowpass_gain(taps, CENTRES_HZ[band], rate_hz) if band < low else 1.0
        power[band] = (gain * scale1 * scale2 / passed) ** 2 / NOISE_BANDWIDTH
    return BankDesign(rate_hz, usable, low, factor, taps, coefs, power)
