"""LoudnessTrim: brings a scene to its loudness, by a gain that is known beforehand and a slow trim."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dsp.loudness_trim import LoudnessTrim as TrimKernel
from dsp.ramp import LaneRamp
from dsp.units import amplitude_to_db, db_to_amplitude, ms_to_frames
from engine.errors import GraphError
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

LOWEST_LUFS, HIGHEST_LUFS = -40.0, -10.0
"""Where the target of a scene may be."""

TRIM_RANGE_DB = 3.0
WIDEST_RANGE_DB = 6.0

MOST_GAIN_DB = 40.0
"""Beyond, a scene is mostly its noise floor."""

RAMP_MS = 50.0
"""How long a change of the target takes."""


@dataclass(frozen=True)
class LoudnessTrim:
    """A stereo bus brought from `expected_lufs`, the loudness it is predicted or was measured to have, to a target.

    What was not foreseen is trimmed, by up to `trim_range_db`; 0 leaves it as it is, for what was measured. Raises
    GraphError for a target that is not -40 to -10 LUFS.
    """

    target_lufs: float
    expected_lufs: float
    trim_range_db: float = TRIM_RANGE_DB

    inputs: ClassVar = (Port("bus", 2),)
    outputs: ClassVar = (Port("bus", 2),)
    meters: ClassVar[tuple[Meter, ...]] = (
        Meter("gain_db", "dB", "what the target makes of the scene, the trim included"),
        Meter("trim_db", "dB", "what is trimmed beyond what was foreseen"),
    )

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        return (
            Param("target_lufs", "LUFS", LOWEST_LUFS, HIGHEST_LUFS, self.target_lufs, "loudness of the whole"),
            Param(
                "trim_range_db", "dB", 0.0, WIDEST_RANGE_DB, self.trim_range_db,
                "how far the gain may go from what was foreseen; 0 is off",
            ),
        )  # fmt: skip

    def __post_init__(self) -> None:
        for p in self.params:
            if not p.lo <= p.defaults[0] <= p.hi:
                raise GraphError(f"loudness: {p.name} is {p.default}, must be {p.lo:g} to {p.hi:g}")
        if not math.isfinite(self.expected_lufs):
            raise GraphError(f"loudness: expected_lufs is {self.expected_lufs}")

    def build(self, ctx: BuildContext) -> "LoudnessTrimProcessor":
        """Make the processor."""
        return LoudnessTrimProcessor(self, ctx)


class LoudnessTrimProcessor(Processor):
    """The kernel with its two parameters and its meters."""

    def __init__(self, node: LoudnessTrim, ctx: BuildContext) -> None:
        rate_hz = float(ctx.spec.rate_hz)
        self._rate_hz = rate_hz
        self._expected_lufs = node.expected_lufs
        self._target_lufs, self._range_db = ctx.param("target_lufs"), ctx.param("trim_range_db")
        self._gain_db, self._trim_db = ctx.meter("gain_db"), ctx.meter("trim_db")
        self._ramp = LaneRamp(1, max(1, ms_to_frames(RAMP_MS, rate_hz)))
        self._wanted = np.ones(1, np.float32)
        self._trim = TrimKernel(rate_hz, node.expected_lufs, self._ramp)
        self._last_lufs = math.nan
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        if self._target_lufs[0] != self._last_lufs:
            self._turn(float(self._target_lufs[0]))
        self._trim.process(ins[0], outs[0], self._range_db[0])
        trim_db = self._trim.trim_db
        self._trim_db[0] = trim_db
        self._gain_db[0] = amplitude_to_db(float(self._ramp.current[0])) + trim_db

    def reset(self) -> None:
        self._trim.reset()
        self._last_lufs = math.nan
        self._settled = False
        self._gain_db[0] = self._trim_db[0] = 0.0

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, LoudnessTrimProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, LoudnessTrimProcessor):
            # The gain that is wanted first, so that the way there begins at the one that holds now.
            self._turn(float(self._target_lufs[0]))
            self._ramp.resume(0, old._ramp, 0)
            self._trim.adopt(old._trim)

    def _turn(self, target_lufs: float) -> None:
        gain_db = min(MOST_GAIN_DB, max(-MOST_GAIN_DB, target_lufs - self._expected_lufs))
        self._wanted[0] = db_to_amplitude(gain_db)
        if self._settled:
            self._ramp.set_targets(self._wanted)
        else:
            self._ramp.jump_to(self._wanted)
            self._settled = True
        self._last_lufs = target_lufs
