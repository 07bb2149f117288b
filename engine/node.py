"""The node contract. A node is two classes in one file: a frozen description and its processor."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from engine.clips import ClipStore
from engine.events import EventQueue
from engine.inputs import InputRing
from engine.meters import Meter
from engine.params import Param
from engine.slots import SlotMap, Slots
from engine.spec import Block, StreamSpec


class Port(NamedTuple):
    """An input or output of a node: a name and how many lanes it has."""

    name: str
    lanes: int


@runtime_checkable
class Node(Protocol):
    """Control side: what a processor will be. A frozen dataclass, comparable, without audio."""

    @property
    def inputs(self) -> tuple[Port, ...]: ...
    @property
    def outputs(self) -> tuple[Port, ...]: ...
    @property
    def params(self) -> tuple[Param, ...]: ...
    @property
    def meters(self) -> tuple[Meter, ...]: ...

    def build(self, ctx: "BuildContext") -> "Processor":
        """Make the processor; may allocate, compile and take its time."""
        ...


class Processor(ABC):
    """Engine side: turns one quantum of inputs into one quantum of outputs."""

    latency_frames: int = 0
    """How much later the output is than the input, in frames; constant."""

    may_run_twice: bool = True
    """Whether two instances may run side by side while one fades into the other; not where they share a queue."""

    @abstractmethod
    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        """Fill every output completely; `frame` is the absolute frame of the quantum's first sample.

        No allocation, lock, file, log or print. Inputs are finite; the renderer mutes what is not and has the
        processor healed. Inputs and outputs never share memory, and inputs are left as they are.
        """

    @abstractmethod
    def reset(self) -> None:
        """Go back to silence, as newly built; allocates nothing."""

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        """Forget what made `lanes` of output `port` not finite, or louder than +80 dBFS; allocates nothing.

        What the other lanes sound like must go on, where it can. By default all is reset.
        """
        self.reset()

    def can_adopt(self, old: "Processor") -> bool:
        """Say whether `adopt(old)` can continue the sound; if not, both play while one fades into the other.

        May allocate: what `adopt` needs for the way from `old` to here is made ready here.
        """
        return False

    def adopt(self, old: "Processor") -> None:  # noqa: B027 (most processors have nothing to continue)
        """Continue where `old`, the processor of a changed node of the same name, left off.

        Called between two quanta, before the first `process` after a swap; allocates nothing.
        """


# End of the contract. There is nothing else to implement.


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a processor is built with."""

    name: str
    spec: StreamSpec
    clips: ClipStore
    queues: tuple[EventQueue, ...]
    inputs: InputRing
    param_map: SlotMap
    param_memory: Slots
    meter_map: SlotMap
    meter_memory: Slots

    def param(self, name: str, node: str = "") -> Slots:
        """Return the slots of the parameter `name` of this node, or of `node`, constant within a quantum; read only."""
        return self.param_map.spans[node or self.name, name].of(self.param_memory)

    def meter(self, name: str) -> Slots:
        """Return the slots of this node's meter `name`, for the processor to write."""
        return self.meter_map.spans[self.name, name].of(self.meter_memory)
