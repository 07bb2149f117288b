"""Why every track of a composition is as loud as it is, for people and for programs."""

from typing import Any

from engine.scene.composition import Composition, Track, importance_to_level_db
from engine.scene.schema import Atmo, SceneObject


def explain(composition: Composition) -> list[dict[str, Any]]:
    """Return how the level of every track comes about, in dB and LUFS; the atmo first."""
    scene = composition.scene
    items: list[Atmo | SceneObject] = [scene.atmo, *scene.objects]
    return [_track(composition, t, item) for t, item in zip(composition.tracks, items, strict=True)]


def _track(composition: Composition, track: Track, item: Atmo | SceneObject) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "label": track.name,
        "level_db": round(track.level_db, 2),
        "panning": track.panning,
        "send_db": round(track.send_db, 2),
    }
    if isinstance(item, Atmo):
        return facts | {"why": "the atmosphere has a level of its own"}
    by_importance = importance_to_level_db(item.importance, composition.scene.levels_db)
    facts |= {"importance": item.importance, "importance_level_db": by_importance, "gain_db": item.gain_db}
    if track.reduction is None:
        return facts | {"reduction_db": 0.0, "why": "nothing is known of its sound before it is heard"}
    return facts | track.reduction.as_dict()


def decisions(composition: Composition) -> list[dict[str, Any]]:
    """Return what was done to place the events of the finite form; nothing for the endless one."""
    return [] if composition.arranged is None else [d.as_dict() for d in composition.arranged.decisions]
