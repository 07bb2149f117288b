"""How loud a spectrum is heard: loudness in sone of the energies in 24 critical bands."""

import numpy as np
import numpy.typing as npt

from dsp.bark import (
    BANDS,
    CENTRES_HZ,
    QUIET_LIMIT_DB,
    SINE_POWER,
    SPL_AT_0DBFS,
    spreading_matrix,
    threshold_in_quiet_db,
)

Floats = npt.NDArray[np.float64]

LOUDNESS_BANDS = BANDS - 1
"""The 24 critical bands of Zwicker's table, to 15.5 kHz."""
EXPONENT = 0.23

_QUIET_DB = np.minimum(threshold_in_quiet_db(CENTRES_HZ), QUIET_LIMIT_DB)[:LOUDNESS_BANDS]
_SPREAD = spreading_matrix()[:LOUDNESS_BANDS, :LOUDNESS_BANDS]


def specific_loudness(bands: Floats) -> Floats:
    """Return float64 `[24]`, the loudness in sone of each critical band, for mean squares `bands`, float64 `[24]`.

    Full scale is `SPL_AT_0DBFS`. A 1 kHz tone of 40 dB, which is 1 sone, comes to 0.7: the spreading is steeper than
    the ear's at high levels. What is compared here are sounds with each other.

    Source    Zwicker & Fastl, Psychoacoustics, equation 8.7, on the excitation of `spreading_matrix`
    """
    level_db = SPL_AT_0DBFS + 10.0 * np.log10(np.maximum(_SPREAD @ bands, 1e-30) / SINE_POWER)
    rise = (0.5 + 0.5 * 10.0 ** (0.1 * (level_db - _QUIET_DB))) ** EXPONENT - 1.0
    specific: Floats = 0.08 * 10.0 ** (0.1 * EXPONENT * _QUIET_DB) * np.maximum(rise, 0.0)
    return specific


def loudness_sone(bands: Floats) -> float:
    """Return the loudness in sone of mean squares `bands`, float64 `[24]`."""
    return float(specific_loudness(bands).sum())


def main_bands(bands: Floats, within_db: float = 10.0) -> tuple[int, int]:
    """Return the first and the last band of the range around the loudest whose excitation is near that one's."""
    specific = specific_loudness(bands)
    low = high = int(np.argmax(specific))
    near = specific >= specific[low] * 10.0 ** (-0.1 * EXPONENT * within_db)
    while low > 0 and near[low - 1]:
        low -= 1
    while high < LOUDNESS_BANDS - 1 and near[high + 1]:
        high += 1
    return low, high
