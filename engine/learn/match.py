"""What a matched mix is: equaliser, compressor, gain and balance, each with how far it can be relied on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import CENTRES_HZ, NOMINAL_HZ
from engine.learn.equaliser import Q, curve_db, usable
from engine.learn.identify import Found, Progress, identify
from engine.learn.likeness import Likeness, loudness_lufs
from engine.learn.pair import Pair, make_pair

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

LEAST_REDUCTION_DB = 2.0
"""With less gain reduction (95th percentile) nobody can tell ratio, attack or release."""
TRACE_DB = 0.5
"""With less, nor where the threshold is."""

TOLERANCES = {"threshold_db": 2.0, "ratio": 0.1, "attack_ms": 0.25, "release_ms": 0.25, "gain_db": 0.5}
"""A standard error of this size is a confidence of one half; dB or nepers."""
EQ_TOLERANCE_DB = 0.6
RESIDUAL_TOLERANCE_DB = 1.0


@dataclass(frozen=True)
class Match:
    """Mix settings: filters, then a trim, a compressor and a gain, and what is known about them.

    eq_db         float64 `[31]`: the curve at the bands' centres, zero mean
    filters_db    float64 `[31]`: the gains of the peak filters that have that curve, with `trim_db` behind them
    threshold_db, ratio, attack_ms, release_ms    of the compressor, in pedalboard's sense; None if unknown
    gain_db       behind the compressor; `balance_db` is left over right, 0 of a mono sound
    reduction_db  what 5 % of the active milliseconds exceed
    confidence    0 to 1 for each field; `eq_confidence` float64 `[31]`
    """

    eq_db: Floats
    filters_db: Floats
    trim_db: float
    threshold_db: float | None
    ratio: float | None
    attack_ms: float | None
    release_ms: float | None
    gain_db: float
    balance_db: float
    reduction_db: float
    confidence: dict[str, float]
    eq_confidence: Floats
    measures: dict[str, float]
    facts: dict[str, Any]
    notes: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """Return the settings alone, plain numbers, for a file."""
        return {
            "equaliser": {
                "centres_hz": [round(float(hz), 3) for hz in CENTRES_HZ],
                "q": Q,
                "filters_db": _listed(self.filters_db),
                "trim_db": round(self.trim_db, 3),
                "curve_db": _listed(self.eq_db),
            },
            "compressor": {
                "threshold_db": _rounded(self.threshold_db),
                "ratio": _rounded(self.ratio),
                "attack_ms": _rounded(self.attack_ms),
                "release_ms": _rounded(self.release_ms),
                "reduction_db": round(self.reduction_db, 2),
            },
            "gain_db": round(self.gain_db, 3),
            "balance_db": round(self.balance_db, 3),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        bands = zip(NOMINAL_HZ, self.eq_db, self.eq_confidence, strict=True)
        return {
            **self.facts,
            **self.settings(),
            "bands": [
                {"hz": hz, "gain_db": round(float(g), 2), "confidence": round(float(c), 3)}
                for hz, g, c in bands
            ],
            "confidence": {name: round(value, 3) for name, value in self.confidence.items()},
            "unknown": [
                n for n in ("threshold_db", "ratio", "attack_ms", "release_ms") if getattr(self, n) is None
            ],
            "residual": {name: round(value, 4) for name, value in self.measures.items()},
            "notes": list(self.notes),
        }


def match_pair(
    raw: Samples, raw_hz: float, mixed: Samples, mixed_hz: float, progress: Progress | None = None
) -> Match:
    """Return the settings between a raw and a mixed sound, float32 `[frames, 1 or 2]`.

    Raises InputError if the two do not belong together.
    """
    return match_made(make_pair(raw, raw_hz, mixed, mixed_hz), progress)


def match_made(pair: Pair, progress: Progress | None = None) -> Match:
    """Return the settings between the two sounds of a pair."""
    return _match(identify(pair, progress))


def _match(found: Found) -> Match:
    pair, fit, s = found.pair, found.fit, found.settings
    bands = usable(pair.rate_hz)
    curve = np.zeros(len(CENTRES_HZ))
    curve[:bands] = curve_db(found.gains_db, CENTRES_HZ[:bands], pair.rate_hz)
    mean_db = float(curve[:bands].mean())
    curve[:bands] -= mean_db
    made = found.rendered()
    quality = 1.0 / (1.0 + (fit.residual_db / RESIDUAL_TOLERANCE_DB) ** 2)
    confidence = {
        name: quality / (1.0 + (fit.spreads[name] / tolerance) ** 2) for name, tolerance in TOLERANCES.items()
    }
    eq_confidence = quality / (1.0 + (found.spread_db / EQ_TOLERANCE_DB) ** 2)
    eq_confidence[bands:] = 0.0
    reduction = fit.reduction_db
    notes = list(pair.notes)
    lag = round(pair.lag_s * pair.rate_hz)
    if lag:
        notes.append(f"lag {lag:+d} frames ({1000.0 * pair.lag_s:+.2f} ms) taken out")
    known, seen = reduction > LEAST_REDUCTION_DB, reduction > TRACE_DB
    if not known:
        notes.append(
            f"gain reduction {reduction:.1f} dB: "
            f"at most {LEAST_REDUCTION_DB:g} dB does not tell ratio, attack or release"
        )
        confidence.update(ratio=0.0, attack_ms=0.0, release_ms=0.0)
    if not seen:
        confidence["threshold_db"] = 0.0
    confidence["eq_db"] = float(eq_confidence.mean())
    confidence["balance_db"] = quality
    unheard = [f"{hz:g}" for hz, c in zip(NOMINAL_HZ, eq_confidence, strict=True) if c < 0.1]
    if unheard:
        notes.append(f"too little is heard at {', '.join(unheard)} Hz: those bands follow their neighbours")
    gains = np.array(s.gains_db)
    return Match(
        curve,
        found.gains_db,
        -mean_db,
        s.threshold_db - mean_db if seen else None,
        s.ratio if known else None,
        s.attack_ms if known else None,
        s.release_ms if known else None,
        float(gains.mean()) + mean_db,
        float(gains[0] - gains[-1]),
        reduction,
        confidence,
        eq_confidence,
        _measures(found, made),
        {
            "mode": "pair",
            "rate_hz": pair.rate_hz,
            "duration_s": round(len(pair.raw) / pair.rate_hz, 3),
            "lag_ms": round(1000.0 * pair.lag_s, 3),
            "inverted": pair.inverted,
            "coherence": round(pair.coherence, 3),
            "clipped": round(1.0 - float(pair.usable.mean()), 5),
        },
        tuple(notes),
    )


def _measures(found: Found, made: Samples) -> dict[str, float]:
    pair = found.pair
    likeness = Likeness(pair.mixed)
    scale = np.sqrt(np.mean(np.square(pair.mixed)) / max(float(np.mean(np.square(pair.raw))), 1e-12))
    return {
        "stft_distance": likeness.distance(made),
        "stft_distance_before": likeness.distance((pair.raw * scale).astype(np.float32)),
        "level_db": found.fit.residual_db,
        "loudness_lu": loudness_lufs(made, pair.rate_hz) - loudness_lufs(pair.mixed, pair.rate_hz),
    }


def _listed(values: Floats) -> list[float]:
    return [round(float(v), 3) for v in values]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
