"""What a sound's mix settings are predicted to be: worked out once for each content, and kept."""

import dataclasses
import math
from typing import Any, get_args

import numpy as np

from engine.learn.bands import BANDS
from engine.learn.mix_settings import Curve, Figure, Floats, MixSettings, Name, Source
from engine.scene.feature_store import FeatureStore, content_hash
from engine.scene.kept_sounds import kept_record
from engine.scene.material import Material
from engine.scene.trim import TRIM_VERSION

KEPT_VERSION = 2
"""Of the form in which settings are kept."""

_SOURCES = get_args(Source)


def prepare() -> None:
    """Read what predictions need; raises InputError where that is not what it was."""
    from engine.learn.predict import predictor

    predictor()


def predicted(material: Material, rate_hz: int) -> MixSettings:
    """Return the settings that are predicted of a sound as it is given, from the cache if they were before.

    Those of a file are known by the hash of its content, those of a procedural sound by what it is made from.
    """
    # Imported late: a scene that predicts nothing need not wait for it.
    from engine.learn.predict import predict, predictor

    def work_out() -> dict[str, Any]:
        own = np.ascontiguousarray(material.samples[:, :1]) if material.mono else material.samples
        return as_record(predict(own, float(rate_hz)))

    by = f"{predictor()} {KEPT_VERSION}"
    if material.path is None and material.origin is not None:
        made_from = f"settings of {material.origin} trim {TRIM_VERSION} by {by}"
        record = kept_record(work_out, made_from)
    else:
        record = _of_file(
            material, f"settings of {len(material.samples)} frames at {rate_hz} Hz", by, work_out
        )
    try:
        return from_record(record)
    except (KeyError, TypeError, ValueError):
        return from_record(work_out())


def _of_file(material: Material, kind: str, by: str, work_out: Any) -> dict[str, Any]:
    store = FeatureStore()
    try:
        content = content_hash(material.path) if material.path is not None else ""
    except OSError:
        content = ""
    found = store.get(content, kind, KEPT_VERSION) if content else None
    if found is not None and found.get("by") == by:
        return found
    record: dict[str, Any] = {**work_out(), "by": by}
    if content:
        store.put(content, kind, KEPT_VERSION, record)
    return record


def as_record(settings: MixSettings) -> dict[str, Any]:
    """Return settings as plain data: every number as it is, arrays as lists."""
    return {field.name: _plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)}


def _plain(value: Any) -> Any:
    if isinstance(value, (Figure, Curve, Name)):
        return [_plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, np.ndarray):
        return [float(v) for v in value]
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def from_record(record: dict[str, Any]) -> MixSettings:
    """Return what `as_record` was made of; raises KeyError, TypeError or ValueError for anything else."""
    made: dict[str, Any] = {}
    for field in dataclasses.fields(MixSettings):
        value = record[field.name]
        if field.type is Figure:
            middle, low, high, confidence = map(_number, value[:4])
            made[field.name] = Figure(middle, low, high, confidence, _source(value[4]))
        elif field.type is Curve:
            curve, lowest, highest = map(_curve, value[:3])
            made[field.name] = Curve(curve, lowest, highest, _number(value[3]), _source(value[4]))
        elif field.type is Name:
            candidates = tuple((str(name), _number(share)) for name, share in value[3])
            made[field.name] = Name(str(value[0]), _number(value[1]), _source(value[2]), candidates)
        else:
            made[field.name] = tuple(map(str, value))
    return MixSettings(**made)


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no number")
    return number


def _curve(values: Any) -> Floats:
    curve = np.array(values, np.float64)
    if curve.shape != (BANDS,) or not np.isfinite(curve).all():
        raise ValueError("no curve")
    return curve


def _source(value: Any) -> Source:
    if value not in _SOURCES:
        raise ValueError(f"{value} is no source")
    source: Source = value
    return source
