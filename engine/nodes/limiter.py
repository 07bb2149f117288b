"""Limiter: the last thing before the output, with look-ahead."""

import math
from dataclasses import dataclass
from typing import ClassVar

from dsp.limiter import Limiter as LimiterKernel
from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

MARGIN_DB = 0.2
"""How much further down it limits: the peak between the 4 points a frame that it looks at is up to so much higher."""

LOWEST_CEILING_DB, HIGHEST_CEILING_DB = -12.0, 0.0


@dataclass(frozen=True)
class Limiter:
    """Stereo-linked true-peak limiter; `ceiling_db` in dBTP. Its look-ahead is its latency.

    It limits to 0.2 dB below, so that programme keeps the ceiling whatever meter looks at it; only noise up to the
    Nyquist frequency may still be 0.3 dB above.

    Raises GraphError for a ceiling that is not -12 to 0 dBTP.
    """

    ceiling_db: float = -1.0
    lookahead_ms: float = 1.5
    release_ms: float = 80.0

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    meters: ClassVar[tuple[Meter, ...]] = (
        Meter("reduction_db", "dB", "by how much the limiter turns down now"),
    )

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        return (
            Param(
                "ceiling_db", "dBTP", LOWEST_CEILING_DB, HIGHEST_CEILING_DB, self.ceiling_db,
                "true peak that is never passed",
            ),
        )  # fmt: skip

    def __post_init__(self) -> None:
        if not LOWEST_CEILING_DB <= self.ceiling_db <= HIGHEST_CEILING_DB:
            allowed = f"{LOWEST_CEILING_DB:g} to {HIGHEST_CEILING_DB:g}"
            raise GraphError(f"limiter: ceiling_db is {self.ceiling_db}, must be {allowed}")

    def build(self, ctx: BuildContext) -> "LimiterProcessor":
        """Make the processor."""
        return LimiterProcessor(self, ctx)


class LimiterProcessor(Processor):
    """The kernel with its ceiling and its meter."""

    def __init__(self, node: Limiter, ctx: BuildContext) -> None:
        self._limiter = LimiterKernel(
            ctx.spec.rate_hz, node.ceiling_db - MARGIN_DB, node.lookahead_ms, node.release_ms
        )
        self._rate_hz = ctx.spec.rate_hz
        self._ceiling_db = ctx.param("ceiling_db")
        self._last_db = math.nan
        self._settled = False
        self._reduction_db = ctx.meter("reduction_db")
        self.latency_frames = self._limiter.latency_frames

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        if self._ceiling_db[0] != self._last_db:
            self._set(float(self._ceiling_db[0]))
        self._limiter.process(ins[0], outs[0])
        self._reduction_db[0] = self._limiter.reduction_db

    def reset(self) -> None:
        self._limiter.reset()
        self._last_db = math.nan
        self._settled = False
        self._reduction_db[0] = 0.0

    def can_adopt(self, old: Processor) -> bool:
        return (
            isinstance(old, LimiterProcessor)
            and old._rate_hz == self._rate_hz
            and old.latency_frames == self.latency_frames
        )

    def adopt(self, old: Processor) -> None:
        if isinstance(old, LimiterProcessor):
            # The ceiling that is wanted first, so that the way there begins at the one that holds now.
            self._set(float(self._ceiling_db[0]))
            self._limiter.adopt(old._limiter)

    def _set(self, ceiling_db: float) -> None:
        self._limiter.set_ceiling(ceiling_db - MARGIN_DB)
        if not self._settled:
            self._limiter.reset()
            self._settled = True
        self._last_db = ceiling_db
