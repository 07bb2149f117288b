"""The band energies against scipy and against theory."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal

from dsp.bank import ENERGY_FLOOR, H1, NOISE_BANDWIDTH, BarkBank
from dsp.bark import BANDS, CENTRES_HZ, EDGES_HZ, WIDTHS_HZ, time_constants_s
from dsp.svf import bandpass_response

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


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("tracks", [1, 3])
def test_float32_bank_strays_from_float64(rate_hz: int, tracks: int) -> None:
    """Energies after 40 periods of 96 equal scipy in float64, smoothed by hand, to 1e-4."""
    x = noise(40 * 96, tracks)
    bank = BarkBank(tracks, rate_hz, 96)
    energy = run(bank, x, 96)[-1]
    for band in range(BANDS):
        edges = EDGES_HZ[band : band + 2]
        sos = signal.butter(2, edges, "bandpass", fs=rate_hz, output="sos")
        filtered = signal.sosfilt(sos, x[:, :tracks].astype(np.float64), axis=0)
        a = np.exp(-96 / (rate_hz * time_constants_s()[band]))
        truth = np.zeros(tracks)
        for quantum in np.split(filtered, 40):
            truth = a * truth + (1 - a) * np.mean(quantum**2, axis=0) / NOISE_BANDWIDTH
        assert energy[band] == pytest.approx(truth, rel=1e-4)


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
        start = 0
        while start < 256:
            stop = min(256, start + int(rng.integers(1, 101)))
            parts.filter(x[first + start : first + stop], start)
            start = stop
        assert np.array_equal(whole._lanes, parts._lanes)
        rested += int(whole._rest[0])
        for bank in (whole, parts):
            bank.smooth()
        assert np.array_equal(whole.energy, parts.energy)
        assert np.array_equal(whole.peak, parts.peak)
    assert 380 < rested < 390
    assert whole.energy.min() > 1e-9


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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
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
        present = bank._squares[:50] * np.repeat(bank._weight / (1 - bank._decay), 2)
        bank.smooth()
        state = np.abs(bank._lanes[:, H1:])
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
