"""ConvolutionRoom: a measured impulse response by pedalboard's Convolution, as a wet-only return."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pedalboard

from dsp.ramp import LaneRamp
from dsp.units import ms_to_frames
from engine.impulse import ImpulseResponse
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of the return's level takes."""

OWN_GAIN = 0.125
"""pedalboard brings the energy of a response's louder channel to the square of this."""


@dataclass(frozen=True)
class ConvolutionRoom:
    """Send → return, through `impulse`. `wet_level` is the amplitude of the return, as loud at 1 as the direct sound.

    Its samples differ between quanta by rounding, -115 dB below the return: the convolution works in blocks as long as
    the quantum.
    """

    impulse: ImpulseResponse
    wet_level: float

    inputs: ClassVar = (Port("send", 2),)
    outputs: ClassVar = (Port("return", 2),)
    meters: ClassVar[tuple[Meter, ...]] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        about = "how much of the room is heard; 1 is as loud as direct sound"
        return (Param("wet_level", "", 0.0, 1.0, self.wet_level, about),)

    def build(self, ctx: BuildContext) -> "ConvolutionRoomProcessor":
        """Make the processor."""
        return ConvolutionRoomProcessor(self, ctx)


class ConvolutionRoomProcessor(Processor):
    """One plug-in, without latency."""

    def __init__(self, node: ConvolutionRoom, ctx: BuildContext) -> None:
        samples = node.impulse.samples
        rate_hz = ctx.spec.rate_hz
        self._impulse = node.impulse
        self._slot = ctx.param("wet_level")
        self._rate_hz = float(rate_hz)
        both = np.ascontiguousarray(np.broadcast_to(samples, (len(samples), 2)).T)
        self._plugin = pedalboard.Convolution(both, mix=1.0, sample_rate=self._rate_hz)
        loudest = float(np.sqrt(np.max(np.sum(both.astype(np.float64) ** 2, axis=1))))
        self._level = node.impulse.level * loudest / OWN_GAIN
        self._ramp = LaneRamp(2, max(1, ms_to_frames(RAMP_MS, rate_hz)))
        self._gains = np.zeros(2, np.float32)
        self._last = -1.0
        self._settled = False
        # A larger block than any before would clear the tail.
        self._plugin.process(np.zeros((ctx.spec.quantum_frames, 2), np.float32), self._rate_hz, reset=False)
        self._plugin.reset()

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        wet = float(self._slot[0])
        if wet != self._last:
            self._last = wet
            self._gains.fill(wet * self._level)
            if self._settled:
                self._ramp.set_targets(self._gains)
            else:
                self._ramp.jump_to(self._gains)
                self._settled = True
        self._ramp.apply(self._plugin.process(ins[0], self._rate_hz, reset=False), outs[0])

    def reset(self) -> None:
        self._plugin.reset()
        self._settled = False
        self._last = -1.0

    def can_adopt(self, old: Processor) -> bool:
        return (
            isinstance(old, ConvolutionRoomProcessor)
            and old._rate_hz == self._rate_hz
            and old._impulse == self._impulse
        )

    def adopt(self, old: Processor) -> None:
        if isinstance(old, ConvolutionRoomProcessor):
            self._plugin, old._plugin = old._plugin, self._plugin
            self._ramp, old._ramp = old._ramp, self._ramp
            self._settled = True
