"""What comes with the program as data: this file only finds it."""

from importlib.resources import files
from pathlib import Path

_SCENES = Path(str(files("presets"))) / "scenes"


def scene_names() -> list[str]:
    """The names of the built-in scenes, sorted."""
    return sorted(path.stem for path in _SCENES.glob("*.yaml"))


def scene_path(name: str) -> Path:
    """The file of a built-in scene. Errors: LookupError listing the names there are."""
    if name not in scene_names():
        raise LookupError(f"no built-in scene is called {name!r}; there are {', '.join(scene_names())}")
    return _SCENES / f"{name}.yaml"
