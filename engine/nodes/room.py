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
    """Send → return. The parameters are 0…1, but for `freeze`, which is on or off.

    `room_size` means a reverberation time, 0.25 s to 6 s in equal ratios, as far as the reverb reaches;
    `wet_level` is the amplitude of the return, whose energy is otherwise the same for every size, damping and width.
    Frozen, the tail stands still: nothing more comes in, and nothing dies away.
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
            Param("freeze", "", 0.0, 1.0, 0.0, "hold the tail as it is", choices=("off", "on")),
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
        self._freeze = ctx.param("freeze")
        self._rate_hz = float(ctx.spec.rate_hz)
        self._plugin = pedalboard.Reverb(wet_level=UNIT_WET_LEVEL, dry_level=0.0)
        self._gains = np.zeros(2, np.float32)
        self._level = 1.0
        ramp_frames = max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz))
        self._ramp = LaneRamp(2, ramp_frames)
        self._gate = _Gate(ctx.spec.quantum_frames, ramp_frames)
        self._last = (-1.0, -1.0, -1.0, -1.0, -1.0)
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        size, damping, wet, width = self._slots
        wanted = (size[0], damping[0], wet[0], width[0], self._freeze[0])
        if wanted != self._last:
            self._last = wanted
            self._set(*map(float, wanted))
        gate, plugin = self._gate, self._plugin
        if gate.open:
            self._ramp.apply(plugin.process(ins[0], self._rate_hz, reset=False), outs[0])
            return
        send, heard = gate.apply(ins[0]), outs[0]
        shut_after = gate.shut_after(len(send))
        if shut_after >= 0:
            self._ramp.apply(
                plugin.process(send[:shut_after], self._rate_hz, reset=False), heard[:shut_after]
            )
            plugin.freeze_mode = 1.0
            send, heard = send[shut_after:], heard[shut_after:]
        if len(send):
            self._ramp.apply(plugin.process(send, self._rate_hz, reset=False), heard)

    def reset(self) -> None:
        self._plugin.reset()
        self._settled = False
        self._last = (-1.0, -1.0, -1.0, -1.0, -1.0)

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, RoomProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, RoomProcessor):
            self._plugin, old._plugin = old._plugin, self._plugin
            self._ramp, old._ramp = old._ramp, self._ramp
            self._gate, old._gate = old._gate, self._gate
            self._level = old._level
            self._settled = True

    def _set(self, size: float, damping: float, wet: float, width: float, freeze: float) -> None:
        knob = rt60_to_room_size(room_size_to_rt60_s(size), self._rate_hz)
        frozen = freeze >= 0.5
        self._plugin.room_size = knob
        self._plugin.damping = damping
        self._plugin.width = width
        if not (frozen and self._settled):
            # The level that goes with size and damping is that of a tail that dies away.
            self._level = db_to_amplitude(
                -tail_energy_db(knob, damping, UNIT_WET_LEVEL, width, self._rate_hz)
            )
        self._gains.fill(wet * self._level)
        if not frozen:
            self._plugin.freeze_mode = 0.0
        if self._settled:
            self._ramp.set_targets(self._gains)
            self._gate.turn(frozen)
        else:
            self._ramp.jump_to(self._gains)
            self._gate.jump(frozen)
            self._plugin.freeze_mode = 1.0 if frozen else 0.0
            self._settled = True


class _Gate:
    """What lets the send in: Freeverb cuts its input off at once when it freezes, so it is faded out before."""

    def __init__(self, quantum_frames: int, ramp_frames: int) -> None:
        self._ramp = LaneRamp(2, ramp_frames)
        self._shut, self._through = np.zeros(2, np.float32), np.ones(2, np.float32)
        self._send = np.zeros((quantum_frames, 2), np.float32)
        self._frames_left = 0
        self.open = True
        """Whether all comes in as it is."""

    def turn(self, shut: bool) -> None:
        """Begin to close, or to open."""
        if shut != (self._ramp.target[0] == 0.0):
            self._ramp.set_targets(self._shut if shut else self._through)
            self._frames_left = self._ramp.ramp_frames
            self.open = False

    def jump(self, shut: bool) -> None:
        """Be closed or open."""
        self._ramp.jump_to(self._shut if shut else self._through)
        self._frames_left = 0
        self.open = not shut

    def apply(self, x: Block) -> Block:
        """Return what comes in of `x`, which may be of any length up to the quantum."""
        send = self._send[: len(x)]
        self._ramp.apply(x, send)
        return send

    def shut_after(self, frames: int) -> int:
        """Count `frames` that came in; return after how many of them, 1 or more, it was shut; -1 if not in these."""
        left, self._frames_left = self._frames_left, max(0, self._frames_left - frames)
        if left == 0 or self._frames_left > 0:
            return -1
        self.open = bool(self._ramp.target[0] != 0.0)
        return -1 if self.open else left
