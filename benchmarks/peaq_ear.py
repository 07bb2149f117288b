"""The ear of PEAQ: what a sound excites along the basilar membrane, and what it masks there.

The basic version's FFT ear of ITU-R BS.1387-1, Annex 2, clause 2.1, up to the mask. It shares neither constants nor
code nor frequency scale with the model that steers the unmasking, so that it can judge it.

Energies are powers relative to the threshold of hearing (0 dB SPL); patterns are float64 `[frames, 109]`, one row
each 1024 frames of signal. 48 kHz only.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Spectra = NDArray[np.complex128]

RATE_HZ = 48_000
WINDOW_FRAMES = 2048
HOP_FRAMES = 1024
BINS = WINDOW_FRAMES // 2 + 1

PLAYBACK_DB_SPL = 92.0
"""Level of a full-scale sine of 1019.5 Hz, read at its highest bin."""
SINE_AT_ITS_HIGHEST_BIN = 0.84971762641205
"""Of the height that a sine right on a bin would have."""

BANDS = 109
BARK_PER_BAND = 0.25
LOWEST_HZ, HIGHEST_HZ = 80.0, 18_000.0
DOWNWARD_DB_PER_BARK = 27.0
ADDITION_EXPONENT = 0.4
"""Spread energies add after this power."""
SHORTEST_S, AT_100_HZ_S = 0.008, 0.030
FAINTEST = 1e-12
"""No band holds less: -120 dB SPL."""


def hz_to_bark(frequency_hz: ArrayLike) -> Floats:
    """Return 7 asinh(f / 650), the frequency scale of BS.1387-1 (Schroeder, Atal & Hall 1979)."""
    return 7.0 * np.arcsinh(np.asarray(frequency_hz, np.float64) / 650.0)


def bark_to_hz(bark: ArrayLike) -> Floats:
    """Return 650 sinh(z / 7)."""
    return 650.0 * np.sinh(np.asarray(bark, np.float64) / 7.0)


def ear_weight_db(frequency_hz: ArrayLike) -> Floats:
    """Return the response of the outer and middle ear in dB (BS.1387-1, Annex 2, clause 2.1.4)."""
    khz = np.asarray(frequency_hz, np.float64) / 1000.0
    return -0.6 * 3.64 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 1e-3 * khz**3.6


def _band_edges_hz() -> tuple[Floats, Floats, Floats]:
    """Return lower edges, centres and upper edges; the last band is cut off at 18 kHz."""
    lower = hz_to_bark(LOWEST_HZ) + BARK_PER_BAND * np.arange(BANDS)
    upper = np.minimum(lower + BARK_PER_BAND, hz_to_bark(HIGHEST_HZ))
    return bark_to_hz(lower), bark_to_hz((lower + upper) / 2.0), bark_to_hz(upper)


LOWER_HZ, CENTRES_HZ, UPPER_HZ = _band_edges_hz()

INTERNAL_NOISE = 10.0 ** (0.4 * 0.364 * (CENTRES_HZ / 1000.0) ** -0.8)
"""float64[109]: the energy that is there in silence (clause 2.1.6)."""

MASK_OFFSET_DB = np.where(
    np.arange(BANDS) * BARK_PER_BAND <= 12.0, 3.0, 0.25 * BARK_PER_BAND * np.arange(BANDS)
)
"""float64[109], dB: how far the mask lies below the excitation (clause 3.2)."""


def _grouping() -> Floats:
    """Return float64[1025, 109]: the share of each FFT bin that lies in each band."""
    width_hz = RATE_HZ / WINDOW_FRAMES
    middle_hz = np.arange(BINS)[:, None] * width_hz
    top = np.minimum(UPPER_HZ, middle_hz + width_hz / 2.0)
    bottom = np.maximum(LOWER_HZ, middle_hz - width_hz / 2.0)
    return np.asarray(np.maximum(top - bottom, 0.0) / width_hz)


def _bin_weights() -> Floats:
    """Return float64[1025]: the ear's weight of each bin, and the calibration to sound pressure."""
    on_bin = (WINDOW_FRAMES - 1) / 4.0 * np.sqrt(8.0 / 3.0)
    calibration = 10.0 ** (PLAYBACK_DB_SPL / 20.0) / (SINE_AT_ITS_HIGHEST_BIN * on_bin)
    weights = np.zeros(BINS)
    weights[1:] = calibration * 10.0 ** (ear_weight_db(np.arange(1, BINS) * RATE_HZ / WINDOW_FRAMES) / 20.0)
    return weights


_WEIGHTS = _bin_weights()
_GROUPING = _WEIGHTS[:, None] ** 2 * _grouping()
_WINDOW = np.sqrt(8.0 / 3.0) * np.hanning(WINDOW_FRAMES)
_MEMORY = np.exp(
    -HOP_FRAMES / RATE_HZ / (SHORTEST_S + 100.0 / CENTRES_HZ * (AT_100_HZ_S - SHORTEST_S)),
)
_MASK_GAIN = 10.0 ** (-MASK_OFFSET_DB / 10.0)


def frame_count(samples: int) -> int:
    """Return how many whole windows fit in so many samples."""
    return max(0, (samples - WINDOW_FRAMES) // HOP_FRAMES + 1)


def framed(mono: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a view `[frames, 2048]` of the windows of a mono signal. Raises ValueError if there is none."""
    if mono.ndim != 1 or len(mono) < WINDOW_FRAMES:
        raise ValueError(f"the ear takes one channel of at least {WINDOW_FRAMES} samples, not {mono.shape}")
    view = np.lib.stride_tricks.sliding_window_view(mono, WINDOW_FRAMES)
    return np.asarray(view[::HOP_FRAMES], np.float64)


def spectra(mono: NDArray[np.floating]) -> Spectra:
    """Return complex128 `[frames, 1025]`; spectra of signals add up to that of their sum."""
    return np.asarray(np.fft.rfft(framed(mono) * _WINDOW, axis=1))


def group(spectra: Spectra) -> Floats:
    """Return the pitch patterns of `spectra`: calibrated, weighted by the ear, in bands (clauses 2.1.3 to 2.1.5)."""
    return np.maximum((spectra.real**2 + spectra.imag**2) @ _GROUPING, FAINTEST)


def pitch_patterns(mono: NDArray[np.floating]) -> Floats:
    """Return the energies in 109 bands of a mono signal at 48 kHz, without internal noise and spreading."""
    return group(spectra(mono))


def spread(energy: Floats) -> Floats:
    """Return the unsmeared excitation of patterns `[frames, 109]` (> 0) that hold the internal noise.

    Each band excites lower ones 27 dB per Bark below itself, higher ones 24 + 230 / fc - 0.2 L dB per Bark, L
    being its own level; what it spreads sums up to what it had; contributions E add as (sum E^0.4)^2.5, relative
    to the same sum for bands that all hold 1.

    Source    BS.1387-1, Annex 2, clause 2.1.7
    """
    return np.ascontiguousarray((_spread(np.ascontiguousarray(energy.T)) / _UNIFORM).T)


def _spread(energy: Floats) -> Floats:
    """Spread float64[109, frames], not yet relative to the uniform pattern."""
    level_db = 10.0 * np.log10(energy)
    upward_db = 24.0 + 230.0 / CENTRES_HZ[:, None] - 0.2 * level_db
    up = 10.0 ** (-upward_db * BARK_PER_BAND / 10.0)
    down = 10.0 ** (-DOWNWARD_DB_PER_BARK * BARK_PER_BAND / 10.0)
    # Both skirts are geometric series, so what a band spreads in all is known in closed form.
    above = np.arange(BANDS - 1, -1, -1)[:, None]
    below = np.arange(BANDS)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        upper_sum = np.where(np.abs(up - 1.0) < 1e-9, above, up * (1.0 - up**above) / (1.0 - up))
    share = energy / ((1.0 - down ** (below + 1)) / (1.0 - down) + upper_sum)
    share **= ADDITION_EXPONENT
    total = share.copy()
    down_step = down**ADDITION_EXPONENT
    for band in range(BANDS - 2, -1, -1):
        total[band] += down_step * total[band + 1]
    up **= ADDITION_EXPONENT
    moved = share
    for step in range(1, BANDS):
        moved = moved[:-1]
        moved *= up[: BANDS - step]
        total[step:] += moved
    return np.asarray(total ** (1.0 / ADDITION_EXPONENT))


_UNIFORM = _spread(np.ones((BANDS, 1)))


def smear(excitation: Floats) -> Floats:
    """Return excitation patterns with forward masking: a decay that holds on where it is above the new energy.

    Source    BS.1387-1, Annex 2, clause 2.1.8; 8 ms, and 30 ms at 100 Hz
    """
    smeared = np.empty_like(excitation)
    held = np.zeros(BANDS)
    for frame, now in enumerate(excitation):
        held = _MEMORY * held + (1.0 - _MEMORY) * now
        smeared[frame] = np.maximum(held, now)
    return smeared


def mask_patterns(pitch: Floats) -> Floats:
    """Return the masks of pitch patterns: the energy below which another sound is not heard beside them."""
    return smear(spread(pitch + INTERNAL_NOISE)) * _MASK_GAIN
