"""Scene files to `Scene`: reading, the flat form, validation, sounds; all mistakes at once, in file order."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from operator import itemgetter
from pathlib import Path
from typing import Any

from annotated_types import Ge, Le
from pydantic import BaseModel, ValidationError

from engine.errors import Problem, SceneError, SoundError
from engine.scene import reader, sounds, written_settings
from engine.scene.files import read_bytes
from engine.scene.reader import FieldPath, Position, field_name, shorten, show
from engine.scene.schema import (
    MAX_LABEL,
    MAX_OBJECTS,
    MAX_SECONDS,
    MAX_SOUNDS,
    MAX_TITLE,
    PARALLEL_LISTS,
    Atmo,
    LongForm,
    Loop,
    Once,
    Random,
    RoomSetup,
    Scene,
    SceneObject,
    long_form,
    scene_schema,
    track_names,
)
from engine.scene.written_settings import WrittenSettings

__all__ = ["load_scene", "loads", "locate", "scene_from_data", "scene_schema", "track_names"]

INSTANCE_MARK = "roomtone_instance"
"""The key by which an instance of a render is known, which is no scene."""

MAX_PROBLEMS = 200
"""Problems worded one by one; a hostile file can hold thousands, which one last line counts."""

ROOM_KEYS = {
    name.removeprefix("room_"): name
    for name in ("room_detected", "room_size", "damping", "wet_level", "width")
} | {"room_detected": "room_detected", "room_size": "room_size"}
"""The room parameters are the scene's own keys; what somebody may write for them inside `room`."""

_SCHEDULES: dict[str, type[BaseModel]] = {"once": Once, "loop": Loop, "random": Random}
_FIELDS = {
    name: info for model in (RoomSetup, Scene, Atmo, SceneObject) for name, info in model.model_fields.items()
}
_ALLOWED = {
    "title": f"text of 1 to {MAX_TITLE} characters (numbers in quotes)",
    "label": f"text of 1 to {MAX_LABEL} characters (numbers in quotes)",
    "sound": "synth:NAME, input:N or a path below the scene's folder",
    "seed": f"a whole number, 0 to {2**63 - 1}",
    "duration": f"auto, or 0.1 to {MAX_SECONDS:g} seconds",
    "at": f"0 to {MAX_SECONDS:g} seconds",
    "gap": "[minimum, maximum] in seconds",
    "levels_db": "[level of importance 0, level of importance 1], -60 to -10 LUFS",
    "kind": "once, loop or random",
    "loudness": "-40 to -10 LUFS, or off",
    "tempo_bpm": "20 to 300 beats a minute",
    "beats": "0.25 to 1024 quarter notes",
    "clock": "internal or midi",
    "send_db": "-60 to 0 dB",
    "max_events": "a whole number, 1 to 512",
    "vary": "0 to 1",
    "placement": "avoid or free",
    "yield": "never, normal or always",
    "schedule": "a mapping such as {kind: random, gap: [3, 12]}, where kind is once, loop or random",
    "room_detected": "true or false",
    "room": "the name of a built-in room, such as church, or a mapping such as {preset: church, early: true}",
    "preset": "the name of a built-in room, such as church",
    "engine": "freeverb or fdn",
    "early": "true, false, or 0 to 1",
    "impulse": "the file of an impulse response, a path below the scene's folder",
    "echo_ms": "1 to 2000 ms",
    "atmo": "a mapping such as {sound: synth:rain}",
    "objects": "a list of mappings such as {label: car}, or of labels",
    **written_settings.ALLOWED,
}


def load_scene(path: str | Path, *, library: Sequence[Path] = ()) -> Scene:
    """The scene in a file; its sounds are looked up in the file's folder, then in the library folders.

    Errors: SceneError with every problem in the order of the file, or naming a file that cannot be read.
    """
    path = Path(path)
    shown = shorten(str(path), 4096)
    return loads(read_bytes(path, shown, "scene file"), shown, folder=path.parent, library=library)


def loads(
    text: str | bytes, file: str = "<scene>", *, folder: Path | None = None, library: Sequence[Path] = ()
) -> Scene:
    """The scene in a text; without a folder, sounds are checked for their form only. Errors: SceneError."""
    document = reader.read(text, file)
    return scene_from_data(document.data, file, positions=document.positions, folder=folder, library=library)


def scene_from_data(
    data: Any,
    file: str = "<scene>",
    *,
    positions: Mapping[FieldPath, Position] | None = None,
    folder: Path | None = None,
    library: Sequence[Path] = (),
) -> Scene:
    """The scene in plain data, in the long or the flat form. Errors: SceneError with every problem."""
    if not isinstance(data, dict):
        what, allowed = f"the scene is {show(data)}", "must be a mapping with keys such as `objects`"
        raise SceneError(Problem(what, allowed, file=file, line=(positions or {}).get((), (0, 0))[0]))
    if INSTANCE_MARK in data:
        what, remedy = "this is the instance of a render, and no scene", "`roomtone render` renders it again"
        raise SceneError(Problem(what, remedy, file=file, line=(positions or {}).get((), (0, 0))[0]))
    form = long_form({"title": _default_title(file), **data})
    faults = [_Fault(path, what, allowed) for path, what, allowed in form.faults]
    scene = None
    try:
        scene = Scene.model_validate(form.data).found_in(folder or Path(), library)
    except ValidationError as error:
        found = {_data_path(fault): fault for fault in error.errors(include_url=False)}
        faults += [_Fault(_written(path, form.origins), error=fault) for path, fault in found.items()]
    if folder is not None:
        faults += _sound_faults(form, {fault.path for fault in faults}, folder, library)
    if scene is None or faults:
        raise SceneError(_problems(faults, file, positions or {}))
    return scene


def locate(path: str | Path, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems found after loading, with the scene's file and the line of their field.

    If the file cannot be read any more, only its name is added.
    """
    path = Path(path)
    shown = shorten(str(path), 4096)
    try:
        document = reader.read(read_bytes(path, shown, "scene file"), shown)
    except SceneError:
        return tuple(replace(problem, file=shown) for problem in problems)
    origins = long_form(document.data).origins if isinstance(document.data, dict) else {}
    located = []
    for problem in problems:
        parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", problem.field)
        place = _written(tuple(int(index) if index else key for index, key in parts), origins)
        line, _ = _position(place, document.positions)
        located.append(replace(problem, file=shown, line=line, field=field_name(place)))
    return tuple(located)


def _default_title(file: str) -> str:
    title = re.sub(f"[{reader.CONTROL}\ud800-\udfff]", "", Path(file).stem).strip("<> ")
    return title[:MAX_TITLE].strip() or "scene"


@dataclass(frozen=True, slots=True)
class _Fault:
    """A mistake at a written path: in words, or as pydantic's error, worded only if shown."""

    path: FieldPath
    what: str = ""
    allowed: str = ""
    error: Any = None


def _problems(faults: list[_Fault], file: str, positions: Mapping[FieldPath, Position]) -> list[Problem]:
    """The faults in file order and in words."""
    placed = sorted(((_position(fault.path, positions), fault) for fault in faults), key=itemgetter(0))
    problems = []
    for (line, _), fault in placed[:MAX_PROBLEMS]:
        what, allowed = _words(fault.error) if fault.error else (fault.what, fault.allowed)
        problems.append(Problem(what, allowed, field_name(fault.path), file, line))
    if len(placed) > MAX_PROBLEMS:
        problems.append(Problem(f"and {len(placed) - MAX_PROBLEMS} more problems", file=file))
    return problems


def _position(path: FieldPath, positions: Mapping[FieldPath, Position]) -> Position:
    """Where the value stands, or the nearest thing around it; (0, 0) if no position is known."""
    for length in range(len(path), -1, -1):
        if path[:length] in positions:
            return positions[path[:length]]
    return (0, 0)


def _written(path: FieldPath, origins: Mapping[FieldPath, FieldPath]) -> FieldPath:
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]] + path[length:]
    return path


def _data_path(error: Any) -> FieldPath:
    """Where the data holds it: pydantic's location without the branch of a union."""
    place: FieldPath = error["loc"]
    if place[:1] == ("duration",):
        return place[:1]
    if error["type"] == "rule" and error["ctx"]["at"]:
        return (*place, *error["ctx"]["at"])
    if place[2:3] == ("sound",):
        return place[:3] + place[4:]
    if place[2:3] == ("schedule",):
        place = place[:3] + place[4:]
        if error["type"].startswith("union_tag") and isinstance(error["input"], dict):
            return (*place, "kind")
        if error["type"] == "missing" and place[3:4] == ("gap",):
            return place[:4]
    return place


def _sound_faults(
    form: LongForm, faulty: set[FieldPath], folder: Path, library: Sequence[Path]
) -> Iterator[_Fault]:
    """Sounds that cannot be found, for every part of the data whose other fields need not be right."""
    setup = form.data.get("room")
    impulse = setup.get("impulse") if isinstance(setup, dict) else None
    if isinstance(impulse, str) and ("room", "impulse") not in faulty:
        try:
            sounds.resolve_sound(impulse, folder, library)
        except SoundError as error:
            yield from (_Fault(("room", "impulse"), p.what, p.allowed) for p in error.problems)
    objects = form.data.get("objects")
    listed = list(enumerate(objects))[:MAX_OBJECTS] if isinstance(objects, list) else []
    lookup = sounds.Lookup(library)
    parts: list[tuple[FieldPath, Any]] = [(("objects", index), entry) for index, entry in listed]
    for place, part in [(("atmo",), form.data.get("atmo")), *parts]:
        if not isinstance(part, dict):
            continue
        label, sound = part.get("label"), part.get("sound")
        if isinstance(sound, list) and place != ("atmo",):
            for index, one in enumerate(sound):
                path = _written((*place, "sound", index), form.origins)
                if isinstance(one, str) and path not in faulty:
                    yield from _missing(path, str(label), one, folder, library, lookup)
            continue
        named = isinstance(sound, str)
        path = _written((*place, "sound" if named else "label"), form.origins)
        if path in faulty or not (named or (isinstance(label, str) and sound is None and place != ("atmo",))):
            continue
        yield from _missing(path, str(label), sound, folder, library, lookup)


def _missing(
    path: FieldPath,
    label: str,
    sound: str | None,
    folder: Path,
    library: Sequence[Path],
    lookup: sounds.Lookup,
) -> Iterator[_Fault]:
    try:
        sounds.track_sound(label, sound, folder, library, lookup=lookup)
    except SoundError as error:
        yield from (_Fault(path, problem.what, problem.allowed) for problem in error.problems)


def _words(error: Any) -> tuple[str, str]:
    """What is wrong and what is allowed, for one of pydantic's errors."""
    place, kind, value = error["loc"], error["type"], error["input"]
    path = _data_path(error)
    key = str(next((part for part in reversed(path) if isinstance(part, str)), "scene"))
    name = field_name(path[len(path) - path[::-1].index(key) - 1 :]) if key in path else key
    if kind == "rule":
        return error["ctx"]["what"], error["ctx"]["allowed"]
    if kind == "extra_forbidden":
        return f"unknown key `{shorten(key)}`", _hint(key, place)
    if kind == "missing" and place[-2:-1] == ("gap",):
        return "gap does not have two values", f"must be {_allowed(key)}"
    if kind == "missing":
        return f"{name} is missing", f"must be {_allowed(key)}"
    if kind in ("too_long", "too_short") and path[-1] == "sound":
        return f"sound has {len(value)} values", f"1 to {MAX_SOUNDS} sounds"
    if kind == "too_long":
        allowed = f"at most {MAX_OBJECTS}" if key == "objects" else f"must be {_allowed(key)}"
        return f"{name} has {len(value)} values", allowed
    if key == "objects" and path != ("objects",):
        return f"{name} is {show(value)}", "must be a mapping such as {label: car}"
    if key == "gap" and path[-1] != "gap":
        return f"{name} is {show(value)}", f"must be {_allowed('at')}"
    if key == "kind" and isinstance(value, dict):
        value = value["kind"]
    if kind == "string_too_long":
        return f"{name} has {len(value)} characters", f"must be {_allowed(key)}"
    if kind == "string_pattern_mismatch":
        if found := re.search(f"[{reader.CONTROL}]", value):
            return f"{name} holds the character U+{ord(found[0]):04X}", f"must be {_allowed(key)}"
        return f"{name} begins or ends with a space", f"must be {_allowed(key)}"
    return f"{name} is {show(value)}", f"must be {_allowed(key)}"


def _hint(key: str, place: FieldPath) -> str:
    """The key that was meant, or the keys there are."""
    if place[2:3] == ("schedule",):
        if key in ("at", "gap", "beats"):
            return "`at` goes with kind once, `gap` with kind random, `beats` with kind loop"
        known = list(_SCHEDULES[str(place[3])].model_fields)
    elif len(place) == 1:
        known = [*_scene_keys(), *PARALLEL_LISTS]
    elif "settings" in place[:-1]:
        known = list(WrittenSettings.model_fields)
    elif place[0] == "room":
        if key in ROOM_KEYS:
            return f"write `{ROOM_KEYS[key]}` beside `room`, not in it"
        known = list(RoomSetup.model_fields)
    else:
        known = list((Atmo if place[0] == "atmo" else SceneObject).model_fields)
    close = get_close_matches(key[:MAX_LABEL].lower(), known, n=1)
    return f"did you mean `{close[0]}`?" if close else "known keys are " + ", ".join(known)


def _scene_keys() -> list[str]:
    return [info.alias or name for name, info in Scene.model_fields.items()]


def _allowed(key: str) -> str:
    """What a field takes, in words; ranges come from the model."""
    if key in _ALLOWED or key not in _FIELDS:
        return _ALLOWED.get(key, "as the schema says")
    info = _FIELDS[key]
    low = next(rule.ge for rule in info.metadata if isinstance(rule, Ge))
    high = next(rule.le for rule in info.metadata if isinstance(rule, Le))
    extra = info.json_schema_extra
    unit = f" {extra['unit']}" if isinstance(extra, dict) and "unit" in extra else ""
    return f"{low:g} to {high:g}{unit}"
