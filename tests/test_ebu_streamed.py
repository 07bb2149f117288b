"""EBU Tech 3341 and 3342 as a live meter meets them: in quanta of any length, with every reading as it goes."""

import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from dsp.loudness import LoudnessMeter, measure
from dsp.true_peak import TruePeakMeter
from tests.test_loudness import EBU_INTEGRATED, RATE, coloured_noise, tones
from tests.test_true_peak import faded, stereo

Samples = NDArray[np.float32]
SILENCE = -np.inf
REAL_FILES = Path("/usr/share/sonic-pi/samples")
REAL = ("ambi_choir", "bass_dnb_f", "drum_snare_hard", "guit_em9", "loop_amen", "perc_bell", "vinyl_rewind")

quanta = pytest.mark.parametrize("quantum", [1, 37, 128, 4096])
longer_quanta = pytest.mark.parametrize("quantum", [37, 128, 4096])
"""A quantum of one frame takes a second for three of sound."""


def stream(meter: LoudnessMeter, x: Samples, quantum: int) -> NDArray[np.float64]:
    """Return (momentary, short-term) after every quantum."""
    readings = []
    for first in range(0, len(x), quantum):
        meter.process(x[first : first + quantum])
        readings.append((meter.momentary_lufs, meter.short_term_lufs))
    return np.array(readings)


@longer_quanta
@pytest.mark.parametrize("case", EBU_INTEGRATED)
def test_3341_programmes_read_otherwise_in_pieces(case: int, quantum: int) -> None:
    """Cases 1, 3, 4, 5 and 9: integrated -23 LUFS ± 0.1."""
    meter = LoudnessMeter(RATE)
    stream(meter, tones(*EBU_INTEGRATED[case]), quantum)
    assert meter.integrated_lufs == pytest.approx(-23.0, abs=0.1)


@longer_quanta
def test_3341_case_2_reads_otherwise_in_pieces(quantum: int) -> None:
    """20 s at -33 dBFS: all three meters -33 LUFS ± 0.1."""
    meter = LoudnessMeter(RATE)
    stream(meter, tones((20, -33)), quantum)
    readings = (meter.momentary_lufs, meter.short_term_lufs, meter.integrated_lufs)
    assert readings == pytest.approx([-33.0] * 3, abs=0.1)


@longer_quanta
def test_3341_cases_9_and_12_move_in_pieces(quantum: int) -> None:
    """Short-term after 3 s and momentary after 1 s stand at -23 LUFS ± 0.1 at the end of every quantum."""
    nine = stream(LoudnessMeter(RATE), tones(*[(1.34, -20), (1.66, -30)] * 5), quantum)
    assert np.abs(nine[3 * RATE // quantum + 1 :, 1] + 23.0).max() <= 0.1
    twelve = stream(LoudnessMeter(RATE), tones(*[(0.18, -20), (0.22, -30)] * 25), quantum)
    assert np.abs(twelve[RATE // quantum + 1 :, 0] + 23.0).max() <= 0.1


@pytest.mark.parametrize("quantum", [37, 4096])
@pytest.mark.parametrize("i", range(20))
def test_3341_cases_10_11_13_and_14_miss_a_tone_in_pieces(i: int, quantum: int) -> None:
    """All 20 starts of each: maximum -23, -38 + i, -23, -38 + i LUFS ± 0.1."""
    programmes = {
        10: ("short_term_max_lufs", [(0.15 * i, SILENCE), (3, -23), (1, SILENCE)], -23.0),
        11: ("short_term_max_lufs", [(0.15 * i, SILENCE), (3, -38 + i), (3 - 0.15 * i, SILENCE)], -38.0 + i),
        13: ("momentary_max_lufs", [(0.02 * i, SILENCE), (0.4, -23), (1, SILENCE)], -23.0),
        14: (
            "momentary_max_lufs",
            [(0.02 * i, SILENCE), (0.4, -38 + i), (0.4 - 0.02 * i, SILENCE)],
            -38.0 + i,
        ),
    }
    for name, parts, expected in programmes.values():
        meter = LoudnessMeter(RATE)
        stream(meter, tones(*parts), quantum)
        assert getattr(meter, name) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("quantum", [37, 4096])
def test_3341_cases_11_and_14_as_one_programme_lose_a_step(quantum: int) -> None:
    """The 20 tones one after the other: maxima of -38, -37 … -19 LUFS ± 0.1, each while it lasts."""
    eleven, fourteen = LoudnessMeter(RATE), LoudnessMeter(RATE)
    for i in range(20):
        stream(eleven, tones((0.15 * i, SILENCE), (3, -38 + i), (3 - 0.15 * i, SILENCE)), quantum)
        assert eleven.short_term_max_lufs == pytest.approx(-38.0 + i, abs=0.1)
        stream(fourteen, tones((0.02 * i, SILENCE), (0.4, -38 + i), (0.4 - 0.02 * i, SILENCE)), quantum)
        assert fourteen.momentary_max_lufs == pytest.approx(-38.0 + i, abs=0.1)


TONES = {
    15: (4, 0.5, 0.0, -6.0),
    16: (4, 0.5, 45.0, -6.0),
    17: (6, 0.5, 60.0, -6.0),
    18: (8, 0.5, 67.5, -6.0),
}
TONES[19] = (4, 1.41, 45.0, 3.0)


def peak_dbtp(x: Samples, quantum: int) -> float:
    meter = TruePeakMeter(RATE)
    for first in range(0, len(x), quantum):
        meter.process(x[first : first + quantum])
    return meter.dbtp


@quanta
@pytest.mark.parametrize("case", TONES)
def test_3341_true_peaks_of_tones_differ_in_pieces(case: int, quantum: int) -> None:
    """Cases 15 to 19: -6 and +3 dBTP, +0.2 / -0.4 dB."""
    period, amplitude, phase, expected = TONES[case]
    tone = amplitude * np.sin(2 * np.pi * np.arange(RATE // 4) / period + np.radians(phase))
    assert -0.4 <= peak_dbtp(stereo(faded(tone, 480)), quantum) - expected <= 0.2


@quanta
@pytest.mark.parametrize("case", [20, 21, 22, 23])
def test_3341_true_peaks_of_bursts_differ_in_pieces(case: int, quantum: int) -> None:
    """Cases 20 to 23, the grid 0 to 3 quarters of a frame off: 0 dBTP, +0.2 / -0.4 dB."""
    base = 0.5 * np.sin(2 * np.pi * np.arange(24 * 400) / 24)
    wide = faded(np.concatenate([base, np.sin(2 * np.pi * np.arange(16) / 16), base]), 1920)
    wide = signal.fftconvolve(wide, signal.firwin(1023, 0.48 * RATE, fs=4 * RATE), "same")
    assert -0.4 <= peak_dbtp(stereo(wide[case - 20 :: 4]), quantum) <= 0.2


@longer_quanta
@pytest.mark.parametrize(
    ("case", "levels", "range_lu"),
    [(1, (-20, -30), 10), (2, (-20, -15), 5), (3, (-40, -20), 20), (4, (-50, -35, -20, -35, -50), 15)],
)
def test_3342_ranges_differ_in_pieces(
    case: int, levels: tuple[float, ...], range_lu: float, quantum: int
) -> None:
    """Cases 1 to 4, as the meter shows it at the end: 10, 5, 20, 15 LU ± 1."""
    meter = LoudnessMeter(RATE)
    stream(meter, tones(*[(20, db) for db in levels]), quantum)
    assert meter.range_lu == pytest.approx(range_lu, abs=1.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_streamed_range_differs_from_the_sorted_one(seed: int) -> None:
    """30 s of noise that swells over 40 dB: within 0.06 LU of the percentiles of all readings; 0 before 3 s."""
    swell = 10 ** (np.random.default_rng(seed).uniform(-30, 10, 11) / 20)
    shape = np.interp(np.arange(30 * RATE), np.linspace(0, 30 * RATE, 11), swell)
    x = (coloured_noise(seed, 30.0) * shape[:, None]).astype(np.float32)
    meter = LoudnessMeter(RATE)
    meter.process(x[: 3 * RATE - 480])
    assert meter.range_lu == 0.0
    meter.process(x[3 * RATE - 480 :])
    assert meter.range_lu == pytest.approx(measure(x, RATE).range_lu, abs=0.06)
    meter.reset()
    assert meter.range_lu == 0.0


@lru_cache(maxsize=1)
def real_file(name: str) -> tuple[Samples, int]:
    """Return a recording as stereo, looped to 10 s and more."""
    samples, rate_hz = soundfile.read(REAL_FILES / f"{name}.flac", dtype="float32", always_2d=True)
    pair = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples
    times = -(-10 * rate_hz // len(pair))
    return np.ascontiguousarray(np.tile(pair, (times, 1))), rate_hz


@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="the samples of sonic-pi are not installed")
@pytest.mark.parametrize("name", REAL)
def test_pyloudnorm_reads_real_files_otherwise(name: str) -> None:
    """Seven recordings, looped to 10 s: integrated within 0.1 LU."""
    x, rate_hz = real_file(name)
    other = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(x.astype(np.float64))
    assert measure(x, rate_hz).integrated_lufs == pytest.approx(other, abs=0.1)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="the samples of sonic-pi are not installed")
@pytest.mark.parametrize("name", REAL)
def test_ffmpeg_reads_real_files_otherwise(name: str, tmp_path: Path) -> None:
    """The same: integrated within 0.1 LU, streamed in quanta of 128; true peak within 0.3 dB (one decimal)."""
    x, rate_hz = real_file(name)
    path = tmp_path / "real.wav"
    soundfile.write(path, x, rate_hz, subtype="FLOAT")
    command = ["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split("Summary:")[1]
    meter, peaks = LoudnessMeter(rate_hz), TruePeakMeter(rate_hz)
    for first in range(0, len(x), 128):
        meter.process(x[first : first + 128])
        peaks.process(x[first : first + 128])
    integrated, peak = (re.search(rf"{key}:\s+(-?[\d.]+) ", told) for key in ("I", "Peak"))
    assert integrated is not None
    assert peak is not None
    assert meter.integrated_lufs == pytest.approx(float(integrated[1]), abs=0.1)
    assert peaks.dbtp == pytest.approx(float(peak[1]), abs=0.3)
