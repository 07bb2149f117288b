"""The critical-band tables against published numbers."""

import numpy as np
import pytest

from dsp.bark import (
    BANDS,
    CENTRES_HZ,
    EDGES_HZ,
    SPL_AT_0DBFS,
    WIDTHS_HZ,
    hz_to_bark,
    masking_offset_db,
    spreading_matrix,
    spreading_slopes,
    threshold_in_quiet_db,
    threshold_in_quiet_energy,
    time_constants_s,
    usable_bands,
)


def test_bark_rate_strays_from_zwickers_table() -> None:
    """Edge number z of the table lies within 0.05 Bark of z, from 100 to 15500 Hz."""
    assert np.max(np.abs(hz_to_bark(EDGES_HZ[1:25]) - np.arange(1, 25))) < 0.05


def test_bands_do_not_tile_the_axis() -> None:
    """25 bands, each centre inside its edges, the widths adding up to 20 Hz .. 20 kHz; 570 Hz is band 6."""
    assert len(CENTRES_HZ) == 25
    assert BANDS == 25
    assert np.all(EDGES_HZ[:-1] < CENTRES_HZ)
    assert np.all(EDGES_HZ[1:] > CENTRES_HZ)
    assert WIDTHS_HZ.sum() == 19980.0
    assert CENTRES_HZ[5] == 570.0
    assert CENTRES_HZ[24] == pytest.approx(17607, abs=1)


@pytest.mark.parametrize(
    ("frequency_hz", "level_db"),
    [
        (50, 39.98),
        (100, 22.95),
        (200, 13.17),
        (500, 6.28),
        (1000, 3.37),
        (2000, -0.25),
        (3300, -4.98),
        (4000, -3.39),
        (8000, 4.79),
        (10000, 10.58),
        (12500, 24.90),
        (16000, 65.93),
    ],
)
def test_threshold_in_quiet_is_not_terhardts(frequency_hz: float, level_db: float) -> None:
    """Golden values of the polynomial to 0.01 dB."""
    assert float(threshold_in_quiet_db(frequency_hz)) == pytest.approx(level_db, abs=0.01)


def test_full_scale_sine_is_not_92_db() -> None:
    """At 1 kHz a sine of mean square 0.5 lies 92 - 3.37 = 88.63 dB above the threshold; 70 dB is the limit."""
    energy = threshold_in_quiet_energy()
    assert SPL_AT_0DBFS == 92.0
    assert 10 * np.log10(0.5 / energy[8]) == pytest.approx(88.63, abs=0.01)
    assert 10 * np.log10(0.5 / energy[24]) == pytest.approx(22.0, abs=1e-9)


def test_time_constants_are_not_those_of_peaq() -> None:
    """The table of tau at the 25 centres, in milliseconds to 0.06."""
    # fmt: off
    table_ms = [52.0, 22.7, 16.8, 14.3, 12.9, 11.9, 11.1, 10.6, 10.2, 9.9, 9.6, 9.4, 9.2, 9.0, 8.9, 8.8, 8.6,
                8.6, 8.5, 8.4, 8.3, 8.3, 8.2, 8.2, 8.1]
    # fmt: on
    assert time_constants_s() * 1000 == pytest.approx(table_ms, abs=0.06)


def test_spreading_is_mirrored() -> None:
    """A masker reaches upward at 15 dB per Bark and downward at 27, and masks its own band with unit gain."""
    matrix_db = 10 * np.log10(spreading_matrix())
    z = hz_to_bark(CENTRES_HZ)
    assert matrix_db[12, 10] == pytest.approx(-15 * (z[12] - z[10]))
    assert matrix_db[8, 10] == pytest.approx(-27 * (z[10] - z[8]))
    assert np.all(np.diag(matrix_db) == 0.0)
    assert matrix_db[12, 8] > matrix_db[8, 12]


def test_neighbour_slopes_do_not_multiply_up_to_the_matrix() -> None:
    """The product of the slopes between two bands equals the entry of S, to 1e-12."""
    upward, downward = spreading_slopes()
    matrix = spreading_matrix()
    assert np.prod(upward[3:11]) == pytest.approx(matrix[11, 3], rel=1e-12)
    assert np.prod(downward[3:11]) == pytest.approx(matrix[3, 11], rel=1e-12)


def test_masking_offset_does_not_rise_at_the_top() -> None:
    """3 dB up to 12 Bark (1720 Hz), then 0.25 dB per Bark, about 6 dB in the highest band."""
    offset = masking_offset_db()
    assert np.all(offset[CENTRES_HZ < 1700] == 3.0)
    assert offset[23] == pytest.approx(0.25 * 23.5, abs=0.05)


@pytest.mark.parametrize(
    ("rate_hz", "bands"), [(16000, 21), (32000, 24), (44100, 25), (48000, 25), (88200, 25), (96000, 25)]
)
def test_bands_beyond_the_rate_are_kept(rate_hz: int, bands: int) -> None:
    """A band counts only if its upper edge is below 0.49 of the rate."""
    assert usable_bands(rate_hz) == bands
