"""Trims: the level of every track, ramped."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dsp.mixing import OFF_DB, level_gains
from dsp.ramp import LaneRamp
from dsp.units import ms_to_frames
from engine.meters import Meter
from engine.node import BuildContext, Processor
from engine.nodes.bank import TrackBank, moves
from engine.params import Param
from engine.spec import Block

RAMP_MS = 20.0
"""How long a change of level takes."""


@dataclass(frozen=True)
class Trims(TrackBank):
    """Brings each track from the common `reference_db` its events have to its own level, both in LUFS."""

    level_db: tuple[float, ...]
    reference_db: float

    meters: ClassVar[tuple[Meter, ...]] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """The level of each track."""
        return (
            Param(
                "level_db", "LUFS", OFF_DB, 0.0, self.level_db, "level of the track; -90 is off", self.tracks
            ),
        )

    def build(self, ctx: BuildContext) -> "TrimsProcessor":
        """Make the processor."""
        return TrimsProcessor(self, ctx)


class TrimsProcessor(Processor):
    """One ramp a lane."""

    def __init__(self, node: Trims, ctx: BuildContext) -> None:
        tracks = len(node.tracks)
        self._keys = node.tracks
        self._reference_db = node.reference_db
        self._level_db = ctx.param("level_db")
        self._last = np.full(tracks, np.nan)
        self._gains = np.zeros(2 * tracks, np.float32)
        self._ramp = LaneRamp(2 * tracks, max(1, ms_to_frames(RAMP_MS, ctx.spec.rate_hz)))
        self._settled = False
        self._moves: list[tuple[int, int]] = []

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        if level_gains(self._level_db, self._last, self._reference_db, self._gains):
            if self._settled:
                self._ramp.set_targets(self._gains)
            else:
                self._ramp.jump_to(self._gains)
                self._settled = True
        self._ramp.apply(ins[0], outs[0])

    def reset(self) -> None:
        self._last.fill(np.nan)
        self._settled = False

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        for side in (lanes[: len(self._last)], lanes[len(self._last) :]):
            np.copyto(self._last, np.nan, where=side)
        level_gains(self._level_db, self._last, self._reference_db, self._gains)
        ramp = self._ramp
        ramp.set_targets(self._gains)
        np.copyto(ramp.current, self._gains, where=lanes)
        np.copyto(ramp.target, self._gains, where=lanes)
        np.copyto(ramp.step, 0.0, where=lanes)
        np.copyto(ramp.left, 0.0, where=lanes)

    def can_adopt(self, old: Processor) -> bool:
        if not isinstance(old, TrimsProcessor):
            return False
        self._moves = moves(self._keys, old._keys)
        return True

    def adopt(self, old: Processor) -> None:
        if isinstance(old, TrimsProcessor):
            level_gains(self._level_db, self._last, self._reference_db, self._gains)
            self._ramp.jump_to(self._gains)
            tracks, before_tracks = len(self._keys), len(old._keys)
            for new, before in self._moves:
                for side in range(2):
                    self._ramp.resume(side * tracks + new, old._ramp, side * before_tracks + before)
            self._settled = True
