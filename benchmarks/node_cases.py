"""Every node in every situation: what is fed, between which fences it works, and what must hold afterwards.

`benchmarks.matrix` runs all of it, the tests a sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.node_subjects import LAG_FRAMES, SUBJECTS
from dsp.denormals import SUPPORTED, denormals_flushed
from dsp.guard import LIMIT_AMPLITUDE
from engine.clips import ClipStore
from engine.events import QUEUES, Event, EventQueue
from engine.inputs import INPUT_CHANNELS, INPUT_FRAMES, InputRing
from engine.meters import Meter, MeterTable
from engine.node import BuildContext, Node, Port, Processor
from engine.params import Param, ParamTable
from engine.rendering import Graph, Renderer, compile_plan
from engine.spec import Block, StreamSpec

QUANTA_FRAMES = (16, 17, 64, 100, 128, 441, 1000, 2048)
QUANTA = 10
"""How many quanta each case takes."""

SMALLEST_NORMAL_BITS = 0x00800000
FENCE_BITS = np.uint32(0x7FC0_DEAD)
FENCE_FRAMES = 32


SOUND = ("silence", "sine", "dc", "impulse", "noise", "subnormal", "loudest")
"""What a node may be fed: finite, at most +24 dBFS."""

POISON: dict[str, tuple[float, ...]] = {
    "nan": (np.nan, -np.nan),
    "inf": (np.inf, -np.inf),
    "1e30": (1e30, -1e30),
}
"""What a node may put out by mistake: some samples of a sine."""

SIGNALS = (*SOUND, *POISON)
FINITE = (*SOUND, "1e30")
"""What a node bears without the guard before it; more than it is promised."""


class Case(NamedTuple):
    """One situation of one node."""

    subject: str
    tracks: int
    mono: bool
    rate_hz: int
    quantum: int
    signal: str

    def __str__(self) -> str:
        layout = f"{self.tracks} {'mono' if self.mono else 'stereo'}"
        return f"{self.subject}, {layout}, {self.rate_hz} Hz, {self.quantum} frames, {self.signal}"


@cache
def _wave(name: str, frames: int, lanes: int, rate_hz: int) -> Block:
    rng = np.random.default_rng(lanes)
    at = np.arange(frames)[:, np.newaxis]
    signs = np.sign(rng.standard_normal((frames, lanes))) + 0.0
    waves: dict[str, Callable[[], NDArray[np.float64]]] = {
        "silence": lambda: np.zeros((frames, lanes)),
        "sine": lambda: np.sin(2.0 * np.pi * at * (997.0 + 11.0 * np.arange(lanes)) / rate_hz),
        "dc": lambda: np.ones((frames, lanes)),
        "impulse": lambda: (at == 3) * np.ones(lanes),
        "noise": lambda: rng.uniform(-1.0, 1.0, (frames, lanes)),
        "subnormal": lambda: 1e-38 * rng.uniform(-1.0, 1.0, (frames, lanes)),
        "loudest": lambda: LIMIT_AMPLITUDE * signs,
    }
    return waves[name]().astype(np.float32)


def signal(case: Case, channels: int) -> Block:
    """Return float32 `[QUANTA quanta, channels]` of what `case` is about."""
    frames = QUANTA * case.quantum
    poison = POISON.get(case.signal)
    wave = _wave("sine" if poison else case.signal, frames, channels, case.rate_hz)
    if poison:
        wave = wave.copy()
        for i, quantum in enumerate((2, 5, 6)):
            at = quantum * case.quantum
            wave[at + 5 : at + 9, i % channels :: 2] = poison[i % len(poison)]
    return wave


def bank(case: Case) -> Block:
    """Return `signal` on the lanes of a bank, each track's pair alike if it is mono."""
    if case.mono:
        return np.tile(signal(case, case.tracks), 2)
    return signal(case, 2 * case.tracks)


class Fenced:
    """A block with words before and behind it that nobody may touch."""

    def __init__(self, frames: int, lanes: int) -> None:
        self._whole = np.zeros((frames + 2 * FENCE_FRAMES, lanes), np.float32)
        self._whole.view(np.uint32)[:] = FENCE_BITS
        self.block: Block = self._whole[FENCE_FRAMES:-FENCE_FRAMES]

    @property
    def is_whole(self) -> bool:
        """Whether every word of the fence is as it was."""
        bits = self._whole.view(np.uint32)
        return bool((bits[:FENCE_FRAMES] == FENCE_BITS).all() and (bits[-FENCE_FRAMES:] == FENCE_BITS).all())


class Site:
    """Everything a processor is built with, and the material of the sources."""

    def __init__(self, graph: Graph, spec: StreamSpec) -> None:
        self.clips = ClipStore()
        self.events = EventQueue()
        self.inputs = InputRing()
        self.params = ParamTable.of(graph.params())
        self.meters = MeterTable.of(graph.meters())
        self.context = BuildContext(
            *("node", spec, self.clips, (self.events,) * QUEUES, self.inputs),
            *(self.params.slot_map, self.params.memory, self.meters.slot_map, self.meters.memory),
        )

    def load(self, case: Case) -> None:
        """Give the players their clips, one event for each track, and the input its channels."""
        if case.subject == "players":
            lanes = bank(case)
            for track in range(case.tracks):
                clip = np.ascontiguousarray(lanes[:, track :: case.tracks])
                self.clips.add(track, clip)
                fade = min(20, len(clip) // 4)
                self.events.push(Event(0, track, track, 0, len(clip), fade, fade))
        self.inputs.counters[1] = INPUT_CHANNELS

    def capture(self, sound: Block) -> None:
        """Write a burst as the audio device does."""
        written = int(self.inputs.counters[0])
        self.inputs.samples[np.arange(written, written + len(sound)) % INPUT_FRAMES] = sound
        self.inputs.counters[0] = written + len(sound)

    def odd_meters(self) -> list[str]:
        """Return the meters that are not finite."""
        return [
            f"meter {name} of {node} is not finite"
            for (node, name), span in self.meters.slot_map.spans.items()
            if not np.isfinite(span.of(self.meters.memory)).all()
        ]


def is_subnormal(block: Block) -> NDArray[np.bool_]:
    """Return which samples are neither zero nor normal."""
    bits = block.view(np.uint32) & np.uint32(0x7FFF_FFFF)
    found: NDArray[np.bool_] = (bits > 0) & (bits < SMALLEST_NORMAL_BITS)
    return found


def odd_samples(block: Block, fed: Block | None) -> list[str]:
    """Return what is wrong with an output; subnormals are not, where what is `fed` is handed on bit for bit."""
    if not np.isfinite(block).all():
        return ["output not finite, or not written"]
    if SUPPORTED and (small := is_subnormal(block)).any():
        made = block.view(np.uint32)[small]
        if fed is None or not np.isin(made, fed.view(np.uint32)).all():
            return ["subnormal output"]
    return []


def recent(fed: Block, frame: int, case: Case) -> Block:
    """Return what a node can be handing on in the quantum at `frame`."""
    return fed[max(0, frame - LAG_FRAMES) : frame + case.quantum]


def describe(case: Case) -> tuple[Node, StreamSpec]:
    """Return the node of `case` and the stream it is tried in."""
    spec = StreamSpec(case.rate_hz, case.quantum)
    return SUBJECTS[case.subject].make(case.tracks, case.mono, spec), spec


class Alone:
    """One processor by itself, every block of it fenced."""

    def __init__(self, node: Node, spec: StreamSpec) -> None:
        graph = Graph()
        graph.add("node", node)
        self.site = Site(graph, spec)
        self.ins = [Fenced(spec.quantum_frames, port.lanes) for port in node.inputs]
        self.outs = [Fenced(spec.quantum_frames, port.lanes) for port in node.outputs]
        self.processor = node.build(self.site.context)
        self._blocks = tuple(f.block for f in self.ins), tuple(f.block for f in self.outs)

    def process(self, now: Block, frame: int, fed: Block | None = None) -> list[str]:
        """Run the quantum `now`, the last that was `fed`, on every input; return what is wrong afterwards."""
        ins, outs = self._blocks
        for block in ins:
            np.copyto(block, now)
        for block in outs:
            block.fill(np.nan)
        self.processor.process(ins, outs, frame)
        odd = [
            f"{what} at frame {frame}"
            for block in outs
            for what in odd_samples(block, now if fed is None else fed)
        ]
        if not all(np.array_equal(block.view(np.uint32), now.view(np.uint32)) for block in ins):
            odd.append(f"an input was changed at frame {frame}")
        if not all(fenced.is_whole for fenced in (*self.ins, *self.outs)):
            odd.append(f"a write outside of a block at frame {frame}")
        return odd + self.site.odd_meters()


def run_alone(case: Case) -> list[str]:
    """Run the processor of `case` by itself on what is finite; return what is wrong."""
    alone = Alone(*describe(case))
    alone.site.load(case)
    fed = bank(case)
    heard = signal(case, INPUT_CHANNELS) if case.subject == "live_input" else None
    with denormals_flushed():
        for frame in range(0, len(fed), case.quantum):
            if heard is not None:
                alone.site.capture(heard[frame : frame + case.quantum])
            if odd := alone.process(fed[frame : frame + case.quantum], frame, recent(fed, frame, case)):
                return odd
    return []


@dataclass(frozen=True, eq=False)
class Feed:
    """A source that puts out what it is given: from frame 0, float32 `[frames, lanes]`."""

    sound: Block
    inputs: tuple[Port, ...] = ()
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Its lanes."""
        return (Port("bank", self.sound.shape[1]),)

    def build(self, ctx: BuildContext) -> Processor:
        """Make the processor."""
        return _FeedProcessor(self.sound)


class _FeedProcessor(Processor):
    def __init__(self, sound: Block) -> None:
        self._sound = sound

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        piece = self._sound[frame : frame + len(outs[0])] if frame >= 0 else self._sound[:0]
        outs[0][: len(piece)] = piece
        outs[0][len(piece) :] = 0.0

    def reset(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class Fold:
    """Any outputs of a node down to what can be heard: the mean of their lanes."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...] = (Port("bus", 2),)
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    def build(self, ctx: BuildContext) -> Processor:
        """Make the processor."""
        return _FoldProcessor()


class _FoldProcessor(Processor):
    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        lanes = sum(block.shape[1] for block in ins)
        outs[0][:] = sum(block.sum(axis=1, keepdims=True) for block in ins) / np.float32(lanes)

    def reset(self) -> None:
        """Nothing is kept."""


def _graph(case: Case, node: Node) -> Graph:
    """Source → node → fold; past a delay the source goes straight as well, so that the renderer has to add its own."""
    graph = Graph()
    graph.add("node", node)
    graph.add("fold", Fold(node.outputs))
    if node.inputs:
        graph.add("source", Feed(bank(case)))
    for port in node.inputs:
        graph.connect("source", f"node.{port.name}")
    for port in node.outputs:
        graph.connect(f"node.{port.name}", f"fold.{port.name}")
    if case.subject == "delay":
        graph.connect("source", "fold")
    graph.set_output("fold")
    return graph


def run_rendered(case: Case) -> list[str]:
    """Render `case` in a graph, poison and all; return what is wrong."""
    node, spec = describe(case)
    graph = _graph(case, node)
    site = Site(graph, spec)
    snapshot = site.params.memory.copy()
    renderer = Renderer(spec, site.params.memory, snapshot)
    plan = compile_plan(graph, site.context, None)
    renderer.swap(plan)
    site.load(case)
    heard = signal(case, INPUT_CHANNELS) if case.subject == "live_input" else None
    out = np.zeros((spec.quantum_frames, 2), np.float32)
    fed = bank(case)
    odd = []
    with denormals_flushed():
        for frame in range(0, QUANTA * case.quantum, case.quantum):
            if heard is not None:
                site.capture(heard[frame : frame + case.quantum])
            out.fill(np.nan)
            renderer.render(out)
            for pin, block in plan.outputs.items():
                if pin.node == "node":
                    odd += [
                        f"{what} at frame {frame}" for what in odd_samples(block, recent(fed, frame, case))
                    ]
            if not np.isfinite(out).all():
                odd.append(f"what is heard is not finite at frame {frame}")
            odd += site.odd_meters()
    if case.signal in SOUND:
        blamed: set[str] = set()
    else:
        blamed = set(SUBJECTS[case.subject].blamed)
    if {fault.node for fault in renderer.faults} != blamed:
        odd += [f"fault: {fault}" for fault in renderer.faults] or ["the poison was not noticed"]
    return odd


def run(case: Case) -> list[str]:
    """Run `case` both ways; return what is wrong."""
    alone = run_alone(case) if case.signal in FINITE else []
    return [f"alone: {what}" for what in alone] + [f"rendered: {what}" for what in run_rendered(case)]
