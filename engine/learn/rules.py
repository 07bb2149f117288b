"""Mix settings by rule: from the sound's level, crest and spectrum, and from what is usual for its family."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import active_loudness
from dsp.identify_kernels import compress, time_share
from engine.learn.bands import CENTRES_HZ, NOMINAL_HZ
from engine.learn.envelope_rules import envelope_db, threshold_db, times_ms
from engine.learn.families import FAMILIES, UNKNOWN_FAMILY, Family
from engine.learn.features import RATE_HZ
from engine.learn.mix_settings import UNKNOWN, Figure, MixSettings, Name, Source
from engine.learn.own_model import NOTHING_TOLD, Told
from engine.learn.treatment import NOTHING_KNOWN, Treatment

NOBODY = Name(UNKNOWN, 0.0, "none")

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

BAND_NAMES = tuple(f"band_{hz:g}_hz" for hz in NOMINAL_HZ)

SILENT_DB = -90.0

EASY_CREST_DB = 12.0
MOST_REDUCTION_DB = 6.0
"""Together with what a compressor has surely taken before."""
WORTH_DB = 1.5
"""A compressor that takes less is none."""

MOST_OWN_DB = 12.0
"""What own mixes may ask for at most."""

LOW_END_DB = 45.0
LEAST_HIGHPASS_HZ = 30.0
BELOW = 2.0 ** (-2.0 / 3.0)
"""A high-pass stands two thirds of an octave below the lowest band that is heard."""


def rules(
    samples: Samples,
    features: Mapping[str, float],
    chances: Mapping[str, float],
    treatment: Treatment = NOTHING_KNOWN,
    own: Told = NOTHING_TOLD,
) -> MixSettings:
    """Return the settings of float32 `[frames, 1 or 2]` at 44.1 kHz.

    `features` are those of `engine.learn.features` by name, `chances` the probability of each family, none where
    nothing is known. What is usual is the mean over the families by their chance, never that of the likeliest.
    The equaliser is the one that undoes the `treatment`, and what a compressor has surely taken before counts. What
    is told by `own` mixes goes before the rules.
    """
    sure = max(chances.values(), default=0.0)
    bands_db = np.array([features[name] for name in BAND_NAMES])
    silent = features["loudness"] <= SILENT_DB
    treatment = NOTHING_KNOWN if silent else treatment
    highpass_hz = 0.0 if silent else _highpass_hz(bands_db)
    asked = own.compressor
    if asked is None:
        attack_ms, release_ms = times_ms(samples)
        ratio = _mean(chances, lambda family: family.ratio)
        reduction_db, most_db = reduction_by_rule_db(features["crest"], chances), MOST_REDUCTION_DB
    else:
        attack_ms, release_ms = asked["attack_ms"].value, asked["release_ms"].value
        ratio, reduction_db, most_db = asked["ratio"].value, asked["reduction_db"].value, MOST_OWN_DB
    envelope = envelope_db(samples, attack_ms, release_ms)
    left_db = max(0.0, most_db - treatment.reduction_db.low)
    reduction_db = 0.0 if silent else min(left_db, reduction_db)
    at_db = threshold_db(envelope, ratio, reduction_db)
    worth = reduction_db if reduction_db >= WORTH_DB else 0.0
    gain_db = makeup_db(samples, at_db, ratio, attack_ms, release_ms) if worth else 0.0
    confidence = 0.3 + 0.4 * sure if asked is None else asked["reduction_db"].confidence
    source: Source = "rule" if asked is None else "model"

    def figure(value: float, low: float, high: float) -> Figure:
        return _figure(value, low, high, confidence, source)

    return MixSettings(
        highpass_hz=_figure(highpass_hz, 0.5 * highpass_hz, 1.3 * highpass_hz, 0.6 if highpass_hz else 0.3),
        eq_db=treatment.undo_db if own.eq_db is None or silent else own.eq_db,
        threshold_db=figure(at_db, at_db - 8.0, at_db + 8.0),
        ratio=figure(ratio, 1.0 + 0.5 * (ratio - 1.0), 2.0 * ratio),
        attack_ms=figure(attack_ms, 0.3 * attack_ms, 3.0 * attack_ms),
        release_ms=figure(release_ms, 0.3 * release_ms, 3.0 * release_ms),
        reduction_db=figure(worth, 0.0, worth + 4.0),
        gain_db=figure(gain_db, gain_db - 3.0, gain_db + 3.0),
        past_reduction_db=treatment.reduction_db,
        family=_family(chances),
        instrument=own.names.get("instrument", NOBODY),
        equipment=own.names.get("equipment", NOBODY),
        notes=("the sound is silent",) if silent else (),
    )


def reduction_by_rule_db(crest_db: float, chances: Mapping[str, float]) -> float:
    """Return the gain reduction that a sound of this crest factor is to have, 0 to 6 dB; see `Family`."""
    share = _mean(chances, lambda family: family.share)
    return min(MOST_REDUCTION_DB, share * max(0.0, crest_db - EASY_CREST_DB))


def makeup_db(samples: Samples, at_db: float, ratio: float, attack_ms: float, release_ms: float) -> float:
    """Return the gain that gives float32 `[frames, channels]` its loudness back behind such a compressor."""
    made = np.empty_like(samples)
    compress(
        np.ascontiguousarray(samples),
        made,
        time_share(attack_ms, RATE_HZ),
        time_share(release_ms, RATE_HZ),
        10.0 ** (at_db / 20.0),
        1.0 / ratio - 1.0,
        np.zeros(samples.shape[1], np.float32),
    )
    return float(active_loudness(samples, RATE_HZ) - active_loudness(made, RATE_HZ))


def _highpass_hz(bands_db: Floats) -> float:
    """Return the corner of a high-pass under what is heard, 0 where something is heard down to the lowest bands."""
    heard = np.flatnonzero(bands_db > bands_db.max() - LOW_END_DB)
    corner_hz = float(CENTRES_HZ[heard[0]] * BELOW)
    return round(corner_hz, 1) if corner_hz >= LEAST_HIGHPASS_HZ else 0.0


def _mean(chances: Mapping[str, float], of: Callable[[Family], float]) -> float:
    rest = max(0.0, 1.0 - sum(chances.values()))
    return sum(p * of(FAMILIES[name]) for name, p in chances.items()) + rest * of(UNKNOWN_FAMILY)


def _figure(value: float, low: float, high: float, confidence: float, source: Source = "rule") -> Figure:
    return Figure(float(value), float(low), float(high), confidence, source)


def _family(chances: Mapping[str, float]) -> Name:
    ranked = tuple(sorted(chances.items(), key=lambda pair: -pair[1]))
    return Name(*ranked[0], "model", ranked) if ranked else Name(UNKNOWN, 0.0, "none")
