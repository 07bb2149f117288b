"""The true-peak meter must see what lies between the samples, and agree with EBU Tech 3341."""

import gc
import re
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from scipy import signal

from dsp.true_peak import (
    DELAY_FRAMES,
    TAPS,
    TruePeakMeter,
    oversampling_factor,
    phase_taps,
    true_peak_dbtp,
)

RATE = 48_000


def stereo(mono: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.repeat(mono[:, None], 2, axis=1).astype(np.float32)


def faded(mono: npt.NDArray[np.float64], frames: int) -> npt.NDArray[np.float64]:
    """Fade in and out, so that a keyed tone's edges do not add peaks of their own."""
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(frames) / frames)
    shape = np.ones(len(mono))
    shape[:frames], shape[-frames:] = rise, rise[::-1]
    return mono * shape


def dense_peak_db(mono: npt.NDArray[np.float64], rate_hz: float = RATE) -> float:
    """Return the peak after 32 times oversampling with a filter of 641 taps a side: the judge."""
    return float(20 * np.log10(np.abs(signal.resample_poly(mono, 32, 1, window=("kaiser", 14.0))).max()))


@pytest.mark.parametrize(
    ("case", "frames_per_period", "amplitude", "phase_degrees", "expected_dbtp"),
    [
        (15, 4, 0.5, 0.0, -6.0),
        (16, 4, 0.5, 45.0, -6.0),
        (17, 6, 0.5, 60.0, -6.0),
        (18, 8, 0.5, 67.5, -6.0),
        (19, 4, 1.41, 45.0, 3.0),
    ],
)
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_ebu_3341_tones_15_to_19_read_within_tolerance(
    case: int,
    frames_per_period: int,
    amplitude: float,
    phase_degrees: float,
    expected_dbtp: float,
    rate_hz: int,
) -> None:
    """EBU Tech 3341 table 1: +0.2 / -0.4 dB of -6 and +3 dBTP."""
    n = np.arange(rate_hz)
    tone = amplitude * np.sin(2 * np.pi * n / frames_per_period + np.radians(phase_degrees))
    assert -0.4 <= true_peak_dbtp(stereo(faded(tone, 480)), rate_hz) - expected_dbtp <= 0.2


@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_ebu_3341_bursts_20_to_23_read_within_tolerance(offset: int) -> None:
    """0 dBTP +0.2 / -0.4 dB, wherever the sampling grid falls on the peak.

    One full-scale period of fs/4 within fs/6 at 0.5, made at 4 times the rate, band-limited, every fourth
    kept.
    """
    base = 0.5 * np.sin(2 * np.pi * np.arange(24 * 400) / 24)
    period = np.sin(2 * np.pi * np.arange(16) / 16)
    wide = faded(np.concatenate([base, period, base]), 1920)
    wide = signal.fftconvolve(wide, signal.firwin(1023, 0.48 * RATE, fs=4 * RATE), "same")
    assert -0.4 <= true_peak_dbtp(stereo(wide[offset::4]), RATE) <= 0.2


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_noise_reads_what_dense_oversampling_reads(rate_hz: int) -> None:
    """Noise up to 0.4 of the rate: within +0.1 / -0.5 dB of 32 times oversampling."""
    noise = np.random.default_rng(7).standard_normal(rate_hz)
    noise = 0.1 * faded(signal.lfilter(signal.firwin(255, 0.8), 1.0, noise), 480)
    assert -0.5 <= true_peak_dbtp(stereo(noise), rate_hz) - dense_peak_db(noise) <= 0.1


@pytest.mark.parametrize(
    ("rate_hz", "factor"), [(44_100, 4), (48_000, 4), (88_200, 2), (96_000, 2), (176_400, 1), (192_000, 1)]
)
def test_the_interpolated_points_are_flat_over_the_audible_band(rate_hz: int, factor: int) -> None:
    """BS.1770-5: 4 times, 2 from 88.2 kHz, 1 from 176.4 kHz; flat within 0.12 dB to 0.44 of the rate."""
    taps = phase_taps(rate_hz)
    assert oversampling_factor(rate_hz) == factor
    assert taps.shape == (factor - 1, TAPS)
    for row in taps.astype(np.float64):
        _, response = signal.freqz(row, worN=2 * np.pi * np.linspace(0, 0.44, 200))
        assert np.abs(20 * np.log10(np.abs(response))).max() < 0.12


def test_the_true_peak_is_never_below_the_sample_peak() -> None:
    """Random noise, 200 blocks: the reading of each channel is at least its largest sample."""
    rng = np.random.default_rng(8)
    for _ in range(200):
        x = np.zeros((100 + TAPS, 2), np.float32)
        x[:100] = rng.standard_normal((100, 2)) * 10 ** rng.uniform(-4, 4)
        meter = TruePeakMeter(RATE)
        meter.process(x)
        assert (meter.highest >= np.abs(x).max(axis=0)).all()


def test_a_naive_interpolation_in_double_precision_reads_the_same() -> None:
    """numpy twin in float64: within 2e-6 relative, for each channel on its own."""
    x = np.random.default_rng(9).standard_normal((5000, 2)).astype(np.float32)
    x[-TAPS:] = 0.0
    meter = TruePeakMeter(RATE)
    meter.process(x)
    for lane in range(2):
        wide = x[:, lane].astype(np.float64)
        points = [np.abs(np.convolve(wide, row[::-1].astype(np.float64))).max() for row in phase_taps(RATE)]
        assert meter.highest[lane] == pytest.approx(max(*points, np.abs(wide).max()), rel=2e-6)


@pytest.mark.parametrize("sizes", [[64], [1024], [1], [37, 128, 513]], ids=str)
def test_the_block_size_does_not_change_the_reading(sizes: list[int]) -> None:
    """Bit-equal to one call over all 8192 frames."""
    x = np.random.default_rng(10).standard_normal((8192, 2)).astype(np.float32)
    whole, cut = TruePeakMeter(RATE), TruePeakMeter(RATE)
    whole.process(x)
    first, i = 0, 0
    while first < len(x):
        cut.process(x[first : first + sizes[i % len(sizes)]])
        first += sizes[i % len(sizes)]
        i += 1
    assert np.array_equal(whole.highest, cut.highest)


def test_the_last_block_reads_that_block_and_reset_forgets_everything() -> None:
    """A click shows in `last` until 12 frames later, stays in `highest`, and both read 0 after a reset."""
    meter = TruePeakMeter(RATE)
    block = np.zeros((64, 2), np.float32)
    block[10, 1] = 0.5
    meter.process(block)
    assert meter.last.tolist() == [0.0, 0.5]
    meter.process(np.zeros((64, 2), np.float32))
    assert meter.last.tolist() == [0.0, 0.0]
    assert meter.dbtp == pytest.approx(-6.0206, abs=1e-4)
    block[63] = 1.0
    meter.process(block)
    meter.reset()
    meter.process(np.zeros((DELAY_FRAMES + 64, 2), np.float32))
    assert meter.dbtp == -144.0


def test_a_sample_that_is_not_a_number_does_not_blind_the_meter() -> None:
    """NaN and infinity read as 0; the next peak is seen."""
    meter = TruePeakMeter(RATE)
    block = np.zeros((128, 2), np.float32)
    block[5], block[20], block[60] = np.nan, np.inf, 0.25
    meter.process(block)
    assert meter.highest.tolist() == [0.25, 0.25]


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_a_file_is_measured_in_its_loudest_channel(channels: int) -> None:
    """0.5 in the last of 1 to 6 channels is -6.02 dBTP, even in the last frame."""
    samples = np.zeros((1000, channels), np.float32)
    samples[-1, -1] = 0.5
    assert true_peak_dbtp(samples, RATE) == pytest.approx(-6.0206, abs=1e-4)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_reads_the_same_true_peak(tmp_path: Path) -> None:
    """ffmpeg's ebur128 filter within 0.2 dB on band-limited noise (it prints one decimal)."""
    noise = 0.1 * np.random.default_rng(11).standard_normal(2 * RATE)
    samples = stereo(faded(signal.lfilter(signal.firwin(255, 0.7), 1.0, noise), 480))
    path = tmp_path / "noise.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    command = ["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.findall(r"Peak:\s+(-?[\d.]+) dBFS", text)
    assert true_peak_dbtp(samples, RATE) == pytest.approx(float(found[-1]), abs=0.2)


def test_metering_allocates_nothing() -> None:
    """200 quanta: less than one block of 128 x 2 (1024 bytes) at the peak."""
    meter = TruePeakMeter(RATE)
    block = np.random.default_rng(12).standard_normal((128, 2)).astype(np.float32)

    def run() -> None:
        for _ in range(200):
            meter.process(block)

    run()
    gc.collect()
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024
