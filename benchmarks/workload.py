"""The default graph of a scene of any size, every track of it at work: what load and allocations are measured on."""

import functools

import numpy as np
from numpy.typing import NDArray

from benchmarks.crowd import crowd
from engine.control.local_engine import LocalEngine
from engine.control.patch import default_graph
from engine.events import Event
from engine.messages import Refused
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.rendering import Graph
from engine.scene.composition import Composition, Track
from engine.scene.schema import Loop
from engine.spec import StreamSpec

CLIP_FRAMES = 2**21
CLIP_LEVEL = 0.05
STRIDE_FRAMES = 1009
"""How far apart in the clip neighbouring tracks play: a prime, so that no two read the same lines of the cache."""


def composition(tracks: int, rate_hz: int = 48_000) -> Composition:
    """Return a scene of so many tracks with nothing to play yet."""
    made = tuple(
        Track(i, f"t{i}", i / tracks, "normal", (-1.0) ** i * 0.5, -26.0, -9.0, i % 2 == 0, Loop(), ())
        for i in range(tracks)
    )
    return Composition(crowd(2), 1, rate_hz, made, (), None)


@functools.cache
def noise() -> NDArray[np.float32]:
    """Return the clip that all stages play: white, read only."""
    made = np.random.default_rng(1).standard_normal((CLIP_FRAMES, 2), np.float32)
    made *= CLIP_LEVEL
    made.setflags(write=False)
    return made


class Stage:
    """The graph of a scene in an engine of this process; `sounding` of its `tracks` play noise, all unless told.

    Noise in every track, each of another importance, is the worst case: all filters and all bells work, all the time.
    """

    def __init__(self, tracks: int, quantum: int, rate_hz: int = 48_000, sounding: int | None = None) -> None:
        self.spec = StreamSpec(rate_hz, quantum)
        self.tracks = tracks
        self.sounding = tracks if sounding is None else sounding
        self.engine = LocalEngine(self.spec)
        self.engine.share_clips({0: noise()})
        self._out = np.zeros((quantum, 2), np.float32)
        self._params: ParamTable | None = None
        self._meters: MeterTable | None = None
        self._until_frames = [0] * self.sounding
        self.graph = default_graph(composition(tracks, rate_hz))
        self.swap(self.graph)
        self.feed()

    def swap(self, graph: Graph) -> None:
        """Hand `graph` over; raises RuntimeError if the engine refuses it."""
        self.graph = graph
        self._params = ParamTable.of(graph.params(), self._params, self.engine.params)
        self._meters = MeterTable.of(graph.meters(), self._meters, self.engine.meters, graph.nodes)
        self.engine.swap(graph, self._params.slot_map, self._meters.slot_map)
        for answer in self.engine.poll():
            if isinstance(answer, Refused):
                raise RuntimeError(answer.what)

    def feed(self, ahead_frames: int = 1) -> None:
        """Have every track sound for `ahead_frames` more at least: control side, between quanta."""
        queue = self.engine.queues[0]
        for track, until in enumerate(self._until_frames):
            if until < self.engine.frame + ahead_frames:
                offset = track * STRIDE_FRAMES % (CLIP_FRAMES // 2)
                length = CLIP_FRAMES - offset
                queue.push(Event(until, track, 0, offset, length, 0, 0))
                self._until_frames[track] = until + length

    def render(self) -> None:
        """Render a quantum."""
        self.engine.render(self._out)
