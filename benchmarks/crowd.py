"""Scenes of any size, made of the procedural sounds: the workload of soaks and of what measures load."""

from dsp.synth import SOUNDS
from engine.scene.schema import Scene


def crowd(tracks: int, seed: int = 1, room: bool = True) -> Scene:
    """Return a scene of `tracks` tracks, the atmo included, all of which sound most of the time."""
    names = [name for name in sorted(SOUNDS) if name not in ("wind", "silence")]
    objects = [
        {
            "label": f"{names[i % len(names)]} {i}",
            "sound": f"synth:{names[i % len(names)]}",
            "importance": round((i * 7 % 10) / 10 + 0.05, 2),
            "panning": round(-1.0 + 2.0 * (i * 5 % 11) / 10, 2),
            "schedule": {"kind": "loop"} if i % 3 else {"kind": "random", "gap": [0.0, 2.0]},
        }
        for i in range(tracks - 1)
    ]
    return Scene.model_validate(
        {
            "title": f"crowd of {tracks}",
            "seed": seed,
            "room_detected": room,
            "wet_level": 0.3,
            "atmo": {"sound": "synth:wind"},
            "objects": objects,
        }
    )
