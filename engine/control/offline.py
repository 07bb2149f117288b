"""The engine in this process, as fast as it goes: what the engine process is when played live."""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from dsp.denormals import denormals_flushed
from dsp.units import seconds_to_frames
from engine.control.deck import PlayingDeck
from engine.control.feeder import Feeder
from engine.control.local_engine import LocalEngine
from engine.control.patch import Deck
from engine.control.take import Replay
from engine.errors import GraphError, InputError, Problem
from engine.events import Event
from engine.messages import Fault, Refused
from engine.meters import MeterTable
from engine.params import ParamTable
from engine.rendering import Graph, Plan
from engine.scene.composition import Composition
from engine.spec import QUANTA_FRAMES, Block, StreamSpec

MAX_DURATION_S = 86_400.0

LARGEST_BANK_BYTES = 512 * 1024
"""How large a bank's block may be: about what stays in a core's own cache."""

Progress = Callable[[int, int], None]
"""Called as (frames rendered, frames in all)."""

MAX_FAULTS = 100
"""How many faults are reported one by one."""


class FaultLog:
    """The first faults of a render and the number of the others: a node that fails may fail in every quantum."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._more = 0

    def take(self, faults: deque[Fault]) -> None:
        """Empty `faults`."""
        while faults:
            fault = faults.popleft()
            if len(self._first) < MAX_FAULTS:
                self._first.append(f"{fault.node} at frame {fault.frame}: {fault.what}")
            else:
                self._more += 1

    def told(self) -> tuple[str, ...]:
        """Return the faults as the report lists them."""
        return (*self._first, f"and {self._more} more") if self._more else tuple(self._first)


class OfflineEngine:
    """A renderer with everything it needs, in this process: what the engine process is when played live."""

    def __init__(self, graph: Graph, composition: Composition, spec: StreamSpec) -> None:
        self._engine = LocalEngine(spec)
        self._engine.share_clips({i: m.samples for i, m in enumerate(composition.materials)})
        self._shared = set(range(len(composition.materials)))
        self.events = self._engine.queues[0]
        self.renderer = self._engine.renderer
        self.params = ParamTable.of(graph.params(), memory=self._engine.params)
        self.meters = MeterTable.of(graph.meters(), memory=self._engine.meters)
        self._spec = spec
        self.log: list[Event] = []
        self.faults = FaultLog()
        self._engine.swap(graph, self.params.slot_map, self.meters.slot_map)
        for answer in self._engine.poll():
            if isinstance(answer, Refused):
                raise GraphError(answer.what)

    @property
    def plan(self) -> Plan:
        """The plan that plays."""
        plan = self.renderer.newest_plan
        assert plan is not None
        return plan

    def play(
        self,
        composition: Composition,
        frames: int,
        *,
        endless: bool = False,
        replay: Replay | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Block]:
        """Render `frames` of `composition` and yield them, a quantum or what is left of one at a time.

        With a `replay` it is the endless form, and what was done then is done again. A block is overwritten by the
        next. What was played is then in `log`, what failed in `faults`.
        """
        spec = self._spec
        deck: PlayingDeck | None = None
        if replay is None:
            if not endless:
                # What was filtered for this form comes after the clips that are here already.
                composition = composition.finite(frames)
                clips = dict(enumerate(composition.materials))
                self._engine.share_clips({i: m.samples for i, m in clips.items() if i not in self._shared})
                self._shared |= clips.keys()
            feeder = Feeder.of(
                composition.streams(None if endless else frames), self.events, spec.rate_hz, keep_log=True
            )
        else:
            numbers = tuple(range(len(composition.materials)))
            deck = PlayingDeck(Deck(composition), numbers, self.events, 1, keep_log=True)
            deck.begin(0)
            feeder = deck.feeder
        self.log = feeder.log
        block = np.zeros((spec.quantum_frames, 2), np.float32)
        with denormals_flushed():
            for frame in range(0, frames, spec.quantum_frames):
                feeder.feed(frame)
                if replay is not None and deck is not None:
                    replay.play(self.params, deck, frame)
                self.renderer.render(block)
                self.faults.take(self.renderer.faults)
                heard = min(spec.quantum_frames, frames - frame)
                yield block[:heard]
                if progress:
                    progress(frame + heard, frames)


def offline_quantum(tracks: int) -> int:
    """Return the fastest quantum where nobody waits for it; the samples are the same at every one."""
    quantum = QUANTA_FRAMES[1]
    while quantum > 128 and quantum * 2 * tracks * 4 > LARGEST_BANK_BYTES:
        quantum //= 2
    return quantum


def length_frames(composition: Composition, duration_s: float | None, endless: bool = False) -> int:
    """Return how long a render is; raises InputError for a duration that is missing or out of range."""
    if duration_s is None:
        if endless:
            raise InputError(Problem("an endless render has no end", "give --duration SECONDS", "duration"))
        return composition.duration_frames
    if not 0.0 < duration_s <= MAX_DURATION_S:
        raise InputError(
            Problem(f"{duration_s:g} seconds", f"more than 0, at most {MAX_DURATION_S:g}", "duration")
        )
    return max(1, seconds_to_frames(duration_s, composition.rate_hz))
