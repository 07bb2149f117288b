"""Unmask: tracks that matter less give way, in the bands that clash, while they clash, by at most 6 dB."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.bark import BANDS
from dsp.unmask import MAX_CUT_DB
from dsp.unmask import Unmask as UnmaskStage
from engine.meters import Meter
from engine.node import BuildContext, Processor
from engine.nodes.bank import TrackBank, moves
from engine.params import Param
from engine.spec import Block

YIELDING = ("never", "normal", "always")
"""The choices of the parameter `yield`, in the order of its values: `dsp.masking` NEVER, BY_IMPORTANCE, ALWAYS."""


@dataclass(frozen=True)
class Unmask(TrackBank):
    """Bank → bank. `importance` (0…1) of each track decides who yields to whom, unless `yields` says otherwise.

    `yields` is one of `YIELDING` for each track; left out, all are normal.
    """

    importance: tuple[float, ...]
    yields: tuple[str, ...] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """What holds for all tracks, and what each track is."""
        yields = self.yields or ("normal",) * len(self.tracks)
        return (
            Param("amount", "", 0.0, 1.0, 1.0, "strength of the unmasking; 0 is off"),
            Param("max_cut_db", "dB", 0.0, MAX_CUT_DB, MAX_CUT_DB, "deepest cut of a track at any frequency"),
            Param("attack_ms", "ms", 1.0, 500.0, 20.0, "how fast cuts grow", curve="log"),
            Param("release_ms", "ms", 10.0, 3000.0, 200.0, "how fast cuts go back", curve="log"),
            Param("delta", "", 0.0, 1.0, 0.0, "listen to what is taken away", choices=("off", "on")),
            Param("importance", "", 0.0, 1.0, self.importance, "how much the track matters", self.tracks),
            Param(
                "yield", "", 0.0, 2.0, tuple(float(YIELDING.index(y)) for y in yields),
                "whether the track gives way: to nobody, to the more important, to all", self.tracks,
                choices=YIELDING,
            ),
        )  # fmt: skip

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The deepest cut of each track; and, every 85 ms, what the masking model sees."""
        return (
            Meter("reduction_db", "dB", "deepest present cut of the track, 0 or below", self.tracks),
            Meter("energy", "", "mean square of the track in each Bark band", self.tracks, BANDS),
            Meter("kept", "", "share of it that unmasking leaves", self.tracks, BANDS),
            Meter("shown", "", "how often energy and kept were brought up to date"),
        )

    def build(self, ctx: BuildContext) -> "UnmaskProcessor":
        """Make the processor."""
        return UnmaskProcessor(self, ctx)


class UnmaskProcessor(Processor):
    """The whole bank in a few compiled calls."""

    def __init__(self, node: Unmask, ctx: BuildContext) -> None:
        self._keys = node.tracks
        self._amount, self._max_cut_db = ctx.param("amount"), ctx.param("max_cut_db")
        self._attack_ms, self._release_ms = ctx.param("attack_ms"), ctx.param("release_ms")
        self._delta, self._importance, self._yield = (
            ctx.param("delta"),
            ctx.param("importance"),
            ctx.param("yield"),
        )
        self._reduction_db = ctx.meter("reduction_db")
        self._energy = ctx.meter("energy").reshape(BANDS, -1)
        self._kept = ctx.meter("kept").reshape(BANDS, -1)
        self._shown = ctx.meter("shown")
        self._stage = UnmaskStage(len(node.tracks), ctx.spec.rate_hz, ctx.spec.quantum_frames)
        self._sources = np.zeros(len(node.tracks), np.int64)
        self._bad = np.zeros(len(node.tracks), np.bool_)
        self.reset()

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        stage = self._stage
        stage.amount = float(self._amount[0])
        stage.max_cut_db = float(self._max_cut_db[0])
        stage.attack_ms = float(self._attack_ms[0])
        stage.release_ms = float(self._release_ms[0])
        stage.delta = float(self._delta[0])
        np.copyto(stage.importance, self._importance)
        np.copyto(stage.yielding, self._yield)
        stage.align(frame)
        stage.process(ins[0], outs[0])
        self._reduction_db[:] = stage.reduction_db
        if self._shown[0] != stage.shown:
            self._show()

    def reset(self) -> None:
        self._stage.reset()
        self._reduction_db.fill(0.0)
        self._energy.fill(0.0)
        self._kept.fill(1.0)
        self._shown.fill(0.0)

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        tracks = len(self._bad)
        np.logical_or(lanes[:tracks], lanes[tracks:], out=self._bad)
        self._stage.reset_tracks(self._bad)
        self._show()

    def can_adopt(self, old: Processor) -> bool:
        if not isinstance(old, UnmaskProcessor) or old._stage.rate_hz != self._stage.rate_hz:
            return False
        self._sources.fill(-1)
        for now, before in moves(self._keys, old._keys):
            self._sources[now] = before
        return True

    def adopt(self, old: Processor) -> None:
        if isinstance(old, UnmaskProcessor):
            self._stage.adopt(old._stage, self._sources)
            self._show()

    def _show(self) -> None:
        self._reduction_db[:] = self._stage.reduction_db
        np.copyto(self._energy, self._stage.shown_energy)
        np.copyto(self._kept, self._stage.shown_kept)
        self._shown[0] = self._stage.shown
