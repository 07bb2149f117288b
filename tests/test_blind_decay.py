"""Reverberation told from a recording: right where it answers, silent where it cannot know, whatever comes in."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, signal

from benchmarks.blind_rt60 import Trial, listen, table, trials
from benchmarks.reverberant import RATE_HZ, SOURCES, convolved, generator, recorded, response
from dsp.blind_decay import CENTRES_HZ, BlindDecay, _sections, blind_decay
from dsp.blind_decay_kernels import ERROR, FIRST, FITTED, FLOOR, FOUND, RATE, band_energies, find_decays

Samples = NDArray[np.float32]


def spoken(rt60_s: float, drr_db: float, treble_ratio: float = 1.0, seed: int = 1) -> NDArray[np.float64]:
    """Ten seconds of blows in a room, at `RATE_HZ`."""
    rng = generator("a room", rt60_s, drr_db, seed)
    sound = SOURCES["impulsive"]["impacts"](seed, 10.0)
    return recorded(convolved(sound, response(rt60_s, drr_db, treble_ratio, rng)), 50.0, rng)


@pytest.fixture(scope="module")
def heard() -> list[Trial]:
    return [
        *trials(1, ("impulsive", "speech-like"), (0.2, 0.8, 1.5), (-6.0, 6.0)),
        *trials(1, ("steady",), (0.0, 0.4, 1.5), (0.0,)),
    ]


def test_the_reverberation_time_is_wrong(heard: list[Trial]) -> None:
    """In rooms of 0.2 s to 1.5 s the median error is at most 15 %, and 60 % of the sounds that pause are answered."""
    for row in table(heard):
        if row.source == "all" and row.kind != "steady":
            assert row.answered >= 0.6
            assert row.median_error is not None
            assert row.median_error <= 0.15


def test_steady_sounds_get_an_answer(heard: list[Trial]) -> None:
    """Less than 5 % of rain, wind, engines, streams, leaves, the sea and noise, dry and in rooms; and it says why."""
    steady = [t for t in heard if t.kind == "steady"]
    assert len(steady) == 21
    assert sum(t.found.rt60_s is not None for t in steady) < 0.05 * len(steady)
    assert all(t.found.why for t in steady if t.found.rt60_s is None)
    assert all(t.found.rt60_confidence == 0.0 for t in steady if t.found.rt60_s is None)


def test_the_stated_uncertainty_of_the_drr_is_too_small(heard: list[Trial]) -> None:
    """Two thirds of the errors lie within it at 6 dB, and half of them at -6 dB."""
    for drr_db, share in ((6.0, 2 / 3), (-6.0, 0.5)):
        known = [t.found for t in heard if t.drr_db == drr_db and t.found.drr_db is not None]
        inside = [f for f in known if abs((f.drr_db or 0.0) - drr_db) <= f.drr_uncertainty_db]
        assert len(known) >= 15
        assert len(inside) >= share * len(known)


def test_every_octave_reads_the_same_in_a_room_that_swallows_treble() -> None:
    """Where 4 kHz lasts 0.6 times what 500 Hz does, the octaves read their own times within 10 %."""
    found, _ = listen(spoken(1.0, 3.0, treble_ratio=0.6))
    for band, octave in zip(found.bands, range(4), strict=True):
        assert band.rt60_s == pytest.approx(0.6 ** ((octave - 1.5) / 3.0), rel=0.1)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 96_000, 192_000])
def test_another_rate_reads_another_time(rate_hz: int) -> None:
    """From 8 kHz to 192 kHz within 5 % of what it is, with the octaves that the rate holds."""
    sound = signal.resample_poly(spoken(0.7, 3.0), rate_hz // 5, RATE_HZ // 5).astype(np.float32)
    found = blind_decay(np.ascontiguousarray(sound), rate_hz)
    assert found.rt60_s == pytest.approx(0.7, rel=0.05)
    assert len(found.bands) == (3 if rate_hz < 12_000 else 4)


def test_a_fade_at_the_end_is_taken_for_a_room() -> None:
    """A second of fade changes the time of blows by less than 2 %, and gives rain none; nor does one at the start."""
    fade = np.linspace(1.0, 0.0, RATE_HZ)
    blows, _ = listen(spoken(0.6, 3.0))
    faded = spoken(0.6, 3.0)
    faded[-RATE_HZ:] *= fade
    assert listen(faded)[0].rt60_s == pytest.approx(blows.rt60_s, rel=0.02)
    rain = SOURCES["steady"]["rain"](1, 10.0)
    rain[-RATE_HZ:] *= fade
    rain[:RATE_HZ] *= fade[::-1]
    assert listen(rain)[0].rt60_s is None
    assert listen(np.concatenate([rain, np.zeros(2 * RATE_HZ)]))[0].rt60_s is None


@pytest.mark.parametrize("name", ["impacts", "footsteps", "drip", "clock", "speech"])
def test_a_dry_sound_reads_like_a_room(name: str) -> None:
    """It is unknown, or shorter than 0.2 s."""
    kind = "speech-like" if name == "speech" else "impulsive"
    for seed in (1, 2):
        rng = generator(name, seed)
        found, _ = listen(recorded(SOURCES[kind][name](seed, 10.0), 50.0, rng))
        assert found.rt60_s is None or found.rt60_s < 0.2


def click() -> Samples:
    samples = np.zeros(16_000 * 4, np.float32)
    samples[30_000] = 1.0
    return samples


ODD = {
    "silence": np.zeros(64_000, np.float32),
    "a constant": np.full(64_000, 0.7, np.float32),
    "one click": click(),
    "clicks": np.where(np.arange(64_000) % 8_000 == 7_000, 1.0, 0.0).astype(np.float32),
    "full-scale square": np.sign(np.sin(np.arange(64_000) * 0.4)).astype(np.float32),
    "the largest float": np.where(np.arange(64_000) % 2, 3e38, -3e38).astype(np.float32),
    "the smallest float": np.where(np.arange(64_000) % 2, 1e-45, -1e-45).astype(np.float32),
}


@pytest.mark.parametrize("name", ODD)
def test_a_signal_without_reverberation_gets_some(name: str) -> None:
    found = blind_decay(ODD[name], 16_000)
    assert found.rt60_s is None
    assert found.why


@pytest.mark.parametrize("frames", [0, 1, 127, 128, 15_000])
def test_a_short_file_gets_an_answer(frames: int) -> None:
    noise = generator("short").standard_normal(frames).astype(np.float32)
    assert blind_decay(noise, 16_000) == BlindDecay(
        None, 0.0, None, math.inf, 0.0, (), "it is shorter than 1 s"
    )


def test_levels_and_channels_make_a_difference() -> None:
    """-100 dB and +60 dB read the same; so do two equal channels, and one beside a silent one."""
    sound = spoken(0.5, 6.0).astype(np.float32)
    whole = blind_decay(sound, RATE_HZ)
    for factor in (1e-5, 1e3):
        scaled = blind_decay((sound * factor).astype(np.float32), RATE_HZ)
        assert scaled.rt60_s == pytest.approx(whole.rt60_s, rel=1e-4)
        assert scaled.drr_db == pytest.approx(whole.drr_db, abs=0.01)
    assert blind_decay(np.stack([sound, sound], axis=1), RATE_HZ).rt60_s == pytest.approx(
        whole.rt60_s, rel=1e-4
    )
    assert blind_decay(np.stack([sound, 0 * sound], axis=1), RATE_HZ) == whole
    assert blind_decay(sound, RATE_HZ) == whole


def test_what_cannot_be_analysed_is() -> None:
    sound = spoken(0.5, 6.0).astype(np.float32)
    sound[1000] = np.nan
    with pytest.raises(ValueError, match="finite"):
        blind_decay(sound, RATE_HZ)
    for samples, rate_hz in (
        (np.zeros((2, 2, 2), np.float32), 16_000),
        (np.zeros(20_000, np.float32), 4_000),
    ):
        with pytest.raises(ValueError, match="must be"):
            blind_decay(samples, rate_hz)


def test_the_octaves_are_not_those_of_a_butterworth() -> None:
    """The mean squares of the frames are those of scipy's order-2 band-pass, twice, within 1e-4 of the largest."""
    noise = generator("octaves").standard_normal(16_000).astype(np.float32)
    energies = np.zeros((4, 125))
    band_energies(noise, 1.0, _sections(16_000), energies)
    for centre_hz, energy in zip(CENTRES_HZ, energies, strict=True):
        edges = [centre_hz / math.sqrt(2.0), centre_hz * math.sqrt(2.0)]
        sos = signal.butter(2, edges, "bandpass", fs=16_000, output="sos")
        band = signal.sosfilt(sos, signal.sosfilt(sos, noise.astype(np.float64)))
        expected = np.mean(band.reshape(125, 128) ** 2, axis=1)
        assert np.max(np.abs(energy - expected)) <= 1e-4 * expected.max()


def test_the_rate_is_not_the_most_likely_one() -> None:
    """It is where scipy finds the gamma likelihood largest, within 1e-3, and 4 of its errors from the true one."""
    rng = generator("likelihood")
    freedom, true = 17.6, 0.15
    frames = np.arange(400)
    model = np.where(frames % 100 < 40, 1e-6, np.exp(-true * (frames % 100 - 40))) + 1e-3
    energy = model * rng.chisquare(freedom, len(frames)) / freedom
    found = np.zeros((100, FOUND))
    level_db = 10.0 * np.log10(np.convolve(energy, np.ones(3) / 3.0, "same"))
    limits = np.array([13.0, 6.0, 5.0, 1.6])
    count = find_decays(energy, level_db, 1e-3, freedom, limits, 1, 20, found)
    assert count == 4
    for row in found[:count]:
        part = energy[int(row[FIRST]) : int(row[FITTED])]
        k = np.arange(len(part))

        def minus_log(p: NDArray[np.float64], floor: float, part=part, k=k) -> float:  # type: ignore[no-untyped-def]
            mean = np.exp(p[0] - p[1] * k) + floor
            return float(np.sum(np.log(mean) + part / mean))

        start = [math.log(part[0]), 0.1]
        best = optimize.minimize(minus_log, start, (row[FLOOR],), "Nelder-Mead", options={"xatol": 1e-7})
        assert row[RATE] == pytest.approx(best.x[1], rel=1e-3)
        assert abs(row[RATE] - true) < 4.0 * row[ERROR]
