"""Compressor: pedalboard's, on a stereo bus."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pedalboard

from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.nodes.plugin import take_return
from engine.params import Param
from engine.spec import Block

TIME_CONSTANT_RATIO = 2.0 * math.pi
"""pedalboard's attack and release run 2 pi times as fast as the usual one-pole time constant of that length."""


@dataclass(frozen=True)
class Compressor:
    """Hard-knee compressor without make-up gain; attack and release are one-pole time constants.

    Settings belong to the description: pedalboard applies a new threshold at once, which clicks, so a change is a
    graph edit. Raises GraphError for a setting that is not finite or out of range.
    """

    threshold_db: float = -18.0
    ratio: float = 2.0
    attack_ms: float = 10.0
    release_ms: float = 200.0

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    params: ClassVar[tuple[Param, ...]] = ()
    meters: ClassVar[tuple[Meter, ...]] = ()

    def __post_init__(self) -> None:
        for name, lo, hi in (
            ("threshold_db", -60.0, 0.0),
            ("ratio", 1.0, 20.0),
            ("attack_ms", 0.1, 1000.0),
            ("release_ms", 1.0, 5000.0),
        ):
            value = getattr(self, name)
            if not lo <= value <= hi:
                raise GraphError(f"compressor: {name} is {value}, must be {lo:g} to {hi:g}")

    def build(self, ctx: BuildContext) -> "CompressorProcessor":
        """Make the processor."""
        return CompressorProcessor(self, ctx)


class CompressorProcessor(Processor):
    """One plug-in, whose return is guarded."""

    def __init__(self, node: Compressor, ctx: BuildContext) -> None:
        self._plugin = pedalboard.Compressor(
            threshold_db=node.threshold_db,
            ratio=node.ratio,
            attack_ms=node.attack_ms * TIME_CONSTANT_RATIO,
            release_ms=node.release_ms * TIME_CONSTANT_RATIO,
        )
        self._rate_hz = float(ctx.spec.rate_hz)

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        returned = self._plugin.process(ins[0], self._rate_hz, reset=False)
        take_return(self, self._plugin, returned, outs[0])

    def reset(self) -> None:
        self._plugin.reset()
