"""roomtone: a real-time engine for soundscapes.

    import engine

    scene = engine.Scene.load("street.yaml")
    engine.render(scene, "street.wav")

    with engine.Show(scene) as show:
        show.set("room.wet_level", 0.4)
        show.wait(10.0)

Names are loaded when they are used, so that `import engine` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.control.api import render
    from engine.control.show import Show
    from engine.errors import InputError, RoomtoneError, SceneError
    from engine.scene.schema import Scene

__all__ = ["InputError", "RoomtoneError", "Scene", "SceneError", "Show", "render"]

_HOMES = {
    "InputError": "engine.errors",
    "RoomtoneError": "engine.errors",
    "Scene": "engine.scene.schema",
    "SceneError": "engine.errors",
    "Show": "engine.control.show",
    "render": "engine.control.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
