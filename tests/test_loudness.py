"""The meter must agree with the standards, with other meters, and with itself however the signal is cut."""

import gc
import re
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
import soundfile
from scipy import signal

from dsp.clip_loudness import active_loudness
from dsp.loudness import LoudnessMeter, k_weighting, measure

RATE = 48_000


def tones(*parts: tuple[float, float], rate_hz: int = RATE) -> npt.NDArray[np.float32]:
    """Return (seconds, peak dBFS) parts of one continuous stereo 1 kHz tone; -inf dBFS is silence."""
    amplitude = np.concatenate([np.full(round(seconds * rate_hz), 10 ** (db / 20)) for seconds, db in parts])
    tone = amplitude * np.sin(2 * np.pi * 1000 * np.arange(len(amplitude)) / rate_hz)
    return np.repeat(tone[:, None], 2, axis=1).astype(np.float32)


def coloured_noise(seed: int, seconds: float, rate_hz: int = RATE) -> npt.NDArray[np.float32]:
    """Return stereo noise with a falling spectrum, a 4 Hz rhythm and a slow swell, like speech or weather."""
    rng = np.random.default_rng(seed)
    n = np.arange(round(seconds * rate_hz))
    noise = signal.lfilter([1.0], [1.0, -0.9], rng.standard_normal((len(n), 2)), axis=0)
    rhythm = 0.02 + 0.1 * np.abs(np.sin(2 * np.pi * 4 * n / rate_hz)) * (
        1.2 + np.sin(2 * np.pi * 0.1 * n / rate_hz)
    )
    return np.ascontiguousarray(noise * rhythm[:, None] * [1.0, 0.6], np.float32)


def trace(meter: LoudnessMeter, x: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float64]:
    """Return the named reading after every 100 ms of x."""
    step, values = RATE // 10, []
    for first in range(0, len(x), step):
        meter.process(x[first : first + step])
        values.append(getattr(meter, name))
    return np.array(values)


EBU_INTEGRATED: dict[int, list[tuple[float, float]]] = {
    1: [(20, -23)],
    3: [(10, -36), (60, -23), (10, -36)],
    4: [(10, -72), (10, -36), (60, -23), (10, -36), (10, -72)],
    5: [(20, -26), (20.1, -20), (20, -26)],
    9: [(1.34, -20), (1.66, -30)] * 5,
}


@pytest.mark.parametrize("case", EBU_INTEGRATED)
def test_ebu_3341_programmes_read_minus_23(case: int) -> None:
    """EBU Tech 3341 cases 1, 3, 4, 5, 9: integrated -23 LUFS ± 0.1."""
    assert measure(tones(*EBU_INTEGRATED[case]), RATE).integrated_lufs == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize(("case", "level"), [(1, -23.0), (2, -33.0)])
def test_ebu_3341_steady_tones_read_the_same_on_all_three_meters(case: int, level: float) -> None:
    """Cases 1 and 2: momentary, short-term and integrated -23 and -33 LUFS ± 0.1."""
    meter = LoudnessMeter(RATE)
    meter.process(tones((20, level)))
    readings = (meter.momentary_lufs, meter.short_term_lufs, meter.integrated_lufs)
    assert readings == pytest.approx([level] * 3, abs=0.1)


def test_ebu_3341_case_6_weighs_the_surround_channels() -> None:
    """5.0: L R -28, C -24, Ls Rs -30 dBFS is -23 LUFS ± 0.1; a loud LFE in 5.1 changes nothing."""
    tone = tones((20, 0))[:, :1]
    five = tone * np.array([10 ** (db / 20) for db in (-28, -28, -24, -30, -30)], np.float32)
    assert measure(five, RATE).integrated_lufs == pytest.approx(-23.0, abs=0.1)
    six = np.insert(five, 3, tone[:, 0], axis=1)
    assert measure(six, RATE).integrated_lufs == measure(five, RATE).integrated_lufs


def test_ebu_3341_case_9_short_term_stands_still() -> None:
    """Short-term -23 LUFS ± 0.1 throughout after 3 s of 1.34 s -20 / 1.66 s -30."""
    values = trace(LoudnessMeter(RATE), tones(*[(1.34, -20), (1.66, -30)] * 5), "short_term_lufs")
    assert np.abs(values[30:] + 23.0).max() <= 0.1


def test_ebu_3341_case_12_momentary_stands_still() -> None:
    """Momentary -23 LUFS ± 0.1 throughout after 1 s of 0.18 s -20 / 0.22 s -30."""
    values = trace(LoudnessMeter(RATE), tones(*[(0.18, -20), (0.22, -30)] * 25), "momentary_lufs")
    assert np.abs(values[10:] + 23.0).max() <= 0.1


@pytest.mark.parametrize("i", range(0, 20, 3))
def test_ebu_3341_cases_10_and_11_short_term_finds_the_tone_wherever_it_starts(i: int) -> None:
    """3 s of tone after 0.15 i s: maximum short-term -23 (case 10) and -38 + i (case 11) LUFS ± 0.1."""
    silence = -np.inf
    ten = measure(tones((0.15 * i, silence), (3, -23), (1, silence)), RATE)
    assert ten.short_term_max_lufs == pytest.approx(-23.0, abs=0.1)
    eleven = measure(tones((0.15 * i, silence), (3, -38 + i), (3 - 0.15 * i, silence)), RATE)
    assert eleven.short_term_max_lufs == pytest.approx(-38.0 + i, abs=0.1)


@pytest.mark.parametrize("i", range(20))
def test_ebu_3341_cases_13_and_14_momentary_finds_the_tone_wherever_it_starts(i: int) -> None:
    """400 ms of tone after 20 i ms: maximum momentary -23 (case 13) and -38 + i (case 14) LUFS ± 0.1."""
    silence = -np.inf
    thirteen = measure(tones((0.02 * i, silence), (0.4, -23), (1, silence)), RATE)
    assert thirteen.momentary_max_lufs == pytest.approx(-23.0, abs=0.1)
    fourteen = measure(tones((0.02 * i, silence), (0.4, -38 + i), (0.4 - 0.02 * i, silence)), RATE)
    assert fourteen.momentary_max_lufs == pytest.approx(-38.0 + i, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "range_lu"),
    [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)],
)
def test_ebu_3342_tones_have_the_stated_range(levels: tuple[float, ...], range_lu: float) -> None:
    """EBU Tech 3342 cases 1 to 4, 20 s each: 10, 5, 20, 15 LU ± 1."""
    assert measure(tones(*[(20, db) for db in levels]), RATE).range_lu == pytest.approx(range_lu, abs=1.0)


def test_a_full_scale_tone_in_one_channel_reads_minus_3_01() -> None:
    """BS.1770-5: 0 dBFS at 997 Hz in one channel is -3.01 LKFS ± 0.02."""
    tone = np.sin(2 * np.pi * 997 * np.arange(5 * RATE) / RATE).astype(np.float32)
    assert measure(tone[:, None], RATE).integrated_lufs == pytest.approx(-3.01, abs=0.02)


def test_the_weighting_at_48_khz_is_the_table_of_the_standard() -> None:
    """BS.1770-5 Annex 1, tables 1 and 2: every coefficient within 1e-12."""
    table = [
        (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585),
        (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621),
    ]
    assert np.abs(k_weighting(48_000) - np.array(table)).max() < 1e-12


@pytest.mark.parametrize("rate_hz", [32_000, 44_100, 88_200, 96_000, 192_000])
def test_the_weighting_is_the_same_curve_at_other_rates(rate_hz: int) -> None:
    """Response from 10 Hz to 15 kHz within 0.02 dB of the one at 48 kHz."""
    frequencies = np.geomspace(10, 15_000, 100)

    def response_db(rate: float) -> npt.NDArray[np.float64]:
        c = k_weighting(rate)
        stages = [signal.freqz(row[:3], [1, *row[3:]], frequencies, fs=rate)[1] for row in c]
        return np.asarray(20 * np.log10(np.abs(stages[0] * stages[1])))

    assert np.abs(response_db(rate_hz) - response_db(48_000)).max() < 0.02


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000])
def test_other_rates_read_the_same_level(rate_hz: int) -> None:
    """EBU case 1 at 22.05, 44.1 and 96 kHz: -23 LUFS ± 0.1 on all meters."""
    meter = LoudnessMeter(rate_hz)
    meter.process(tones((10, -23), rate_hz=rate_hz))
    readings = (meter.momentary_lufs, meter.short_term_lufs, meter.integrated_lufs)
    assert readings == pytest.approx([-23.0] * 3, abs=0.1)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_pyloudnorm_reads_the_same_loudness(seed: int, rate_hz: int) -> None:
    """Filter class DeMan, 12 s of coloured noise with rhythm and pauses: within 0.1 LU."""
    x = coloured_noise(seed, 12.0, rate_hz)
    x[4 * rate_hz : 6 * rate_hz] *= 0.01
    other = pyloudnorm.Meter(rate_hz, filter_class="DeMan").integrated_loudness(x.astype(np.float64))
    assert measure(x, rate_hz).integrated_lufs == pytest.approx(other, abs=0.1)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_reads_the_same_loudness_and_range(tmp_path: Path) -> None:
    """ffmpeg's ebur128 filter: integrated within 0.1 LU and range within 0.3 LU (it prints one decimal)."""
    x = coloured_noise(4, 20.0)
    x[RATE * 5 : RATE * 9] *= 0.2
    path = tmp_path / "noise.wav"
    soundfile.write(path, x, RATE, subtype="FLOAT")
    command = ["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128", "-f", "null", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split("Summary:")[1]
    loudness = measure(x, RATE)
    integrated, spread = (re.search(rf"{key}:\s+(-?[\d.]+) LU", text) for key in ("I", "LRA"))
    assert integrated is not None
    assert spread is not None
    assert loudness.integrated_lufs == pytest.approx(float(integrated[1]), abs=0.1)
    assert loudness.range_lu == pytest.approx(float(spread[1]), abs=0.3)


def test_a_plain_double_precision_meter_reads_the_same() -> None:
    """scipy twin of all three meters: momentary and short-term within 1e-6 LU, integrated within 1e-6 LU."""
    x = coloured_noise(5, 10.0)
    x[3 * RATE : 5 * RATE] *= 0.003
    meter = LoudnessMeter(RATE)
    meter.process(x)
    sos = [(*row[:3], 1.0, *row[3:]) for row in k_weighting(RATE)]
    power = (signal.sosfilt(sos, x.astype(np.float64), axis=0) ** 2).sum(axis=1)

    def lufs(mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return -0.691 + 10 * np.log10(mean)

    assert meter.momentary_lufs == pytest.approx(lufs(power[-int(0.4 * RATE) :].mean()), abs=1e-6)
    assert meter.short_term_lufs == pytest.approx(lufs(power[-3 * RATE :].mean()), abs=1e-6)
    starts = range(0, len(power) - int(0.4 * RATE) + 1, RATE // 10)
    blocks = np.array([power[first : first + int(0.4 * RATE)].mean() for first in starts])
    blocks = blocks[lufs(blocks) > -70]
    gated = blocks[lufs(blocks) > lufs(blocks.mean()) - 10]
    assert 0 < len(gated) < len(blocks)
    assert meter.integrated_lufs == pytest.approx(float(lufs(gated.mean())), abs=1e-6)


def test_an_hour_long_programme_takes_no_more_memory_than_a_second_and_forgets_nothing() -> None:
    """An hour at 8 kHz of -23 with ten loud seconds first reads what its blocks say, within 0.01 LU."""
    rate_hz = 8_000
    meter = LoudnessMeter(rate_hz)
    loud, usual = tones((10, -10), rate_hz=rate_hz), tones((10, -23), rate_hz=rate_hz)
    meter.process(loud)
    gc.collect()
    tracemalloc.start()
    for _ in range(359):
        meter.process(usual)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024
    both = LoudnessMeter(rate_hz)
    both.process(usual)
    quiet = both.integrated_lufs
    expected = 10 * np.log10((10 ** ((quiet + 13) / 10) + 359 * 10 ** (quiet / 10)) / 360)
    assert meter.integrated_lufs == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("sizes", [[64], [1024], [1], [37, 128, 513]], ids=str)
def test_the_block_size_does_not_change_any_reading(sizes: list[int]) -> None:
    """All five readings bit-equal to one call over 5 s."""
    x = coloured_noise(6, 5.0)
    whole, cut = LoudnessMeter(RATE), LoudnessMeter(RATE)
    whole.process(x)
    first, i = 0, 0
    while first < len(x):
        cut.process(x[first : first + sizes[i % len(sizes)]])
        first += sizes[i % len(sizes)]
        i += 1
    for name in (
        "momentary_lufs",
        "short_term_lufs",
        "integrated_lufs",
        "momentary_max_lufs",
        "short_term_max_lufs",
    ):
        assert getattr(whole, name) == getattr(cut, name)


def test_peak_and_mean_square_are_those_of_the_last_block() -> None:
    """Per channel, not weighted: numpy's within 1e-12; nothing of the block before."""
    meter = LoudnessMeter(RATE)
    x = coloured_noise(7, 0.1)
    meter.process(np.full((128, 2), 3.0, np.float32))
    meter.process(x)
    wide = x.astype(np.float64)
    assert meter.peak.tolist() == np.abs(wide).max(axis=0).tolist()
    assert meter.mean_square == pytest.approx((wide**2).mean(axis=0), rel=1e-12)


def test_before_there_is_anything_to_read_and_after_a_reset_the_meter_shows_silence() -> None:
    """-144 on all readings; after a reset a second programme reads as in a new meter."""
    meter = LoudnessMeter(RATE)
    assert (meter.momentary_lufs, meter.short_term_lufs, meter.integrated_lufs) == (-144.0, -144.0, -144.0)
    meter.process(coloured_noise(8, 2.03))
    meter.reset()
    assert (meter.momentary_max_lufs, meter.integrated_lufs, meter.peak.max()) == (-144.0, -144.0, 0.0)
    fresh, x = LoudnessMeter(RATE), coloured_noise(9, 2.0)
    meter.process(x)
    fresh.process(x)
    assert meter.integrated_lufs == fresh.integrated_lufs
    assert meter.short_term_max_lufs == fresh.short_term_max_lufs


def test_blocks_below_minus_70_do_not_count_however_quiet_the_programme_is() -> None:
    """10 s at -60 and 20 s at -72 dBFS, less than 10 LU below the mean: -60 LUFS ± 0.1."""
    assert measure(tones((10, -60), (20, -72)), RATE).integrated_lufs == pytest.approx(-60.0, abs=0.1)


def test_silence_after_a_programme_does_not_pull_it_down() -> None:
    """10 s at -23, then 60 s of silence: integrated still -23 LUFS ± 0.1."""
    assert measure(tones((10, -23), (60, -np.inf)), RATE).integrated_lufs == pytest.approx(-23.0, abs=0.1)


def test_a_long_silence_leaves_no_subnormals_that_slow_the_meter_down() -> None:
    """1 s of noise, 5 s of silence: every filter state is exactly 0."""
    meter = LoudnessMeter(RATE)
    meter.process(coloured_noise(13, 1.0))
    meter.process(np.zeros((5 * RATE, 2), np.float32))
    assert not meter._filters.any()


def test_metering_allocates_nothing() -> None:
    """800 quanta (2 s): less than one block of 128 x 2 (1024 bytes) at the peak."""
    meter = LoudnessMeter(RATE)
    block = coloured_noise(10, 128 / RATE)

    def run() -> None:
        for _ in range(800):
            meter.process(block)

    run()
    gc.collect()
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1024


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.39, 0.4, 0.41, 1.0, 10.0])
def test_a_clip_of_any_length_reads_the_level_it_has(seconds: float) -> None:
    """A -20 dBFS stereo tone of 20 ms to 10 s: -20 LUFS ± 0.5, from 100 ms on ± 0.15."""
    got = active_loudness(tones((seconds, -20)), RATE)
    assert got == pytest.approx(-20.0, abs=0.5 if seconds < 0.1 else 0.15)


@pytest.mark.parametrize(("seconds", "tolerance_lu"), [(0.02, 1.5), (0.1, 0.4), (0.3, 0.15)])
@pytest.mark.parametrize("start_s", [2.0, 2.0013])
def test_silence_around_a_one_shot_hardly_changes_its_loudness(
    seconds: float, tolerance_lu: float, start_s: float
) -> None:
    """A tone of 20, 100, 300 ms alone and within 5 s of silence: within 1.5, 0.4, 0.15 LU."""
    alone = active_loudness(tones((seconds, -20)), RATE)
    inside = active_loudness(tones((start_s, -np.inf), (seconds, -20), (3.0, -np.inf)), RATE)
    assert inside == pytest.approx(alone, abs=tolerance_lu)


def test_a_clip_that_is_active_throughout_reads_as_integrated() -> None:
    """10 s of noise: within 0.05 LU of BS.1770-5."""
    x = coloured_noise(11, 10.0)
    assert active_loudness(x, RATE) == pytest.approx(measure(x, RATE).integrated_lufs, abs=0.05)


@pytest.mark.parametrize("seconds", [0.05, 2.0])
def test_a_mono_clip_reads_as_the_same_signal_in_both_channels(seconds: float) -> None:
    """Mono and dual mono within 1e-9 LU."""
    both = tones((seconds, -20))
    assert active_loudness(both[:, :1], RATE) == pytest.approx(active_loudness(both, RATE), abs=1e-9)


@pytest.mark.parametrize("seconds", [0.05, 3.0])
@pytest.mark.parametrize("gain_db", [-60.0, 20.0])
def test_a_quieter_clip_reads_quieter_by_as_much(seconds: float, gain_db: float) -> None:
    """No absolute gate: -60 and +20 dB of gain are -60 and +20 LU within 1e-4."""
    x = coloured_noise(12, seconds)
    other = (x * np.float32(10 ** (gain_db / 20))).astype(np.float32)
    assert active_loudness(other, RATE) - active_loudness(x, RATE) == pytest.approx(gain_db, abs=1e-4)


@pytest.mark.parametrize("frames", [0, 1, 480, 96_000])
def test_a_silent_clip_reads_minus_144(frames: int) -> None:
    """Also an empty one."""
    assert active_loudness(np.zeros((frames, 2), np.float32), RATE) == -144.0


def test_a_single_frame_has_a_loudness() -> None:
    """One sample of 1.0 in both channels is a finite level above -10 LUFS."""
    assert -10.0 < active_loudness(np.ones((1, 2), np.float32), RATE) < 10.0


def test_a_channel_layout_or_rate_it_does_not_know_is_refused_by_name() -> None:
    """4 channels, 3 channels of a clip, 100 Hz."""
    with pytest.raises(ValueError, match="channels is 4"):
        measure(np.zeros((100, 4), np.float32), RATE)
    with pytest.raises(ValueError, match="channels is 3"):
        active_loudness(np.zeros((100, 3), np.float32), RATE)
    with pytest.raises(ValueError, match="rate_hz is 100"):
        LoudnessMeter(100)
