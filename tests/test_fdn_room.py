"""The nodes of the room: alike in level whatever the room, frozen for good, and turned while they sound."""

from itertools import pairwise

import numpy as np
import pytest

from dsp.decay import loudness_energy
from dsp.room_box import octave_rt60_s
from engine.nodes.early import EarlyReflections
from engine.nodes.fdn_room import FdnRoom
from engine.spec import Block
from tests.room_measures import correlation, octave_t30_s
from tests.test_nodes import Bench, build, noise

SECOND = 48_000


def impulse(bench: Bench, seconds: float) -> Block:
    """The return for a unit impulse in both channels."""
    x = np.zeros((128, 2), np.float32)
    x[0] = 1.0
    return np.concatenate([bench.run(x)] + [bench.run(0.0) for _ in range(round(seconds * SECOND / 128))])


@pytest.mark.parametrize("width", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("size", "damping"), [(0.0, 0.0), (0.0, 1.0), (0.35, 0.6), (0.7, 0.0), (0.7, 1.0)])
def test_the_return_is_louder_in_one_room_than_in_another(size: float, damping: float, width: float) -> None:
    """Pink noise is within 1 dB of the direct sound's loudness, and the correlation within 0.1 of 1 - width."""
    heard = impulse(build(FdnRoom(size, damping, 1.0, width)), octave_rt60_s(size, 0.0)[0])
    assert abs(10.0 * np.log10(loudness_energy(heard.astype(np.float64), SECOND))) < 1.0
    assert correlation(heard) == pytest.approx(1.0 - width, abs=0.1)


def test_the_default_grid_rings_as_long_as_it_says() -> None:
    """The T30 of one impulse at 48 kHz, from 500 Hz to 8 kHz, within 6 %."""
    for size, damping in ((0.3, 0.2), (0.6, 0.8)):
        asked_s = octave_rt60_s(size, damping)
        heard = impulse(build(FdnRoom(size, damping, 1.0, 1.0)), 0.9 * asked_s[0])
        assert octave_t30_s(heard, SECOND)[2:] == pytest.approx(asked_s[2:], rel=0.06)


def frozen(bench: Bench, quanta: int, seed: int = 0) -> Block:
    return np.concatenate([bench.run(noise(2, seed=seed + i)) for i in range(quanta)])


def level_db(block: Block) -> float:
    return float(10.0 * np.log10(np.mean(block.astype(np.float64) ** 2)))


def test_a_frozen_tail_dies_away_or_lets_something_in() -> None:
    """Within 0.5 dB for ten seconds, with 40 dB more noise outside; thawed, it dies away."""
    bench = build(FdnRoom(0.5, 0.5, 1.0, 1.0))
    frozen(bench, 375)
    bench.params.set("node.freeze", "on")
    frozen(bench, 20)
    loud = [100.0 * noise(2, seed=i) for i in range(375)]
    levels = [level_db(np.concatenate([bench.run(x) for x in loud])) for _ in range(10)]
    assert max(levels) - min(levels) < 0.5
    bench.params.set("node.freeze", "off")
    after = np.concatenate([bench.run(0.0) for _ in range(375)])
    assert level_db(after[-6000:]) < levels[-1] - 25.0


def test_freezing_clicks() -> None:
    """A sine of 220 Hz has nothing above 8 kHz, and nothing over -70 dB of its peak comes there when it is frozen."""
    bench = build(FdnRoom(0.5, 0.0, 1.0, 1.0))
    n = np.arange(480 * 128)
    x = np.repeat((0.5 * np.sin(2 * np.pi * 220 / SECOND * n)).astype(np.float32)[:, None], 2, axis=1)
    heard = []
    for k in range(480):
        if k in (200, 300, 304, 400):
            bench.params.set("node.freeze", "on" if k in (200, 304) else "off")
        heard.append(bench.run(x[128 * k : 128 * (k + 1)]))
    y = np.concatenate(heard)[128 * 100 :, 0].astype(np.float64)
    spectrum = np.fft.rfft(y * np.hanning(len(y)))
    spectrum[np.fft.rfftfreq(len(y), 1 / SECOND) < 8000] = 0.0
    high = np.fft.irfft(spectrum, len(y))
    assert 20 * np.log10(np.abs(high).max() / np.abs(y).max()) < -70.0


@pytest.mark.parametrize("param", ["room_size", "damping"])
def test_a_knob_turned_from_end_to_end_clicks(param: str) -> None:
    """A sine of 220 Hz, with the knob moved in every quantum for half a second: nothing over -60 dB above 8 kHz."""
    bench = build(FdnRoom(0.3, 0.3, 1.0, 1.0))
    n = np.arange(600 * 128)
    x = np.repeat((0.5 * np.sin(2 * np.pi * 220 / SECOND * n)).astype(np.float32)[:, None], 2, axis=1)
    heard = []
    for k in range(600):
        if 200 <= k < 400:
            bench.params.set(f"node.{param}", 0.5 - 0.5 * np.cos(np.pi * (k - 200) / 50))
        heard.append(bench.run(x[128 * k : 128 * (k + 1)]))
    y = np.concatenate(heard)[128 * 100 :, 0].astype(np.float64)
    spectrum = np.fft.rfft(y * np.hanning(len(y)))
    spectrum[np.fft.rfftfreq(len(y), 1 / SECOND) < 8000] = 0.0
    high = np.fft.irfft(spectrum, len(y))
    assert 20 * np.log10(np.abs(high).max() / np.abs(y).max()) < -60.0


def test_a_size_turned_while_frozen_moves_the_tail() -> None:
    """Not by a bit; thawed, it rings as the new size says."""
    turned, left = build(FdnRoom(0.3, 0.5, 1.0, 1.0)), build(FdnRoom(0.3, 0.5, 1.0, 1.0))
    for bench in (turned, left):
        frozen(bench, 100)
        bench.params.set("node.freeze", "on")
        frozen(bench, 20)
    turned.params.set("node.room_size", 0.9)
    turned.params.set("node.damping", 0.0)
    for i in range(20):
        assert np.array_equal(turned.run(noise(2, seed=i)), left.run(noise(2, seed=i)))
    for bench in (turned, left):
        bench.params.set("node.freeze", "off")
    late = [np.concatenate([bench.run(0.0) for _ in range(375)])[-6000:] for bench in (turned, left)]
    assert level_db(late[0]) > level_db(late[1]) + 20.0


def test_a_tail_breaks_off_when_the_node_is_swapped() -> None:
    """A changed node goes on with the tail of the old one, in its own size; frozen, it stays as it was."""
    old, new = build(FdnRoom(0.6, 0.2, 1.0, 1.0)), build(FdnRoom(0.7, 0.2, 1.0, 1.0))
    frozen(old, 200)
    before = old.run(0.0)
    assert new.processor.can_adopt(old.processor)
    new.processor.adopt(old.processor)
    new.frame = old.frame
    after = [new.run(0.0) for _ in range(20)]
    assert all(abs(level_db(a) - level_db(b)) < 6.0 for a, b in pairwise([before, *after]))
    new.params.set("node.freeze", "on")
    held = [new.run(0.0) for _ in range(20)]
    other = build(FdnRoom(0.2, 1.0, 1.0, 1.0))
    other.params.set("node.freeze", "on")
    other.frame = new.frame
    other.processor.adopt(new.processor)
    assert level_db(frozen(other, 400)) == pytest.approx(level_db(np.concatenate(held[-5:])), abs=3.0)


def test_a_room_that_begins_frozen_is_heard() -> None:
    bench = build(FdnRoom(0.5, 0.5, 1.0, 1.0))
    bench.params.set("node.freeze", "on")
    assert not any(bench.run(noise(2, seed=i)).any() for i in range(50))


def test_where_a_sound_comes_from_moves_the_return() -> None:
    """Left alone and right alone give the same, bit for bit, in the tail and in the reflections."""
    for node in (FdnRoom(0.4, 0.5, 1.0, 1.0), EarlyReflections(0.4, 0.5)):
        left, right = build(node), build(node)
        for i in range(60):
            x = noise(2, seed=i)
            x[:, 1] = 0.0
            assert np.array_equal(left.run(x), right.run(np.ascontiguousarray(x[:, ::-1])))


def test_wet_level_zero_and_reflections_that_are_off_are_heard() -> None:
    for node in (FdnRoom(0.5, 0.5, 0.0, 1.0), EarlyReflections(0.5, 0.5, -90.0)):
        bench = build(node)
        for i in range(40):
            assert not bench.run(noise(2, seed=i)).any()
