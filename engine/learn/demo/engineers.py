"""How four engineers mix: towards what they like, by what they hear, and never twice quite the same."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import active_loudness
from engine.learn.bands import BANDS, CENTRES_HZ, band_powers, to_db
from engine.learn.compressor_fit import Settings
from engine.learn.demo.instruments import RATE_HZ
from engine.learn.equaliser import curve_db
from engine.learn.identify import Filter
from engine.learn.match import LEAST_REDUCTION_DB, TRACE_DB

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

MOST_PEAK = 0.95
OCTAVES = np.log2(CENTRES_HZ / 1000.0)


@dataclass(frozen=True)
class Style:
    """Of one engineer.

    tilt_db      what the spectrum falls by an octave where it pleases
    correction   how much of what is missing to that is made up
    depth_db     how far the threshold is below the louder parts
    ratio, haste    of compressors: haste shortens attack and release
    loudness     of a lead, in LUFS
    cut_hz       below this all but basses and kicks are cut
    """

    tilt_db: float
    correction: float
    depth_db: float
    ratio: float
    haste: float
    loudness_lufs: float
    cut_hz: float


STYLES = {
    "ada": Style(-4.0, 0.25, 8.0, 3.0, 1.0, -22.0, 80.0),
    "bela": Style(-5.5, 0.40, 12.0, 5.0, 2.0, -20.0, 120.0),
    "chen": Style(-3.0, 0.15, 5.0, 2.0, 0.6, -25.0, 40.0),
    "dora": Style(-4.5, 0.55, 9.0, 4.0, 0.8, -23.0, 100.0),
}

LEAD = {
    "vocal": 0.0,
    "kick": -1.0,
    "snare": -1.0,
    "saxophone": -1.0,
    "bass guitar": -2.0,
    "electric guitar": -3.0,
}
"""How loud an instrument is against a lead, in LU; others are at -5."""
DEEP = ("kick", "bass guitar", "double bass", "bass synth", "floor tom")
STRUCK = ("kick", "snare", "tom", "floor tom", "hi-hat", "percussion", "overhead", "room")
HOUSE: dict[str, tuple[tuple[float, float, float], ...]] = {
    "kick": ((60, 0.7, 3), (350, 0.9, -5), (4000, 0.8, 4)),
    "snare": ((200, 0.6, 2), (600, 0.7, -3), (5000, 1, 4)),
    "tom": ((110, 0.7, 3), (500, 0.9, -4)),
    "floor tom": ((80, 0.7, 3), (450, 0.9, -4)),
    "hi-hat": ((300, 1.5, -6), (9000, 1, 2)),
    "overhead": ((250, 1.5, -4), (11_000, 1, 3)),
    "bass guitar": ((80, 0.8, 3), (250, 0.8, -3), (900, 0.8, 2)),
    "electric guitar": ((150, 1, -3), (3000, 0.8, 2)),
    "acoustic guitar": ((180, 1, -4), (8000, 1.2, 4)),
    "piano": ((250, 1, -2), (5000, 1.2, 2)),
    "vocal": ((220, 0.8, -3), (3500, 1, 3), (11_000, 1, 3)),
    "backing vocal": ((250, 1.2, -5), (9000, 1, 3)),
}
"""What everybody does to an instrument: (Hz, octaves, dB)."""


@dataclass(frozen=True)
class Mixed:
    """A mixed sound, float32 `[frames, 1]`, and what was done; `settings` by the names of the table."""

    samples: Samples
    curve_db: Floats
    settings: dict[str, float]
    known: dict[str, bool]


def mixed(raw: Samples, instrument: str, engineer: str, rng: np.random.Generator) -> Mixed:
    """Return how an engineer mixes float32 `[frames, 1]` at 44.1 kHz."""
    style = STYLES[engineer]
    gains_db = _equaliser(raw, instrument, style, rng)
    z = Filter(raw, RATE_HZ).filtered(gains_db)
    levels = _levels_db(z)
    loud_db = float(np.percentile(levels[levels > levels.max() - 50.0], 95))
    crest_db = float(
        20.0 * np.log10(np.abs(z).max()) - 10.0 * np.log10(np.mean(np.square(z, dtype=np.float64)))
    )
    depth_db = style.depth_db * (0.6 if instrument in STRUCK else 1.0) + 0.3 * (crest_db - 14.0)
    threshold_db = loud_db - max(0.0, depth_db + rng.normal(0.0, 1.5))
    ratio = float(
        np.clip(style.ratio * (1.3 if instrument in STRUCK else 1.0) * np.exp(rng.normal(0.0, 0.15)), 1.2, 12)
    )
    hurry = style.haste * np.exp(rng.normal(0.0, 0.2))
    attack_ms = float(np.clip(2.0 * np.pi * 60.0 / crest_db / hurry, 0.5, 200.0))
    release_ms = float(np.clip(2.0 * np.pi * 900.0 / crest_db / hurry, 20.0, 2000.0))
    flat = Settings(threshold_db, ratio, attack_ms, release_ms, (0.0,)).applied(z, RATE_HZ)
    reductions = _levels_db(z) - _levels_db(flat)
    active = levels > levels.max() - 50.0
    reduction_db = max(0.0, float(np.percentile(reductions[active], 95)))
    wanted = style.loudness_lufs + LEAD.get(instrument, -5.0) + rng.normal(0.0, 1.2)
    gain_db = wanted - active_loudness(flat, RATE_HZ)
    gain_db = min(gain_db, 20.0 * float(np.log10(MOST_PEAK / np.abs(flat).max())))
    made = (flat * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)
    curve = curve_db(gains_db, CENTRES_HZ, RATE_HZ)
    mean_db = float(curve.mean())
    seen, told = reduction_db > TRACE_DB, reduction_db > LEAST_REDUCTION_DB
    behind_db = gain_db + mean_db
    settings = {
        "reduction_db": reduction_db,
        "threshold_db": threshold_db - mean_db if seen else np.nan,
        "ratio": ratio if told else np.nan,
        "attack_ms": attack_ms if told else np.nan,
        "release_ms": release_ms if told else np.nan,
        "gain_db": behind_db,
        "left_db": behind_db,
        "right_db": behind_db,
        "residual": 0.0,
    }
    known = {"equaliser_known": True, "threshold_known": seen, "dynamics_known": told}
    return Mixed(made, curve - mean_db, settings, known)


def _equaliser(raw: Samples, instrument: str, style: Style, rng: np.random.Generator) -> Floats:
    """Return the gains of the 31 filters: what everybody does, what is missing to the taste, a whim, a low cut."""
    gains = np.zeros(BANDS)
    for hz, width, db in HOUSE.get(instrument, ()):
        gains += db * np.exp(-0.5 * ((OCTAVES - np.log2(hz / 1000.0)) / width) ** 2)
    levels = np.maximum(to_db(band_powers(raw, RATE_HZ)), -80.0)
    heard = levels > levels.max() - 35.0
    missing = style.tilt_db * OCTAVES - levels
    missing -= missing[heard].mean()
    smooth = np.convolve(np.pad(np.where(heard, missing, 0.0), 3, mode="edge"), np.ones(7) / 7.0, "valid")
    gains += style.correction * np.clip(smooth, -12.0, 12.0)
    gains += rng.normal(0.0, 1.0) * np.exp(-0.5 * ((OCTAVES - rng.uniform(-4.0, 4.0)) / 0.8) ** 2)
    if instrument not in DEEP:
        gains -= 12.0 / (1.0 + (CENTRES_HZ / style.cut_hz) ** 4)
    return np.asarray(np.clip(gains, -15.0, 15.0))


def _levels_db(samples: Samples) -> Floats:
    block = RATE_HZ // 1000
    count = len(samples) // block
    squares = np.square(samples[: count * block, 0], dtype=np.float64).reshape(count, block)
    return to_db(squares.mean(axis=1))
