"""FdnRoom: a feedback delay network as a wet-only return, whose tail dies in every octave as the room says."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.fdn import Fdn
from dsp.freeverb import width_from_correlation
from dsp.octave_decay import room_times_s
from dsp.room_acoustics import width_to_correlation
from dsp.room_box import OCTAVES_HZ, loudness_of_energy
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.nodes.room import room_params
from engine.params import Param
from engine.spec import Block

UNSET = (-1.0, -1.0, -1.0, -1.0, -1.0)


@dataclass(frozen=True)
class FdnRoom:
    """Send → return, with the parameters of `Room`, each 0…1 but for `freeze`, which is on or off.

    They mean what `dsp.room_acoustics` says, in every octave from 125 Hz to 8 kHz; the return is as loud for every
    size, damping and width. Both inputs are heard alike: where a sound comes from does not reach the tail.
    Frozen, nothing more comes in and nothing dies away; size and damping turned meanwhile wait until it is thawed.
    """

    room_size: float
    damping: float
    wet_level: float
    width: float

    inputs: ClassVar = (Port("send", 2),)
    outputs: ClassVar = (Port("return", 2),)
    meters: ClassVar[tuple[Meter, ...]] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        return room_params(self.room_size, self.damping, self.wet_level, self.width)

    def build(self, ctx: BuildContext) -> "FdnRoomProcessor":
        """Make the processor."""
        return FdnRoomProcessor(ctx)


class FdnRoomProcessor(Processor):
    """One compiled call; a change of size or damping designs the filters of all lines anew, in 0.1 ms."""

    def __init__(self, ctx: BuildContext) -> None:
        self._slots = (
            ctx.param("room_size"),
            ctx.param("damping"),
            ctx.param("wet_level"),
            ctx.param("width"),
        )
        self._freeze = ctx.param("freeze")
        self._rate_hz = ctx.spec.rate_hz
        self._network = Fdn(ctx.spec.rate_hz)
        self._rt60_s = np.zeros(len(OCTAVES_HZ))
        room_times_s(0.0, 0.0, self._rt60_s)  # makes its table, while there is time
        self._level = 1.0
        self._room = (-1.0, -1.0)
        self._last = UNSET
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        size, damping, wet, width = self._slots
        wanted = (size[0], damping[0], wet[0], width[0], self._freeze[0])
        if wanted != self._last:
            self._last = wanted
            self._set(*map(float, wanted))
        self._network.process(ins[0], outs[0], frame)

    def reset(self) -> None:
        self._network.reset()
        self._settled = False
        self._room = (-1.0, -1.0)
        self._last = UNSET

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, FdnRoomProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, FdnRoomProcessor):
            self._network, old._network = old._network, self._network
            self._level, self._room, self._settled = old._level, old._room, old._settled

    def _set(self, size: float, damping: float, wet: float, width: float, freeze: float) -> None:
        network, jump = self._network, not self._settled
        frozen = freeze >= 0.5
        if (size, damping) != self._room and not (frozen and self._settled):
            # The level that goes with size and damping is that of a tail that dies away.
            self._room = (size, damping)
            room_times_s(size, damping, self._rt60_s)
            energy = network.set_room(size, self._rt60_s, jump)
            self._level = 1.0 / math.sqrt(energy * loudness_of_energy(size, self._rt60_s, self._rate_hz))
        # Own side (1 + w) / 2 and other side (1 - w) / 2 correlate the channels by (1 - w^2) / (1 + w^2).
        w = width_from_correlation(width_to_correlation(width))
        level = wet * self._level / math.sqrt(2.0 + 2.0 * w * w)
        network.set_gates(level * (1.0 + w), level * (1.0 - w), not frozen, jump)
        self._settled = True
