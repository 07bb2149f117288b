"""The features of a sound: what a mixing desk shows of it, and its timbre. One function for learning and for use."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import active_loudness
from dsp.units import SILENCE_DB
from engine.learn.bands import EDGES_HZ, NOMINAL_HZ, band_powers, to_db
from engine.learn.mel import COEFFICIENTS, HOP, MELS, TOP_DB, WINDOW, timbre
from engine.media.decode import resample

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

RATE_HZ = 44_100.0
"""What every sound is measured at."""
LEVEL_MS = (3, 20, 100, 400)
PERCENTILES = (10, 50, 90, 99)
VERSION = 1


@dataclass(frozen=True)
class Feature:
    """One number of a sound."""

    name: str
    unit: str


@lru_cache(maxsize=1)
def schema() -> tuple[Feature, ...]:
    """Return all features in the order of `features`."""
    names = [(f"band_{hz:g}_hz", "dBFS") for hz in NOMINAL_HZ]
    names += [(name, "dBFS") for name in ("rms", "peak")]
    names += [("crest", "dB"), ("left", "dBFS"), ("right", "dBFS"), ("loudness", "LUFS")]
    names += [(f"level_{ms}_ms_p{p}", "dBFS") for ms in LEVEL_MS for p in PERCENTILES]
    names += [("centroid", "Hz"), ("flatness", "1"), ("zero_crossings", "Hz")]
    names += [(f"mfcc_{k}", "dB") for k in range(COEFFICIENTS)]
    return tuple(Feature(*pair) for pair in names)


@lru_cache(maxsize=1)
def schema_hash() -> str:
    """Return the SHA-256 of names, units and parameters: what a model was learned with must be what it is used with."""
    facts = {
        "version": VERSION,
        "features": [[f.name, f.unit] for f in schema()],
        "rate_hz": RATE_HZ,
        "edges_hz": [round(float(hz), 6) for hz in EDGES_HZ],
        "floor_db": SILENCE_DB,
        "level_ms": LEVEL_MS,
        "percentiles": PERCENTILES,
        "mel": [WINDOW, HOP, MELS, COEFFICIENTS, TOP_DB],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def features(samples: Samples, rate_hz: float) -> Floats:
    """Return the features of float32 `[frames, 1 or 2]` at any rate, float64 `[len(schema())]`.

    Levels are in dBFS, -144 to about 0: a full-scale sine has an RMS of -3.01 dBFS. Energies and timbre are those of
    the mean over the channels; `left` and `right` are RMS. A sound of any length and any level gives finite numbers.
    Raises ValueError for samples that are not finite, another shape, or no frame at all.
    """
    if samples.ndim != 2 or samples.shape[1] not in (1, 2) or not len(samples):
        raise ValueError(f"the sound has the shape {samples.shape}; it must be [frames, 1 or 2]")
    x = np.ascontiguousarray(samples, np.float32)
    if not np.isfinite(x).all():
        raise ValueError("the sound holds samples that are not finite")
    x = np.ascontiguousarray(resample(x, rate_hz, RATE_HZ))
    if not len(x):
        x = np.zeros((1, x.shape[1]), np.float32)
    squares = np.square(x, dtype=np.float64)
    sides = squares.mean(axis=0)
    power = float(sides.mean())
    peak = float(np.abs(x).max())
    rms_db, peak_db = (float(v) for v in to_db(np.array([power, peak * peak])))
    mono = x.mean(axis=1, dtype=np.float32) if x.shape[1] == 2 else x[:, 0]
    sound = timbre(mono, RATE_HZ)
    return np.concatenate(
        [
            to_db(band_powers(x, RATE_HZ)),
            [rms_db, peak_db, peak_db - rms_db, *to_db(sides[[0, -1]]), active_loudness(x, RATE_HZ)],
            _levels(squares.mean(axis=1)),
            [sound.centroid_hz, sound.flatness, _crossings_hz(mono)],
            sound.mfcc,
        ]
    )


def _levels(squares: Floats) -> Floats:
    """Return percentiles of the level in windows of 3 to 400 ms, of a shorter sound in one window."""
    total = np.concatenate(([0.0], np.cumsum(squares)))
    made = []
    for ms in LEVEL_MS:
        length = min(len(squares), round(ms * RATE_HZ / 1000.0))
        edges = np.arange(0, len(squares) - length + 1, max(1, length // 2 if ms > LEVEL_MS[0] else length))
        powers = np.maximum(total[edges + length] - total[edges], 0.0) / length
        made.append(to_db(np.percentile(powers, PERCENTILES)))
    return np.concatenate(made)


def _crossings_hz(mono: Samples) -> float:
    """Return how often a second the sign changes; what is silent has none."""
    signs = mono < 0.0
    return float(np.count_nonzero(signs[1:] != signs[:-1])) * RATE_HZ / len(mono)
