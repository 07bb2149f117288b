"""Compressor: pedalboard's, on a stereo bus, with settings that can be turned while it plays."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pedalboard
from numpy.typing import NDArray

from dsp.compression import NOT_FADING, blend, drive, follow, hand_on
from dsp.glide import Glide
from dsp.units import amplitude_to_db, ms_to_frames
from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.slots import Slots
from engine.spec import QUANTA_FRAMES, Block, StreamSpec

TIME_CONSTANT_RATIO = 2.0 * math.pi
"""pedalboard's attack and release run 2 pi times as fast as the usual one-pole time constant of that length."""

GLIDE_MS = 20.0
"""How long a change of a setting takes, but for the wait while an earlier one is under way."""

GLIDE_MS_PER_DB = 3.0
"""How long the threshold takes at least: the gain bends where it meets the envelope, the more the faster it goes."""

REHEARSAL_MS = 20.0
"""How long new times are on trial before they are heard: a long attack made short has the envelope leap."""


@dataclass(frozen=True)
class Compressor:
    """Hard-knee compressor without make-up gain; attack and release are one-pole time constants.

    Raises GraphError for a setting that is not finite or out of range.
    """

    threshold_db: float = -18.0
    ratio: float = 2.0
    attack_ms: float = 10.0
    release_ms: float = 200.0

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    meters: ClassVar[tuple[Meter, ...]] = (
        Meter("reduction_db", "dB", "peak of the output over peak of the input in a quantum, 0 or below"),
    )

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        return (
            Param("threshold_db", "dBFS", -60.0, 0.0, self.threshold_db, "level above which it turns down"),
            Param("ratio", "", 1.0, 20.0, self.ratio, "dB in for one dB out, above the threshold"),
            Param("attack_ms", "ms", 0.1, 1000.0, self.attack_ms, "how fast it turns down", curve="log"),
            Param("release_ms", "ms", 1.0, 5000.0, self.release_ms, "how fast it lets go", curve="log"),
        )

    def __post_init__(self) -> None:
        for p in self.params:
            if not p.lo <= p.defaults[0] <= p.hi:
                raise GraphError(f"compressor: {p.name} is {p.default}, must be {p.lo:g} to {p.hi:g}")

    def build(self, ctx: BuildContext) -> "CompressorProcessor":
        """Make the processor."""
        return CompressorProcessor(ctx)


class CompressorProcessor(Processor):
    """One compression."""

    def __init__(self, ctx: BuildContext) -> None:
        slots = tuple(ctx.param(name) for name in ("threshold_db", "ratio", "attack_ms", "release_ms"))
        self._reduction_db = ctx.meter("reduction_db")
        self._compression = Compression(ctx.spec, slots, TIME_CONSTANT_RATIO)

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        self._reduction_db[0] = amplitude_to_db(self._compression.process(ins[0], outs[0]))

    def reset(self) -> None:
        self._compression.reset()
        self._reduction_db[0] = 0.0

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, CompressorProcessor) and self._compression.can_adopt(old._compression)

    def adopt(self, old: Processor) -> None:
        if isinstance(old, CompressorProcessor):
            self._compression.adopt(old._compression)


class Compression:
    """Two plug-ins: one sounds, the other stands by to take new settings, which one cannot glide to.

    It does not run until then: it is brought to the envelope of the one that sounds, which is known. Their own
    threshold is the one they began with; another one is reached by driving them harder or softer. As long as it is the
    first one, what sounds is what one plug-in returns.

    `slots` are those of threshold_db, ratio, attack_ms and release_ms; the times in them are `time_ratio` times shorter
    than pedalboard's.
    """

    def __init__(self, spec: StreamSpec, slots: tuple[Slots, ...], time_ratio: float) -> None:
        self._slots = slots
        self._rate_hz = float(spec.rate_hz)
        self._sounding, self._standing_by = _Plugin(spec, time_ratio), _Plugin(spec, time_ratio)
        self._drive_db, self._fade = Glide(), Glide()
        self._driven = np.zeros((spec.quantum_frames, 2), np.float32)
        self._coming = np.zeros((spec.quantum_frames, 2), np.float32)
        self._gains = np.ones(spec.quantum_frames, np.float32)
        self._own_threshold_db = 0.0
        self._last = (0.0, 0.0, 0.0, 0.0)
        self._settled = False

    def process(self, x: Block, y: Block) -> float:
        """Fill y with what comes of x, both `[frames, 2]`; return the least peak of y over that of x of its parts."""
        threshold, ratio, attack, release = self._slots
        wanted = (threshold[0], ratio[0], attack[0], release[0])
        frames, first, gain = len(x), 0, 1.0
        while wanted != self._last:
            self._turn(*map(float, wanted))
            # What has to wait sets out at the very frame at which it may: the same at every quantum.
            stop = first + self._wait_frames(wanted)
            if not first < stop < frames:
                break
            gain = min(gain, self._run(x[first:stop], y[first:stop]))
            first = stop
        return min(gain, self._run(x[first:], y[first:]) if first else self._run(x, y))

    def _run(self, x: Block, y: Block) -> float:
        """Fill y with what the compressor makes of x; return the peak of y over that of x."""
        sounding, drive_db, fade = self._sounding, self._drive_db, self._fade
        if not (drive_db.target or drive_db.is_moving or fade.is_moving):
            return hand_on(
                x,
                sounding.plugin.process(x, self._rate_hz, reset=False),
                y,
                sounding.envelope,
                sounding.rising,
                sounding.falling,
            )
        frames = len(x)
        driven, coming, gains = self._driven[:frames], self._coming[:frames], self._gains[:frames]
        drive(x, driven, gains, drive_db.start, drive_db.target, drive_db.at, drive_db.frames)
        at = NOT_FADING
        if fade.is_moving:
            at = fade.at
            # Copied, so that of the arrays that pedalboard returns there is one at a time.
            coming[:] = self._standing_by.run(driven)
        gain = blend(x, sounding.run(driven), coming, gains, y, at, fade.frames)
        self._pass_by(frames)
        return gain

    def reset(self) -> None:
        """Go back to silence."""
        self._sounding.reset()
        self._standing_by.reset()
        self._settled = False
        self._last = (0.0, 0.0, 0.0, 0.0)

    def can_adopt(self, old: "Compression") -> bool:
        """Say whether `old` can go on here: its times mean the same."""
        return old._rate_hz == self._rate_hz and old._sounding.time_ratio == self._sounding.time_ratio

    def adopt(self, old: "Compression") -> None:
        """Go on where `old` left off."""
        self._sounding, old._sounding = old._sounding, self._sounding
        self._standing_by, old._standing_by = old._standing_by, self._standing_by
        self._drive_db, old._drive_db = old._drive_db, self._drive_db
        self._fade, old._fade = old._fade, self._fade
        self._own_threshold_db, self._last, self._settled = old._own_threshold_db, old._last, old._settled

    def _turn(self, threshold_db: float, ratio: float, attack_ms: float, release_ms: float) -> None:
        """Set out for the settings wanted, as far as nothing is under way: the next quantum asks again."""
        if not self._settled:
            self._own_threshold_db = threshold_db
            self._drive_db.jump_to(0.0)
            self._fade.jump_to(0.0)
            for plugin in (self._sounding, self._standing_by):
                plugin.set(threshold_db, ratio, attack_ms, release_ms)
            self._last = (threshold_db, ratio, attack_ms, release_ms)
            self._settled = True
            return
        last_threshold_db, *last = self._last
        if not self._drive_db.is_moving and threshold_db != last_threshold_db:
            way_ms = GLIDE_MS_PER_DB * abs(threshold_db - last_threshold_db)
            self._drive_db.set_out(self._own_threshold_db - threshold_db, self._frames(max(GLIDE_MS, way_ms)))
            last_threshold_db = threshold_db
        if not self._fade.is_moving and last != [ratio, attack_ms, release_ms]:
            self._standing_by.go_to(self._sounding.envelope)
            self._standing_by.set(self._own_threshold_db, ratio, attack_ms, release_ms)
            self._fade.set_out(1.0, self._frames(GLIDE_MS), after=self._frames(REHEARSAL_MS))
            last = [ratio, attack_ms, release_ms]
        self._last = (last_threshold_db, last[0], last[1], last[2])

    def _wait_frames(self, wanted: tuple[float, ...]) -> int:
        """Return after how many frames a setting that waits may set out; 0 if none does."""
        drive_db, fade, last = self._drive_db, self._fade, self._last
        waits = drive_db.frames - drive_db.at if wanted[0] != last[0] else 0
        if wanted[1:] != last[1:]:
            other = fade.frames - fade.at
            waits = other if waits == 0 else min(waits, other)
        return waits

    def _frames(self, duration_ms: float) -> int:
        return ms_to_frames(duration_ms, self._rate_hz)

    def _pass_by(self, frames: int) -> None:
        self._drive_db.pass_by(frames)
        if self._fade.is_moving:
            self._fade.pass_by(frames)
            if not self._fade.is_moving:
                self._sounding, self._standing_by = self._standing_by, self._sounding


class _Plugin:
    """A plug-in, and what its envelope is: the one value it keeps of a channel."""

    def __init__(self, spec: StreamSpec, time_ratio: float) -> None:
        self.time_ratio = time_ratio
        self.plugin = pedalboard.Compressor()
        self.envelope = np.zeros(2, np.float32)
        self.rising = self.falling = 0.0
        self._rate_hz = float(spec.rate_hz)
        self._still = np.zeros((QUANTA_FRAMES[0], 2), np.float32)
        # It would forget its envelope at the first block that is longer than all before.
        self.plugin.process(np.zeros((spec.quantum_frames, 2), np.float32), self._rate_hz, reset=False)

    def run(self, x: Block) -> Block:
        """Return what the plug-in makes of x."""
        follow(x, self.envelope, self.rising, self.falling)
        y: Block = self.plugin.process(x, self._rate_hz, reset=False)
        return y

    def set(self, threshold_db: float, ratio: float, attack_ms: float, release_ms: float) -> None:
        """Take settings; the envelope stays where it is."""
        self.plugin.threshold_db = threshold_db
        self.plugin.ratio = ratio
        self.plugin.attack_ms = attack_ms * self.time_ratio
        self.plugin.release_ms = release_ms * self.time_ratio
        self.rising, self.falling = self._share(self.plugin.attack_ms), self._share(self.plugin.release_ms)

    def go_to(self, envelope: NDArray[np.float32]) -> None:
        """Have this envelope: without attack and release it is the magnitude of the sample last heard."""
        self.plugin.attack_ms = self.plugin.release_ms = 0.0
        self._still[:] = envelope
        self.plugin.process(self._still, self._rate_hz, reset=False)
        self.envelope[:] = envelope

    def reset(self) -> None:
        """Go back to silence."""
        self.plugin.reset()
        self.envelope.fill(0.0)

    def _share(self, own_ms: float) -> float:
        """Return the share of the distance to the magnitude that one frame leaves, as the plug-in works it out."""
        return math.exp(-TIME_CONSTANT_RATIO * 1e3 / self._rate_hz / own_ms)
