"""The built-in rooms: what their reverberation is, why, and which parameters 0 to 1 make it."""

from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import presets
from dsp.room_acoustics import RoomTarget, room_target, rt60_to_size, treble_ratio_to_damping
from engine.errors import InputError, Problem, SceneError
from engine.scene.files import read_bytes
from engine.scene.reader import field_name, read, shorten

OCTAVES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
"""The octaves of `rt60_s` and of `absorption`."""

AIR_DB_PER_KM = (0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6)
"""What air takes in these octaves at 20 °C and 70 % (ISO 9613-2, table 2)."""

_Unit = Annotated[float, Field(ge=0.0, le=1.0)]
_Octaves = Annotated[tuple[float, ...], Field(min_length=7, max_length=7, strict=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Surface(_Strict):
    """One surface of a room; what it absorbs of the sound that meets it, 0 to 1, in each octave."""

    material: str
    area_m2: Annotated[float, Field(gt=0.0)]
    absorption: _Octaves


class RoomPreset(_Strict):
    """A room by name. Outdoors (`enclosed` false) there is no tail, but perhaps one echo, `echo_ms` later."""

    title: str
    about: str
    source: str
    enclosed: bool
    wet_level: _Unit
    width: _Unit
    rt60_s: _Octaves | None = None
    volume_m3: Annotated[float, Field(gt=0.0)] | None = None
    surfaces: Annotated[tuple[Surface, ...], Field(strict=False)] = ()
    wall_distance_m: Annotated[float, Field(gt=0.0)] | None = None
    echo_ms: Annotated[float, Field(ge=1.0, le=2000.0)] | None = None

    @model_validator(mode="after")
    def _has_times_indoors(self) -> Self:
        if self.enclosed != (self.rt60_s is not None):
            raise ValueError("an enclosed room has rt60_s, and no other")
        return self

    @property
    def mid_rt60_s(self) -> float | None:
        """T_mid: the mean of the octaves of 500 Hz and 1 kHz, in seconds; None outdoors."""
        return None if self.rt60_s is None else 0.5 * (self.rt60_s[2] + self.rt60_s[3])

    @property
    def size(self) -> float:
        """The room size 0…1 of its T_mid; what is shorter than 0.25 s or longer than 6 s becomes 0 or 1."""
        return rt60_to_size(self.mid_rt60_s) if self.mid_rt60_s else 0.0

    @property
    def damping(self) -> float:
        """The damping 0…1 of the ratio of its times at 4 kHz and at mid frequencies."""
        if self.rt60_s is None or self.mid_rt60_s is None:
            return 0.0
        return treble_ratio_to_damping(self.rt60_s[5] / self.mid_rt60_s)

    @property
    def target(self) -> RoomTarget:
        """What its parameters mean."""
        return room_target(self.size, self.damping, self.wet_level, self.width)


@lru_cache
def load_room(name: str) -> RoomPreset:
    """Return the built-in room `name`. Raises InputError with the names there are, or for a damaged file."""
    if name not in presets.room_names():
        raise InputError(Problem(f'no room is called "{shorten(name)}"', near_rooms(name)))
    path = presets.room_path(name)
    document = read(read_bytes(path, str(path), "room"), str(path))
    try:
        return RoomPreset.model_validate(document.data)
    except ValidationError as error:
        raise SceneError(
            [
                Problem(
                    fault["msg"],
                    "",
                    field_name(fault["loc"]),
                    str(path),
                    document.positions.get((), (1, 1))[0],
                )
                for fault in error.errors(include_url=False)
            ]
        ) from None


def near_rooms(name: str) -> str:
    """Return what to try instead of a name that no room has."""
    close = get_close_matches(name.lower(), presets.room_names(), n=3)
    if close:
        return "did you mean " + " or ".join(close) + "?"
    return "there are " + ", ".join(presets.room_names())


def nearest_room(size: float, damping: float) -> str:
    """Return the name of the enclosed room whose size and damping lie nearest."""
    rooms = {name: load_room(name) for name in presets.room_names()}
    indoors = {name: room for name, room in rooms.items() if room.enclosed}
    return min(
        indoors, key=lambda n: (indoors[n].size - size) ** 2 + 0.25 * (indoors[n].damping - damping) ** 2
    )
