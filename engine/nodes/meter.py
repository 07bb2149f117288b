"""OutputMeter: peak, true peak, RMS and loudness of what is heard; the signal passes unchanged."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.levels import settle_levels
from dsp.loudness import LoudnessMeter
from dsp.true_peak import TruePeakMeter
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

PEAK_FALL_DB_PER_S = 24.0
RMS_WINDOW_S = 0.3
CHANNELS = ("left", "right")


@dataclass(frozen=True)
class OutputMeter:
    """BS.1770-5 loudness and true peak, loudness range (EBU Tech 3342), falling peak and 300 ms RMS of a stereo bus."""

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    params: ClassVar[tuple[Param, ...]] = ()
    meters: ClassVar[tuple[Meter, ...]] = (
        Meter("peak", "", "falling sample peak, amplitude", CHANNELS),
        Meter("rms", "", "root mean square over 300 ms, amplitude", CHANNELS),
        Meter("momentary_lufs", "LUFS", "loudness of the last 400 ms"),
        Meter("short_term_lufs", "LUFS", "loudness of the last 3 s"),
        Meter("integrated_lufs", "LUFS", "gated loudness since the start"),
        Meter("momentary_max_lufs", "LUFS", "highest momentary loudness since the start"),
        Meter("short_term_max_lufs", "LUFS", "highest short-term loudness since the start"),
        Meter("range_lu", "LU", "loudness range since the start"),
        Meter("true_peak", "", "highest true peak since the start, amplitude", CHANNELS),
    )

    def build(self, ctx: BuildContext) -> "OutputMeterProcessor":
        """Make the processor."""
        return OutputMeterProcessor(ctx)


class OutputMeterProcessor(Processor):
    """Three compiled calls; the rest is a few numbers."""

    def __init__(self, ctx: BuildContext) -> None:
        self._meter = LoudnessMeter(ctx.spec.rate_hz)
        self._peak = ctx.meter("peak")
        self._rms = ctx.meter("rms")
        self._shown = tuple(
            ctx.meter(name)
            for name in (
                "momentary_lufs",
                "short_term_lufs",
                "integrated_lufs",
                "momentary_max_lufs",
                "short_term_max_lufs",
                "range_lu",
            )
        )
        self._true_peak_meter = TruePeakMeter(ctx.spec.rate_hz)
        self._true_peak = ctx.meter("true_peak")
        self._fall = 10.0 ** (-PEAK_FALL_DB_PER_S * ctx.spec.quantum_s / 20.0)
        self._keep = math.exp(-ctx.spec.quantum_s / RMS_WINDOW_S)
        self._square = np.zeros(2)
        self._show()

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        outs[0][:] = ins[0]
        meter = self._meter
        has_news = meter.process(ins[0])
        self._true_peak_meter.process(ins[0])
        self._true_peak[:] = self._true_peak_meter.highest
        settle_levels(
            meter.peak, meter.mean_square, self._fall, self._keep, self._square, self._peak, self._rms
        )
        if has_news:
            self._show()

    def reset(self) -> None:
        self._meter.reset()
        self._true_peak_meter.reset()
        self._true_peak.fill(0.0)
        self._peak.fill(0.0)
        self._rms.fill(0.0)
        self._square.fill(0.0)
        self._show()

    def _show(self) -> None:
        momentary, short_term, integrated, momentary_max, short_term_max, spread = self._shown
        momentary[0] = self._meter.momentary_lufs
        short_term[0] = self._meter.short_term_lufs
        integrated[0] = self._meter.integrated_lufs
        momentary_max[0] = self._meter.momentary_max_lufs
        short_term_max[0] = self._meter.short_term_max_lufs
        spread[0] = self._meter.range_lu
