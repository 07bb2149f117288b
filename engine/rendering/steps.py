"""What plans and bridges are made of: steps, and the helpers that delay, fade and sum on the way to an input."""

from dataclasses import dataclass

import numpy as np

from dsp.blocks import add, add_to, delay, fade
from dsp.guard import Watched
from dsp.memory import aligned
from engine.node import Processor
from engine.rendering.graph import Pin
from engine.rendering.guard import Guard
from engine.spec import Block


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One processor with the blocks it reads and fills; helpers, which can't run away, have no guard.

    `watched` is what the guard's watch takes for each of `outs`.
    """

    name: str
    processor: Processor
    ins: tuple[Block, ...]
    outs: tuple[Block, ...]
    guard: Guard | None = None
    watched: tuple[Watched, ...] = ()


class Sum(Processor):
    """Adds its inputs, two or more, in their order."""

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        """Add."""
        add(ins[0], ins[1], outs[0])
        for block in ins[2:]:
            add_to(block, outs[0])

    def reset(self) -> None:
        """Nothing is kept."""


class Delay(Processor):
    """Holds a signal back so that it meets one that took longer."""

    def __init__(self, lanes: int, frames: int) -> None:
        self._line = np.zeros((frames, lanes), np.float32)
        self._at = 0

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        """Give what came earlier."""
        self._at = delay(ins[0], outs[0], self._line, self._at)

    def reset(self) -> None:
        """Empty the line."""
        self._line.fill(0.0)
        self._at = 0


class Clock:
    """When a stage of a handover began: an absolute frame, set by the renderer."""

    __slots__ = ("began_at",)

    def __init__(self) -> None:
        self.began_at = 0


class Fade(Processor):
    """A raised cosine of `length` frames, from `start` frames after `clock` on: rising, or `falling` as its mirror."""

    def __init__(self, clock: Clock, start: int, length: int, falling: bool) -> None:
        self._clock = clock
        self._start = start
        self._length = length
        self._falling = falling

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        """Weigh."""
        outs[0][:] = ins[0]
        fade(outs[0], frame - self._clock.began_at - self._start, self._length, self._falling)

    def reset(self) -> None:
        """Nothing is kept."""


class Wiring:
    """Collects steps, with blocks of `quantum_frames`; each method returns the block where its result will be."""

    def __init__(self, quantum_frames: int) -> None:
        self._quantum_frames = quantum_frames
        self.steps: list[Step] = []

    def block(self, lanes: int) -> Block:
        """Make a block: silence."""
        return aligned((self._quantum_frames, lanes))

    def through(self, name: str, helper: Processor, *sources: Block) -> Block:
        """Add a helper from `sources` to a block of the same lanes."""
        out = self.block(sources[0].shape[1])
        self.steps.append(Step(name, helper, sources, (out,)))
        return out

    def summed(self, target: Pin, lanes: int, sources: list[Block]) -> Block:
        """Bring any number of `sources` to the input `target`."""
        if not sources:
            return self.block(lanes)
        return self.through(f"sum > {target}", Sum(), *sources) if len(sources) > 1 else sources[0]
