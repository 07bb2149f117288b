"""The channel strip of a track: what is predicted of its sounds, less what the scene writes, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.learn.mix_settings import UNKNOWN, Curve, Figure, MixSettings, Name
from engine.scene.squeeze import Squeeze
from engine.scene.tone import AS_IT_IS, Tone
from engine.scene.written_settings import HIGHEST_PASS_HZ, MOST_EQ_DB, WrittenSettings

MOST_INSERTS = 8
"""How many tracks have a compressor at most: each takes its time in every quantum."""

LEAST_REDUCTION_DB = 3.0
"""A compressor that is predicted to take less is not worth its time."""

LIKELIER_THAN_NOT = 0.5
LEAST_EQ_CONFIDENCE = 0.5
"""An equaliser is put on where it comes nearer to how a sound was than none does, more often than not."""
LEAST_HIGHPASS_CONFIDENCE = 0.4
"""A high-pass less sure than this is not put on."""

LEAST_COMPRESSOR_CONFIDENCE = 0.5
"""Nor is a compressor, which can do more harm: by the rules, one of a sound whose family is likelier than not."""

DEFAULTS = {"threshold_db": -30.0, "ratio": 3.0, "attack_ms": 60.0, "release_ms": 900.0}
"""What a compressor has that is wanted without being told how: 10 and 140 ms as time constants."""

RANGES = {
    "threshold_db": (-60.0, 0.0),
    "ratio": (1.0, 20.0),
    "attack_ms": (0.1, 1000.0),
    "release_ms": (10.0, 20_000.0),
}
"""What a scene may write, and so what can be written down to have it again."""


NOT_HEARD = "nothing is predicted: nothing is known of a live input before it is heard"
NOT_PREDICTED = "nothing is predicted: the scene does not want it"


@dataclass(frozen=True)
class Strip:
    """What a track's sounds go through, and the settings that it comes from; `why` tells what is not applied.

    `settings` is None where nothing is known and nothing written. `gain_db` is what a written gain gives a track that
    has no compressor; `expected_db` the gain reduction of the compressor, measured on the track's sounds.
    """

    settings: MixSettings | None = None
    tone: Tone = AS_IT_IS
    squeeze: Squeeze | None = None
    gain_db: float = 0.0
    why: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    expected_db: float | None = None

    @property
    def reduction_db(self) -> float:
        """The gain reduction to be expected; 0 where it is not known."""
        return self.settings.reduction_db.value if self.settings is not None else 0.0

    @property
    def taken_for(self) -> str:
        """What the track's sounds are more likely than not, the instrument before the family; "" for nothing."""
        names = () if self.settings is None else (self.settings.instrument, self.settings.family)
        return next((n.value for n in names if n.value != UNKNOWN and n.confidence >= LIKELIER_THAN_NOT), "")

    def as_written(self) -> dict[str, Any]:
        """Return what is applied as the `settings` of a scene that predicts nothing."""
        told: dict[str, Any] = {}
        if self.tone.eq_db:
            told["eq_db"] = list(self.tone.eq_db)
        if self.tone.highpass_hz:
            told["highpass_hz"] = self.tone.highpass_hz
        if self.squeeze is not None:
            told |= {"compressor": True, **vars(self.squeeze)}
        elif self.gain_db:
            told["gain_db"] = self.gain_db
        return told


NO_STRIP = Strip()


def strip_of(predictions: Sequence[MixSettings], written: WrittenSettings, live: bool = False) -> Strip:
    """Return the strip of a track that plays sounds of which this is predicted, each as often as the others.

    A `live` one is an input, which has no sound yet.
    """
    names = tuple(name for name in WrittenSettings.model_fields if getattr(written, name) is not None)
    if not predictions and not names:
        return replace(NO_STRIP, why=(NOT_HEARD if live else NOT_PREDICTED,))
    settings = _overridden(together(predictions) if predictions else _nothing(), written)
    why: list[str] = []
    tone = Tone(_eq(settings, why), _highpass(settings, why))
    squeeze = _squeeze(settings, written, why)
    gain_db = 0.0 if squeeze is not None or written.gain_db is None else written.gain_db
    return Strip(settings, tone, squeeze, gain_db, tuple(why), names)


def limited(strips: Sequence[Strip]) -> list[Strip]:
    """Return the strips with `MOST_INSERTS` compressors at most: those that are written, then those that do most."""
    wanted = [i for i, strip in enumerate(strips) if strip.squeeze is not None]
    wanted.sort(key=lambda i: (not _is_written(strips[i]), -strips[i].reduction_db, i))
    made = list(strips)
    for i in wanted[MOST_INSERTS:]:
        why = f"no compressor: {MOST_INSERTS} other tracks have one, and are reduced by more"
        made[i] = replace(strips[i], squeeze=None, why=(*strips[i].why, why))
    return made


def _is_written(strip: Strip) -> bool:
    return bool({"compressor", *DEFAULTS} & set(strip.written))


def together(predictions: Sequence[MixSettings]) -> MixSettings:
    """Return the settings that several sounds of one track share: means, of ratios and times geometric ones."""
    first = predictions[0]
    if len(predictions) == 1:
        return first
    made: dict[str, Any] = {}
    for name in (
        "highpass_hz",
        "threshold_db",
        "ratio",
        "attack_ms",
        "release_ms",
        "reduction_db",
        "gain_db",
        "past_reduction_db",
    ):
        figures = [getattr(p, name) for p in predictions]
        made[name] = _mean_figure(figures, name in ("ratio", "attack_ms", "release_ms"))
    curves = [p.eq_db for p in predictions]
    made["eq_db"] = Curve(
        np.mean([c.value for c in curves], axis=0),
        np.min([c.low for c in curves], axis=0),
        np.max([c.high for c in curves], axis=0),
        min(c.confidence for c in curves),
        curves[0].source,
    )
    for name in ("family", "instrument", "equipment"):
        made[name] = _common_name([getattr(p, name) for p in predictions])
    notes = tuple(dict.fromkeys(note for p in predictions for note in p.notes))
    return MixSettings(**made, notes=notes)


def _mean_figure(figures: Sequence[Figure], geometric: bool) -> Figure:
    values = np.array([f.value for f in figures])
    if np.ptp(values) == 0.0:
        value = figures[0].value
    else:
        value = float(np.exp(np.log(values).mean()) if geometric and (values > 0.0).all() else values.mean())
    low, high = min(f.low for f in figures), max(f.high for f in figures)
    return Figure(value, low, high, min(f.confidence for f in figures), figures[0].source)


def _common_name(names: Sequence[Name]) -> Name:
    """Return the name that all agree on, with the least confidence; else the one that is unknown."""
    if len({name.value for name in names}) == 1:
        return min(names, key=lambda name: name.confidence)
    return Name(UNKNOWN, 0.0, "none")


def _nothing() -> MixSettings:
    """Return the settings of a track whose sound nobody knows."""
    none, flat, nobody = Figure(0.0, 0.0, 0.0, 0.0, "none"), np.zeros(31), Name(UNKNOWN, 0.0, "none")
    threshold, ratio, attack, release = (replace(none, value=value) for value in DEFAULTS.values())
    return MixSettings(
        highpass_hz=none,
        eq_db=Curve(flat, flat, flat, 0.0, "none"),
        threshold_db=threshold,
        ratio=ratio,
        attack_ms=attack,
        release_ms=release,
        reduction_db=none,
        gain_db=none,
        past_reduction_db=none,
        family=nobody,
        instrument=nobody,
        equipment=nobody,
    )


def _overridden(settings: MixSettings, written: WrittenSettings) -> MixSettings:
    """Return the settings with what is written in its place, sure as it is."""
    told: dict[str, Any] = {}
    for name in ("highpass_hz", "threshold_db", "ratio", "attack_ms", "release_ms", "gain_db"):
        if (value := getattr(written, name)) is not None:
            told[name] = Figure(value, value, value, 1.0, "scene")
    if written.eq_db is not None:
        curve = np.array(written.eq_db, np.float64)
        told["eq_db"] = Curve(curve, curve, curve, 1.0, "scene")
    return replace(settings, **told)


def _eq(settings: MixSettings, why: list[str]) -> tuple[float, ...]:
    curve = settings.eq_db
    if curve.flat:
        if curve.source not in ("scene", "none"):
            why.append("no equaliser: a flat one is predicted")
        return ()
    if curve.confidence < LEAST_EQ_CONFIDENCE:
        why.append(f"no equaliser: it is predicted with a confidence of {_percent(curve.confidence)} only")
        return ()
    return tuple(_within(v, -MOST_EQ_DB, MOST_EQ_DB) for v in curve.value)


def _highpass(settings: MixSettings, why: list[str]) -> float:
    corner = settings.highpass_hz
    if corner.value <= 0.0:
        return 0.0
    if corner.confidence < LEAST_HIGHPASS_CONFIDENCE:
        why.append(f"no high-pass: it is predicted with a confidence of {_percent(corner.confidence)} only")
        return 0.0
    return _within(corner.value, 0.0, HIGHEST_PASS_HZ)


def _squeeze(settings: MixSettings, written: WrittenSettings, why: list[str]) -> Squeeze | None:
    reduction = settings.reduction_db
    if written.compressor is False:
        why.append("no compressor: the scene has none for it")
        return None
    if written.compressor is None and not written.compressor_fields:
        if reduction.source == "none":
            return None
        if reduction.value <= 0.0:
            why.append("no compressor: none is predicted to be worth it")
            return None
        if reduction.value < LEAST_REDUCTION_DB:
            what = f"a reduction of {reduction.value:.1f} dB is predicted"
            why.append(f"no compressor: {what}, and it is worth its time from {LEAST_REDUCTION_DB:g} dB")
            return None
        if reduction.confidence < LEAST_COMPRESSOR_CONFIDENCE:
            what = f"a reduction of {reduction.value:.1f} dB is predicted with a confidence of"
            why.append(f"no compressor: {what} {_percent(reduction.confidence)} only")
            return None
    values = {name: float(np.clip(getattr(settings, name).value, *limits)) for name, limits in RANGES.items()}
    return Squeeze(**values, gain_db=float(np.clip(settings.gain_db.value, -24.0, 12.0)))


def _within(value: float, low: float, high: float) -> float:
    return min(max(float(value), low), high)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
