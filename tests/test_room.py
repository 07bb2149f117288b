"""A room must be what its parameters say, live, on every stream, and lose no tail on the way."""

import math
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from dsp.decay import correlation, loudness_energy, octave_t30_s, t30_s
from dsp.freeverb_rooms import DECLARED_SHARES, HYSTERESIS, choose_share, knobs
from dsp.loudness import k_weighting, measure
from dsp.room_acoustics import (
    K_WEIGHTING_DB,
    OCTAVES_HZ,
    correlation_to_width,
    critical_distance_m,
    drr_db_to_wet_level,
    eyring_rt60_s,
    room_target,
    rt60_to_size,
    treble_ratio_to_damping,
)
from engine.control.room_measurement import RoomMeasurement, impulse_response, measure_room
from engine.nodes import Room
from engine.nodes.room import RoomProcessor
from engine.spec import Block
from tests.test_nodes import Bench, build, noise

RATES_HZ = (44_100, 48_000, 96_000)
RATE = 48_000


@lru_cache(maxsize=4)
def measured(size: float, damping: float, wet: float, width: float, rate_hz: int) -> RoomMeasurement:
    return measure_room(Room(size, damping, wet, width), room_target(size, damping, wet, width), rate_hz)


def settings_of_a_room() -> list[tuple[float, float, float, float, int]]:
    """24 of them: 8 sizes at three rates, with four dampings, five widths and three wet levels in turn."""
    return [
        (i / 7, (0.0, 0.3, 0.7, 1.0)[(i + k) % 4], (1.0, 0.5, 0.1)[i % 3], (i * 7 % 5) / 4, rate)
        for (k, rate), i in product(enumerate(RATES_HZ), range(8))
    ]


@pytest.fixture(scope="module")
def grid() -> list[tuple[tuple[float, float, float, float, int], RoomMeasurement]]:
    return [(setting, measured(*setting)) for setting in settings_of_a_room()]


Grid = list[tuple[tuple[float, float, float, float, int], RoomMeasurement]]


def test_a_room_lasts_longer_or_shorter_than_its_size_says(grid: Grid) -> None:
    """T_mid within 4 % of 0.25 s to 6 s in 24 settings at three rates; each of its two octaves within 7 %."""
    for (size, damping, wet, width, _), found in grid:
        target_s = room_target(size, damping, wet, width).rt60_s
        assert found.mid_rt60_s == pytest.approx(target_s, rel=0.04)
        assert found.rt60_s[2:4] == pytest.approx([target_s] * 2, rel=0.07)


def test_the_treble_of_a_damped_room_lasts_as_long_as_the_rest(grid: Grid) -> None:
    """T(4 kHz) / T_mid within 8 % of 0.5 ** damping for rooms of 0.65 s and more, up to 48 kHz."""
    for (size, damping, wet, width, rate), found in grid:
        target = room_target(size, damping, wet, width)
        if target.rt60_s >= 0.65 and rate <= 48_000:
            assert found.rt60_s[5] / found.mid_rt60_s == pytest.approx(target.treble_ratio, rel=0.08)


def test_what_the_loop_cannot_damp_is_damped_as_far_as_it_goes() -> None:
    """At 96 kHz, or below 0.4 s: more damping never makes the treble last longer."""
    for size, rate in ((0.1, RATE), (0.5, 96_000)):
        ratios = [
            found.rt60_s[5] / found.mid_rt60_s
            for damping in (0.0, 0.3, 1.0)
            for found in [measured(size, damping, 1.0, 1.0, rate)]
        ]
        assert ratios[0] > ratios[1] >= ratios[2] - 0.02
        assert 0.5 < ratios[2] < 0.95


def test_size_damping_or_width_change_how_loud_a_room_is(grid: Grid) -> None:
    """Direct-to-reverberant ratio within 0.6 dB of -20 log10(wet level) in all 24 settings."""
    for (size, damping, wet, width, _), found in grid:
        assert found.drr_db == pytest.approx(room_target(size, damping, wet, width).drr_db, abs=0.6)


@pytest.mark.parametrize("width", [0.0, 0.5, 1.0])
def test_pink_noise_is_louder_in_one_room_than_in_another(width: float) -> None:
    """By the meter of BS.1770, over sizes and dampings: all within 1 dB of the noise itself."""
    rng = np.random.default_rng(1)
    spectrum = np.fft.rfft(rng.standard_normal(4 * RATE))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum)
    pink = np.repeat((0.1 * pink / pink.std())[:, None], 2, axis=1)
    dry = measure(pink.astype(np.float32), RATE).integrated_lufs
    for size, damping in product((0.0, 0.3, 0.7), (0.0, 0.5, 1.0)):
        response = impulse_response(Room(size, damping, 1.0, width), RATE, 4.0)
        wet = signal.fftconvolve(pink, response, axes=0)[3 * RATE // 2 : 4 * RATE]
        loudness = measure(np.ascontiguousarray(wet, np.float32), RATE).integrated_lufs
        assert loudness == pytest.approx(dry, abs=1.0), (size, damping)


def test_a_tail_is_as_wide_as_asked_or_the_next_best(grid: Grid) -> None:
    """Correlation within 0.1 of 1 - width."""
    for (_, _, _, width, _), found in grid:
        assert found.correlation == pytest.approx(1.0 - width, abs=0.1)


def turned(turns: dict[int, dict[str, float]], frames: int, quantum: int, rate_hz: int = RATE) -> Block:
    """The return for noise, with parameters turned at frames."""
    bench = build(Room(0.5, 0.3, 1.0, 1.0), rate_hz, quantum)
    x = noise(2, frames)
    heard = []
    for frame in range(0, frames, quantum):
        for name, value in turns.get(frame, {}).items():
            bench.params.set(f"node.{name}", value)
        heard.append(bench.run(x[frame : frame + quantum]))
    return np.concatenate(heard)


WAY = {
    1024: {"room_size": 0.1},
    2048: {"room_size": 0.9, "damping": 0.9},
    5120: {"freeze": 1.0},
    6144: {"room_size": 0.2},
    9216: {"freeze": 0.0, "wet_level": 0.4},
    13_312: {"room_size": 0.8, "damping": 0.0},
    15_360: {"damping": 1.0, "width": 0.2},
    16_384: {"room_size": 0.0},
}


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_a_change_of_reverbs_depends_on_the_quantum(rate_hz: int) -> None:
    """Through all reverbs, with a freeze in a crossfade: bit for bit at quanta of 16, 128, 512 and 1024."""
    reference = turned(WAY, 40_960, 16, rate_hz)
    for quantum in (128, 512, 1024):
        assert turned(WAY, 40_960, quantum, rate_hz).tobytes() == reference.tobytes()


def test_a_quantum_of_odd_length_cuts_off_the_tail() -> None:
    """Quanta of 17, 31 and 961 frames: no dip below half of the level there was, while knobs pass the borders."""
    for quantum in (17, 31, 961):
        turns = dict(zip(range(0, 60 * quantum, 5 * quantum), WAY.values(), strict=False))
        turns = {n: {k: v for k, v in step.items() if k == "room_size"} for n, step in turns.items()}
        frames = quantum * (48_000 // quantum)
        heard = turned(turns, frames, quantum)[RATE // 3 :]
        levels = np.sqrt(np.mean(heard[: len(heard) // 960 * 960].reshape(-1, 960, 2) ** 2, axis=(1, 2)))
        assert levels.min() > 0.4 * np.median(levels)


def crossed(size: float, begins_at: float = 0.6, seconds: float = 3.0) -> tuple[Bench, Block]:
    """A room after a burst of noise and a turn of its size, and what is heard from then on, without input."""
    bench = build(Room(begins_at, 0.0, 1.0, 1.0))
    for i in range(400):
        bench.run(noise(2, seed=i))
    bench.params.set("node.room_size", size)
    return bench, np.concatenate([bench.run(0.0) for _ in range(int(seconds * 375))])


def awake(bench: Bench) -> list[bool]:
    assert isinstance(bench.processor, RoomProcessor)
    return [tail.awake for tail in bench.processor._tails]


def test_a_tail_is_lost_when_another_reverb_takes_over() -> None:
    """From 1.7 s to 0.25 s: what rang dies away without a gap, no faster than its own reverb can, 0.64 s."""
    _, heard = crossed(0.0)
    level = 10 * np.log10(np.mean(heard[: 60 * 480].reshape(60, 480, 2) ** 2, axis=(1, 2)))
    assert level[0] - level[3] < 8.0
    slope = np.polyfit(np.arange(5, 40) * 0.01, level[5:40], 1)[0]
    assert -60 / slope == pytest.approx(0.64, rel=0.1)


def test_a_reverb_that_has_rung_out_goes_on_costing_time() -> None:
    """Two are awake after the turn, one in the end, and nothing more is heard."""
    bench, heard = crossed(0.0, seconds=0.2)
    assert sum(awake(bench)) == 2
    for _ in range(1200):
        bench.run(0.0)
    assert sum(awake(bench)) == 1
    assert bench.processor._steady  # type: ignore[attr-defined]
    assert np.abs(bench.run(0.0)).max() < 1e-6 * np.abs(heard).max()


def test_a_knob_that_passes_a_border_clicks() -> None:
    """A sine of 220 Hz, sizes and dampings swept through all reverbs: above 8 kHz nothing over -70 dB of the peak."""
    bench = build(Room(0.5, 0.0, 1.0, 1.0))
    n = np.arange(600 * 128)
    x = np.repeat((0.5 * np.sin(2 * np.pi * 220 / RATE * n)).astype(np.float32)[:, None], 2, axis=1)
    heard, seen = [], set()
    for k in range(600):
        if 100 <= k < 500:
            bench.params.set("node.room_size", 0.5 + 0.5 * math.cos(k / 20))
            bench.params.set("node.damping", 0.5 - 0.5 * math.cos(k / 33))
        heard.append(bench.run(x[128 * k : 128 * (k + 1)]))
        seen.add(bench.processor._fed)  # type: ignore[attr-defined]
    assert seen == {0, 1, 2}
    y = np.concatenate(heard)[128 * 60 :, 0].astype(np.float64)
    spectrum = np.fft.rfft(y * np.hanning(len(y)))
    spectrum[np.fft.rfftfreq(len(y), 1 / RATE) < 8000] = 0.0
    high = np.fft.irfft(spectrum, len(y))
    assert 20 * np.log10(np.abs(high).max() / np.abs(y).max()) < -70.0


def test_the_level_dips_while_another_reverb_takes_over() -> None:
    """Noise that goes on, from 0.9 s to 0.45 s and back: every 50 ms within 3 dB of the level before."""
    bench = build(Room(0.4, 0.0, 1.0, 1.0))
    heard = []
    for i in range(3000):
        if i in (1000, 2000):
            bench.params.set("node.room_size", 0.18 if i == 1000 else 0.4)
        heard.append(bench.run(noise(2, seed=i)))
    parts = np.concatenate(heard)[600 * 128 :].reshape(-1, 2400, 2)
    level = 10 * np.log10(np.mean(parts.astype(np.float64) ** 2, axis=(1, 2)))
    assert np.abs(level - np.median(level)).max() < 3.0


def test_a_knob_that_trembles_on_a_border_swaps_reverbs_all_the_time() -> None:
    """A hundredth of the size to and fro about every border: at most one change each."""
    for share in DECLARED_SHARES[:-1]:
        border = next(
            s
            for s in np.linspace(0, 1, 2001)
            if choose_share(0.25 * 24**s, 1.0, RATE) < DECLARED_SHARES.index(share) + 1
        )
        place, changes = choose_share(0.25 * 24 ** (border + 0.02), 1.0, RATE), 0
        for k in range(50):
            now = choose_share(0.25 * 24 ** (border + (0.01 if k % 2 else -0.01)), 1.0, RATE, place)
            changes += now != place
            place = now
        assert changes <= 1
    assert HYSTERESIS > 24**0.02


def test_a_knob_that_comes_back_finds_another_reverb() -> None:
    """From 3.9 s, undamped, to 0.25 s and back: the one with the longest delays again."""
    bench = build(Room(0.86, 0.0, 0.5, 1.0))
    fed = []
    for size in (0.86, 0.0, 0.86):
        bench.params.set("node.room_size", size)
        for _ in range(100):
            bench.run(0.1)
        fed.append(bench.processor._fed)  # type: ignore[attr-defined]
    assert fed == [0, 2, 0]


def test_a_room_that_takes_over_another_forgets_what_rings_out() -> None:
    """Adopted in the middle of a crossfade and of a ring-out: the very samples that the old one would have made."""
    for quanta in (3, 40):
        going_on, given_up = (crossed(0.0, seconds=quanta / 375)[0] for _ in range(2))
        heir = build(Room(0.0, 0.0, 1.0, 1.0))
        assert heir.processor.can_adopt(given_up.processor)
        heir.processor.adopt(given_up.processor)
        for i in range(200):
            x = noise(2, seed=i)
            assert np.array_equal(heir.run(x), going_on.run(x))


def test_a_healed_room_goes_on_ringing_out() -> None:
    bench, _ = crossed(0.0, seconds=0.05)
    bench.processor.heal(0, np.ones(2, np.bool_))
    assert not any(bench.run(0.0).any() for _ in range(20))
    assert sum(awake(bench)) == 1


def test_a_tail_that_rings_out_dies_in_a_frozen_room() -> None:
    """Frozen 30 ms after the turn: both reverbs stand still for five seconds, within 0.5 dB."""
    bench, _ = crossed(0.0, seconds=0.03)
    bench.params.set("node.freeze", "on")
    for _ in range(20):
        bench.run(0.0)
    rms = [np.sqrt(np.mean(np.concatenate([bench.run(0.0) for _ in range(375)]) ** 2)) for _ in range(5)]
    assert 20 * np.log10(max(rms) / min(rms)) < 0.5
    assert sum(awake(bench)) == 2
    bench.params.set("node.freeze", "off")
    for _ in range(900):
        bench.run(0.0)
    assert sum(awake(bench)) == 1


def test_a_jump_of_the_size_allocates() -> None:
    import tracemalloc

    bench = build(Room(0.5, 0.5, 0.5, 1.0), quantum=256)
    sizes = (0.0, 1.0, 0.2, 0.6)

    def play(quanta: int) -> None:
        for i in range(quanta):
            bench.params.memory[bench.params.row("node.room_size").slot] = sizes[i // 30 % 4]
            bench.processor.process(bench.ins, bench.outs, 0)

    play(2400)
    tracemalloc.start()
    play(240)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2048 + 2048 + 1024


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.sampled_from(RATES_HZ))
@settings(max_examples=200)
def test_parameters_lead_out_of_the_range_of_a_knob(size: float, damping: float, rate_hz: int) -> None:
    target = room_target(size, damping, 1.0, 1.0)
    for share in DECLARED_SHARES:
        assert all(
            0.0 <= k <= 1.0
            for k in knobs(target.rt60_s, target.treble_ratio, rate_hz, round(rate_hz * share))
        )
    assert rt60_to_size(target.rt60_s) == pytest.approx(size, abs=1e-9)
    assert treble_ratio_to_damping(target.treble_ratio) == pytest.approx(damping, abs=1e-9)
    assert correlation_to_width(target.correlation) == pytest.approx(1.0, abs=1e-9)


@given(st.floats(1e-6, 1.0))
def test_wet_level_and_ratio_are_no_inverses(wet: float) -> None:
    assert drr_db_to_wet_level(room_target(0.5, 0.5, wet, 1.0).drr_db) == pytest.approx(wet, rel=1e-9)


def test_the_words_of_room_acoustics_differ_from_their_formulas() -> None:
    """Sabine's limit of Eyring's formula; the critical distance of a hall; K-weighting as the meter has it."""
    assert eyring_rt60_s(100.0, [130.0], [0.001], 0.0) == pytest.approx(0.1611 * 100 / 0.13, rel=0.002)
    assert critical_distance_m(18_000.0, 2.0) == pytest.approx(5.4, abs=0.01)
    assert room_target(0.5, 0.5, 0.0, 1.0).drr_db == math.inf
    assert drr_db_to_wet_level(math.inf) == 0.0
    sections = [[*row[:3], 1.0, *row[3:]] for row in k_weighting(192_000)]
    _, h = signal.sosfreqz(sections, OCTAVES_HZ, fs=192_000)
    assert 20 * np.log10(np.abs(h)) == pytest.approx(K_WEIGHTING_DB, abs=0.01)


@pytest.mark.parametrize("rt60_s", [0.3, 1.0, 4.0])
def test_what_measures_decays_is_wrong_itself(rt60_s: float) -> None:
    """Noise that decays by 60 dB in a known time: T30 of its octaves within 6 %, its correlation within 0.05 of 0."""
    frames = int(1.5 * rt60_s * RATE)
    decay = 10 ** (-3 * np.arange(frames) / RATE / rt60_s)
    response = np.random.default_rng(2).standard_normal((frames, 2)) * decay[:, None]
    assert octave_t30_s(response, RATE, (500.0, 1000.0, 4000.0)) == pytest.approx([rt60_s] * 3, rel=0.06)
    assert math.isnan(octave_t30_s(response, RATE, (20_000.0,))[0])
    assert correlation(response) == pytest.approx(0.0, abs=0.05)
    assert math.isnan(t30_s(np.zeros((100, 2)), RATE))
    impulse = np.eye(1000, 2)
    impulse[:, 1] = impulse[:, 0]
    assert loudness_energy(impulse, RATE) == pytest.approx(1.0, rel=1e-9)
