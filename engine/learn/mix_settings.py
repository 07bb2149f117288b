"""What a sound's mix settings are predicted to be: each field with its interval, its confidence and its source."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Source = Literal["none", "rule", "model", "reference", "scene"]
"""What an answer rests on; `none` supports no answer, `scene` is what somebody wrote there."""

MOST_EQ_DB = 6.0
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Figure:
    """A number, what it may as well be from `low` to `high`, and a `confidence` of 0 to 1.

    Those of a rule are judgement: they follow from the family's probability, and no data have tested them. Those of a
    model are shares of sounds that it had not seen.
    """

    value: float
    low: float
    high: float
    confidence: float
    source: Source


@dataclass(frozen=True)
class Curve:
    """A curve in dB at the 31 bands of `engine.learn.bands`, zero mean, ±6 dB; all arrays float64 `[31]`."""

    value: Floats
    low: Floats
    high: Floats
    confidence: float
    source: Source

    @property
    def flat(self) -> bool:
        """Whether it changes nothing."""
        return not np.any(self.value)


@dataclass(frozen=True)
class Name:
    """A name, or `unknown`, and the probability of each there is, the most probable first."""

    value: str
    confidence: float
    source: Source
    candidates: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class MixSettings:
    """Settings in the order they act: high-pass, equaliser, compressor, gain; and what the sound is taken for.

    highpass_hz     0 for none
    threshold_db    in dBFS of the sound as it is given, before any level; attack and release in pedalboard's sense,
                    which is 2 pi times a usual time constant
    reduction_db    the gain reduction that 5 % of the active time exceeds; 0 where no compressor is worth it, and
                    then threshold, ratio, attack and release are what it would be set to
    gain_db         behind the compressor: makes up what it took, on top of any level that a scene gives the sound
    past_reduction_db  what a compressor is found to have taken from the sound before it was given
    """

    highpass_hz: Figure
    eq_db: Curve
    threshold_db: Figure
    ratio: Figure
    attack_ms: Figure
    release_ms: Figure
    reduction_db: Figure
    gain_db: Figure
    past_reduction_db: Figure
    family: Name
    instrument: Name
    equipment: Name
    notes: tuple[str, ...] = ()
