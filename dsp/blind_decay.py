"""The reverberation that is already in a recording, told from the recording alone: RT60 and DRR, or neither.

In four octaves the energy of every 8 ms is followed. Where the level falls by 13 dB or more and does not rise
again, the end of the fall that one rate explains is taken, and its rate found by maximum likelihood. A sound may
die away slower than its room, never faster; so the rates of a band are those of the fastest decays that agree. What
is found is the tail of the recording, whatever made it: a bell's own ringing counts as well.

    E[k] = (A exp(-lambda k) + n) chi^2(nu) / nu        the energy of frame k of a free decay over a noise floor n

The DRR comes from the same decays: the tail r is carried along by the energy of all sound before, and the late energy
`late` that unit direct energy leaves behind is what makes r fit in the decays, where there is nothing else.

    r[k + 1] = exp(-lambda) r[k] + late' p[k],  p[k] = E[k] - r[k] outside of decays, 0 in them

Source    Ratnam et al. 2003, "Blind estimation of reverberation time", JASA 114(5) (the damped Gaussian model);
          Loellmann et al. 2010, "An improved algorithm for blind reverberation time estimation", IWAENC (the choice of
          decays); the noise floor in the model and the DRR are this project's own
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsp.blind_decay_kernels import (
    ERROR,
    FOUND,
    RATE,
    band_energies,
    find_decays,
    tail_ratios,
)
from dsp.svf import bandpass_sections, feedback

Floats = NDArray[np.float64]

CENTRES_HZ = (500.0, 1000.0, 2000.0, 4000.0)
FRAME_S = 0.008
SHORTEST_S = 1.0
LOWEST_RATE_HZ = 8_000.0
TOP_EDGE = 0.47
"""Of the rate: a band whose upper edge lies beyond is left out."""
BANDWIDTH = 0.55
"""Of a band's centre: the noise bandwidth of two Butterworth band-passes of an octave in series."""

SMOOTHED = (2, 1, 1, 1)
"""How many frames on either side the level of a band is the mean of."""
RISE_DB = (6.0, 5.5, 5.0, 4.5)
"""How far a level may rise above its lowest before that is a new sound: more than the noise in the mean does."""
FALL_DB = 13.0
GATE_DB = 6.0
"""A decay is looked at while it is this far above the noise floor."""
FLOOR_SHARE = 0.03
"""The level that so many frames lie below is the noise floor, or 90 dB below the loudest if that is higher."""
DEEPEST_FLOOR = 1e-9
EDGE_S = 0.25
"""A decay that reaches so near to the end of the file may be a fade."""
WORST_DEVIANCE = 1.6
"""Of a fit, for each degree of freedom: 1 is what the model itself gives."""
MOST_DECAYS = 4000

FASTEST = 0.25
"""A band's rate is sought among the fastest quarter of its decays, by weight, and what agrees with it."""
AGREEMENT = 0.25
MODEL_ERROR = 0.07
"""What a rate is wrong by beside its statistical error, in a real decay."""
LARGEST_ERROR = 0.2
LEAST_DECAYS, LEAST_BANDS, LEAST_IN_BAND = 4, 2, 2
FURTHEST_BANDS = 2.5
"""The largest ratio of the times of two bands that may belong to one room."""
RT60_SPAN_S = (0.03, 10.0)

SHORTEST_DRR_S = 0.15
"""Below this reverberation time direct sound and tail lie in the same frames."""
DRR_SPAN_DB = (-12.0, 30.0)
LOW_RATIO = 0.2
"""A decay may hold sound that still comes, never less than the tail: the fifth of all ratios that are lowest."""
DRR_ERROR_DB = 2.0
"""What a DRR is wrong by at best, measured."""

LN_60_DB = 6.0 * math.log(10.0)


class BandDecay(NamedTuple):
    """What an octave shows; `decays` are those that agree, of `candidates`."""

    centre_hz: float
    rt60_s: float | None
    drr_db: float | None
    decays: int
    candidates: int


class BlindDecay(NamedTuple):
    """The reverberation in a recording. `rt60_s` is None where it is unknown, and `why` says why.

    `drr_db` is the direct energy over all that comes after; its standard error is about `drr_uncertainty_db`. The
    confidences are 0 to 1, 0 for what is unknown.
    """

    rt60_s: float | None
    rt60_confidence: float
    drr_db: float | None
    drr_uncertainty_db: float
    drr_confidence: float
    bands: tuple[BandDecay, ...]
    why: str


class _Band(NamedTuple):
    shown: BandDecay
    error: float
    scatter: float
    rt60_s: float
    drr_db: float


def blind_decay(samples: NDArray[np.float32], rate_hz: float) -> BlindDecay:
    """Return the reverberation in `samples` [frames] or [frames, channels] at 8 kHz or more; all channels are summed.

    Raises ValueError for another shape, a lower rate, or samples that are not finite.
    """
    if samples.ndim not in (1, 2) or not LOWEST_RATE_HZ <= rate_hz <= 384_000.0:
        raise ValueError(
            f"samples must be [frames, channels] at 8 kHz or more, not {samples.shape} at {rate_hz}"
        )
    mono = samples if samples.ndim == 1 else samples.sum(axis=1, dtype=np.float32)
    frame = round(FRAME_S * rate_hz)
    count = len(mono) // frame
    if count * FRAME_S < SHORTEST_S:
        return _unknown((), f"it is shorter than {SHORTEST_S:g} s")
    peak = float(np.max(np.abs(mono)))
    if not math.isfinite(peak):
        raise ValueError("samples must be finite")
    if peak == 0.0:
        return _unknown((), "it is silent")
    energies = np.zeros((len(CENTRES_HZ), count))
    sections = _sections(rate_hz)
    band_energies(
        np.ascontiguousarray(mono[: count * frame], np.float32),
        1.0 / peak,
        sections,
        energies[: len(sections)],
    )
    frame_s = frame / rate_hz
    bands = [_band(number, energies[number], frame_s) for number in range(len(sections))]
    return _joined(bands, _is_steady(energies[: len(sections)]))


def _sections(rate_hz: float) -> Floats:
    """Return (bands, 4, 3): g, feedback and gain of the sections in series."""
    usable = [c for c in CENTRES_HZ if c * math.sqrt(2.0) <= TOP_EDGE * rate_hz]
    out = np.zeros((len(usable), 4, 3))
    for number, centre_hz in enumerate(usable):
        low, high, gain = bandpass_sections(centre_hz / math.sqrt(2.0), centre_hz * math.sqrt(2.0), rate_hz)
        for place, (g, k) in enumerate((low, high, low, high)):
            out[number, place] = g, feedback(g, k), math.sqrt(gain)
    return out


def _smoothed(energy: Floats, half: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(energy)])
    at = np.arange(len(energy))
    begin, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(energy))
    mean: Floats = (total[end] - total[begin]) / (end - begin)
    return np.maximum(mean, 1e-30)


def _is_steady(energies: Floats) -> bool:
    """Whether no band's level goes up and down by what a decay has to fall."""
    levels = [10.0 * np.log10(_smoothed(e, 2) + 1e-20) for e in energies]
    return all(float(np.quantile(v, 0.98) - np.quantile(v, 0.02)) < FALL_DB for v in levels)


def _band(number: int, energy: Floats, frame_s: float) -> _Band:
    centre_hz = CENTRES_HZ[number]
    nothing = _Band(BandDecay(centre_hz, None, None, 0, 0), math.inf, math.inf, 0.0, 0.0)
    mean = _smoothed(energy, SMOOTHED[number])
    loudest = float(mean.max())
    if loudest <= 1e-20:
        return nothing
    floor = max(float(np.quantile(mean, FLOOR_SHARE)), loudest * DEEPEST_FLOOR)
    freedom = 2.0 * BANDWIDTH * centre_hz * frame_s
    found = np.zeros((MOST_DECAYS, FOUND))
    count = find_decays(
        energy + loudest * 1e-12,
        10.0 * np.log10(mean),
        floor,
        freedom,
        np.array([FALL_DB, GATE_DB, RISE_DB[number], WORST_DEVIANCE]),
        SMOOTHED[number],
        round(EDGE_S / frame_s),
        found,
    )
    found = found[:count]
    if count < LEAST_IN_BAND:
        return nothing._replace(shown=nothing.shown._replace(candidates=count))
    rate, chosen, error, scatter = _common_rate(found[:, RATE], found[:, ERROR])
    decays = np.ascontiguousarray(found[chosen])
    rt60_s = LN_60_DB * frame_s / rate
    if len(decays) < LEAST_IN_BAND or error > LARGEST_ERROR or not RT60_SPAN_S[0] < rt60_s < RT60_SPAN_S[1]:
        return nothing._replace(shown=nothing.shown._replace(decays=len(decays), candidates=count))
    drr_db = _drr_db(energy, rate, floor, 1.0 + 2.0 * math.sqrt(2.0 / freedom), decays)
    return _Band(BandDecay(centre_hz, rt60_s, drr_db, len(decays), count), error, scatter, rt60_s, drr_db)


def _common_rate(rates: Floats, errors: Floats) -> tuple[float, NDArray[np.bool_], float, float]:
    """Return the rate that the fastest decays agree on, which these are, its relative error, and the scatter of all."""
    weights = 1.0 / (errors**2 + (MODEL_ERROR * rates) ** 2)
    order = np.argsort(-rates)
    passed = np.cumsum(weights[order])
    start = float(rates[order][np.searchsorted(passed, FASTEST * passed[-1])])
    chosen = rates >= start / (1.0 + AGREEMENT) - 1.5 * errors
    rate = start
    for _ in range(3):
        if not chosen.any():
            return start, chosen, math.inf, math.inf
        rate = float((rates[chosen] * weights[chosen]).sum() / weights[chosen].sum())
        chosen = np.abs(rates - rate) <= AGREEMENT * rate + 1.5 * errors
    if not chosen.any():
        return rate, chosen, math.inf, math.inf
    rate = float((rates[chosen] * weights[chosen]).sum() / weights[chosen].sum())
    scatter = math.sqrt(float(((rates / rate - 1.0) ** 2 * weights).sum() / weights.sum()))
    return rate, chosen, 1.0 / (rate * math.sqrt(float(weights[chosen].sum()))), scatter


def _drr_db(energy: Floats, rate: float, floor: float, margin: float, decays: Floats) -> float:
    """Return the DRR with which what came before a decay explains how loud it is, for most of `decays`."""
    ratios = np.zeros(len(decays))

    def excess(late_db: float) -> float:
        tail_ratios(energy, rate, 10.0 ** (0.1 * late_db), floor, margin, decays, ratios)
        return float(np.quantile(ratios, LOW_RATIO))

    # From the top: a weak tail may also explain a strong one, by taking what comes soon after a blow for sound.
    high_db, above = -DRR_SPAN_DB[0], excess(-DRR_SPAN_DB[0])
    while high_db > -DRR_SPAN_DB[1]:
        low_db, below = high_db - 1.0, excess(high_db - 1.0)
        if below > 0.0 > above:
            return -(low_db + below / (below - above))
        high_db, above = low_db, below
        if below > 0.0:
            break
    return -high_db


def _unknown(bands: tuple[BandDecay, ...], why: str) -> BlindDecay:
    return BlindDecay(None, 0.0, None, math.inf, 0.0, bands, why)


def _joined(bands: list[_Band], steady: bool) -> BlindDecay:
    """Return what the bands say together."""
    shown = tuple(band.shown for band in bands)
    good = [band for band in bands if band.shown.rt60_s is not None]
    while len(good) >= LEAST_BANDS:
        logs = np.log([band.rt60_s for band in good])
        if float(np.ptp(logs)) < math.log(FURTHEST_BANDS):
            break
        if len(good) == LEAST_BANDS:
            low, high = sorted(band.rt60_s for band in good)
            return _unknown(shown, f"its bands disagree: {low:.2g} s and {high:.2g} s")
        good.pop(int(np.argmax(np.abs(logs - np.median(logs)))))
    decays = sum(band.shown.decays for band in good)
    if len(good) < LEAST_BANDS or decays < LEAST_DECAYS:
        if steady:
            return _unknown(shown, f"it is steady: its level does not go down by {FALL_DB:g} dB")
        where = "one band" if len(good) == 1 else f"{len(good)} bands"
        what = f"{decays} decays that agree, in {where}" if decays else "no decays that agree"
        return _unknown(shown, f"it has {what}; needed are {LEAST_DECAYS} in {LEAST_BANDS} bands")
    weights = np.array([1.0 / ((2.0 * band.error) ** 2 + 0.01) for band in good])
    logs = np.log([band.rt60_s for band in good])
    rt60_s = math.exp(float((logs * weights).sum() / weights.sum()))
    events = decays / len(good)
    scatter = float(np.mean([band.scatter for band in good]))
    confidence = min(1.0, (events - 1.0) / 3.0) * math.exp(-2.0 * scatter**2)
    if rt60_s < SHORTEST_DRR_S:
        return BlindDecay(rt60_s, confidence, None, math.inf, 0.0, shown, "")
    drrs = np.array([band.drr_db for band in good])
    drr_db = float((drrs * weights).sum() / weights.sum())
    # Measured: what is nearly all tail, or a short one, is harder to tell.
    hidden_db = 0.8 * max(0.0, 4.0 - drr_db)
    error_db = math.sqrt(DRR_ERROR_DB**2 + float(np.var(drrs)) + hidden_db**2 + (0.5 / rt60_s) ** 2)
    return BlindDecay(
        rt60_s, confidence, drr_db, error_db, confidence / (1.0 + (error_db / 6.0) ** 2), shown, ""
    )
