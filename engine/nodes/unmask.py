"""Unmask: tracks that matter less give way, in the bands that clash, while they clash, by at most 6 dB."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.unmask import MAX_CUT_DB
from dsp.unmask import Unmask as UnmaskStage
from engine.meters import Meter
from engine.node import BuildContext, Processor
from engine.nodes.bank import TrackBank, moves
from engine.params import Param
from engine.spec import Block


@dataclass(frozen=True)
class Unmask(TrackBank):
    """Bank → bank. `importance` (0…1) of each track decides who yields to whom."""

    importance: tuple[float, ...]

    params: ClassVar[tuple[Param, ...]] = (
        Param("amount", "", 0.0, 1.0, 1.0, "strength of the unmasking; 0 is off"),
        Param("max_cut_db", "dB", 0.0, MAX_CUT_DB, MAX_CUT_DB, "deepest cut of a track at any frequency"),
        Param("attack_ms", "ms", 1.0, 500.0, 20.0, "how fast cuts grow", curve="log"),
        Param("release_ms", "ms", 10.0, 3000.0, 200.0, "how fast cuts go back", curve="log"),
    )

    @property
    def meters(self) -> tuple[Meter, ...]:
        """The deepest cut of each track."""
        return (Meter("reduction_db", "dB", "deepest present cut of the track, 0 or below", self.tracks),)

    def build(self, ctx: BuildContext) -> "UnmaskProcessor":
        """Make the processor."""
        return UnmaskProcessor(self, ctx)


class UnmaskProcessor(Processor):
    """The whole bank in a few compiled calls."""

    def __init__(self, node: Unmask, ctx: BuildContext) -> None:
        self._keys = node.tracks
        self._slots = (
            ctx.param("amount"),
            ctx.param("max_cut_db"),
            ctx.param("attack_ms"),
            ctx.param("release_ms"),
        )
        self._reduction_db = ctx.meter("reduction_db")
        self._stage = UnmaskStage(len(node.tracks), ctx.spec.rate_hz, ctx.spec.quantum_frames)
        self._stage.set_importance(node.importance)
        self._sources = np.zeros(len(node.tracks), np.int64)

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        stage = self._stage
        amount, max_cut_db, attack_ms, release_ms = self._slots
        stage.amount = float(amount[0])
        stage.max_cut_db = float(max_cut_db[0])
        stage.attack_ms = float(attack_ms[0])
        stage.release_ms = float(release_ms[0])
        stage.process(ins[0], outs[0])
        self._reduction_db[:] = stage.reduction_db

    def reset(self) -> None:
        self._stage.reset()
        self._reduction_db.fill(0.0)

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
