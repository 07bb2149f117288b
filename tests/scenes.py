"""Scenes the tests share."""

from functools import lru_cache

import presets
from engine.scene.composition import Composition, compose
from engine.scene.load import load_scene, loads

SMALL = """
title: Small
seed: 3
duration: 4
room_detected: true
atmo: {sound: synth:rain, level_db: -34}
objects:
  - {label: car, importance: 0.9, panning: -0.5, schedule: {kind: once, at: 0.2}}
  - {label: bird, importance: 0.3, panning: 0.7, schedule: {kind: random, gap: [0.2, 1]}}
  - {label: bell, importance: 0.6, sound: synth:bell, schedule: {kind: loop}}
"""


# Few are kept: each holds its sounds, 70 MB and more where they are long or the rate is high.
@lru_cache(maxsize=4)
def small(rate_hz: int = 48_000, extra: str = "", room: bool = True, seed: int | None = None) -> Composition:
    """A scene of four tracks that clash, repeat, loop and ring."""
    text = SMALL + extra
    if not room:
        text = text.replace("room_detected: true", "room_detected: false")
    return compose(loads(text), rate_hz=rate_hz, seed=seed)


@lru_cache(maxsize=2)
def built_in(name: str = "rainy-street") -> Composition:
    """A scene that ships with the program."""
    return compose(load_scene(presets.scene_path(name)), rate_hz=48_000)
