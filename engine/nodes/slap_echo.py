"""SlapEcho: the one answer of a wall outdoors, where nothing reverberates."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.blocks import delay
from dsp.ramp import LaneRamp
from dsp.units import ms_to_frames
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of the echo's level takes."""


@dataclass(frozen=True)
class SlapEcho:
    """Send → return, once, `delay_ms` later. `wet_level` is its amplitude, as loud at 1 as the direct sound."""

    delay_ms: float
    wet_level: float

    inputs: ClassVar = (Port("send", 2),)
    outputs: ClassVar = (Port("return", 2),)
    meters: ClassVar[tuple[Meter, ...]] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        about = "how much of the echo is heard; 1 is as loud as direct sound"
        return (Param("wet_level", "", 0.0, 1.0, self.wet_level, about),)

    def build(self, ctx: BuildContext) -> "SlapEchoProcessor":
        """Make the processor."""
        return SlapEchoProcessor(self, ctx)


class SlapEchoProcessor(Processor):
    """A ring and a gain."""

    def __init__(self, node: SlapEcho, ctx: BuildContext) -> None:
        self._slot = ctx.param("wet_level")
        self._line = np.zeros((max(1, ms_to_frames(node.delay_ms, ctx.spec.rate_hz)), 2), np.float32)
        self._at = 0
        self._ramp = LaneRamp(2, max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz)))
        self._gains = np.zeros(2, np.float32)
        self._last = -1.0
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        wet = float(self._slot[0])
        if wet != self._last:
            self._last = wet
            self._gains.fill(wet)
            if self._settled:
                self._ramp.set_targets(self._gains)
            else:
                self._ramp.jump_to(self._gains)
                self._settled = True
        self._at = delay(ins[0], outs[0], self._line, self._at)
        self._ramp.apply(outs[0], outs[0])

    def reset(self) -> None:
        self._line.fill(0.0)
        self._at = 0
        self._settled = False
        self._last = -1.0

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, SlapEchoProcessor) and len(old._line) == len(self._line)

    def adopt(self, old: Processor) -> None:
        if isinstance(old, SlapEchoProcessor):
            self._line, old._line = old._line, self._line
            self._ramp, old._ramp = old._ramp, self._ramp
            self._at = old._at
            self._settled = True
