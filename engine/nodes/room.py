"""Room: pedalboard's Reverb as a wet-only return, set by what the room is like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.blocks import add_to
from dsp.freeverb_rooms import DECLARED_SHARES, choose_share
from dsp.ramp import LaneRamp
from dsp.room_acoustics import RoomTarget, room_target
from dsp.units import ms_to_frames
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.nodes.tail import STEP_FRAMES, Tail
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of the return's level takes; pedalboard ramps size, damping and width by itself, in 10 ms."""

CROSSFADE_MS = 60.0
"""How long it takes until another reverb is fed; what was in the one before rings out."""


def room_params(size: float, damping: float, wet_level: float, width: float) -> tuple[Param, ...]:
    """Return what can be turned in a room, whatever makes its reverberation."""
    return (
        Param("room_size", "", 0.0, 1.0, size, "short to long reverberation, 0.25 s to 6 s"),
        Param("damping", "", 0.0, 1.0, damping, "hard to soft walls: the treble dies away sooner"),
        Param(
            "wet_level",
            "",
            0.0,
            1.0,
            wet_level,
            "how much of the room is heard; 1 is as loud as direct sound",
        ),
        Param("width", "", 0.0, 1.0, width, "stereo width of the tail: 0 mono, 1 diffuse"),
        Param("freeze", "", 0.0, 1.0, 0.0, "hold the tail as it is", choices=("off", "on")),
    )


@dataclass(frozen=True)
class Room:
    """Send → return. The parameters are 0…1, but for `freeze`, which is on or off; `dsp.room_acoustics` says what of.

    `room_size` means a reverberation time, 0.25 s to 6 s in equal ratios; `damping` that of 4 kHz over that, 1 to 0.5,
    as far as the reverb reaches; `wet_level` is the amplitude of the return, whose loudness is otherwise the same for
    every size, damping and width; `width` is 1 less the correlation of its channels. Frozen, the tail stands still:
    nothing more comes in, and nothing dies away.
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

    def build(self, ctx: BuildContext) -> "RoomProcessor":
        """Make the processor."""
        return RoomProcessor(ctx)


NEVER_SET = (-1.0, -1.0, -1.0, -1.0, -1.0)


class RoomProcessor(Processor):
    """A few reverbs with delays of different lengths, of which one is fed; the others sleep, or ring out.

    Which one depends on the reverberation wanted. When a knob passes a border, the send goes from one to the other with
    equal power. All that happens between quanta happens at a frame that does not depend on the quantum.
    """

    def __init__(self, ctx: BuildContext) -> None:
        self._slots = (
            ctx.param("room_size"),
            ctx.param("damping"),
            ctx.param("wet_level"),
            ctx.param("width"),
        )
        self._freeze = ctx.param("freeze")
        self._rate_hz = float(ctx.spec.rate_hz)
        quantum = ctx.spec.quantum_frames
        ramp_frames = max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz))
        self._target = self._read()
        self._tails = [Tail(ctx.spec, share, ramp_frames, self._target) for share in DECLARED_SHARES]
        self._fades = _Crossfade(quantum, max(1, ms_to_frames(CROSSFADE_MS, ctx.spec.rate_hz)))
        self._gate = _Gate(quantum, ramp_frames)
        self._silence = np.zeros((quantum, 2), np.float32)
        self._scratch = np.zeros((quantum, 2), np.float32)
        self._fed = 0
        self._before = 0
        self._frozen = False
        self._steady = False
        self._last = NEVER_SET
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        size, damping, wet, width = self._slots
        wanted = (size[0], damping[0], wet[0], width[0], self._freeze[0])
        if wanted != self._last:
            self._last = wanted
            self._set()
        if self._steady:
            self._tails[self._fed].render(ins[0], outs[0])
            return
        frames = len(ins[0])
        at = 0
        while at < frames:
            end = at + self._frames_to_event(frames - at)
            self._run(ins[0][at:end], outs[0][at:end])
            self._pass(end - at)
            at = end

    def reset(self) -> None:
        for tail in self._tails:
            tail.reset()
        self._fades.frames_left = 0
        self._settled = False
        self._last = NEVER_SET

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, RoomProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, RoomProcessor):
            self._tails, old._tails = old._tails, self._tails
            self._fades, old._fades = old._fades, self._fades
            self._gate, old._gate = old._gate, self._gate
            self._fed, self._before = old._fed, old._before
            self._frozen, self._steady = old._frozen, old._steady
            self._settled = True

    def _read(self) -> RoomTarget:
        size, damping, wet, width = self._slots
        return room_target(float(size[0]), float(damping[0]), float(wet[0]), float(width[0]))

    def _set(self) -> None:
        """Aim at what the parameters say now."""
        target = self._target = self._read()
        wet = float(self._slots[2][0])
        frozen = bool(self._freeze[0] >= 0.5)
        if not self._settled:
            self._fed = choose_share(target.rt60_s, target.treble_ratio, self._rate_hz)
            self._tails[self._fed].wake(target, wet)
            self._gate.jump(frozen)
            self._tails[self._fed].freeze(frozen)
            self._settled = True
        else:
            for tail in self._tails:
                if tail.awake:
                    tail.follow(target, wet, frozen)
                    if not frozen:
                        tail.freeze(False)
            self._gate.turn(frozen)
        self._frozen = frozen
        self._choose()

    def _choose(self) -> None:
        """Begin to feed another reverb if the present one does not do, unless one is being faded in."""
        if not self._frozen and self._fades.frames_left <= 0:
            rt60_s, ratio = self._target.rt60_s, self._target.treble_ratio
            place = choose_share(rt60_s, ratio, self._rate_hz, self._fed)
            if place != self._fed:
                self._before, self._fed = self._fed, place
                if not self._tails[place].awake:
                    self._tails[place].wake(self._target, float(self._slots[2][0]))
                self._tails[place].frames_left = 0
                self._fades.begin()
        self._note_steady()

    def _note_steady(self) -> None:
        self._steady = self._gate.open and self._fades.frames_left <= 0
        for tail in self._tails:
            if tail.frames_left > 0:
                self._steady = False

    def _frames_to_event(self, left: int) -> int:
        """Return after how many of `left` frames something begins or ends, `left` if nothing does."""
        frames = left
        if self._gate.frames_left > 0:
            frames = min(frames, self._gate.frames_left)
        if self._fades.frames_left > 0:
            frames = min(frames, self._fades.frames_left)
        if not self._frozen:
            for tail in self._tails:
                if tail.frames_left > 0:
                    frames = min(frames, tail.frames_left)
        # A single frame of two channels would look to pedalboard like two frames of one.
        return left if left - frames == 1 else max(frames, min(left, 2))

    def _run(self, x: Block, heard: Block) -> None:
        """Render some frames of all that is awake."""
        send = x if self._gate.open else self._gate.apply(x)
        fed, before = self._tails[self._fed], self._tails[self._before]
        if self._fades.frames_left > 0:
            fed.render(self._fades.rising(send), heard)
            self._add(before, self._fades.falling(send), heard)
        else:
            fed.render(send, heard)
        for tail in self._tails:
            if tail.frames_left > 0:
                self._add(tail, self._silence[: len(x)], heard)

    def _add(self, tail: Tail, send: Block, heard: Block) -> None:
        other = self._scratch[: len(send)]
        tail.render(send, other)
        add_to(other, heard)

    def _pass(self, frames: int) -> None:
        """Do what is due after `frames` that were rendered."""
        if self._gate.passed(frames):
            for tail in self._tails:
                if tail.awake:
                    tail.freeze(True)
        for tail in self._tails:
            if tail.frames_left > 0 and not self._frozen:
                tail.ring_out(frames)
        if self._fades.frames_left > 0 and self._fades.passed(frames):
            self._tails[self._before].begin_to_ring_out()
            self._choose()
        self._note_steady()


class _Crossfade:
    """How a send goes from one reverb to another: with equal power, since their tails have nothing in common."""

    def __init__(self, quantum_frames: int, fade_frames: int) -> None:
        self._frames = -(-fade_frames // STEP_FRAMES) * STEP_FRAMES
        angle = np.minimum(np.arange(self._frames + quantum_frames + 2) + 1, self._frames) / self._frames
        self._rise = np.repeat(np.sin(0.5 * np.pi * angle).astype(np.float32)[:, None], 2, axis=1)
        self._fall = np.repeat(np.cos(0.5 * np.pi * angle).astype(np.float32)[:, None], 2, axis=1)
        self._fall[self._frames - 1 :] = 0.0
        self._risen = np.zeros((quantum_frames, 2), np.float32)
        self._fallen = np.zeros((quantum_frames, 2), np.float32)
        self.frames_left = 0
        """How long it still takes."""

    def begin(self) -> None:
        """Begin."""
        self.frames_left = self._frames

    def rising(self, send: Block) -> Block:
        """Return what goes to the new one."""
        return self._weighed(send, self._rise, self._risen)

    def falling(self, send: Block) -> Block:
        """Return what still goes to the old one."""
        return self._weighed(send, self._fall, self._fallen)

    def _weighed(self, send: Block, table: Block, to: Block) -> Block:
        at = self._frames - self.frames_left
        made = to[: len(send)]
        np.multiply(send, table[at : at + len(send)], out=made)
        return made

    def passed(self, frames: int) -> bool:
        """Count `frames`; return whether that was the end of it."""
        self.frames_left -= frames
        return self.frames_left <= 0


class _Gate:
    """What lets the send in: Freeverb cuts its input off at once when it freezes, so it is faded out before."""

    def __init__(self, quantum_frames: int, ramp_frames: int) -> None:
        self._frames = -(-ramp_frames // STEP_FRAMES) * STEP_FRAMES
        self._ramp = LaneRamp(2, self._frames)
        self._shut, self._through = np.zeros(2, np.float32), np.ones(2, np.float32)
        self._send = np.zeros((quantum_frames, 2), np.float32)
        self.frames_left = 0
        """How long it still takes to open or to close."""
        self.open = True
        """Whether all comes in as it is."""

    def turn(self, shut: bool) -> None:
        """Begin to close, or to open."""
        if shut != (self._ramp.target[0] == 0.0):
            self._ramp.set_targets(self._shut if shut else self._through)
            self.frames_left = self._frames
            self.open = False

    def jump(self, shut: bool) -> None:
        """Be closed or open."""
        self._ramp.jump_to(self._shut if shut else self._through)
        self.frames_left = 0
        self.open = not shut

    def apply(self, x: Block) -> Block:
        """Return what comes in of `x`, which may be of any length up to the quantum."""
        send = self._send[: len(x)]
        self._ramp.apply(x, send)
        return send

    def passed(self, frames: int) -> bool:
        """Count `frames` that came in; return whether it was shut in them."""
        if self.frames_left <= 0:
            return False
        self.frames_left -= frames
        if self.frames_left > 0:
            return False
        self.open = bool(self._ramp.target[0] != 0.0)
        return not self.open
