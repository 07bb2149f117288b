"""The judge's ear against BS.1387-1: published weights and levels, another implementation, a slow twin."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import peaq_ear
from benchmarks.peaq_ear import BANDS, CENTRES_HZ

Floats = npt.NDArray[np.float64]
SHOWN = [0, 20, 40, 60, 80, 108]


def sine(frequency_hz: float, amplitude: float, seconds: float = 0.2) -> Floats:
    at_s = np.arange(round(seconds * 48_000)) / 48_000
    return np.asarray(amplitude * np.sin(2 * np.pi * frequency_hz * at_s))


def in_db(energy: npt.ArrayLike) -> Floats:
    return np.asarray(10 * np.log10(np.asarray(energy)))


@pytest.mark.parametrize(
    ("frequency_hz", "weight_db"),
    [
        *((50, -23.98), (100, -13.77), (500, -3.74), (1000, -1.91), (2000, 1.09)),
        *((3300, 5.59), (4000, 3.98), (8000, -2.20), (10_000, -4.33), (16_000, -21.86)),
    ],
)
def test_ear_is_deaf_at_the_wrong_frequencies(frequency_hz: float, weight_db: float) -> None:
    """The outer and middle ear's response, within 0.01 dB."""
    assert float(peaq_ear.ear_weight_db(frequency_hz)) == pytest.approx(weight_db, abs=0.01)


def test_bands_lie_elsewhere() -> None:
    """109 bands from 80 to 18 000 Hz; centres of BS.1387-1 table 6 within 0.002 Hz."""
    assert peaq_ear.LOWER_HZ[0] == pytest.approx(80.0)
    assert peaq_ear.UPPER_HZ[-1] == pytest.approx(18_000.0)
    centres_hz = [91.708, 625.899, 1493.237, 3155.379, 6497.031, 17_690.045]
    assert CENTRES_HZ[SHOWN] == pytest.approx(centres_hz, abs=0.002)


def test_full_scale_is_at_another_level() -> None:
    """A full-scale sine of 1019.5 Hz has 92 dB at its highest bin, and so 95.18 dB in all (the lobe of Hann: 1.5)."""
    on_bin = 2047 / 4 * math.sqrt(8 / 3)
    highest = np.abs(peaq_ear.spectra(sine(1019.5, 1.0))).max() / on_bin
    assert highest == pytest.approx(0.84971762641205, abs=0.0005)
    heard_db = in_db(peaq_ear.pitch_patterns(sine(1019.5, 1.0)).sum(axis=1))
    in_all_db = 92.0 - 20 * math.log10(0.84971762641205) + 10 * math.log10(1.5)
    assert heard_db == pytest.approx(in_all_db + float(peaq_ear.ear_weight_db(1019.5)), abs=0.05)


def test_others_are_not_the_rest_of_the_mix() -> None:
    """The pattern of mix minus track, taken from spectra, is that of the others alone within 1e-6 dB."""
    rng = np.random.default_rng(1)
    one, other = 0.3 * rng.standard_normal(9600), 0.01 * rng.standard_normal(9600)
    rest = peaq_ear.group(peaq_ear.spectra(one + other) - peaq_ear.spectra(one))
    assert in_db(rest) == pytest.approx(in_db(peaq_ear.pitch_patterns(other)), abs=1e-6)


GOLDEN_RAMPS = {
    (0.0, 0.0): [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    (2.0, 9.0): [20.4513, 33.6930, 47.0599, 60.4874, 73.9783, 96.2118],
    (9.0, 2.0): [86.3671, 84.6104, 70.6153, 55.5440, 41.0411, 22.7823],
}


@pytest.mark.parametrize("ends", GOLDEN_RAMPS)
def test_spreading_differs_from_another_implementation(ends: tuple[float, float]) -> None:
    """PyEvalAudio's excitation of patterns that rise or fall by so many powers of ten, within 0.001 dB."""
    energy = np.logspace(*ends, BANDS)[None]
    assert in_db(peaq_ear.spread(energy)[0, SHOWN]) == pytest.approx(GOLDEN_RAMPS[ends], abs=0.001)


def test_spreading_is_mirrored() -> None:
    """One band of 70 dB excites 2 Bark above it far more than 2 Bark below: PyEvalAudio's values, within 0.001 dB."""
    energy = np.ones((1, BANDS))
    energy[0, 40] = 1e7
    level_db = in_db(peaq_ear.spread(energy)[0])
    golden_db = [0.0065, 28.2272, 41.1348, 54.4560, 49.4294, 44.4234, 9.4850, 0.1401]
    assert level_db[[20, 36, 38, 40, 42, 44, 60, 80]] == pytest.approx(golden_db, abs=0.001)
    assert level_db[48] > level_db[32] + 20.0


@given(st.lists(st.floats(-20.0, 110.0), min_size=BANDS, max_size=BANDS))
@settings(max_examples=20)
def test_fast_spreading_differs_from_the_plain_double_sum(levels_db: list[float]) -> None:
    """Closed-form sums and shared skirts equal every pair of bands computed by itself, within 1e-8."""

    def plain(energy: Floats) -> Floats:
        total = np.zeros(BANDS)
        for source in range(BANDS):
            upward_db = 24 + 230 / CENTRES_HZ[source] - 0.2 * 10 * math.log10(energy[source])
            dz = 0.25 * (np.arange(BANDS) - source)
            shape = 10 ** (np.where(dz <= 0, 27 * dz, -upward_db * dz) / 10)
            total += (energy[source] * shape / shape.sum()) ** 0.4
        return total**2.5

    energy = 10 ** (np.array(levels_db) / 10)
    truth = plain(energy) / plain(np.ones(BANDS))
    assert peaq_ear.spread(energy[None])[0] == pytest.approx(truth, rel=1e-8)


def test_forward_masking_dies_away_wrongly() -> None:
    """After one frame of 60 dB: PyEvalAudio's decay at 92, 2340 and 17 690 Hz, within 0.001 dB; no delay at first."""
    energy = np.ones((6, BANDS))
    energy[1] = 1e6
    level_db = in_db(peaq_ear.smear(energy)[:, [0, 50, 108]])
    golden_db = [
        *([0.0, 0.0, 0.0], [60.0, 60.0, 60.0], [53.9763, 49.2873, 48.2699]),
        *([51.0801, 39.0020, 36.8668], [48.1838, 28.7215, 25.4743], [45.2876, 18.4918, 14.2254]),
    ]
    assert level_db == pytest.approx(np.array(golden_db), abs=0.001)


def test_whole_ear_differs_from_another_implementation() -> None:
    """A 1 kHz sine of -20 dBFS through everything but the offset: PyEvalAudio's excitation, within 0.01 dB."""
    pitch = peaq_ear.pitch_patterns(sine(1000.0, 0.1, 0.128))
    excitation = peaq_ear.smear(peaq_ear.spread(pitch + peaq_ear.INTERNAL_NOISE))
    golden_db = [8.4476, 7.6235, 58.5956, 48.0460, 45.4182, 27.8103, 11.4147, 0.2586]
    shown = [0, 20, 32, 36, 37, 44, 52, 90]
    assert in_db(excitation[3, shown]) == pytest.approx(golden_db, abs=0.01)
    mask = peaq_ear.mask_patterns(pitch)
    assert in_db(excitation / mask)[:, [0, 48, 52, 108]] == pytest.approx(
        np.tile([3.0, 3.0, 3.25, 6.75], (len(mask), 1))
    )


def test_silence_masks_more_than_nothing() -> None:
    """In silence the mask is the internal noise, spread, less the offset: below 6 dB SPL above 100 Hz."""
    mask = peaq_ear.mask_patterns(peaq_ear.pitch_patterns(np.zeros(4096)))
    assert np.all(in_db(mask[:, CENTRES_HZ > 100]) < 6.0)
    assert np.all(np.isfinite(in_db(mask)))


def test_too_short_or_stereo_signal_is_heard() -> None:
    """One window is 2048 samples of one channel; anything else raises ValueError."""
    assert len(peaq_ear.spectra(np.zeros(2048))) == len(peaq_ear.spectra(np.zeros(3071))) == 1
    for bad in (np.zeros(2047), np.zeros((4096, 2))):
        with pytest.raises(ValueError, match="one channel"):
            peaq_ear.spectra(bad)
