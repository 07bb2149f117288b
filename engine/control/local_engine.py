"""The engine in this process, rendered by whoever calls `render`: the same interface as that of an engine process."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clips import ClipStore
from engine.errors import GraphError
from engine.events import QUEUES, EventQueue
from engine.inputs import InputRing
from engine.messages import Built, Fault, Refused, Swapped, ToControl
from engine.moves import MoveLog
from engine.node import BuildContext
from engine.rendering import Renderer, compile_plan
from engine.slots import METER_CAPACITY, SLOT_CAPACITY, SlotMap
from engine.spec import Block, StreamSpec


class LocalEngine:
    """A renderer with everything it needs. A `StageEngine`; not for several threads."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.params = np.zeros(SLOT_CAPACITY)
        self.meters = np.zeros(METER_CAPACITY)
        self.queues = tuple(EventQueue() for _ in range(QUEUES))
        self.inputs = InputRing()
        self.clips = ClipStore()
        self._snapshot = np.zeros(SLOT_CAPACITY)
        self.moves = MoveLog()
        self.renderer = Renderer(spec, self.params, self._snapshot, self.moves)
        self._number = 0
        self._told_number = 0
        self._answers: deque[ToControl] = deque()

    @property
    def frame(self) -> int:
        """The absolute frame that is rendered next."""
        return self.renderer.frame

    @property
    def faults(self) -> deque[Fault]:
        """What failed since somebody emptied it."""
        return self.renderer.faults

    def share_clips(self, clips: Mapping[int, NDArray[np.float32]]) -> None:
        """Hold these clips (number -> float32 `[frames, 2]`)."""
        for number, samples in clips.items():
            self.clips.add(number, samples)

    def unload(self, numbers: Sequence[int]) -> None:
        """Let go of clips."""
        for number in numbers:
            self.clips.remove(number)

    def swap(self, graph: Any, param_map: SlotMap, meter_map: SlotMap) -> int:
        """Build `graph` and play it from the next quantum on; `poll` tells how it went, by the number returned."""
        self._number += 1
        np.copyto(self._snapshot, self.params)
        context = BuildContext(
            name="",
            spec=self.spec,
            clips=self.clips,
            queues=self.queues,
            inputs=self.inputs,
            param_map=param_map,
            param_memory=self._snapshot,
            meter_map=meter_map,
            meter_memory=self.meters,
        )
        try:
            plan = compile_plan(graph, context, self.renderer.newest_plan)
        except GraphError as error:
            self._answers.append(Refused(self._number, str(error)))
        else:
            self.renderer.swap(plan, self._number)
            self._answers.append(Built(self._number, plan.latency_frames))
        return self._number

    def poll(self) -> list[ToControl]:
        """Return what is to be told since the last call."""
        answers, self._answers = list(self._answers), deque()
        if self.renderer.played_number != self._told_number:
            self._told_number = self.renderer.played_number
            answers.append(Swapped(self._told_number))
        self.renderer.retired.clear()
        return answers

    def render(self, block: Block) -> None:
        """Fill `block` with the next quantum."""
        self.renderer.render(block)
