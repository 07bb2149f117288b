"""Mix: every track panned to the dry bus, and sent to the room. Pan: the same panning without the sum, for stems."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dsp.mixing import COEFFICIENTS, OFF_DB, hold_peaks, mix, mix_targets, pan, start_ramp
from dsp.tiles import QUAD
from dsp.units import ms_to_frames
from dsp.vectors import WIDTH
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.nodes.bank import TrackBank, moves
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of panning or send takes."""

PEAK_FALL_DB_PER_S = 24.0
"""How fast a track's peak meter falls."""


@dataclass(frozen=True)
class Mix(TrackBank):
    """Tracks → `dry` and `send`, both stereo buses.

    `mono[i]` says that track i plays the same on both lanes, which decides its panning law.
    """

    panning: tuple[float, ...]
    send_db: tuple[float, ...]
    mono: tuple[bool, ...]

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The dry bus and the send bus."""
        return (Port("dry", 2), Port("send", 2))

    @property
    def params(self) -> tuple[Param, ...]:
        """Panning and send of each track."""
        return (
            Param("panning", "", -1.0, 1.0, self.panning, "left to right", self.tracks),
            Param(
                "send_db", "dB", OFF_DB, 12.0, self.send_db, "level into the room; -90 is off", self.tracks
            ),
        )

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The peak of each track."""
        return (Meter("peak", "", "falling peak of the track, amplitude", self.tracks),)

    def build(self, ctx: BuildContext) -> "MixProcessor":
        """Make the processor."""
        return MixProcessor(self, ctx)


class _Panning:
    """Coefficients of all tracks, ramped towards what the parameters say."""

    def __init__(self, node: Mix, ctx: BuildContext) -> None:
        tracks = len(node.tracks)
        self.keys = node.tracks
        self.slots = ctx.param("panning"), ctx.param("send_db")
        self.mono = np.array(node.mono, np.bool_)
        self.now = np.zeros((COEFFICIENTS, tracks), np.float32)
        self.targets = np.zeros_like(self.now)
        self.steps = np.zeros_like(self.now)
        self.last = np.empty((2, tracks))
        self.length = max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz))
        self.left = 0
        self.settle()

    def settle(self) -> None:
        """Have the next quantum start at its targets, without a ramp."""
        self.last.fill(np.nan)
        self.settled = False

    def follow(self) -> None:
        """Aim at what the parameters say now."""
        if not mix_targets(*self.slots, self.mono, self.last, self.targets):
            return
        if self.settled:
            start_ramp(self.now, self.targets, self.steps, self.length)
            self.left = self.length
        else:
            self.now[:] = self.targets
            self.left = 0
            self.settled = True

    def adopt(self, old: "_Panning", kept: list[tuple[int, int]]) -> None:
        """Start every track that `old` had from where it is there."""
        mix_targets(*self.slots, self.mono, self.last, self.targets)
        self.now[:] = self.targets
        for new, before in kept:
            for row in range(COEFFICIENTS):
                self.now[row, new] = old.now[row, before]
        start_ramp(self.now, self.targets, self.steps, self.length)
        self.left = self.length
        self.settled = True


class MixProcessor(Processor):
    """The whole bank in two compiled calls."""

    def __init__(self, node: Mix, ctx: BuildContext) -> None:
        self._panning = _Panning(node, ctx)
        tracks = len(node.tracks)
        self._sums = np.zeros((4, tracks + WIDTH), np.float32)
        self._highest = np.zeros((2, -(-tracks // QUAD) * WIDTH), np.float32)
        self._loudest = np.zeros((1, 2 * tracks), np.float32)
        self._peaks = ctx.meter("peak")
        self._decay = 10.0 ** (-PEAK_FALL_DB_PER_S * ctx.spec.quantum_s / 20.0)

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        p = self._panning
        p.follow()
        scratch = self._sums, self._highest, self._loudest
        p.left = mix(ins[0], outs[0], outs[1], p.now, p.targets, p.steps, p.left, *scratch)
        hold_peaks(self._loudest, self._peaks, self._decay)

    def reset(self) -> None:
        self._panning.settle()
        self._peaks.fill(0.0)

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        self._panning.settle()

    def can_adopt(self, old: Processor) -> bool:
        if not isinstance(old, MixProcessor):
            return False
        self._moves = moves(self._panning.keys, old._panning.keys)
        return True

    def adopt(self, old: Processor) -> None:
        if isinstance(old, MixProcessor):
            self._panning.adopt(old._panning, self._moves)


@dataclass(frozen=True)
class Pan:
    """The tracks as `mix` sums them to the dry bus, still apart: what stems are written from.

    It has the parameters of `mix` under its own name; nobody turns them while stems are rendered.
    """

    mix: Mix

    meters: ClassVar[tuple[Meter, ...]] = ()

    @property
    def inputs(self) -> tuple[Port, ...]:
        """One bank."""
        return self.mix.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        """One bank."""
        return self.mix.inputs

    @property
    def params(self) -> tuple[Param, ...]:
        """Those of `mix`."""
        return self.mix.params

    def build(self, ctx: BuildContext) -> "PanProcessor":
        """Make the processor."""
        return PanProcessor(self.mix, ctx)


class PanProcessor(Processor):
    """`Mix` before the sum, bit for bit."""

    def __init__(self, node: Mix, ctx: BuildContext) -> None:
        self._panning = _Panning(node, ctx)

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        p = self._panning
        p.follow()
        p.left = pan(ins[0], outs[0], p.now, p.targets, p.steps, p.left)

    def reset(self) -> None:
        self._panning.settle()

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        self._panning.settle()
