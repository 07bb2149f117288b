"""Compressor: pedalboard's, on a stereo bus, with settings that can be turned while it plays."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pedalboard

from dsp.compression import NOT_FADING, blend, drive, hand_on
from dsp.glide import Glide
from dsp.units import amplitude_to_db, ms_to_frames
from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

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
    """Two plug-ins that hear the same: one sounds, the other stands by to take new settings, which one cannot glide to.

    Their own threshold is the one they began with; another one is reached by driving them harder or softer. As long as
    it is the first one, what sounds is what one plug-in returns.
    """

    def __init__(self, ctx: BuildContext) -> None:
        self._slots = (
            ctx.param("threshold_db"),
            ctx.param("ratio"),
            ctx.param("attack_ms"),
            ctx.param("release_ms"),
        )
        self._reduction_db = ctx.meter("reduction_db")
        self._rate_hz = float(ctx.spec.rate_hz)
        self._sounding, self._standing_by = pedalboard.Compressor(), pedalboard.Compressor()
        self._drive_db, self._fade = Glide(), Glide()
        self._driven = np.zeros((ctx.spec.quantum_frames, 2), np.float32)
        self._coming = np.zeros((ctx.spec.quantum_frames, 2), np.float32)
        self._gains = np.ones(ctx.spec.quantum_frames, np.float32)
        self._own_threshold_db = 0.0
        self._last = (0.0, 0.0, 0.0, 0.0)
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        threshold, ratio, attack, release = self._slots
        wanted = (threshold[0], ratio[0], attack[0], release[0])
        if wanted != self._last:
            self._turn(*map(float, wanted))
        x, y, rate_hz = ins[0], outs[0], self._rate_hz
        sounding, standing_by, drive_db, fade = self._sounding, self._standing_by, self._drive_db, self._fade
        if not (drive_db.target or drive_db.is_moving or fade.is_moving):
            standing_by.process(x, rate_hz, reset=False)
            gain = hand_on(x, sounding.process(x, rate_hz, reset=False), y)
        else:
            driven = self._driven
            drive(x, driven, self._gains, drive_db.start, drive_db.target, drive_db.at, drive_db.frames)
            coming = standing_by.process(driven, rate_hz, reset=False)
            at = NOT_FADING
            if fade.is_moving:
                at = fade.at
                np.copyto(self._coming, coming)
            # Of the arrays that pedalboard returns there is one at a time.
            del coming
            gain = blend(
                x,
                sounding.process(driven, rate_hz, reset=False),
                self._coming,
                self._gains,
                y,
                at,
                fade.frames,
            )
            self._pass_by(len(x))
        self._reduction_db[0] = min(0.0, amplitude_to_db(gain))

    def reset(self) -> None:
        self._sounding.reset()
        self._standing_by.reset()
        self._settled = False
        self._last = (0.0, 0.0, 0.0, 0.0)
        self._reduction_db[0] = 0.0

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, CompressorProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, CompressorProcessor):
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
                plugin.threshold_db = threshold_db
                plugin.ratio = ratio
                _set_times(plugin, attack_ms, release_ms)
            self._last = (threshold_db, ratio, attack_ms, release_ms)
            self._settled = True
            return
        last_threshold_db, *last = self._last
        if not self._drive_db.is_moving and threshold_db != last_threshold_db:
            way_ms = GLIDE_MS_PER_DB * abs(threshold_db - last_threshold_db)
            self._drive_db.set_out(self._own_threshold_db - threshold_db, self._frames(max(GLIDE_MS, way_ms)))
            last_threshold_db = threshold_db
        if not self._fade.is_moving and last != [ratio, attack_ms, release_ms]:
            self._standing_by.ratio = ratio
            _set_times(self._standing_by, attack_ms, release_ms)
            self._fade.set_out(1.0, self._frames(GLIDE_MS), after=self._frames(REHEARSAL_MS))
            last = [ratio, attack_ms, release_ms]
        self._last = (last_threshold_db, last[0], last[1], last[2])

    def _frames(self, duration_ms: float) -> int:
        return ms_to_frames(duration_ms, self._rate_hz)

    def _pass_by(self, frames: int) -> None:
        self._drive_db.pass_by(frames)
        if self._fade.is_moving:
            self._fade.pass_by(frames)
            if not self._fade.is_moving:
                self._sounding, self._standing_by = self._standing_by, self._sounding
                # Its envelope has to be where that of the other is when it is needed next.
                _set_times(self._standing_by, self._last[2], self._last[3])


def _set_times(plugin: pedalboard.Compressor, attack_ms: float, release_ms: float) -> None:
    plugin.attack_ms = attack_ms * TIME_CONSTANT_RATIO
    plugin.release_ms = release_ms * TIME_CONSTANT_RATIO
