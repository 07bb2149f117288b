"""The scene as data: frozen models with every range, unit and default, and the JSON Schema made from them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    model_validator,
)

import presets
from engine.scene.flat_form import PARALLEL_LISTS, LongForm, long_form
from engine.scene.level_range import LevelRange
from engine.scene.loudness import DEFAULT_LUFS, LoudnessTarget
from engine.scene.reader import CONTROL
from engine.scene.room_setup import Room, RoomEngine, RoomSetup, Unit
from engine.scene.rooms import load_room
from engine.scene.schedules import MAX_SECONDS, Loop, Once, Random, Schedule
from engine.scene.sounds import input_channels, reference_fault
from engine.scene.strict import Part, rule
from engine.scene.written_settings import WrittenSettings

__all__ = [
    "MAX_LABEL",
    "MAX_OBJECTS",
    "MAX_SECONDS",
    "MAX_SOUNDS",
    "MAX_TITLE",
    "PARALLEL_LISTS",
    "Atmo",
    "LongForm",
    "Loop",
    "Once",
    "Random",
    "Room",
    "RoomEngine",
    "RoomSetup",
    "Scene",
    "SceneObject",
    "Schedule",
    "Unit",
    "Yielding",
    "long_form",
    "scene_schema",
    "track_names",
]

MAX_OBJECTS = 512
MAX_LABEL = 64
MAX_SOUNDS = 64
MAX_TITLE = 120

_PRINTABLE = rf"^[^\s{CONTROL}]([^{CONTROL}]*[^\s{CONTROL}])?$"


def _check_reference(reference: str) -> str:
    if fault := reference_fault(reference):
        raise rule(*fault)
    return reference


def _as_preset(value: object) -> object:
    return {"preset": value} if isinstance(value, str) else value


Yielding = Literal["never", "normal", "always"]
Tempo = Annotated[float, Field(ge=20.0, le=300.0, json_schema_extra={"unit": "beats a minute"})]
SendLevel = Annotated[float, Field(ge=-60.0, le=0.0, json_schema_extra={"unit": "dB"})]
Label = Annotated[str, Field(min_length=1, max_length=MAX_LABEL, pattern=_PRINTABLE)]
Reference = Annotated[str, AfterValidator(_check_reference)]


def _is_input(sound: object) -> bool:
    return isinstance(sound, str) and reference_fault(sound) is None and bool(input_channels(sound))


def _how_many(sound: object) -> str:
    return "several" if isinstance(sound, (list, tuple)) else "one"


Sounds = Annotated[tuple[Reference, ...], Field(strict=False, min_length=1, max_length=MAX_SOUNDS)]
Sound = Annotated[
    Annotated[Reference, Tag("one")] | Annotated[Sounds, Tag("several")], Discriminator(_how_many)
]


def _check_settings_of_input(sound: object, settings: WrittenSettings) -> None:
    """Refuse filters of a live input, which is no clip that could be filtered before it is heard."""
    if _is_input(sound) and (fault := settings.fault_of_input()):
        raise rule(fault[0], "a live input has a compressor and a gain only", ("settings", fault[1]))


class SceneObject(Part):
    """One thing in the scene that sounds."""

    label: Label = Field(description="What it is; also the name of its track.")
    importance: Unit = Field(0.5, description="How much it matters, 0 to 1: sets its level and who yields.")
    panning: Annotated[float, Field(ge=-1.0, le=1.0)] = Field(0.0, description="-1 (left) to 1 (right).")
    gain_db: Annotated[float, Field(ge=-24.0, le=12.0)] = Field(
        0.0, description="Gain in dB on top of what importance gives.", json_schema_extra={"unit": "dB"}
    )
    send_db: SendLevel | None = Field(
        None,
        description="Level into the room in dB, -60 to 0; left out, what the reverberation that is already in a sound "
        "file leaves to the room.",
    )
    yields: Yielding = Field(
        "normal", alias="yield", description="Gives way to the more important (normal), to nobody, or to all."
    )
    sound: Sound | None = Field(
        None,
        description="synth:NAME, a relative path, or a live input: input:3 (mono), input:1-2 (stereo), expected at "
        "-23 LUFS, which gain_db corrects; left out, the library's or else the procedural sound of that label, or the "
        "nearest there is. Of a list, for kind once and random, each is heard before any comes again.",
    )
    schedule: Schedule = Field(
        default_factory=Once, description="When it sounds; left out, once. A live input is always on: loop."
    )
    vary: Unit | None = Field(
        None,
        description="How much events differ, 0 to 1: level by up to 1.5 dB, panning by 0.1 and, for kind random, rate "
        "by 3 %, both ways. Left out, 1 for kind random and 0 for once; a loop does not vary.",
    )

    settings: WrittenSettings = Field(
        default_factory=WrittenSettings,
        description="Mix settings that are not to be predicted: equaliser, high-pass, compressor, gain.",
    )

    @property
    def variation(self) -> float:
        """How much its events differ, 0 to 1."""
        return float(isinstance(self.schedule, Random)) if self.vary is None else self.vary

    @model_validator(mode="before")
    @classmethod
    def _input_is_on(cls, data: Any) -> Any:
        if isinstance(data, dict) and "schedule" not in data and _is_input(data.get("sound")):
            return {**data, "schedule": {"kind": "loop"}}
        return data

    @model_validator(mode="after")
    def _input_is_not_started(self) -> Self:
        if _is_input(self.sound) and not isinstance(self.schedule, Loop):
            what = (
                f"{self.sound} is a live input, which is always on, and the schedule is {self.schedule.kind}"
            )
            raise rule(what, "leave `schedule` out", ("schedule",))
        if _is_input(self.sound) and isinstance(self.schedule, Loop) and self.schedule.beats is not None:
            what = f"{self.sound} is a live input, which does not begin again"
            raise rule(what, "leave `beats` out", ("schedule", "beats"))
        if isinstance(self.schedule, Loop) and self.vary:
            raise rule(
                f"vary is {self.vary:g} and the schedule is loop", "vary goes with once and random", ("vary",)
            )
        return self

    @model_validator(mode="after")
    def _input_has_no_filter(self) -> Self:
        _check_settings_of_input(self.sound, self.settings)
        return self

    @model_validator(mode="after")
    def _sounds_take_turns(self) -> Self:
        if isinstance(self.sound, tuple) and isinstance(self.schedule, Loop):
            raise rule("a loop has a list of sounds", "a list goes with kind once and random", ("sound",))
        for index, sound in enumerate(self.sound if isinstance(self.sound, tuple) else ()):
            if _is_input(sound):
                raise rule(f"{sound} is a live input", "it stands alone, not in a list", ("sound", index))
        return self


class Atmo(Part):
    """The steady bed under all objects; a scene always has one."""

    label: Label = Field("atmo", description="The name of its track.")
    sound: Reference = Field(
        "synth:wind",
        description="synth:NAME or a relative path, looped, or a live input such as input:1-2, expected at -23 LUFS.",
    )
    level_db: Annotated[float, Field(ge=-60.0, le=-10.0)] = Field(
        -32.0, description="Constant level in LUFS.", json_schema_extra={"unit": "LUFS"}
    )
    yields: Yielding = Field(
        "normal", alias="yield", description="Gives way to all objects (normal, always), or to nobody."
    )

    settings: WrittenSettings = Field(
        default_factory=WrittenSettings, description="Mix settings that are not to be predicted."
    )

    @model_validator(mode="after")
    def _input_has_no_filter(self) -> Self:
        _check_settings_of_input(self.sound, self.settings)
        return self

    @model_validator(mode="after")
    def _label_needs_sound(self) -> Self:
        # A file that says only `label: rain` would otherwise be answered with wind.
        if "label" in self.model_fields_set and "sound" not in self.model_fields_set:
            raise rule("atmo has a label but no sound", "add `sound`, such as synth:rain")
        return self


class Scene(Part):
    """A soundscape: objects, an atmosphere and a room."""

    title: Annotated[str, Field(min_length=1, max_length=MAX_TITLE, pattern=_PRINTABLE)] = Field(
        "untitled", description="Shown to people; left out, the name of the file."
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = Field(
        0, description="Of every random choice: the same seed gives the same samples."
    )
    duration: Annotated[float, Field(ge=0.1, le=MAX_SECONDS)] | Literal["auto"] = Field(
        "auto", description="Length of a render in seconds; auto is the longest sound. Playing is endless."
    )
    levels_db: LevelRange = Field(
        (-30.0, -20.0), description="Levels of importance 0 and of importance 1 in LUFS."
    )
    reduction_db: Annotated[float, Field(ge=0.0, le=6.0, json_schema_extra={"unit": "dB"})] = Field(
        6.0, description="Most that is taken off a sound heard louder than its level; 0 is off."
    )
    loudness: LoudnessTarget = Field(
        DEFAULT_LUFS, description="Loudness the whole is brought to, LUFS; off leaves it as it is."
    )
    max_events: Annotated[int, Field(ge=1, le=512)] = Field(
        32,
        description="How many events of kind once and random sound at once; where it would be more, the less important "
        "are left out.",
    )
    predict: bool = Field(
        True,
        description="Whether equaliser, high-pass and compressor of every sound file and procedural sound are "
        "predicted from it.",
    )
    placement: Literal["avoid", "free"] = Field(
        "avoid",
        description="How a render places sounds without a start. avoid: where they hide least of each other, else "
        "softer or filtered; free: where they overlap least.",
    )
    tempo_bpm: Tempo | None = Field(
        None, description="Quarter notes a minute, for loops with `beats`; left out, there is no tempo."
    )
    clock: Literal["internal", "midi"] = Field(
        "internal", description="midi: a MIDI clock that runs while the scene plays sets tempo and beat."
    )
    room_detected: bool = Field(False, description="Whether the place is a closed room.")
    room_size: Unit = Field(
        0.5, description="Perceived size: 0 short decay (0.25 s), 1 long decay (6 s), in equal ratios."
    )
    damping: Unit = Field(0.5, description="Absorption of high frequencies: 0 hard walls, 1 soft.")
    wet_level: Unit = Field(
        0.2, description="How reverberant the place feels: 1 is as loud as the direct sound, 0 is off."
    )
    width: Unit = Field(1.0, description="Stereo width of the room: 0 mono, 1 diffuse.")
    room_setup: Annotated[RoomSetup, BeforeValidator(_as_preset)] = Field(
        default_factory=RoomSetup,
        alias="room",
        description="A built-in room such as church, or what makes the sound of the room.",
    )
    atmo: Atmo = Field(default_factory=Atmo, description="The steady bed; left out, quiet synth:wind.")
    objects: Annotated[tuple[SceneObject, ...], Field(strict=False, max_length=MAX_OBJECTS)] = Field(
        (), description="What sounds in the scene, in the order of its tracks."
    )

    @model_validator(mode="after")
    def _beats_need_a_tempo(self) -> Self:
        for index, item in enumerate(self.objects):
            if self.tempo_bpm is None and isinstance(item.schedule, Loop) and item.schedule.beats is not None:
                place = ("objects", index, "schedule", "beats")
                raise rule("a loop has beats and the scene no tempo", "add `tempo_bpm`, 20 to 300", place)
        return self

    @classmethod
    def load(cls, path: str | Path, *, library: Sequence[Path] = ()) -> "Scene":
        """Read a scene file; see `engine.scene.load.load_scene`. Errors: SceneError with every problem."""
        from engine.scene.load import load_scene

        return load_scene(path, library=library)

    @model_validator(mode="after")
    def _echoes_outdoors_only(self) -> Self:
        if self.room_setup.echo_ms is not None and self.room.detected:
            what = "a closed room has a tail, and no echo"
            raise rule(what, "echo_ms goes with room_detected: false", ("room", "echo_ms"))
        return self

    _folder: Path = PrivateAttr(default=Path())
    _library: tuple[Path, ...] = PrivateAttr(default=())

    def found_in(self, folder: Path, library: Sequence[Path] = ()) -> "Scene":
        """Return this scene, with the places its sound files are looked for: its own folder, then the library."""
        scene = self.model_copy()
        scene._folder = folder
        scene._library = tuple(library)
        return scene

    @property
    def folder(self) -> Path:
        """The folder that paths of sounds are relative to."""
        return self._folder

    @property
    def library(self) -> tuple[Path, ...]:
        """Further folders that sounds may lie in."""
        return self._library

    @property
    def input_channels(self) -> int:
        """How many channels of the device's input it listens to; 0 without live inputs."""
        sounds = (self.atmo.sound, *(item.sound for item in self.objects))
        single = (sound for sound in sounds if isinstance(sound, str))
        return max((1 + channel for sound in single for channel in input_channels(sound)), default=0)

    @property
    def room(self) -> Room:
        """The room: what the scene says of it, then what its preset says, then the defaults."""
        setup, given = self.room_setup, self.model_fields_set
        detected = self.room_detected
        if setup.impulse is not None and "room_detected" not in given:
            detected = True
        found = {
            "room_size": self.room_size,
            "damping": self.damping,
            "wet_level": self.wet_level,
            "width": self.width,
        }
        echo_ms = setup.echo_ms
        if setup.preset is not None:
            preset = load_room(setup.preset)
            told = {
                "room_size": preset.size,
                "damping": preset.damping,
                "wet_level": preset.wet_level,
                "width": preset.width,
            }
            found |= {name: value for name, value in told.items() if name not in given}
            detected = detected if "room_detected" in given else preset.enclosed
            echo_ms = preset.echo_ms if echo_ms is None else echo_ms
        return Room(
            detected=detected,
            size=found["room_size"],
            damping=found["damping"],
            wet_level=found["wet_level"],
            width=found["width"],
            engine=setup.engine,
            early=setup.early,
            impulse=setup.impulse,
            echo_ms=echo_ms,
        )


def track_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Unique names in the order of the labels: `car`, `car-2`, `car-3`; appending changes no earlier name."""
    names: dict[str, None] = {}
    counts: dict[str, int] = {}
    for label in labels:
        name = label
        while name in names:
            counts[label] = counts.get(label, 1) + 1
            name = f"{label}-{counts[label]}"
        names[name] = None
    return tuple(names)


def scene_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a scene file, with objects as mappings or as parallel lists."""
    schema = Scene.model_json_schema()
    fields = schema["$defs"]["SceneObject"]["properties"]
    written = schema["properties"]["objects"]
    labels = {"type": "array", "maxItems": MAX_OBJECTS, "items": fields["label"]}
    schema["properties"]["objects"] = {
        "description": written["description"],
        "default": [],
        "anyOf": [
            {"type": "array", "maxItems": MAX_OBJECTS, "items": written["items"]},
            labels | {"description": "Flat form: labels, with parallel lists beside them."},
        ],
    }
    room = schema["properties"]["room"]
    schema["properties"]["room"] = {
        "description": room["description"],
        "anyOf": [{"type": "string", "enum": presets.room_names()}, {"$ref": "#/$defs/RoomSetup"}],
    }
    for name in PARALLEL_LISTS:
        schema["properties"][name] = {
            "type": "array",
            "maxItems": MAX_OBJECTS,
            "items": {key: value for key, value in fields[name].items() if key != "default"},
            "description": f"Flat form only: one {name} for each label in objects, equally many.",
        }
    schema["dependentSchemas"] = {
        name: {"required": ["objects"], "properties": {"objects": labels}} for name in PARALLEL_LISTS
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
