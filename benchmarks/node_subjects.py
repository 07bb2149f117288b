"""What `benchmarks.matrix` tries: every node, and the steps that the renderer puts between nodes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from engine.inputs import INPUT_CHANNELS
from engine.meters import Meter
from engine.node import BuildContext, Node, Port, Processor
from engine.nodes import (
    Compressor,
    Fader,
    Limiter,
    LoudnessTrim,
    Mix,
    OutputMeter,
    Pan,
    Players,
    Room,
    SlapEcho,
    Trims,
    Unmask,
)
from engine.nodes.early import EarlyReflections
from engine.nodes.fader import Fade
from engine.nodes.fdn_room import FdnRoom
from engine.nodes.insert_compressor import Insert, InsertCompressors
from engine.nodes.live_input import LiveInput
from engine.params import Param
from engine.rendering.steps import Delay, Sum
from engine.spec import StreamSpec

BANKS = (1, 3, 17)
LAG_FRAMES = 37


@dataclass(frozen=True)
class Summed:
    """The step that the renderer puts where several wires meet."""

    lanes: int
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Three of them."""
        return tuple(Port(name, self.lanes) for name in ("a", "b", "c"))

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Their sum."""
        return (Port("sum", self.lanes),)

    def build(self, ctx: BuildContext) -> Processor:
        """Make the step's processor."""
        return Sum()


@dataclass(frozen=True)
class Delayed:
    """The step that the renderer puts where one way is shorter than another; it says its lag, which calls for one."""

    lanes: int
    params: tuple[Param, ...] = ()
    meters: tuple[Meter, ...] = ()

    @property
    def inputs(self) -> tuple[Port, ...]:
        """One."""
        return (Port("bus", self.lanes),)

    outputs = inputs

    def build(self, ctx: BuildContext) -> Processor:
        """Make the step's processor."""
        line = Delay(self.lanes, LAG_FRAMES)
        line.latency_frames = LAG_FRAMES
        return line


def _names(tracks: int) -> tuple[str, ...]:
    return tuple(f"t{i}" for i in range(tracks))


def _players(tracks: int, mono: bool, spec: StreamSpec) -> Node:
    return Players(tuple(range(tracks)), voices=64)


def _live_input(tracks: int, mono: bool, spec: StreamSpec) -> Node:
    def channels(track: int) -> tuple[int, ...]:
        left = track % INPUT_CHANNELS
        return (left,) if mono else (left, (left + 1) % INPUT_CHANNELS)

    return LiveInput(tuple(range(tracks)), tuple(channels(t) for t in range(tracks)))


def _trims(tracks: int, mono: bool, spec: StreamSpec) -> Node:
    return Trims(_names(tracks), tuple(-20.0 - t for t in range(tracks)), -23.0)


def _unmask(tracks: int, mono: bool, spec: StreamSpec) -> Node:
    return Unmask(_names(tracks), tuple((t * 7 % 10) / 10 for t in range(tracks)))


def _mix(tracks: int, mono: bool, spec: StreamSpec) -> Mix:
    panning = tuple(-1.0 + 2.0 * (t * 5 % 11) / 10 for t in range(tracks))
    return Mix(_names(tracks), panning, (-9.0,) * tracks, (mono,) * tracks)


def _inserts(tracks: int, mono: bool, spec: StreamSpec) -> Node:
    names = _names(tracks)
    first = dict.fromkeys((names[0], names[-1]))
    return InsertCompressors(names, tuple(Insert(name, -30.0, 3.0, 40.0, 600.0, 4.0) for name in first))


def _fader(tracks: int, mono: bool, spec: StreamSpec) -> Node:
    q = spec.quantum_frames
    return Fader(Fade(q + 5, 2 * q), Fade(6 * q + 3, 2 * q))


class Subject(NamedTuple):
    """What is tried: `make(tracks, mono, spec)` describes it; `tracks` lists the banks it is tried with, 1 for a bus.

    Poison is `blamed` on the node that feeds it, or on itself where it plays clips; the live input lets none in.
    """

    make: Callable[[int, bool, StreamSpec], Node]
    tracks: tuple[int, ...]
    blamed: tuple[str, ...] = ("source",)


SUBJECTS: dict[str, Subject] = {
    "players": Subject(_players, BANKS, ("node",)),
    "live_input": Subject(_live_input, BANKS, ()),
    "trims": Subject(_trims, BANKS),
    "unmask": Subject(_unmask, BANKS),
    "mix": Subject(_mix, BANKS),
    "pan": Subject(lambda *given: Pan(_mix(*given)), BANKS),
    "room": Subject(lambda *_: Room(0.5, 0.5, 0.3, 0.8), (1,)),
    "slap_echo": Subject(lambda *_: SlapEcho(30.0, 0.3), (1,)),
    "fdn_room": Subject(lambda *_: FdnRoom(0.5, 0.5, 0.3, 0.8), (1,)),
    "early": Subject(lambda *_: EarlyReflections(0.5, 0.5), (1,)),
    "fader": Subject(_fader, (1,)),
    "loudness_trim": Subject(lambda *_: LoudnessTrim(-23.0, -20.0), (1,)),
    "compressor": Subject(lambda *_: Compressor(), (1,)),
    "insert": Subject(_inserts, BANKS),
    "limiter": Subject(lambda *_: Limiter(), (1,)),
    "meter": Subject(lambda *_: OutputMeter(), (1,)),
    "sum": Subject(lambda tracks, *_: Summed(2 * tracks), BANKS),
    "delay": Subject(lambda tracks, *_: Delayed(2 * tracks), BANKS),
}
