"""Fader: brings a whole scene in, and takes it out again, with equal power."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from dsp.crossfade import equal_power
from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block


class Fade(NamedTuple):
    """From `start_frame`, an absolute frame, over `frames` (at least 1)."""

    start_frame: int
    frames: int


UP = Fade(-(2**62), 1)
"""A rise that is long over."""

NEVER = Fade(2**62, 1)
"""A rise or a fall that is not to be expected."""


@dataclass(frozen=True)
class Fader:
    """A stereo bus whose gain rises and falls at given frames; up, it passes bit for bit.

    The gain depends on nothing but the frame, so a new instance goes on where another left off.
    """

    rise: Fade = UP
    fall: Fade = NEVER

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    params: ClassVar[tuple[Param, ...]] = ()
    meters: ClassVar[tuple[Meter, ...]] = ()

    def __post_init__(self) -> None:
        if min(self.rise.frames, self.fall.frames) < 1:
            raise GraphError("a fade takes at least one frame")

    def build(self, ctx: BuildContext) -> "FaderProcessor":
        """Make the processor."""
        return FaderProcessor(self)


class FaderProcessor(Processor):
    """One compiled call, or a copy."""

    def __init__(self, node: Fader) -> None:
        rise, fall = node.rise, node.fall
        self._fades = (*rise, *fall)
        self._up_at, self._falls_at = rise.start_frame + rise.frames, fall.start_frame

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        if self._up_at <= frame <= self._falls_at - len(ins[0]):
            outs[0][:] = ins[0]
        else:
            equal_power(ins[0], outs[0], frame, *self._fades)

    def reset(self) -> None:
        pass

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, FaderProcessor)
