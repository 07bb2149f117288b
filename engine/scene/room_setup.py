"""Which room a scene is in, as its file has it, and as it is to be."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

import presets
from engine.scene.reader import shorten
from engine.scene.rooms import near_rooms
from engine.scene.sounds import reference_fault
from engine.scene.strict import Part, rule

RoomEngine = Literal["freeverb", "fdn"]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]


def _check_impulse(reference: str) -> str:
    if reference.startswith(("synth:", "input:")):
        raise rule(f'impulse is "{shorten(reference)}"', "must be the file of an impulse response")
    if fault := reference_fault(reference):
        raise rule(fault[0].replace("sound", "impulse", 1), fault[1])
    return reference


def _check_preset(name: str) -> str:
    if name not in presets.room_names():
        raise rule(f'no room is called "{shorten(name)}"', near_rooms(name))
    return name


def _as_level(value: object) -> object:
    return float(value) if isinstance(value, bool) else value


class RoomSetup(Part):
    """Which room it is, and what makes its sound. `room: church` is short for `room: {preset: church}`."""

    preset: Annotated[str, AfterValidator(_check_preset)] | None = Field(
        None, description="A built-in room, which gives the room parameters that are left out."
    )
    engine: RoomEngine = Field("freeverb", description="What makes the reverberation.")
    early: Annotated[
        Unit,
        BeforeValidator(_as_level),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0.0, "maximum": 1.0}]}),
    ] = Field(0.0, description="Level of the early reflections, 0 to 1; true is 1.")
    impulse: Annotated[str, AfterValidator(_check_impulse)] | None = Field(
        None,
        description="File of a measured impulse response, instead of an engine; then of the room parameters only "
        "wet_level counts.",
    )
    echo_ms: Annotated[float, Field(ge=1.0, le=2000.0, json_schema_extra={"unit": "ms"})] | None = Field(
        None, description="Outdoors: when a wall answers, once."
    )


class Room(Part):
    """The room as it is to be: parameters each 0 to 1, and what makes its sound."""

    detected: bool
    size: Unit
    damping: Unit
    wet_level: Unit
    width: Unit
    engine: RoomEngine = "freeverb"
    early: Unit = 0.0
    impulse: str | None = None
    echo_ms: float | None = None
