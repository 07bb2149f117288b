"""Every setting of the compressor can be turned while it plays: no click, and then what a plug-in so set does."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pedalboard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.glide import Glide, eased
from engine.nodes import Compressor
from engine.nodes.compressor import GLIDE_MS, GLIDE_MS_PER_DB, TIME_CONSTANT_RATIO, CompressorProcessor
from engine.spec import Block
from tests.test_nodes import Bench, build

RATE_HZ = 48_000
NODE = Compressor(-30.0, 4.0, 10.0, 50.0)
ENDS = {
    "threshold_db": (-60.0, 0.0),
    "ratio": (1.0, 20.0),
    "attack_ms": (0.1, 1000.0),
    "release_ms": (1.0, 5000.0),
}
STEP = 1e-3
"""-60 dBFS."""

Turn = tuple[int, str, float]

every_setting = pytest.mark.parametrize("name", ENDS)
quanta = pytest.mark.parametrize("quantum", [16, 128, 1024])


def plugin(node: Compressor) -> pedalboard.Compressor:
    return pedalboard.Compressor(
        threshold_db=node.threshold_db,
        ratio=node.ratio,
        attack_ms=node.attack_ms * TIME_CONSTANT_RATIO,
        release_ms=node.release_ms * TIME_CONSTANT_RATIO,
    )


def directly(node: Compressor, x: Block, quantum: int = 128) -> Block:
    """Return what pedalboard makes of x with these settings all along."""
    compressor = plugin(node)
    parts = (x[i : i + quantum] for i in range(0, len(x), quantum))
    out: Block = np.concatenate([compressor.process(part, RATE_HZ, reset=False) for part in parts])
    return out


def turn(bench: Bench, x: Block, quantum: int, turns: list[Turn]) -> Block:
    """Play x, setting parameters at the given frames."""
    heard = []
    for first in range(0, len(x), quantum):
        for at, name, value in turns:
            if at == first:
                bench.params.set(f"node.{name}", value)
        heard.append(bench.run(x[first : first + quantum]))
    return np.concatenate(heard)


def sine(frames: int, amplitude: float = 0.5, hz: float = 100.0) -> Block:
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(frames) / RATE_HZ)
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def bursts(frames: int) -> Block:
    """Noise of 50 ms and 20 dB less of it for 50 ms, nowhere so near zero that the gain could not be read off it."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0.1, 0.5, (frames, 2)) * rng.choice([-1.0, 1.0], (frames, 2))
    loud = np.arange(frames) // 2400 % 2
    out: Block = (noise * np.where(loud, 1.0, 0.1)[:, None]).astype(np.float32)
    return out


def bend(x: Block, y: Block) -> float:
    """A step of h in y gives h; a 100 Hz sine of 0.5 has 9e-5 of its own."""
    return float(np.abs(np.diff(y.astype(np.float64), 2, axis=0)).max())


def gain_bend(x: Block, y: Block) -> float:
    """The same of the gain, times the sample it falls on: noise has no part in it."""
    gain = y.astype(np.float64) / x
    return float((np.abs(np.diff(gain, 2, axis=0)) * np.abs(x[1:-1])).max())


def way(name: str, frame: int, span: int) -> list[Turn]:
    lo, hi = ENDS[name]
    return [(frame, name, lo), (frame + span, name, hi), (frame + 2 * span, name, lo)]


PROGRAMMES: dict[str, tuple[Callable[[int], Block], Callable[[Block, Block], float]]] = {
    "sine": (sine, bend),
    "bursts": (bursts, gain_bend),
}


@quanta
@every_setting
@pytest.mark.parametrize("programme", PROGRAMMES)
def test_a_setting_turned_from_end_to_end_steps(programme: str, name: str, quantum: int) -> None:
    """Low, high, low, 0.6 s each: no second difference 1e-3 above that of settings on the way, standing still."""
    make, measure = PROGRAMMES[programme]
    x = make(118_784)
    turned = turn(build(NODE, quantum=quantum), x, quantum, way(name, 28_672, 28_672))
    lo, hi = ENDS[name]
    own = max(
        measure(x[4096:], directly(replace(NODE, **{name: value}), x)[4096:])
        for value in (np.linspace(lo, hi, 13) if name == "threshold_db" else (lo, hi))
    )
    assert measure(x[4096:], turned[4096:]) < own + STEP


@pytest.mark.parametrize("name", ["threshold_db", "ratio", "attack_ms"])
def test_a_plugin_turned_directly_would_be_caught(name: str) -> None:
    """The same way, set on one plug-in at once: more than 3e-3, three times what is allowed above."""
    x, compressor, heard = sine(118_784), plugin(NODE), []
    factor = TIME_CONSTANT_RATIO if name.endswith("_ms") else 1.0
    turns = {at + 112: value * factor for at, _, value in way(name, 28_672, 28_672)}
    for first in range(0, len(x), 16):
        if first in turns:
            setattr(compressor, name, turns[first])
        heard.append(compressor.process(x[first : first + 16], RATE_HZ, reset=False))
    assert bend(x[4096:], np.concatenate(heard)[4096:]) > 3e-3


@pytest.mark.parametrize("phase", range(0, 480, 80))
@every_setting
def test_where_in_the_wave_a_setting_is_turned_makes_a_difference(name: str, phase: int) -> None:
    """At six places of a period of 100 Hz: below 1e-3, as above."""
    x = sine(40_960)
    turned = turn(build(NODE, quantum=16), x, 16, way(name, 8192 + phase, 12_288))
    assert bend(x[4096:], turned[4096:]) < 9e-5 + STEP


@quanta
@pytest.mark.parametrize("node", [Compressor(), NODE, Compressor(-60.0, 20.0, 0.1, 1.0)], ids=str)
def test_untouched_it_changes_a_bit_of_what_pedalboard_does(node: Compressor, quantum: int) -> None:
    x = bursts(32_768)
    assert np.array_equal(turn(build(node, quantum=quantum), x, quantum, []), directly(node, x))


def test_a_threshold_that_comes_back_leaves_a_trace() -> None:
    """There, back, and 0.9 s later pedalboard's samples within 1e-7 (-140 dBFS): its envelope is a float32."""
    x = sine(96_256)
    turned = turn(
        build(NODE), x, 128, [(12_800, "threshold_db", -50.0), (38_400, "threshold_db", NODE.threshold_db)]
    )
    wanted = directly(NODE, x)
    assert np.abs(turned - wanted)[-9600:].max() < 1e-7
    assert np.abs(turned - wanted)[25_600:38_400].max() > 1e-2


@pytest.mark.parametrize("first", [-60.0, -18.0, 0.0])
@pytest.mark.parametrize("wanted", [-60.0, -41.3, -18.0, -6.0, 0.0])
def test_a_threshold_reached_by_driving_is_not_the_same(first: float, wanted: float) -> None:
    """Once settled, all samples of noise bursts are within 1e-5 (-100 dB) of the peak of a plug-in so set."""
    x = bursts(96_000)
    turned = turn(build(Compressor(first, 8.0, 5.0, 20.0)), x, 128, [(1280, "threshold_db", wanted)])
    other = directly(Compressor(wanted, 8.0, 5.0, 20.0), x)
    assert np.abs(turned - other)[48_000:].max() < 1e-5 * np.abs(other[48_000:]).max()


@pytest.mark.parametrize(
    "wanted",
    [
        Compressor(-60.0, 20.0, 0.1, 30.0),
        Compressor(-45.0, 1.5, 20.0, 60.0),
        Compressor(-12.0, 8.0, 1.0, 100.0),
    ],
    ids=str,
)
def test_the_static_curve_after_a_turn_is_another(wanted: Compressor) -> None:
    """All four turned at once; sines of 1 kHz from -60 to 0 dBFS come out within 0.1 dB of the plug-in's level."""
    for level_db in (-60, -50, -40, -30, -20, -10, -3, 0):
        x = sine(72_064, 10 ** (level_db / 20), 1000.0)
        turned = turn(build(NODE), x, 128, [(1280, name, float(getattr(wanted, name))) for name in ENDS])
        other = directly(wanted, x)
        ratio = np.sqrt(np.mean(turned[-4800:] ** 2.0) / np.mean(other[-4800:] ** 2.0))
        assert abs(20 * math.log10(ratio)) < 0.1


def test_the_newest_of_many_values_wins() -> None:
    """Twenty ratios and thresholds in 53 ms: in the end those of the last, within 0.1 dB."""
    x = sine(96_000, 0.5, 1000.0)
    turns: list[Turn] = [(1280 + 128 * i, "ratio", 1.0 + i % 7) for i in range(20)]
    turns += [(1280 + 128 * i, "threshold_db", -60.0 + 2 * i) for i in range(20)]
    turned, other = turn(build(NODE), x, 128, turns), directly(Compressor(-22.0, 6.0, 10.0, 50.0), x)
    ratio = np.abs(turned[-4800:]).max() / np.abs(other[-4800:]).max()
    assert abs(20 * math.log10(ratio)) < 0.1


@settings(max_examples=25)
@given(data=st.data(), quantum=st.sampled_from([16, 128, 1024]))
def test_a_storm_of_values_steps(data: st.DataObject, quantum: int) -> None:
    """Thresholds and ratios, a new one each 5 to 21 ms, times of 10 and 50 ms: finite, and no bend above 1e-3."""
    x, every = sine(24_576), max(256, quantum)
    drawn = st.lists(
        st.tuples(st.floats(*ENDS["threshold_db"]), st.floats(*ENDS["ratio"])), min_size=4, max_size=24
    )
    turns = [
        (4096 + every * i, name, value)
        for i, pair in enumerate(data.draw(drawn))
        for name, value in zip(ENDS, pair, strict=False)
    ]
    y = turn(build(NODE, quantum=quantum), x, quantum, turns)
    assert np.isfinite(y).all()
    assert bend(x[2048:], y[2048:]) < 9e-5 + STEP


@settings(max_examples=25)
@given(data=st.data())
def test_a_storm_of_everything_bends_more_than_a_hard_knee_does(data: st.DataObject) -> None:
    """Times to 0.1 ms let the envelope follow the sine, whose gain then breaks off at the knee as steeply as it rises.

    That is (1 - 1/20) (0.5 2 pi 100 / 48 000 + 0.5 pi / 2 x 333 dB/s), 6.9e-3; a plug-in that is set has up to 0.3.
    """
    rise = 0.5 * 2 * math.pi * 100 / RATE_HZ
    glide = 0.5 * (math.pi / 2) * 1000 / GLIDE_MS_PER_DB * math.log(10) / 20 / RATE_HZ
    x = sine(24_576)
    drawn = st.lists(
        st.tuples(*(st.floats(*ends) | st.sampled_from(ends) for ends in ENDS.values())),
        min_size=4,
        max_size=24,
    )
    turns = [
        (4096 + 512 * i, name, value)
        for i, row in enumerate(data.draw(drawn))
        for name, value in zip(ENDS, row, strict=True)
    ]
    y = turn(build(NODE), x, 128, turns)
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 0.5 * (1 + 1e-6)
    assert bend(x[2048:], y[2048:]) < 0.95 * (rise + glide) + 9e-5


@every_setting
def test_a_turn_depends_on_the_quantum(name: str) -> None:
    """Turned at one frame, quanta of 16 and of 1024 give the same samples bit for bit."""
    x = bursts(40_960)
    turns = [(8192, name, ENDS[name][1]), (32_768, name, ENDS[name][0])]
    small, large = (turn(build(NODE, quantum=q), x, q, turns) for q in (16, 1024))
    assert np.array_equal(small, large)


def test_a_changed_description_begins_anew() -> None:
    """Adopted, then set as an edit sets it: no bend above 1e-3; adopted and not set: the very same samples."""
    x = sine(48_128)
    first, alone, newer = build(NODE), build(NODE), build(Compressor(-50.0, 10.0, 10.0, 50.0))
    head, tail = x[:24_064], x[24_064:]
    moving: list[Turn] = [(23_936, "threshold_db", -20.0), (23_936, "ratio", 2.0)]
    before = turn(first, head, 128, moving)
    turn(alone, head, 128, moving)
    for name in ENDS:
        newer.params.set(f"node.{name}", first.params.get(f"node.{name}"))
    assert newer.processor.can_adopt(first.processor)
    newer.processor.adopt(first.processor)
    after = turn(newer, tail, 128, [(12_032, "threshold_db", -50.0), (12_032, "ratio", 10.0)])
    assert np.array_equal(after[:12_032], turn(alone, tail, 128, [])[:12_032])
    assert bend(x, np.concatenate([before, after])[2048:]) < 9e-5 + STEP
    level = (
        np.abs(after[-2400:]).max() / np.abs(directly(Compressor(-50.0, 10.0, 10.0, 50.0), x)[-2400:]).max()
    )
    assert abs(20 * math.log10(level)) < 0.1
    assert not newer.processor.can_adopt(build(NODE, rate_hz=44_100).processor)


def test_reset_in_the_middle_of_a_turn_heals_what_is_not_finite() -> None:
    """Afterwards it is, bit for bit, a compressor that begins with the values that now hold."""
    bench, x = build(NODE), bursts(12_800)
    turn(bench, x[:1280], 128, [(640, name, ends[0]) for name, ends in ENDS.items()])
    bench.run(np.nan)
    assert not np.isfinite(bench.run(0.5)).all()
    bench.processor.reset()
    values = {name: ends[0] for name, ends in ENDS.items()}
    assert np.array_equal(turn(bench, x, 128, []), directly(Compressor(**values), x))
    assert np.isfinite(turn(bench, x, 128, [(0, "ratio", 9.0)])).all()


def test_the_one_that_stands_by_has_another_envelope() -> None:
    """A release of 5 s, later another ratio, 80 ms of silence but for -40 dBFS: the level within 0.5 dB."""
    x = sine(72_064, 0.5, 1000.0)
    x[62_208:] *= 0.02
    turned = turn(build(NODE), x, 128, [(1280, "release_ms", 5000.0), (66_048, "ratio", 8.0)])
    other = directly(replace(NODE, release_ms=5000.0, ratio=8.0), x)
    level = np.abs(turned[-1200:]).max() / np.abs(other[-1200:]).max()
    assert abs(20 * math.log10(level)) < 0.5


def test_the_one_that_takes_over_begins_with_another_envelope() -> None:
    """A ratio turned away and back, with a release of 5 s: afterwards what one plug-in gives, within -120 dBFS."""
    node, x = replace(NODE, release_ms=5000.0), bursts(24_064)
    heard = turn(build(node), x, 128, [(7168, "ratio", 8.0), (14_336, "ratio", 4.0)])
    again = 14_336 + 2048
    assert np.abs(heard[again:] - directly(node, x)[again:]).max() < 1e-6
    assert np.abs(heard[:again] - directly(node, x)[:again]).max() > 1e-2


def test_the_meter_reads_another_gain_than_there_is() -> None:
    """A constant 1.0, 30 dB above the threshold at 4:1, is turned down by 22.5 dB; silence and quiet by 0."""
    bench = build(NODE)
    reduction_db = bench.meters.slot_map.spans["node", "reduction_db"].of(bench.meters.memory)
    turn(bench, np.ones((48_000, 2), np.float32), 128, [])
    assert reduction_db[0] == pytest.approx(-22.5, abs=0.01)
    bench.params.set("node.threshold_db", -20.0)
    turn(bench, np.ones((48_000, 2), np.float32), 128, [])
    assert reduction_db[0] == pytest.approx(-15.0, abs=0.01)
    for quiet in (0.0, 0.001):
        turn(bench, np.full((96_000, 2), quiet, np.float32), 128, [])
        assert reduction_db[0] == 0.0


def test_a_glide_has_a_corner() -> None:
    """From 0 to 1 in 960 frames: no second difference above (pi / 960)^2 / 2; exactly 0 before, exactly 1 behind."""
    course = np.array([eased(at, 960) for at in range(-5, 970)])
    assert np.abs(np.diff(course, 2)).max() <= (math.pi / 960) ** 2 / 2 * 1.0001
    assert not course[:6].any()
    assert (course[965:] == 1.0).all()


def test_a_glide_arrives_after_its_wait_and_its_frames() -> None:
    """Asked to leave in 20 frames for 100: it is moving for 120, whatever the blocks."""
    for block in (1, 7, 120):
        glide = Glide()
        glide.set_out(3.0, 100, after=20)
        passed = 0
        while glide.is_moving:
            glide.pass_by(block)
            passed += block
        assert 120 <= passed < 120 + block
    glide.jump_to(1.0)
    assert (glide.start, glide.target, glide.is_moving) == (1.0, 1.0, False)


@pytest.mark.parametrize(("distance_db", "lasts_ms"), [(2.0, GLIDE_MS), (30.0, 30 * GLIDE_MS_PER_DB)])
def test_the_threshold_takes_longer_or_shorter(distance_db: float, lasts_ms: float) -> None:
    """2 dB in 20 ms, 30 dB in 90 ms: there to the quantum of 1/3 ms."""
    bench = build(NODE, quantum=16)
    assert isinstance(bench.processor, CompressorProcessor)
    bench.run(0.1)
    bench.params.set("node.threshold_db", NODE.threshold_db - distance_db)
    quanta = 0
    while quanta == 0 or bench.processor._compression._drive_db.is_moving:
        bench.run(0.1)
        quanta += 1
    assert quanta * 16 / 48 == pytest.approx(lasts_ms, abs=0.4)


def test_what_waits_sets_out_at_another_frame_at_another_quantum() -> None:
    """Thresholds and ratios turned every 128 frames for 1 s, most while an earlier glide goes on: 16 equals 128."""
    rng = np.random.default_rng(5)
    turns: list[Turn] = [
        (1280 + 128 * i, name, float(rng.uniform(*ENDS[name])))
        for i in range(375)
        for name in ("threshold_db", "ratio")
        if rng.random() < 0.3
    ]
    x = bursts(64_000)
    coarse = turn(build(NODE, quantum=128), x, 128, turns)
    assert np.array_equal(coarse, turn(build(NODE, quantum=16), x, 16, turns))
