"""Mix settings as a scene has them for one of its sounds: what is written there goes before what is predicted."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.learn.bands import BANDS, CENTRES_HZ, NOMINAL_HZ
from engine.scene.reader import shorten, show
from engine.scene.strict import Part, rule

MOST_EQ_DB = 12.0
HIGHEST_PASS_HZ = 8000.0
LOWEST_HZ, HIGHEST_HZ = 20.0, 20_000.0

_NUMBER = re.compile(r"\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_EQ = (
    f"a mapping such as {{250: -2, 3150: 1.5}}, or {BANDS} values, each {-MOST_EQ_DB:g} to {MOST_EQ_DB:g} dB"
)

ALLOWED = {
    "settings": "a mapping such as {threshold_db: -30, ratio: 3}",
    "predict": "true or false",
    "eq_db": _EQ,
    "highpass_hz": f"0 (none) to {HIGHEST_PASS_HZ:g} Hz",
    "compressor": "true or false",
    "threshold_db": "-60 to 0 dBFS of the sound as it is given",
    "ratio": "1 to 20",
    "attack_ms": "0.1 to 1000 ms",
    "release_ms": "10 to 20000 ms",
}
"""What a field takes, in words. `gain_db` is -24 to 12 dB, as that of an object."""


def _as_bands(value: object) -> object:
    """Return the 31 gains of a mapping from frequency to gain: each is that of the band nearest to it."""
    if isinstance(value, (list, tuple)):
        if len(value) != BANDS:
            raise rule(f"eq_db has {len(value)} values", f"must be {_EQ}")
        return tuple(value)
    if not isinstance(value, Mapping):
        return value
    gains: dict[int, tuple[str, float]] = {}
    for key, gain in value.items():
        band = _band(key)
        if isinstance(gain, bool) or not isinstance(gain, (int, float)) or not abs(gain) <= MOST_EQ_DB:
            allowed = f"must be {-MOST_EQ_DB:g} to {MOST_EQ_DB:g} dB"
            raise rule(f"{shorten(str(key))} Hz is {show(gain)}", allowed, (str(key),))
        if band in gains:
            what = f"{gains[band][0]} Hz and {key} Hz are both in the band at {NOMINAL_HZ[band]:g} Hz"
            raise rule(what, "one gain for each third of an octave", (str(key),))
        gains[band] = str(key), float(gain)
    return tuple(gains[band][1] if band in gains else 0.0 for band in range(BANDS))


def _band(key: object) -> int:
    text = str(key)
    hz = float(text) if _NUMBER.fullmatch(text) and len(text) <= 24 else 0.0
    if not LOWEST_HZ <= hz <= HIGHEST_HZ:
        allowed = f"{LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz"
        raise rule(f"{shorten(text)} is no frequency of the equaliser", allowed, (text,))
    return int(np.argmin(np.abs(np.log(CENTRES_HZ / hz))))


Gain = Annotated[float, Field(ge=-MOST_EQ_DB, le=MOST_EQ_DB)]
_GAIN = {"type": "number", "minimum": -MOST_EQ_DB, "maximum": MOST_EQ_DB}
Bands = Annotated[
    tuple[Gain, ...] | None,
    BeforeValidator(_as_bands),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": _GAIN, "unit": "dB"},
                {"type": "array", "items": _GAIN, "minItems": BANDS, "maxItems": BANDS, "unit": "dB"},
                {"type": "null"},
            ]
        }
    ),
]


class WrittenSettings(Part):
    """Mix settings of one sound; what is left out is predicted, where the scene has that."""

    eq_db: Bands = Field(
        None,
        description="Equaliser: gain in dB by frequency, each the third of an octave it is nearest to and 0 for all "
        "others, or 31 gains from 20 Hz to 20 kHz.",
    )
    highpass_hz: (
        Annotated[float, Field(ge=0.0, le=HIGHEST_PASS_HZ, json_schema_extra={"unit": "Hz"})] | None
    ) = Field(None, description="Corner of the high-pass, 12 dB an octave; 0 is none.")
    compressor: bool | None = Field(
        None,
        description="Whether there is one; left out, where any of its settings is written or enough reduction is "
        "predicted.",
    )
    threshold_db: Annotated[float, Field(ge=-60.0, le=0.0, json_schema_extra={"unit": "dBFS"})] | None = (
        Field(None, description="Threshold in dBFS of the sound as it is given, before any level.")
    )
    ratio: Annotated[float, Field(ge=1.0, le=20.0)] | None = Field(
        None, description="dB in for one dB out, above the threshold."
    )
    attack_ms: Annotated[float, Field(ge=0.1, le=1000.0, json_schema_extra={"unit": "ms"})] | None = Field(
        None, description="Attack in the sense of `roomtone match`: 2 pi time constants."
    )
    release_ms: Annotated[float, Field(ge=10.0, le=20_000.0, json_schema_extra={"unit": "ms"})] | None = (
        Field(None, description="Release, in the same sense.")
    )
    gain_db: Annotated[float, Field(ge=-24.0, le=12.0, json_schema_extra={"unit": "dB"})] | None = Field(
        None, description="Gain behind the compressor, which makes up what it took."
    )

    @model_validator(mode="after")
    def _no_compressor_has_no_settings(self) -> Self:
        if self.compressor is False and (told := self.compressor_fields):
            what = f"there is no compressor, and it has {told[0]}"
            raise rule(what, "leave out `compressor: false`, or that", (told[0],))
        return self

    @property
    def compressor_fields(self) -> tuple[str, ...]:
        """The settings of the compressor that are written."""
        names = ("threshold_db", "ratio", "attack_ms", "release_ms")
        return tuple(name for name in names if getattr(self, name) is not None)

    def fault_of_input(self) -> tuple[str, Any] | None:
        """Return (what, field) if something is written that a live input cannot have."""
        for name in ("eq_db", "highpass_hz"):
            if getattr(self, name):
                return f"a live input has no {name}", name
        return None
