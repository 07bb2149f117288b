"""What comes with the program as data: this file only finds it."""

from importlib.resources import files
from pathlib import Path

_SCENES = Path(str(files("presets"))) / "scenes"
_MIDI = Path(str(files("presets"))) / "midi"
_ROOMS = Path(str(files("presets"))) / "rooms"
_MODEL = Path(str(files("presets"))) / "model" / "mix.npz"
_TREATMENT = Path(str(files("presets"))) / "model" / "treatment.npz"
_TAXONOMY = Path(str(files("presets"))) / "taxonomy.yaml"


def scene_names() -> list[str]:
    """The names of the built-in scenes, sorted."""
    return sorted(path.stem for path in _SCENES.glob("*.yaml"))


def scene_path(name: str) -> Path:
    """The file of a built-in scene. Errors: LookupError listing the names there are."""
    if name not in scene_names():
        raise LookupError(f"no built-in scene is called {name!r}; there are {', '.join(scene_names())}")
    return _SCENES / f"{name}.yaml"


def midi_map_names() -> list[str]:
    """The names of the built-in MIDI maps, sorted."""
    return sorted(path.stem for path in _MIDI.glob("*.yaml"))


def midi_map_path(name: str) -> Path:
    """The file of a built-in MIDI map. Errors: LookupError listing the names there are."""
    if name not in midi_map_names():
        raise LookupError(f"no built-in MIDI map is called {name!r}; there are {', '.join(midi_map_names())}")
    return _MIDI / f"{name}.yaml"


def room_names() -> list[str]:
    """The names of the built-in rooms, sorted."""
    return sorted(path.stem for path in _ROOMS.glob("*.yaml"))


def room_path(name: str) -> Path:
    """The file of a built-in room. Errors: LookupError listing the names there are."""
    if name not in room_names():
        raise LookupError(f"no built-in room is called {name!r}; there are {', '.join(room_names())}")
    return _ROOMS / f"{name}.yaml"


def taxonomy_path() -> Path:
    """The file of the built-in taxonomy of sounds."""
    return _TAXONOMY


def model_path() -> Path:
    """The file of the shipped model of families, its card beside it."""
    return _MODEL


def treatment_path() -> Path:
    """The file of the shipped model of what has been done to a sound, its card beside it."""
    return _TREATMENT
