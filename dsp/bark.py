"""The ear's frequency axis: 25 critical bands, their time constants, spreading and thresholds.

Energies are mean squares of samples whose full scale is 1.0. One number ties them to sound pressure:
`SPL_AT_0DBFS` is the level of a full-scale *sine*, whose mean square is 0.5 (-3.01 dB), not 1.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BANDS = 25
SPL_AT_0DBFS = 92.0
"""Sound pressure level of a full-scale sine, in dB (ITU-R BS.1387-1, the playback level of PEAQ)."""
SINE_POWER = 0.5
UPWARD_DB_PER_BARK, DOWNWARD_DB_PER_BARK = 15.0, 27.0
"""How steeply masking falls towards higher and towards lower bands, at every level."""
QUIET_LIMIT_DB = 70.0
"""Above this the threshold polynomial no longer describes hearing (it would give 96 at 17.6 kHz)."""
TOP_EDGE = 0.49
"""A band whose upper edge lies at or above this share of the sample rate cannot be analysed."""


def _table(*values: float) -> Floats:
    table = np.array(values, dtype=np.float64)
    table.flags.writeable = False
    return table


# fmt: off
EDGES_HZ = _table(
    20, 100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700, 4400,
    5300, 6400, 7700, 9500, 12000, 15500, 20000,
)
"""float64[26], Hz: Zwicker & Fastl, Psychoacoustics, table 6.1, opened at 20 Hz and continued to 20 kHz."""
CENTRES_HZ = _table(
    50, 150, 250, 350, 450, 570, 700, 840, 1000, 1170, 1370, 1600, 1850, 2150, 2500, 2900, 3400, 4000, 4800,
    5800, 7000, 8500, 10500, 13500, np.sqrt(15500.0 * 20000.0),
)
"""float64[25], Hz: the same table; the 25th centre is the geometric mean of its edges."""
# fmt: on
WIDTHS_HZ = _table(*np.diff(EDGES_HZ))
"""float64[25], Hz."""


def hz_to_bark(frequency_hz: npt.ArrayLike) -> Floats:
    """Return the critical-band rate in Bark; within 0.05 of Zwicker's table from 100 to 15500 Hz.

    Source    Traunmueller 1990, J. Acoust. Soc. Am. 88(1), with his corrections at both ends.
    """
    frequency = np.asarray(frequency_hz, dtype=np.float64)
    z = 26.81 * frequency / (1960.0 + frequency) - 0.53
    z = np.where(z < 2.0, z + 0.15 * (2.0 - z), z)
    return np.where(z > 20.1, z + 0.22 * (z - 20.1), z)


def time_constants_s() -> Floats:
    """Return float64[25], the smoothing time of each band's energy in seconds (52 ms at 50 Hz, 8 at the top).

    Source    ITU-R BS.1387-1, time-domain spreading: tau_min + (100 / f)(tau_100 - tau_min), 8 and 30 ms.
    """
    return 0.008 + 100.0 / CENTRES_HZ * (0.030 - 0.008)


def threshold_in_quiet_db(frequency_hz: npt.ArrayLike) -> Floats:
    """Return the level of the faintest audible tone in dB SPL, not limited at the top.

    Source    Terhardt 1979, Hearing Research 1(2), the threshold polynomial.
    """
    khz = np.asarray(frequency_hz, dtype=np.float64) / 1000.0
    return 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4


def threshold_in_quiet_energy(spl_at_0dbfs: float = SPL_AT_0DBFS) -> Floats:
    """Return float64[25], the threshold in quiet of each band as a mean square, limited at 70 dB SPL."""
    level_db = np.minimum(threshold_in_quiet_db(CENTRES_HZ), QUIET_LIMIT_DB)
    return SINE_POWER * 10.0 ** ((level_db - spl_at_0dbfs) / 10.0)


def spreading_slopes(upward_db_per_bark: float = UPWARD_DB_PER_BARK) -> tuple[Floats, Floats]:
    """Return (upward, downward), each float64[24]: the power ratio from a band to its neighbour.

    15 dB per Bark towards higher, 27 towards lower bands, the same at every level, so maskers add. Both
    slopes are straight lines in dB, so going band by band multiplies up to exactly `spreading_matrix`.
    """
    steps = np.diff(hz_to_bark(CENTRES_HZ))
    return 10.0 ** (-0.1 * upward_db_per_bark * steps), 10.0 ** (-0.1 * DOWNWARD_DB_PER_BARK * steps)


def spreading_matrix() -> Floats:
    """Return S, float64[25, 25]: the energy in band b, S[b, c], that a unit energy in band c excites."""
    z = hz_to_bark(CENTRES_HZ)
    dz = z[:, None] - z[None, :]
    return 10.0 ** (np.where(dz >= 0.0, -UPWARD_DB_PER_BARK * dz, DOWNWARD_DB_PER_BARK * dz) / 10.0)


def masking_offset_db() -> Floats:
    """Return float64[25], how far below the excitation its masked threshold lies, in dB.

    Source    ITU-R BS.1387-1, masking offset: 3 dB up to 12 Bark, 0.25 dB per Bark above.
    """
    z = hz_to_bark(CENTRES_HZ)
    return np.where(z <= 12.0, 3.0, 0.25 * z)


def usable_bands(rate_hz: float) -> int:
    """Return how many of the 25 bands fit under `TOP_EDGE` of the sample rate (all of them from 40.9 kHz)."""
    return int(np.count_nonzero(EDGES_HZ[1:] < TOP_EDGE * rate_hz))
