"""Limiter: the last thing before the output, with look-ahead."""

from dataclasses import dataclass
from typing import ClassVar

from dsp.limiter import Limiter as LimiterKernel
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block


@dataclass(frozen=True)
class Limiter:
    """Stereo-linked true-peak limiter; `ceiling_db` in dBTP. Its look-ahead is its latency."""

    ceiling_db: float = -1.0
    lookahead_ms: float = 1.5
    release_ms: float = 80.0

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    params: ClassVar[tuple[Param, ...]] = ()
    meters: ClassVar[tuple[Meter, ...]] = (
        Meter("reduction_db", "dB", "by how much the limiter turns down now"),
    )

    def build(self, ctx: BuildContext) -> "LimiterProcessor":
        """Make the processor."""
        return LimiterProcessor(self, ctx)


class LimiterProcessor(Processor):
    """The kernel with its meter."""

    def __init__(self, node: Limiter, ctx: BuildContext) -> None:
        self._limiter = LimiterKernel(ctx.spec.rate_hz, node.ceiling_db, node.lookahead_ms, node.release_ms)
        self._reduction_db = ctx.meter("reduction_db")
        self.latency_frames = self._limiter.latency_frames

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        self._limiter.process(ins[0], outs[0])
        self._reduction_db[0] = self._limiter.reduction_db

    def reset(self) -> None:
        self._limiter.reset()
