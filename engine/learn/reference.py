"""Mix settings towards a reference, another sound: its long-term spectrum, its loudness, and how even its level is.

Nothing in two different sounds tells a compressor's times or ratio; what can be told is by how much peaks stand out.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.bands import BANDS, CENTRES_HZ, band_powers
from engine.learn.equaliser import CurveFit, curve_db, usable
from engine.learn.identify import Filter
from engine.learn.likeness import loudness_lufs
from engine.learn.match import Match
from engine.learn.pair import HEARD_RMS, LEAST_S, WORKING_HZ
from engine.learn.rhythm import rhythm
from engine.media.decode import resample

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

MOST_EQ_DB = 6.0
SMOOTH_OCTAVES = 0.5
"""Standard deviation of the bell the spectra's difference is smoothed with."""
HEARD_DB = 50.0
"""A band further below the loudest one of its sound is left to its neighbours."""
MOST_REDUCTION_DB = 12.0
PEAK_SHARE = 99.9
"""A peak is what 0.1 % of the active samples exceed."""
ACTIVE_MS, ACTIVE_DB = 50, 40.0
STEPS = 6
FIT_POINTS = 200

UNKNOWN = "threshold, ratio, attack and release: two different sounds do not tell them"


@dataclass(frozen=True)
class _Sound:
    """A sound at the working rate, and what is measured of it."""

    samples: Samples
    levels_db: Floats
    crest_db: float
    loudness_lufs: float


def match_reference(raw: Samples, raw_hz: float, reference: Samples, reference_hz: float) -> Match:
    """Return the settings that bring a sound nearer to a reference, float32 `[frames, 1 or 2]` both.

    The equaliser is at most 6 dB, with zero mean; the compressor is told by its gain reduction alone. Raises InputError
    for a sound that is silent or shorter than 0.25 s.
    """
    before = _measured("raw", resample(raw, raw_hz, WORKING_HZ))
    wanted = _measured("reference", resample(reference, reference_hz, WORKING_HZ))
    curve, confidence = wanted_curve(before.levels_db, wanted.levels_db)
    gains, made_curve, trim_db = _realised(curve)
    filtered = Filter(before.samples, WORKING_HZ).filtered(gains) * np.float32(10.0 ** (trim_db / 20.0))
    after = _measured("raw", filtered)
    over_db = after.crest_db - wanted.crest_db
    reduction = float(np.clip(over_db, 0.0, MOST_REDUCTION_DB))
    rhythms = rhythm(before.samples, WORKING_HZ), rhythm(wanted.samples, WORKING_HZ)
    pace = [max(r.onsets_per_s, 0.2) for r in rhythms]
    alike = min(pace) / max(pace)
    notes = [UNKNOWN]
    if over_db < -1.0:
        notes.append(f"peaks of the reference stand out {-over_db:.1f} dB more: no compressor does that")
    if alike < 0.5:
        notes.append(
            f"{rhythms[0].onsets_per_s:.1f} onsets a second against {rhythms[1].onsets_per_s:.1f}: "
            "sounds of another kind, their peaks tell little of a compressor"
        )
    if np.abs(curve).max() > MOST_EQ_DB - 0.05:
        notes.append(f"the spectra differ by more than {MOST_EQ_DB:g} dB; the equaliser stops there")
    return Match(
        made_curve,
        gains,
        trim_db,
        None,
        None,
        None,
        None,
        wanted.loudness_lufs - after.loudness_lufs,
        _balance_db(wanted.samples) - _balance_db(before.samples),
        reduction,
        {
            "threshold_db": 0.0,
            "ratio": 0.0,
            "attack_ms": 0.0,
            "release_ms": 0.0,
            "reduction_db": 0.5 * alike,
            "gain_db": 0.5,
            "balance_db": 0.5,
            "eq_db": float(confidence.mean()),
        },
        confidence,
        {
            "spectrum_db": _apart(after.levels_db, wanted.levels_db),
            "spectrum_db_before": _apart(before.levels_db, wanted.levels_db),
            "crest_db": over_db,
        },
        _facts(before, wanted, rhythms),
        tuple(notes),
    )


def _facts(before: _Sound, wanted: _Sound, rhythms: Any) -> dict[str, Any]:
    names = "raw", "reference"
    return {
        "mode": "reference",
        "rate_hz": WORKING_HZ,
        "sounds": {
            name: {
                "loudness_lufs": round(sound.loudness_lufs, 2),
                "crest_db": round(sound.crest_db, 2),
                "onsets_per_s": round(beat.onsets_per_s, 2),
                "tempo_bpm": None if beat.tempo_bpm is None else round(beat.tempo_bpm, 1),
            }
            for name, sound, beat in zip(names, (before, wanted), rhythms, strict=True)
        },
    }


def _measured(name: str, samples: Samples) -> _Sound:
    if samples.ndim != 2 or samples.shape[1] not in (1, 2) or not np.isfinite(samples).all():
        raise InputError(Problem("is not a finite sound of one or two channels", field=name))
    if len(samples) < LEAST_S * WORKING_HZ:
        raise InputError(Problem("is too short to be compared", f"at least {LEAST_S:g} s", name))
    if float(np.sqrt(np.mean(np.square(samples)))) < HEARD_RMS:
        raise InputError(Problem("is silent", "a sound above -80 dBFS RMS", name))
    powers = band_powers(samples, WORKING_HZ)
    levels = 10.0 * np.log10(np.maximum(powers, 1e-15))
    return _Sound(samples, levels, crest_db(samples), loudness_lufs(samples, WORKING_HZ))


def crest_db(samples: Samples) -> float:
    """Return by how much the peaks of the active parts stand out of their RMS, in dB."""
    length = round(ACTIVE_MS * WORKING_HZ / 1000.0)
    blocks = samples[: len(samples) // length * length].reshape(-1, length * samples.shape[1])
    power = np.square(blocks, dtype=np.float64).mean(axis=1)
    active = blocks[power >= power.max() * 10.0 ** (-ACTIVE_DB / 10.0)]
    peak = float(np.percentile(np.abs(active), PEAK_SHARE))
    return 20.0 * float(np.log10(max(peak, 1e-9) / max(float(np.sqrt(np.mean(np.square(active)))), 1e-9)))


def wanted_curve(levels_db: Floats, wanted_db: Floats) -> tuple[Floats, Floats]:
    """Return the smoothed difference of two spectra, at most 6 dB, zero mean, and how sure each band is, `[31]`."""
    heard = (levels_db > levels_db.max() - HEARD_DB) & (wanted_db > wanted_db.max() - HEARD_DB)
    octaves = np.log2(CENTRES_HZ)
    bells = np.exp(-0.5 * ((octaves[:, None] - octaves) / SMOOTH_OCTAVES) ** 2) * heard
    total = bells.sum(axis=1)
    difference = np.where(heard, wanted_db - levels_db, 0.0)
    if not heard.any():
        return np.zeros(BANDS), np.zeros(BANDS)
    middle = float(difference[heard].mean())
    curve = np.where(total > 1e-3, bells @ (difference - middle) / np.maximum(total, 1e-9), 0.0)
    curve = np.clip(curve - curve.mean(), -MOST_EQ_DB, MOST_EQ_DB)
    curve -= curve.mean()
    curve *= min(1.0, MOST_EQ_DB / max(float(np.abs(curve).max()), 1e-9))
    return curve, 0.8 * np.minimum(1.0, total / float(bells.sum(axis=1).max()))


def _realised(curve: Floats) -> tuple[Floats, Floats, float]:
    """Return gains of the filters, their curve at the bands' centres, zero mean, and the trim that makes it so."""
    at_hz = np.geomspace(CENTRES_HZ[0], CENTRES_HZ[usable(WORKING_HZ) - 1], FIT_POINTS)
    target = np.interp(np.log(at_hz), np.log(CENTRES_HZ), curve)
    fit = CurveFit(at_hz, WORKING_HZ)
    gains = np.zeros(BANDS)
    spread = np.full(FIT_POINTS, 0.1)
    for _ in range(STEPS):
        gains = fit.step(gains, target - fit.curve_db(gains), spread)
    bands = usable(WORKING_HZ)
    made = np.zeros(BANDS)
    while True:
        made[:bands] = curve_db(gains, CENTRES_HZ[:bands], WORKING_HZ)
        mean_db = float(made[:bands].mean())
        made[:bands] -= mean_db
        most = float(np.abs(made).max())
        if most <= MOST_EQ_DB:
            return gains, made, -mean_db
        gains = gains * min(0.99, MOST_EQ_DB / most)


def _apart(levels_db: Floats, wanted_db: Floats) -> float:
    heard = (levels_db > levels_db.max() - HEARD_DB) & (wanted_db > wanted_db.max() - HEARD_DB)
    if not heard.any():
        return 0.0
    apart = (wanted_db - levels_db)[heard]
    return float(np.mean(np.abs(apart - apart.mean())))


def _balance_db(samples: Samples) -> float:
    sides = np.square(samples, dtype=np.float64).mean(axis=0)
    return float(10.0 * np.log10(max(sides[0], 1e-12) / max(sides[-1], 1e-12)))
