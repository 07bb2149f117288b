"""Live input: a constant delay sample for sample, however the device writes; no click where that cannot be."""

import gc
import math
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.clips import ClipStore
from engine.events import EventQueue
from engine.inputs import INPUT_CHANNELS, INPUT_FRAMES, InputRing
from engine.meters import MeterTable
from engine.node import BuildContext
from engine.nodes import Players, Trims
from engine.nodes.live_input import LiveInput, LiveInputProcessor
from engine.params import ParamTable
from engine.rendering import Graph, Renderer, compile_plan
from engine.spec import Block, StreamSpec

RATE_HZ = 48_000
MARGIN_FRAMES = 48
STEREO = LiveInput((0, 1, 2), ((), (0, 1), (2,)))


def programme(frames: NDArray[np.int64]) -> NDArray[np.float32]:
    """Slow sines, another for each channel: no second difference above 1e-4, no difference above 0.006."""
    pitches = 2.0 * np.pi * (60.0 + 9.0 * np.arange(INPUT_CHANNELS)) / RATE_HZ
    return (0.4 * np.sin(frames[:, np.newaxis] * pitches + np.arange(INPUT_CHANNELS))).astype(np.float32)


@dataclass
class Rig:
    """A device that writes and a node that reads, both when they are told to."""

    node: LiveInput = STEREO
    quantum: int = 128
    channels: int = INPUT_CHANNELS
    sound: Callable[[NDArray[np.int64]], NDArray[np.float32]] = programme
    ring: InputRing = field(default_factory=InputRing)

    def __post_init__(self) -> None:
        self.processor, self.meters = build(self.node, self.ring, self.quantum)
        self.ring.counters[1] = self.channels
        self.heard: list[Block] = []
        self.places: list[int] = []
        self.lags: list[int] = []
        self.taken = 0

    def write(self, frames: int) -> None:
        written = int(self.ring.counters[0])
        now = np.arange(written, written + frames)
        # A device without a channel leaves what was there: nobody may play it.
        self.ring.samples[now % INPUT_FRAMES] = self.sound(now)
        self.ring.counters[0] = written + frames

    def read(self) -> Block:
        out = np.full((self.quantum, 2 * len(self.node.numbers)), np.nan, np.float32)
        self.processor.process((), (out,), 0)
        lag = int(self.meter("lag"))
        self.heard.append(out)
        self.lags.append(lag)
        self.places.append(int(self.ring.counters[0]) - lag)
        return out

    def meter(self, name: str) -> float:
        return float(self.meters.read("node", name)[0])

    def run(self, seconds: float, burst: int, jitter: float = 0.0, seed: int = 1) -> None:
        """Write bursts and read quanta on one clock, each up to `jitter` of its length late."""
        rng = np.random.default_rng(seed)
        frames = int(seconds * RATE_HZ)
        moments = []
        for length, late, writes in (
            (burst, jitter * burst, True),
            (self.quantum, jitter * self.quantum, False),
        ):
            times = np.arange(0.0, frames, length)
            moments += [(t, writes) for t in times + late * rng.random(len(times))]
        for _, writes in sorted(moments):
            if writes:
                self.write(burst)
            else:
                self.read()

    def lockstep(self, seconds: float, burst: int) -> None:
        """Read as the engine does: as many quanta as the device has taken, right after it has written."""
        for _ in range(int(seconds * RATE_HZ / burst)):
            self.write(burst)
            self.taken += burst
            while self.taken >= self.quantum:
                self.read()
                self.taken -= self.quantum

    def clear(self) -> None:
        for kept in (self.heard, self.places, self.lags):
            kept.clear()

    @property
    def output(self) -> Block:
        return np.concatenate(self.heard)


def build(node: LiveInput, ring: InputRing, quantum: int) -> tuple[LiveInputProcessor, MeterTable]:
    params = ParamTable.of([("node", node.params)])
    meters = MeterTable.of([("node", node.meters)])
    spec = StreamSpec(RATE_HZ, quantum)
    tables = params.slot_map, params.memory, meters.slot_map, meters.memory
    return node.build(BuildContext("node", spec, ClipStore(), (EventQueue(),), ring, *tables)), meters


def assert_delayed(rig: Rig) -> None:
    """All that was read since `clear` is the input, in one piece, on the right lanes."""
    assert set(np.diff(rig.places).tolist()) <= {rig.quantum}
    wanted = programme(np.arange(rig.places[0], rig.places[-1] + rig.quantum))
    lanes = rig.output
    assert np.array_equal(lanes[:, (1, 4)], wanted[:, (0, 1)])
    assert np.array_equal(lanes[:, (2, 5)], wanted[:, (2, 2)])
    assert not lanes[:, (0, 3)].any()


def roughness(output: Block) -> float:
    """The largest second difference: a click of this size at least would show in it."""
    return float(np.abs(np.diff(output.astype(np.float64), 2, axis=0)).max())


bursts = pytest.mark.parametrize("burst", [64, 100, 256, 1024])
quanta = pytest.mark.parametrize("quantum", [16, 128, 1000, 2048])


@bursts
@quanta
def test_a_device_in_step_is_heard_late_or_with_a_gap(burst: int, quantum: int) -> None:
    """No gap; after 4 s at most 2 ms or a quarter of a step are left over, and the output is the input, bit for bit."""
    rig = Rig(quantum=quantum)
    rig.lockstep(4.0, burst)
    rig.clear()
    rig.lockstep(3.0, burst)
    assert_delayed(rig)
    assert rig.meter("short") == 0
    assert min(rig.lags) - quantum <= max(2 * MARGIN_FRAMES, (max(burst, quantum) + burst) // 4)
    assert max(rig.lags) <= 2 * max(burst, quantum) + quantum


@bursts
@quanta
def test_a_device_with_jitter_ends_with_a_delay_that_moves(burst: int, quantum: int) -> None:
    """Bursts and quanta up to 30 % late: after 4 s the delay is constant for 10 s, within 2 steps and a quantum."""
    rig = Rig(quantum=quantum)
    rig.run(14.0, burst, jitter=0.3)
    first = 4 * RATE_HZ // quantum
    rig.heard, rig.places, rig.lags = rig.heard[first:], rig.places[first:], rig.lags[first:]
    assert_delayed(rig)
    assert max(rig.lags) <= 2 * max(burst, quantum) + quantum


@pytest.mark.parametrize("quantum", [16, 128, 2048])
@pytest.mark.parametrize("odd", [1, 37, 100, 255])
def test_a_gap_clicks(quantum: int, odd: int) -> None:
    """The device stops for 0.3 s, at any frame: one gap, silence, sound again, no second difference above 3e-4."""
    rig = Rig(quantum=quantum)
    rig.lockstep(3.0, 256)
    rig.write(odd)
    for _ in range(int(0.3 * RATE_HZ / quantum)):
        rig.read()
    assert rig.meter("short") == 1
    assert not rig.heard[-1].any()
    rig.lockstep(5.0, 256)
    assert np.abs(rig.heard[-1]).max() > 0.1
    assert roughness(rig.output) < 3e-4
    rig.clear()
    rig.lockstep(1.0, 256)
    assert_delayed(rig)


def test_a_gap_right_after_a_start_clicks() -> None:
    """Data for 16 to 640 frames after a start and then none for 5 ms: no second difference above 6e-4."""
    for count in range(1, 41):
        rig = Rig(quantum=16)
        rig.lockstep(0.05, 64)
        for _ in range(64):
            rig.read()
        rig.lockstep((128 + 16 * count) / RATE_HZ, 64)
        for _ in range(15):
            rig.read()
        rig.lockstep(0.05, 64)
        assert rig.meter("short") == 2
        assert roughness(rig.output) < 6e-4


def test_moving_up_clicks() -> None:
    """50 ms more than needed are gone after 4 s, in 1 or 2 moves, with no second difference above 3e-4."""
    rig = Rig()
    rig.lockstep(3.0, 128)
    rig.write(2400)
    rig.clear()
    rig.lockstep(4.0, 128)
    steps = np.diff(rig.places)
    assert max(rig.lags) > 2400
    assert rig.lags[-1] <= 128 + 2 * MARGIN_FRAMES
    assert np.count_nonzero(steps != 128) in (1, 2)
    assert rig.meter("short") == 0
    assert roughness(rig.output) < 3e-4


@pytest.mark.parametrize(("away", "smooth"), [(12_400, True), (15_000, True), (INPUT_FRAMES + 4000, False)])
def test_a_reader_that_was_away_plays_what_is_overwritten(away: int, smooth: bool) -> None:
    """Near the writer again at once; a held value (overwritten: away 20 384 frames) makes no step above 0.014."""
    rig = Rig()
    rig.lockstep(3.0, 128)
    rig.write(away)
    rig.lockstep(0.1, 128)
    assert rig.lags[-1] <= 3 * 128 + 2 * MARGIN_FRAMES
    assert np.abs(np.diff(rig.output, axis=0)).max() < 0.014
    assert roughness(rig.output) < (3e-4 if smooth else 0.014)
    rig.lockstep(3.0, 128)
    rig.clear()
    rig.lockstep(1.0, 128)
    assert_delayed(rig)


def test_bursts_that_the_ring_cannot_hold_are_played_in_pieces() -> None:
    """Bursts of 16 384 frames are silence."""
    rig = Rig()
    rig.lockstep(5.0, INPUT_FRAMES)
    assert not rig.output.any()


def test_a_node_that_comes_later_plays_an_old_ring() -> None:
    """Built when 10 s are written, it begins within 2 bursts and a quantum of the newest, rising."""
    rig = Rig()
    rig.write(10 * RATE_HZ)
    assert not rig.read().any()
    rig.lockstep(0.1, 256)
    assert max(rig.lags) <= 2 * 256 + 128
    assert roughness(rig.output) < 3e-4
    assert np.abs(rig.output).max() > 0.2


def test_a_counter_that_begins_anew_stops_or_clicks() -> None:
    """Set back to 0, the input goes on within 0.5 s, without a step above 0.014."""
    rig = Rig()
    rig.lockstep(3.0, 128)
    rig.ring.counters[0] = 0
    rig.lockstep(0.5, 128)
    assert np.abs(np.diff(rig.output, axis=0)).max() < 0.014
    rig.clear()
    rig.lockstep(0.5, 128)
    assert_delayed(rig)


def test_a_channel_the_device_does_not_have_is_heard() -> None:
    """With one channel of eight: left of input 1-2 plays, right of it and input 3 are 0, whatever the ring holds."""
    rig = Rig(channels=1)
    rig.lockstep(1.0, 128)
    assert np.abs(rig.output[:, 1]).max() > 0.2
    assert not rig.output[:, (0, 2, 3, 4, 5)].any()
    assert rig.meters.read("node", "peak").astype(bool).tolist() == [True] + 7 * [False]


def test_without_an_input_there_is_anything_but_silence() -> None:
    """Offline nothing is ever written: every byte of 200 quanta is 0."""
    rig = Rig(channels=0)
    for _ in range(200):
        rig.read()
    assert rig.output.tobytes() == bytes(rig.output.nbytes)
    assert (rig.meter("lag"), rig.meter("short")) == (0.0, 0.0)


def test_what_is_not_finite_or_enormous_gets_through() -> None:
    """NaN and infinities are 0, the rest is held within +24 dBFS (15.85), through gaps and jumps too."""

    def nonsense(frames: NDArray[np.int64]) -> NDArray[np.float32]:
        values = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42, 0.5], np.float32)
        return np.asarray(values[np.add.outer(frames, np.arange(INPUT_CHANNELS)) % len(values)])

    rig = Rig(sound=nonsense)
    for _ in range(5):
        rig.lockstep(1.5, 256)
        for _ in range(9):
            rig.read()
    assert np.isfinite(rig.output).all()
    assert np.abs(rig.output).max() == np.float32(10.0 ** (24.0 / 20.0))


def test_the_meters_show_another_input() -> None:
    """A constant 0.5 in all channels is a peak of 0.5, which falls 24 dB in the second after it ends."""
    rig = Rig(sound=lambda frames: np.full((len(frames), INPUT_CHANNELS), 0.5, np.float32))
    rig.lockstep(1.0, 128)
    assert rig.meters.read("node", "peak") == pytest.approx([0.5] * 8)
    rig.sound = lambda frames: np.zeros((len(frames), INPUT_CHANNELS), np.float32)
    rig.lockstep(1.0, 128)
    assert rig.meters.read("node", "peak") == pytest.approx([0.5 * 10.0 ** (-24.0 / 20.0)] * 8, rel=0.05)


def swap(rig: Rig, node: LiveInput) -> None:
    fresh, rig.meters = build(node, rig.ring, rig.quantum)
    assert fresh.can_adopt(rig.processor)
    fresh.adopt(rig.processor)
    rig.node, rig.processor = node, fresh


def test_an_edit_of_other_tracks_is_heard_on_those_that_stay() -> None:
    """A track more, in front, and the order changed: the others go on bit for bit, the new one rises in 5 ms."""
    rig = Rig()
    rig.lockstep(3.0, 128)
    rig.clear()
    rig.lockstep(0.5, 128)
    before = rig.output[-1]
    swap(rig, LiveInput((7, 2, 1), ((4,), (2,), (0, 1))))
    place = rig.places[-1] + 128
    rig.clear()
    rig.lockstep(0.5, 128)
    assert rig.places[0] == place
    wanted = programme(np.arange(place, place + len(rig.output)))
    assert np.array_equal(rig.output[:, (1, 4, 2, 5)], wanted[:, (2, 2, 0, 1)])
    assert np.array_equal(rig.output[240:, 0], wanted[240:, 4])
    assert roughness(np.concatenate([np.zeros((2, 1), np.float32), rig.output[:, :1]])) < 3e-4
    assert np.abs(rig.output[0, 1] - before[2]) < 0.006


@pytest.mark.parametrize("after", [(), (5,), (1, 0)])
def test_a_track_that_changes_its_channels_clicks(after: tuple[int, ...]) -> None:
    """From input 1-2 to none, to input 6, to the sides exchanged: no second difference above 3e-4."""
    rig = Rig()
    rig.lockstep(3.0, 128)
    swap(rig, LiveInput((0, 1, 2), ((), after, (2,))))
    rig.lockstep(0.2, 128)
    assert roughness(rig.output) < 3e-4
    wanted = programme(np.arange(rig.places[-1], rig.places[-1] + 128))
    for lane, channel in zip((1, 4), (after[0], after[-1]) if after else (), strict=False):
        assert np.array_equal(rig.heard[-1][:, lane], wanted[:, channel])
    assert after or not rig.heard[-1][:, (1, 4)].any()


def test_healing_is_heard_or_a_reset_is_not() -> None:
    """`heal` changes no bit; after `reset` the output is as of a new processor."""
    rig = Rig()
    rig.lockstep(3.0, 128)
    rig.processor.heal(0, np.ones(6, np.bool_))
    rig.clear()
    rig.lockstep(0.5, 128)
    assert_delayed(rig)
    fresh, _ = build(STEREO, rig.ring, 128)
    rig.processor.reset()
    outs = [np.full((128, 6), np.nan, np.float32) for _ in range(2)]
    for _ in range(30):
        rig.write(128)
        for processor, out in zip((rig.processor, fresh), outs, strict=True):
            processor.process((), (out,), 0)
        assert outs[0].tobytes() == outs[1].tobytes()
    assert outs[0].any()


def test_the_sum_with_the_players_is_not_the_input_at_its_level() -> None:
    """Two edges into the trims, which add -6.02 dB to track 1: what is rendered is half of what was captured."""
    ring, spec = InputRing(), StreamSpec(RATE_HZ, 128)
    graph = Graph()
    graph.add("tracks", Players((0,)))
    graph.add("input", LiveInput((0,), ((0, 1),)))
    graph.add("trim", Trims(("mic",), (-23.0 - 20.0 * math.log10(2.0),), -23.0))
    graph.connect("tracks", "trim")
    graph.connect("input", "trim")
    graph.set_output("trim")
    params, meters = ParamTable.of(graph.params()), MeterTable.of(graph.meters())
    tables = params.slot_map, params.memory, meters.slot_map, meters.memory
    queues = tuple(EventQueue() for _ in range(8))
    plan = compile_plan(graph, BuildContext("", spec, ClipStore(), queues, ring, *tables))
    renderer = Renderer(spec, params.memory, params.memory.copy())
    renderer.swap(plan)
    out = np.zeros((128, 2), np.float32)
    ring.counters[1] = 2
    for written in range(0, 2 * RATE_HZ, 128):
        now = np.arange(written, written + 128)
        ring.samples[now % INPUT_FRAMES] = programme(now)
        ring.counters[0] = written + 128
        renderer.render(out)
    place = int(ring.counters[0]) - int(meters.read("input", "lag")[0])
    wanted = programme(np.arange(place, place + 128))[:, :2]
    assert out == pytest.approx(0.5 * wanted, abs=1e-7)


moments = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 12)), min_size=1, max_size=120)


@settings(max_examples=80)
@given(moments=moments, quantum=st.sampled_from([16, 100, 128, 512, 2048]), channels=st.integers(0, 8))
def test_some_order_of_writing_and_reading_clicks(
    moments: Sequence[tuple[int, int]], quantum: int, channels: int
) -> None:
    """Bursts of up to 3000 frames between any numbers of quanta: within 3 times the input's 0.4, no second difference
    above 8e-4 (-62 dBFS), never more than three quarters of the ring behind.
    """
    rig = Rig(quantum=quantum, channels=channels)
    rig.read()
    for burst, reads in moments:
        rig.write(burst)
        rig.read()
        for _ in range(max(reads, (rig.lags[-1] - 6000) // quantum)):
            rig.read()
    assert np.abs(rig.output).max() <= 1.2
    assert len(rig.output) < 3 or roughness(rig.output) < 8e-4
    assert max(rig.lags) <= 0.75 * INPUT_FRAMES


def test_processing_allocates() -> None:
    """The peak over 400 quanta with gaps and jumps stays below one stereo quantum (2048 bytes)."""
    rig = Rig(quantum=256)
    out = (np.zeros((256, 6), np.float32),)
    written = rig.ring.counters
    gc.collect()
    gc.disable()
    try:
        for _ in range(2200):
            rig.processor.process((), out, 0)
        tracemalloc.start()
        for count in range(400):
            if count % 100 < 80:
                written[0] += 256
            rig.processor.process((), out, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert rig.meter("short") >= 3
    assert peak < 2048
