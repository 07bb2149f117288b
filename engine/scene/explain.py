"""Why every track of a composition is as loud as it is, for people and for programs."""

from dataclasses import fields
from typing import Any

from engine.learn.mix_settings import Curve, Figure, Name
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
        "mix": mix_facts(track),
    }
    if isinstance(item, Atmo):
        return facts | {"why": "the atmosphere has a level of its own"}
    by_importance = importance_to_level_db(item.importance, composition.scene.levels_db)
    facts |= {"importance": item.importance, "importance_level_db": by_importance, "gain_db": item.gain_db}
    if track.reduction is None:
        return facts | {"reduction_db": 0.0, "why": "nothing is known of its sound before it is heard"}
    return facts | track.reduction.as_dict()


def mix_facts(track: Track) -> dict[str, Any]:
    """Return what is predicted of a track's sounds or written for them, what is applied of it, and why not the rest."""
    strip, squeeze = track.strip, track.squeeze
    applied: dict[str, Any] = {
        "eq_db": [round(gain, 2) for gain in strip.tone.eq_db] or None,
        "highpass_hz": round(strip.tone.highpass_hz, 1) or None,
        "compressor": None if squeeze is None else {n: round(v, 2) for n, v in vars(squeeze).items()},
        "gain_db": round(strip.gain_db, 2) or None,
    }
    if strip.expected_db is not None:
        applied["reduction_db"] = round(strip.expected_db, 2)
    facts: dict[str, Any] = {"settings": None, "applied": applied, "why_not": list(strip.why)}
    if strip.settings is not None:
        facts["settings"] = {
            f.name: _fact(getattr(strip.settings, f.name))
            for f in fields(strip.settings)
            if f.name != "notes"
        }
        facts["notes"] = list(strip.settings.notes)
    return facts


def _fact(known: Figure | Curve | Name) -> dict[str, Any]:
    value: Any = known.value
    if isinstance(known, Curve):
        value = [round(float(gain), 2) for gain in known.value]
    elif isinstance(known, Figure):
        value = round(float(known.value), 2)
    return {"value": value, "confidence": round(float(known.confidence), 2), "source": known.source}


def decisions(composition: Composition) -> list[dict[str, Any]]:
    """Return what was done to place the events of the finite form; nothing for the endless one."""
    return [] if composition.arranged is None else [d.as_dict() for d in composition.arranged.decisions]
