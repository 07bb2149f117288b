"""OutputMeter: peak, RMS and loudness of what is heard; the signal passes unchanged."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.levels import settle_levels
from dsp.loudness import LoudnessMeter
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

PEAK_FALL_DB_PER_S = 24.0
RMS_WINDOW_S = 0.3
CHANNELS = ("left", "right")


@dataclass(frozen=True)
class OutputMeter:
    """BS.1770-5 loudness, falling peak and 300 ms RMS of a stereo bus."""

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    params: ClassVar[tuple[Param, ...]] = ()
    meters: ClassVar[tuple[Meter, ...]] = (
        Meter("peak", "", "falling sample peak, amplitude", CHANNELS),
        Meter("rms", "", "root mean square over 300 ms, amplitude", CHANNELS),
        Meter("momentary_lufs", "LUFS", "loudness of the last 400 ms"),
        Meter("short_term_lufs", "LUFS", "loudness of the last 3 s"),
        Meter("integrated_lufs", "LUFS", "gated loudness since the start"),
    )

    def build(self, ctx: BuildContext) -> "OutputMeterProcessor":
        """Make the processor."""
        return OutputMeterProcessor(ctx)


class OutputMeterProcessor(Processor):
    """Two compiled calls; the rest is three numbers."""

    def __init__(self, ctx: BuildContext) -> None:
        self._meter = LoudnessMeter(ctx.spec.rate_hz)
        self._peak = ctx.meter("peak")
        self._rms = ctx.meter("rms")
        self._lufs = ctx.meter("momentary_lufs"), ctx.meter("short_term_lufs"), ctx.meter("integrated_lufs")
        self._fall = 10.0 ** (-PEAK_FALL_DB_PER_S * ctx.spec.quantum_s / 20.0)
        self._keep = math.exp(-ctx.spec.quantum_s / RMS_WINDOW_S)
        self._square = np.zeros(2)
        self._show()

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        outs[0][:] = ins[0]
        meter = self._meter
        has_news = meter.process(ins[0])
        settle_levels(
            meter.peak, meter.mean_square, self._fall, self._keep, self._square, self._peak, self._rms
        )
        if has_news:
            self._show()

    def reset(self) -> None:
        self._meter.reset()
        self._peak.fill(0.0)
        self._rms.fill(0.0)
        self._square.fill(0.0)
        self._show()

    def _show(self) -> None:
        momentary, short_term, integrated = self._lufs
        momentary[0] = self._meter.momentary_lufs
        short_term[0] = self._meter.short_term_lufs
        integrated[0] = self._meter.integrated_lufs
