"""The loudness that a scene is brought to, as a scene file has it."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

LOWEST_LUFS, HIGHEST_LUFS = -40.0, -10.0
DEFAULT_LUFS = -23.0
"""EBU R 128."""


def _off(value: object) -> object:
    return None if value is False or value == "off" else value


LoudnessTarget = Annotated[
    Annotated[float, Field(ge=LOWEST_LUFS, le=HIGHEST_LUFS)] | None,
    BeforeValidator(_off),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": LOWEST_LUFS, "maximum": HIGHEST_LUFS, "unit": "LUFS"},
                {"type": "null"},
                {"const": "off"},
            ]
        }
    ),
]
"""-40 to -10 LUFS; None, written `off` or null, leaves the scene as it is."""
