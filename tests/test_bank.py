"""The band energies against scipy and against theory."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from dsp.bank import ENERGY_FLOOR, BarkBank
from dsp.bank_design import NOISE_BANDWIDTH, design_bank
from dsp.bank_filters import BLOCK, ROWS, SUM
from dsp.bark import BANDS, CENTRES_HZ, EDGES_HZ, WIDTHS_HZ, time_constants_s
from dsp.svf import bandpass_response
from dsp.vectors import WIDTH

RATES_HZ = (44100, 48000, 88200, 96000)
Samples = npt.NDArray[np.float32]


def noise(frames: int, tracks: int, level: float = 0.1, seed: int = 440) -> Samples:
    """Return the same noise in both channels of each track."""
    one = level * np.random.default_rng(seed).standard_normal((frames, tracks))
    return np.ascontiguousarray(np.tile(one, 2), dtype=np.float32)


def run(bank: BarkBank, x: Samples, period: int) -> npt.NDArray[np.float64]:
    """Return the energies after every whole control period, (periods, 25, T)."""
    history = []
    for start in range(0, len(x) - period + 1, period):
        bank.filter(x[start : start + period], 0)
        bank.smooth()
        history.append(bank.energy.copy())
    return np.array(history)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_designed_band_is_not_a_butterworth(rate_hz: int) -> None:
    """Every band's response equals scipy's order-2 Butterworth band-pass to 1e-9."""
    frequency_hz = np.geomspace(10.0, 0.48 * rate_hz, 400)
    for low, high in pairwise(EDGES_HZ):
        z, p, k = signal.butter(2, (low, high), "bandpass", fs=rate_hz, output="zpk")
        truth = signal.freqz_zpk(z, p, k, worN=frequency_hz, fs=rate_hz)[1]
        assert np.max(np.abs(bandpass_response(low, high, frequency_hz, rate_hz) - truth)) < 1e-9


def filtered_by_scipy(x: Samples, band: int, rate_hz: int) -> npt.NDArray[np.float64]:
    """Return band `band` of (frames, T) x in float64: a low one as it is at its own rate, behind the low-pass."""
    design, y = design_bank(rate_hz), x.astype(np.float64)
    own_hz = float(rate_hz)
    if band < design.low:
        y = signal.lfilter(design.lowpass, 1.0, y, axis=0)[design.decimation - 1 :: design.decimation]
        own_hz /= design.decimation
        y /= np.abs(signal.freqz(design.lowpass, 1.0, worN=[CENTRES_HZ[band]], fs=rate_hz)[1])
    sos = signal.butter(2, EDGES_HZ[band : band + 2], "bandpass", fs=own_hz, output="sos")
    return np.asarray(signal.sosfilt(sos, y, axis=0), dtype=np.float64)


def smoothed(filtered: npt.NDArray[np.float64], band: int, periods: int, period_s: float) -> list[Samples]:
    """Return the smoothed energies of a band after every period."""
    a, truth, history = np.exp(-period_s / time_constants_s()[band]), 0.0, []
    for part in np.split(filtered, periods):
        truth = a * truth + (1 - a) * np.mean(part**2, axis=0) / NOISE_BANDWIDTH
        history.append(truth)
    return history


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("tracks", [1, 3])
def test_float32_bank_strays_from_float64(rate_hz: int, tracks: int) -> None:
    """Energies after 40 periods of 96 equal scipy in float64, at the bands' rates, smoothed by hand, to 1e-4."""
    x = noise(40 * 96, tracks)
    bank = BarkBank(tracks, rate_hz, 96)
    energy = run(bank, x, 96)[-1]
    for band in range(BANDS):
        filtered = filtered_by_scipy(x[:, :tracks], band, rate_hz)
        assert energy[band] == pytest.approx(smoothed(filtered, band, 40, 96 / rate_hz)[-1], rel=1e-4)


@pytest.mark.parametrize("rate_hz", [11025, 16000, 22050, 32000, *RATES_HZ, 192000])
def test_lower_rate_is_heard(rate_hz: int) -> None:
    """Means over 4 s of noise are those of Butterworth band-passes at the full rate to 0.06 dB, at every rate."""
    design = design_bank(rate_hz)
    period = 8 * design.decimation
    x = noise(4 * rate_hz // period * period, 1)
    measured = run(BarkBank(1, rate_hz, period), x, period).mean(axis=0)[:, 0]
    assert design.low >= 8
    for band in range(design.low):
        sos = signal.butter(2, EDGES_HZ[band : band + 2], "bandpass", fs=rate_hz, output="sos")
        filtered = signal.sosfilt(sos, x[:, :1].astype(np.float64), axis=0)
        truth = np.mean(smoothed(filtered, band, len(x) // period, period / rate_hz))
        assert 10 * np.log10(measured[band] / truth) == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_high_tone_folds_into_a_low_band(rate_hz: int) -> None:
    """A tone that a lower rate would fold onto a low band's centre reads 75 dB below itself there (60 from 800 Hz)."""
    design = design_bank(rate_hz)
    period = 32 * design.decimation
    for band in range(design.low):
        tone_hz = rate_hz / design.decimation - CENTRES_HZ[band]
        one = np.sin(2 * np.pi * tone_hz * np.arange(200 * period) / rate_hz).astype(np.float32)
        x = np.column_stack([one, one])
        energy = run(BarkBank(1, rate_hz, period), x, period)[-1, band, 0]
        assert 10 * np.log10(energy / 0.5) < (-75.0 if CENTRES_HZ[band] < 800.0 else -60.0)


def test_period_that_splits_a_low_sample_is_accepted() -> None:
    """At 48 kHz a control period of 100 frames, no multiple of 8, is refused."""
    with pytest.raises(ValueError, match="multiple of 8"):
        BarkBank(1, 48000, 100)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_white_noise_does_not_read_true(rate_hz: int) -> None:
    """The mean energy of noise of power p is p 2 width / fs in every band, to 0.3 dB."""
    x = noise(2 * rate_hz, 24)
    history = run(BarkBank(24, rate_hz, 512), x, 512)[rate_hz // 2048 :]
    measured = history.mean(axis=(0, 2))
    assert 10 * np.log10(measured / (0.01 * 2 * WIDTHS_HZ / rate_hz)) == pytest.approx(0.0, abs=0.3)


def test_tone_at_a_centre_reads_wrong() -> None:
    """1 kHz of mean square 0.5 reads -0.456 dB in band 9 and at least 10 dB less one band away."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000).astype(np.float32)
    energy = run(BarkBank(1, 48000, 256), np.column_stack([tone, tone]), 256)[-1, :, 0]
    assert 10 * np.log10(energy[8] / 0.5) == pytest.approx(-0.456, abs=0.05)
    assert max(energy[7], energy[9]) < 0.1 * energy[8]


@pytest.mark.parametrize("period", [32, 64, 200, 1024])
def test_energies_depend_on_the_period(period: int) -> None:
    """Long-term band levels of noise agree with those at 128 frames within 0.15 dB."""
    x = noise(48000, 8)
    truth = run(BarkBank(8, 48000, 128), x, 128)[40:].mean(axis=(0, 2))
    other = run(BarkBank(8, 48000, period), x, period)[40 * 128 // period :].mean(axis=(0, 2))
    assert 10 * np.log10(other / truth) == pytest.approx(0.0, abs=0.15)


@pytest.mark.parametrize("tracks", [1, 9, 70])
def test_parts_of_a_period_differ_from_the_whole(tracks: int) -> None:
    """Energies and states are bit-equal for periods in one part and in parts of 1 to 100 frames, gaps included."""
    rng = np.random.default_rng(tracks)
    x = noise(256 * 600, tracks)
    x[: 256 * 3 + 77] = x[256 * 20 + 5 : 256 * 590 + 131] = 0.0
    whole, parts, rested = BarkBank(tracks, 48000, 256), BarkBank(tracks, 48000, 256), 0
    for first in range(0, len(x), 256):
        whole.filter(x[first : first + 256], 0)
        in_parts(parts, x[first : first + 256], rng)
        rested += int(whole.awake == 0)
        for bank in (whole, parts):
            bank.smooth()
        assert np.array_equal(whole._lanes, parts._lanes)
        assert np.array_equal(whole.energy, parts.energy)
        assert np.array_equal(whole.peak, parts.peak)
    assert 380 < rested < 390
    assert whole.energy.min() > 1e-9


def in_parts(bank: BarkBank, x: Samples, rng: np.random.Generator) -> None:
    """Filter one period in parts of 1 to 100 frames."""
    start = 0
    while start < len(x):
        stop = min(len(x), start + int(rng.integers(1, 101)))
        bank.filter(x[start:stop], start)
        start = stop


@st.composite
def comings_and_goings(draw: st.DrawFn) -> Samples:
    """Return 2.1 s of 1 to 40 tracks at 8 kHz; each sounds from any frame on, often long after its first end."""
    tracks, frames = draw(st.sampled_from([1, 3, 16, 17, 40])), 16_800
    x = noise(frames, tracks, seed=draw(st.integers(0, 99)))
    for t in range(tracks):
        start = draw(st.integers(0, 3000))
        stop = start + draw(st.integers(1, 2000))
        again = draw(st.one_of(st.just(frames), st.integers(stop + 8000, frames)))
        x[:start, [t, tracks + t]] = x[stop:again, [t, tracks + t]] = 0.0
    return x


@settings(max_examples=25, deadline=None)
@given(x=comings_and_goings(), seed=st.integers(0, 99))
def test_waking_depends_on_the_split_or_on_the_company(x: Samples, seed: int) -> None:
    """Whenever tracks wake and rest, energies are bit-equal in any parts, and one by one in banks of their own."""
    rng, tracks = np.random.default_rng(seed), x.shape[1] // 2
    together, parts = BarkBank(tracks, 8000, 128), BarkBank(tracks, 8000, 128)
    alone = [BarkBank(1, 8000, 128) for _ in range(tracks)]
    for first in range(0, len(x) - 127, 128):
        period = x[first : first + 128]
        together.filter(period, 0)
        in_parts(parts, period, rng)
        for t, bank in enumerate(alone):
            bank.filter(np.ascontiguousarray(period[:, [t, tracks + t]]), 0)
        for bank in (together, parts, *alone):
            bank.smooth()
        assert np.array_equal(together.energy, parts.energy)
        assert np.array_equal(together.energy, np.column_stack([bank.energy for bank in alone]))
        assert together.awake == parts.awake == sum(bank.awake for bank in alone)


def test_resting_loses_sound() -> None:
    """Across two rests of 1.2 s, energies of 20 tracks equal scipy's, which never rests, to 1e-4 above -190 dB."""
    rate_hz, period = 8000, 100
    x = noise(3 * rate_hz, 20)
    for t in range(20):
        for start in (37 * t, 12_000 + 53 * t):
            x[start + 1900 : start + 11_500, [t, 20 + t]] = 0.0
    bank, awake, history = BarkBank(20, rate_hz, period), set(), []
    for first in range(0, len(x), period):
        bank.filter(x[first : first + period], 0)
        awake.add(bank.awake)
        bank.smooth()
        history.append(bank.energy.copy())
    assert {0, 20} <= awake
    assert len(awake) > 10
    for band in range(bank.usable):
        filtered = filtered_by_scipy(x[:, :20], band, rate_hz)
        truth = smoothed(filtered, band, len(x) // period, period / rate_hz)
        for measured, expected in zip(history, truth, strict=True):
            assert measured[band] == pytest.approx(expected, rel=1e-4, abs=1e-19)


def test_silent_tracks_are_filtered() -> None:
    """Of 128 tracks 8 scattered ones sound: after 1 s 8 are awake, in the first slots; all other states are 0."""
    bank, few = BarkBank(128, 48000, 480), np.arange(5, 128, 16)
    run(bank, noise(480, 128), 480)
    assert bank.awake == 128
    x = np.zeros((480, 256), np.float32)
    x[:, few] = noise(480, 8)[:, :8]
    run(bank, np.tile(x, (99, 1)), 480)
    assert bank.awake == 128
    run(bank, x, 480)
    assert bank.awake == 8
    assert np.array_equal(bank._track[:8], few)
    states = bank._lanes.reshape(-1, BLOCK // WIDTH, WIDTH).transpose(1, 0, 2).reshape(-1, 128)
    assert np.all(states[: BANDS * ROWS].reshape(BANDS, ROWS, 128)[:, :SUM, :8] != 0.0)
    assert not np.any(states[:, 8:])
    run(bank, noise(480, 128), 480)
    assert bank.awake == 128
    assert np.array_equal(bank._track, np.arange(128))


def test_neighbour_leaks_into_a_free_slot() -> None:
    """Two tracks that wake one after the other beside one that is awake elsewhere: energies bit-equal to alone."""
    tracks = 2 * WIDTH
    early, late, last = tracks - 1, tracks - 2, tracks - 3
    x = noise(512, tracks)
    x[:, WIDTH - 1 : early] = x[:, tracks + WIDTH - 1 : tracks + early] = 0.0
    x[300:, late] = x[400:, last] = 0.1
    bank, alone = BarkBank(tracks, 48000, 256), BarkBank(1, 48000, 256)
    for b, y in ((bank, x), (alone, np.ascontiguousarray(x[:, [last, tracks + last]]))):
        b.filter(y[:256], 0)
        b.smooth()
        b.filter(y[256:384], 0)
        b.filter(y[384:], 128)
        b.smooth()
    assert bank.awake == WIDTH + 2
    assert np.array_equal(bank.energy[:, last], alone.energy[:, 0])


def test_rested_track_keeps_its_energy() -> None:
    """In 9 s of silence all energies of a track fall to the floor, while another's of noise do not."""
    bank = BarkBank(2, 48000, 480)
    run(bank, noise(480, 2), 480)
    x = np.tile(noise(480, 2), (900, 1))
    x[:, [1, 3]] = 0.0
    energy = run(bank, x, 480)[-1]
    assert np.all(energy[:, 1] == ENERGY_FLOOR)
    assert energy[:, 0].min() > 1e-7


@pytest.mark.parametrize("passed", [0, 100, 255])
def test_adopted_tracks_differ_from_their_own_past(passed: int) -> None:
    """Tracks that go on elsewhere, within a period, some resting: energies bit-equal to where they stood."""
    rng = np.random.default_rng(passed)
    old = BarkBank(40, 48000, 256)
    x = noise(256 * 200, 40)
    ended = np.arange(1, 40, 3)
    x[256:, ended] = x[256:, 40 + ended] = 0.0
    x[256 * 100 :, [2, 42]] = 0.0
    run(old, x, 256)
    assert old.awake == 27
    y = noise(256, 40, seed=1)
    y[:, [2, 42]] = 0.0
    old.filter(y[:passed], 0)
    mapping = rng.permutation(np.r_[np.arange(35), np.full(15, -1)])
    kept = mapping >= 0
    new = BarkBank(50, 48000, 256)
    run(new, noise(512, 50, seed=2), 256)
    new.adopt(old, mapping)
    z = np.zeros((256, 100), np.float32)
    z[:, np.r_[kept, kept]] = y[:, np.r_[mapping[kept], 40 + mapping[kept]]]
    for bank, rest in ((old, y), (new, z)):
        bank.filter(rest[passed:], passed)
        bank.smooth()
        run(bank, rest, 256)
    silence = np.zeros((256, 100), np.float32)
    for _ in range(190):
        assert np.array_equal(new._slot[kept] >= 0, old._slot[mapping[kept]] >= 0)
        run(new, silence, 256)
        run(old, silence[:, :80].copy(), 256)
    assert old.awake == new.awake == 0
    assert np.array_equal(new.energy[:, kept], old.energy[:, mapping[kept]])
    assert np.array_equal(new.peak[kept], old.peak[mapping[kept]])
    assert np.all(new.energy[:, ~kept] == ENERGY_FLOOR)


def poison(bank: BarkBank, track: int) -> None:
    """Make the filter states of one track, which is awake, no numbers."""
    slot = bank._slot[track]
    bank._lanes.reshape(-1, BLOCK // WIDTH, WIDTH)[slot // WIDTH, : BANDS * ROWS, slot % WIDTH] = np.nan


@pytest.mark.parametrize("passed", [0, 100, 255])
def test_reset_of_some_tracks_disturbs_the_others(passed: int) -> None:
    """Of 40 tracks, some resting, 5 are poisoned and reset within a period: the others' bits are those of before.

    The 5 read as in a bank that hears nothing before that frame, bit for bit; a reset track that rests stays so.
    """
    bank, twin, fresh = (BarkBank(40, 48000, 256) for _ in range(3))
    x = noise(256 * 250, 40)
    ended = np.arange(1, 40, 3)
    x[256:, ended] = x[256:, 40 + ended] = 0.0
    for b in (bank, twin):
        run(b, x[: 256 * 200], 256)
        b.filter(x[256 * 200 :][:passed], 0)
    assert bank.awake == 27
    bad = np.zeros(40, np.bool_)
    bad[[0, 5, 18, 39]] = True
    for poisoned in np.flatnonzero(bad):
        poison(bank, int(poisoned))
    bad[4] = True
    bank.reset_tracks(bad)
    assert bank.awake == 23
    assert np.all(np.isfinite(bank._lanes))
    assert np.all(bank.energy[:, bad] == ENERGY_FLOOR)
    for b in (bank, twin, fresh):
        b.filter(x[256 * 200 + passed : 256 * 201], passed)
        b.smooth()
        run(b, x[256 * 201 :], 256)
    assert bank.awake == 27
    for track in range(40):
        truth = fresh if bad[track] else twin
        assert np.array_equal(bank.energy[:, track], truth.energy[:, track])
    assert np.array_equal(bank.peak, twin.peak)


def test_state_that_is_no_number_spoils_other_tracks() -> None:
    """At the end of the period all energies are finite, the other tracks' bit-equal to before.

    The track wakes at its next sound; 1 s later its energies are right to 1e-3.
    """
    x = noise(256 * 200, 20)
    for bad in (3, 19):
        bank, twin = BarkBank(20, 48000, 256), BarkBank(20, 48000, 256)
        others = np.arange(20) != bad
        for b in (bank, twin):
            run(b, x[: 256 * 10], 256)
            b.filter(x[:100], 0)
        poison(bank, bad)
        for b in (bank, twin):
            b.filter(x[100:256], 100)
            b.smooth()
        assert np.all(np.isfinite(bank.energy))
        assert bank.awake == 19
        assert np.array_equal(bank.energy[:, others], twin.energy[:, others])
        for b in (bank, twin):
            run(b, x, 256)
        assert bank.awake == 20
        assert np.array_equal(bank.energy[:, others], twin.energy[:, others])
        assert bank.energy[:, bad] == pytest.approx(twin.energy[:, bad], rel=1e-3)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_band_powers_of_pink_noise_differ_from_welch(rate_hz: int) -> None:
    """Mean energies of 8 s of 1/f noise equal Welch's spectrum under the band's response, to 0.2 dB."""
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal(8 * rate_hz))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum)
    x = np.column_stack([pink, pink]).astype(np.float32) * np.float32(0.1 / np.std(pink))
    history = run(BarkBank(1, rate_hz, 512), x, 512)
    frequency_hz, density = signal.welch(x[:, 0].astype(np.float64), rate_hz, nperseg=2**16)
    measured = history.mean(axis=0)[:, 0]
    for band, (low, high) in enumerate(pairwise(EDGES_HZ)):
        gain = np.abs(bandpass_response(low, high, frequency_hz[1:-1], rate_hz)) ** 2
        truth = np.sum(density[1:-1] * gain) * (frequency_hz[1] - frequency_hz[0]) / NOISE_BANDWIDTH
        assert 10 * np.log10(measured[band] / truth) == pytest.approx(0.0, abs=0.2)


def test_tracks_leak_into_each_other() -> None:
    """Of 37 tracks only the sounding one reads above -170 dB."""
    x = np.zeros((512, 74), np.float32)
    x[:, 11] = x[:, 48] = noise(512, 1)[:, 0]
    bank = BarkBank(37, 48000, 512)
    run(bank, x, 512)
    assert np.all(bank.energy[:, 11] > 1e-9)
    assert np.all(np.delete(bank.energy, 11, axis=1) < 1e-17)


def test_mono_sum_is_not_the_mean_of_both_channels() -> None:
    """One channel alone reads 6.02 dB below both; opposite channels cancel to below -170 dB."""
    x = noise(2048, 3)
    x[:, 4] = 0.0
    x[:, 5] = -x[:, 2]
    energy = run(BarkBank(3, 48000, 2048), x, 2048)[-1]
    alone = run(BarkBank(1, 48000, 2048), np.ascontiguousarray(x[:, [1, 1]]), 2048)[-1, :, 0]
    assert energy[:, 1] == pytest.approx(alone / 4, rel=1e-5)
    assert np.all(energy[:, 2] < 1e-17)


def test_band_above_the_rate_reports_energy() -> None:
    """At 32 kHz the band up to 20 kHz stays at the floor and the one below it works."""
    bank = BarkBank(1, 32000, 512)
    run(bank, noise(512, 1), 512)
    assert bank.energy[24, 0] == ENERGY_FLOOR
    assert bank.energy[23, 0] > 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, 3e38])
def test_bad_sample_lives_on(bad: float) -> None:
    """A sample that is no sound counts as 0, bit for bit, in its own and in all other tracks."""
    good = noise(256, 2)
    good[17, [1, 3]] = 0.0
    poisoned = good.copy()
    poisoned[17, 1] = bad
    assert np.array_equal(
        run(BarkBank(2, 48000, 128), poisoned, 128), run(BarkBank(2, 48000, 128), good, 128)
    )


def test_silence_leaves_denormal_states() -> None:
    """In 0.8 s of silence after noise no filter state is ever denormal, and all bands end below -160 dB."""
    bank = BarkBank(2, 48000, 480)
    run(bank, noise(4800, 2), 480)
    for _ in range(80):
        bank.filter(np.zeros((480, 4), np.float32), 0)
        lanes = bank._lanes.reshape(-1, WIDTH)[: BANDS * ROWS].reshape(BANDS, ROWS, WIDTH)
        present = lanes[:, SUM, :2] * (bank._weight / (1 - bank._decay))[:, None]
        bank.smooth()
        state = np.abs(bank._lanes)
        assert np.all((state == 0) | (state > np.finfo(np.float32).tiny))
    assert np.max(present) < 1e-16


def test_resting_bank_hears_late() -> None:
    """After 3 s of silence, when the filters rest, noise reads as in a fresh bank to 1e-4."""
    bank, fresh = BarkBank(2, 48000, 480), BarkBank(2, 48000, 480)
    run(bank, noise(4800, 2), 480)
    run(bank, np.zeros((144000, 4), np.float32), 480)
    x = noise(4800, 2, seed=1)
    assert run(bank, x, 480)[-1] == pytest.approx(run(fresh, x, 480)[-1], rel=1e-4)


def test_reset_keeps_sound() -> None:
    """After reset the energies of the same input are bit-equal to the first time."""
    bank = BarkBank(2, 48000, 128)
    x = noise(1280, 2)
    first = run(bank, x, 128)
    bank.reset()
    assert np.array_equal(run(bank, x, 128), first)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_tone_is_strongest_in_another_band(rate_hz: int) -> None:
    """A tone at the centre of band 6 (570 Hz), 1, 15 or 25 reads highest in that very band."""
    for band in (0, 5, 14, 24):
        tone = np.sin(2 * np.pi * CENTRES_HZ[band] * np.arange(9600) / rate_hz).astype(np.float32)
        energy = run(BarkBank(1, rate_hz, 128), np.column_stack([tone, tone]), 128)[-1, :, 0]
        assert int(np.argmax(energy)) == band
