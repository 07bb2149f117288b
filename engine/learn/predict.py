"""Mix settings of one sound, before it is heard beside any other."""

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

import presets
from engine.learn.classify import Classifier
from engine.learn.excerpt import excerpt
from engine.learn.features import RATE_HZ, features, schema, schema_hash
from engine.learn.mix_settings import MixSettings
from engine.learn.model_file import load_model
from engine.learn.own_model import NOTHING_TOLD, OwnModel
from engine.learn.rules import rules
from engine.learn.treatment import TreatmentModel
from engine.learn.treatment_file import load_treatment_model

Samples = NDArray[np.float32]


RULES_VERSION = 2
"""Raised whenever `engine.learn.rules` says something else."""


@lru_cache(maxsize=1)
def predictor() -> str:
    """Return what tells one predictor from another: features, rules and the shipped model; raises InputError."""
    shipped_model()
    shipped_treatment_model()
    paths = presets.model_path(), presets.treatment_path()
    models = " ".join(hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in paths)
    return f"rules {RULES_VERSION} features {schema_hash()[:16]} models {models}"


@lru_cache(maxsize=1)
def shipped_model() -> Classifier:
    """Return the model of families that came with the program; raises InputError where its file is not what it was."""
    return load_model(presets.model_path())


@lru_cache(maxsize=1)
def shipped_treatment_model() -> TreatmentModel:
    """Return the model of what has been done to a sound that came with the program; raises InputError likewise."""
    return load_treatment_model(presets.treatment_path())


def predict(
    samples: Samples, rate_hz: float, model: Classifier | None = None, own: OwnModel | None = None
) -> MixSettings:
    """Return what float32 `[frames, 1 or 2]` at any rate is predicted to need; see `MixSettings`.

    `model`, that of families, is the shipped one unless another is given; `own` is what own mixes taught. A long sound
    is judged by its three loudest parts, 10 s in all.
    The same sound gives the same settings. Raises ValueError for samples that are not finite, another shape, or no
    frame at all; InputError where the shipped model cannot be used.
    """
    heard = excerpt(samples, rate_hz)
    values = features(heard, RATE_HZ)
    named = {feature.name: float(value) for feature, value in zip(schema(), values, strict=True)}
    model = model or shipped_model()
    chances = model.chances(values[None, :])[0]
    treatment = shipped_treatment_model().treatment(values)
    told = own.told(values) if own is not None else NOTHING_TOLD
    return rules(heard, named, dict(zip(model.families, chances.tolist(), strict=True)), treatment, told)
