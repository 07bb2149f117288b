"""MIDI maps in files: where they are looked for, and all mistakes in one at once with file, line and remedy."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

import presets
from engine.control.midi.map_schema import MAX_BINDINGS, MAX_TRACKS, Action, Binding, MidiMap, Mode, Taper
from engine.errors import MapError, Problem, SceneError
from engine.scene import reader
from engine.scene.files import read_bytes
from engine.scene.reader import FieldPath, field_name, shorten, show

GENERIC = "generic"
LEARNED = "learned"

_ALLOWED = {
    "title": "text of 1 to 120 characters",
    "source": "text of 1 to 500 characters: where the numbers come from",
    "ports": "a list of parts of port names, such as [nanoKONTROL2]",
    "bindings": f"a list of at most {MAX_BINDINGS} mappings such as {{cc: 91, parameter: room.wet_level}}",
    "cc": "a controller number, 0 to 127",
    "cc14": "the number of the coarse half, 0 to 31",
    "nrpn": "a parameter number, 0 to 16382",
    "note": "a note number, 0 to 127 (60 is middle C)",
    "notes": "[lowest, highest], note numbers 0 to 127",
    "channel": "1 to 16, any, or each",
    "parameter": "the name of a parameter, such as room.wet_level",
    "action": "one of " + ", ".join(get_args(Action)),
    "track": f"the name of a track, or its number, 1 to {MAX_TRACKS}",
    "scene": "the number of a scene, 1 to 128",
    "mode": "one of " + ", ".join(get_args(Mode)),
    "range": "[value at the lower end, value at the upper end]",
    "curve": "one of " + ", ".join(get_args(Taper)),
    "takeover": "pickup or jump",
    "feedback": "true or false",
    "step": "part of the whole way that one step moves, above 0, up to 1",
    **dict.fromkeys(("pitch_bend", "pressure", "program", "start", "stop", "continue"), "true"),
}
_BINDING_KEYS = tuple(field.alias or name for name, field in Binding.model_fields.items())
_MAP_KEYS = tuple(MidiMap.model_fields)


def config_folder() -> Path:
    """The user's folder for MIDI maps: `midi` in ROOMTONE_CONFIG, or in the system's folder for settings."""
    if named := os.environ.get("ROOMTONE_CONFIG"):
        return Path(named) / "midi"
    from platformdirs import user_config_path

    return user_config_path("roomtone", appauthor=False) / "midi"


def map_names() -> list[str]:
    """The names of the maps there are: the user's own and the built-in ones, sorted."""
    return sorted({*(path.stem for path in config_folder().glob("*.yaml")), *presets.midi_map_names()})


def find_map(name: str) -> Path:
    """The file that `name` means: a path, or else the name of a map of the user's, or of a built-in one.

    Errors: MapError listing the names there are.
    """
    if Path(name).suffix in (".yaml", ".yml") or os.sep in name:
        return Path(name)
    own = config_folder() / f"{name}.yaml"
    if own.exists():
        return own
    try:
        return presets.midi_map_path(name)
    except LookupError:
        names = map_names()
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"a file, or one of {', '.join(names)}"
        raise MapError(Problem(f"no MIDI map is called {show(name)}", hint)) from None


def default_maps() -> list[MidiMap]:
    """The maps a performance starts with: what was learned, the user's own, the built-in ones, the generic one last.

    Errors: MapError if one of the user's cannot be used.
    """
    own = [name for name in map_names() if (config_folder() / f"{name}.yaml").exists()]
    names = [*own, *(name for name in presets.midi_map_names() if name not in own)]
    names.sort(key=lambda name: (name == GENERIC, name != LEARNED))
    return [load_map(find_map(name)) for name in names]


def load_map(path: str | Path) -> MidiMap:
    """The map in a file. Errors: MapError with every problem in the order of the file."""
    path = Path(path)
    shown = shorten(str(path), 4096)
    try:
        text = read_bytes(path, shown, "MIDI map")
    except SceneError as error:
        raise MapError(error.problems) from None
    return map_from_text(text, shown)


def map_from_text(text: str | bytes, file: str = "<map>") -> MidiMap:
    """The map in a text. Errors: MapError with every problem in the order of the text."""
    try:
        document = reader.read(text, file)
    except SceneError as error:
        raise MapError(error.problems) from None
    if not isinstance(document.data, dict):
        what = f"the map is {show(document.data)}"
        line = document.positions.get((), (0, 0))[0]
        raise MapError(Problem(what, "must be a mapping with keys such as `bindings`", file=file, line=line))
    try:
        found = MidiMap.model_validate(document.data)
    except ValidationError as error:
        places = {path: (what, allowed) for path, what, allowed in _faults(error)}
        problems = [
            Problem(what, allowed, field_name(path), file, _line(path, document))
            for path, (what, allowed) in places.items()
        ]
        raise MapError(sorted(problems, key=lambda problem: problem.line)) from None
    lines = tuple(_line(("bindings", index), document) for index in range(len(found.bindings)))
    return found.placed(file, lines)


def _line(path: FieldPath, document: reader.Document) -> int:
    for length in range(len(path), -1, -1):
        if path[:length] in document.positions:
            return document.positions[path[:length]][0]
    return 0


def _faults(error: ValidationError) -> Iterator[tuple[FieldPath, str, str]]:
    """What pydantic found, as the path of a field, what is wrong and what is allowed."""
    for fault in error.errors(include_url=False):
        yield _fault(fault)


def _fault(fault: Any) -> tuple[FieldPath, str, str]:
    kind, place, value = fault["type"], fault["loc"], fault["input"]
    # Behind the key there are only branches of unions and places in pairs.
    path: FieldPath = place[:3] if place[0] == "bindings" else place[:1]
    if kind == "rule":
        return (*path, *fault["ctx"]["at"]), fault["ctx"]["what"], fault["ctx"]["allowed"]
    key = str(path[-1])
    if kind == "extra_forbidden":
        known = _BINDING_KEYS if path[0] == "bindings" else _MAP_KEYS
        close = get_close_matches(key.lower()[:64], known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "known keys are " + ", ".join(known)
        return path, f"unknown key `{shorten(key)}`", hint
    if len(path) == 2:
        return (
            path,
            f"the binding is {show(value)}",
            "must be a mapping such as {cc: 91, parameter: room.wet_level}",
        )
    if kind == "missing":
        return path, f"{key} is missing", f"must be {_ALLOWED[key]}"
    if kind in ("too_long", "string_too_long"):
        return path, f"{key} is too long", f"must be {_ALLOWED[key]}"
    return path, f"{key} is {show(value)}", f"must be {_ALLOWED[key]}"
