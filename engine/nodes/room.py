"""Room: pedalboard's Reverb as a wet-only return, set by what the room is like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pedalboard

from dsp.freeverb import room_size_to_rt60_s, rt60_to_room_size, tail_energy_db
from dsp.ramp import LaneRamp
from dsp.units import db_to_amplitude, ms_to_frames
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of the return's level takes; pedalboard ramps size, damping and width by itself, in 10 ms."""

UNIT_WET_LEVEL = 1.0 / 3.0
"""Freeverb scales its wet knob by 3, so this is a wet gain of 1; the level is set behind it."""


@dataclass(frozen=True)
class Room:
    """Send → return. All four parameters are 0…1.

    `room_size` means a reverberation time, 0.25 s to 6 s in equal ratios, as far as the reverb reaches;
    `wet_level` is the amplitude of the return, whose energy is otherwise the same for every size, damping and width.
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
        return (
            Param("room_size", "", 0.0, 1.0, self.room_size, "short to long reverberation"),
            Param("damping", "", 0.0, 1.0, self.damping, "hard to soft walls"),
            Param("wet_level", "", 0.0, 1.0, self.wet_level, "how much of the room is heard"),
            Param("width", "", 0.0, 1.0, self.width, "stereo width of the tail"),
        )

    def build(self, ctx: BuildContext) -> "RoomProcessor":
        """Make the processor."""
        return RoomProcessor(ctx)


class RoomProcessor(Processor):
    """One plug-in, set between quanta on the thread that runs it, because its setters take no lock."""

    def __init__(self, ctx: BuildContext) -> None:
        self._slots = (
            ctx.param("room_size"),
            ctx.param("damping"),
            ctx.param("wet_level"),
            ctx.param("width"),
        )
        self._rate_hz = float(ctx.spec.rate_hz)
        self._plugin = pedalboard.Reverb(wet_level=UNIT_WET_LEVEL, dry_level=0.0)
        self._gains = np.zeros(2, np.float32)
        self._ramp = LaneRamp(2, max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz)))
        self._last = (-1.0, -1.0, -1.0, -1.0)
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        size, damping, wet, width = self._slots
        wanted = (size[0], damping[0], wet[0], width[0])
        if wanted != self._last:
            self._last = wanted
            self._set(*map(float, wanted))
        self._ramp.apply(self._plugin.process(ins[0], self._rate_hz, reset=False), outs[0])

    def reset(self) -> None:
        self._plugin.reset()
        self._settled = False
        self._last = (-1.0, -1.0, -1.0, -1.0)

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, RoomProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, RoomProcessor):
            self._plugin, old._plugin = old._plugin, self._plugin
            self._ramp, old._ramp = old._ramp, self._ramp
            self._settled = True

    def _set(self, size: float, damping: float, wet: float, width: float) -> None:
        knob = rt60_to_room_size(room_size_to_rt60_s(size), self._rate_hz)
        self._plugin.room_size = knob
        self._plugin.damping = damping
        self._plugin.width = width
        level = db_to_amplitude(-tail_energy_db(knob, damping, UNIT_WET_LEVEL, width, self._rate_hz))
        self._gains.fill(wet * level)
        if self._settled:
            self._ramp.set_targets(self._gains)
        else:
            self._ramp.jump_to(self._gains)
            self._settled = True
