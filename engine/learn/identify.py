"""Mix settings from a raw and a mixed sound: which equaliser, compressor and gain lie between them.

The compressor hides the equaliser, whose every frame it moves, and the equaliser hides what the compressor hears. Each
is found in turn with the other taken out: first roughly, from level ratios that a slow gain does not touch; then, once
the gain of the compressor is known frame for frame and can be divided out, what is left is linear, and the equaliser
is read off the cross-spectrum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.stft import hann
from engine.errors import InputError, Problem
from engine.learn.bands import BANDS, fast_length
from engine.learn.compressor_fit import ACTIVE_DB, STARTS, CompressorFit, Fit, Settings
from engine.learn.equaliser import CurveFit, response
from engine.learn.pair import Pair

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]
Complexes = NDArray[np.complex128]
Progress = Callable[[str, int, int], None]
T = TypeVar("T", np.float64, np.complex128)

POINTS = 200
RANGE_HZ = (22.0, 20_000.0)
WIDTH_OCTAVES = 1.0 / 12.0
FRAME, HOP = 8192, 2048
RING_S = 1.0
"""Silence behind a sound for the equaliser to ring in: at 20 Hz it needs 0.5 s to fall by 60 dB."""

ROUGH_PASSES = 2
ROUNDS = 8
SETTLED_DB = 0.05
COARSE = 4
"""Every fourth millisecond says enough on the way."""
AGAIN = 2
APART = 1.2
"""Nepers of attack or release that make another start."""
SETTLED_LEVEL_DB = 0.04
"""With more left in the median of the levels, the compressor is sought anew with the equaliser as it is then."""
AGAIN_ACTIVE_DB = (25.0, 50.0)
ROUGH_SPREAD_DB = 0.7
LEAST_SPREAD_DB = 0.03
MOST_SPREAD_DB = 40.0
HEARD_DB = 75.0
"""A band further below the loudest one says nothing in a level ratio."""
FADE_S = 0.02
MOST_MORE_FRAMES = 64
CLEARLY = 1.05
WARM_S = 2.0
"""What a stretch out of the middle needs until its envelope no longer depends on what was before."""


@dataclass(frozen=True)
class Found:
    """What lies between the two sounds of a pair.

    pair        the two, lag taken out
    gains_db    float64 `[31]`: of the peak filters at `bands.CENTRES_HZ`; a lift they all share is gain
    spread_db   float64 `[31]`: how uncertain each is; large where the raw sound holds nothing
    """

    pair: Pair
    gains_db: Floats
    spread_db: Floats
    fit: Fit

    @property
    def settings(self) -> Settings:
        """Of the compressor."""
        return self.fit.settings

    def rendered(self) -> Samples:
        """Return what the settings make of the raw sound, float32 `[frames, channels]`."""
        rate_hz = self.pair.rate_hz
        return self.settings.applied(Filter(self.pair.raw, rate_hz).filtered(self.gains_db), rate_hz)


class Filter:
    """One sound through many equalisers, by its Fourier transform."""

    def __init__(self, raw: Samples, rate_hz: float) -> None:
        self._frames = len(raw)
        self._length = fast_length(len(raw) + round(RING_S * rate_hz))
        self._rate_hz = rate_hz
        self._spectrum = np.fft.rfft(raw, self._length, axis=0)
        self._hz = np.arange(len(self._spectrum), dtype=np.float64) * (rate_hz / self._length)
        self._grid_hz: Floats = np.concatenate([[0.0], np.geomspace(5.0, rate_hz / 2.0, 1500)])

    def filtered(self, gains_db: Floats) -> Samples:
        """Return float32 `[frames, channels]`."""
        at = response(gains_db, self._grid_hz, self._rate_hz)
        curve = np.interp(self._hz, self._grid_hz, at.real) + 1j * np.interp(self._hz, self._grid_hz, at.imag)
        made = np.fft.irfft(self._spectrum * curve[:, None].astype(np.complex64), self._length, axis=0)
        return np.ascontiguousarray(made[: self._frames], np.float32)


class _Windows:
    """Sums of spectra over windows a twelfth of an octave wide, at least one bin, at the points of a curve."""

    def __init__(self, at_hz: Floats, length: int, rate_hz: float) -> None:
        half = 2.0 ** (WIDTH_OCTAVES / 2.0)
        width_hz = rate_hz / length
        bins = length // 2 + 1
        self._low = np.clip(np.ceil(at_hz / half / width_hz).astype(int), 0, bins - 1)
        self._high = np.clip(np.floor(at_hz * half / width_hz).astype(int), self._low, bins - 1)
        self.counts = (self._high - self._low + 1).astype(np.float64)

    def sums(self, spectrum: NDArray[T]) -> NDArray[T]:
        """Return the sum over each window, `[points]` of spectrum `[bins]`."""
        total = np.concatenate([np.zeros(1, spectrum.dtype), np.cumsum(spectrum)])
        made: NDArray[T] = total[self._high + 1] - total[self._low]
        return made


def _points(rate_hz: float) -> Floats:
    return np.geomspace(RANGE_HZ[0], min(RANGE_HZ[1], 0.47 * rate_hz), POINTS)


def identify(pair: Pair, progress: Progress | None = None) -> Found:
    """Return what lies between the two sounds of a pair."""
    tell = progress or (lambda *_: None)
    steps = ROUNDS + 2
    tell("equaliser", 0, steps)
    curve = CurveFit(_points(pair.rate_hz), pair.rate_hz)
    begun = _begin(pair, curve)
    lag = begun.linear.lag(begun.z, begun.fit.settings)
    if lag:
        # What the equaliser did to the phase, or a note that goes on, had the sounds found a frame or two apart.
        pair = pair.shifted(lag)
        begun = _begin(pair, curve)
    best = _descend(begun, curve, begun.gains_db, begun.z, begun.fit, tell)
    visited = [best.fit.settings]
    for attempt in range(AGAIN):
        if best.fit.residual_db < SETTLED_LEVEL_DB:
            break
        tell("once more", 0, steps)
        fit = _start(begun.fitter, best.z, visited, AGAIN_ACTIVE_DB[attempt])
        if fit is None:
            break
        tried = _descend(begun, curve, best.gains_db, best.z, fit, tell)
        visited.append(tried.fit.settings)
        if tried.fit.cost < best.fit.cost:
            best = tried
    fit = begun.fitter.refine(best.z, best.fit.settings)
    tell("done", steps, steps)
    return Found(pair, best.gains_db, curve.spreads(best.gains_db, best.spread_db), fit)


class _State(NamedTuple):
    """Where the search is: gains of the filters, the raw sound through them, the compressor, how sure the curve is."""

    gains_db: Floats
    z: Samples
    fit: Fit
    spread_db: Floats


def _descend(
    begun: "_Begun", curve: CurveFit, gains_db: Floats, z: Samples, fit: Fit, tell: Progress
) -> _State:
    """Better equaliser and compressor in turn until the curve no longer moves."""
    spread = np.full(POINTS, ROUGH_SPREAD_DB)
    for done in range(1, ROUNDS + 1):
        tell("both", done, ROUNDS + 2)
        before = gains_db
        missing, spread = begun.linear.missing(z, fit.settings)
        gains_db = curve.step(gains_db, missing, spread)
        z = begun.filtering.filtered(gains_db)
        fit = begun.fitter.refine(z, fit.settings, 4, COARSE, 1e-2)
        if np.abs(curve.curve_db(gains_db) - curve.curve_db(before)).max() < SETTLED_DB:
            break
    return _State(gains_db, z, fit, spread)


def _start(
    fitter: CompressorFit, z: Samples, visited: Sequence[Settings] = (), active_db: float = ACTIVE_DB
) -> Fit | None:
    """Return the best compressor from the best few places of the grid, not near any visited; None without a place."""
    starts = _distinct(fitter.search(z, active_db), visited)
    fits = [fitter.refine(z, start, 10, COARSE, 1e-2) for start in starts]
    return min(fits, key=lambda f: f.cost) if fits else None


@dataclass(frozen=True)
class _Begun:
    """A first guess and what it was made with."""

    filtering: "Filter"
    fitter: CompressorFit
    linear: "_LinearCurve"
    gains_db: Floats
    z: Samples
    fit: Fit


def _begin(pair: Pair, curve: CurveFit) -> _Begun:
    rate_hz = pair.rate_hz
    filtering = Filter(pair.raw, rate_hz)
    gains_db = _rough_curve(pair, curve)
    z = filtering.filtered(gains_db)
    skip = round(WARM_S * rate_hz) if pair.start_s > 0.0 else 0
    fitter = CompressorFit(pair.mixed, rate_hz, pair.usable, skip)
    fit = _start(fitter, z)
    if fit is None:
        raise InputError(Problem("too little of the two sounds is loud enough to compare", "at least 10 ms"))
    return _Begun(filtering, fitter, _LinearCurve(pair, curve), gains_db, z, fit)


def _distinct(found: list[Settings], visited: Sequence[Settings]) -> list[Settings]:
    """Return the best few starts that are neighbours neither of each other nor of one visited."""
    kept: list[Settings] = []
    for settings in found:
        if len(kept) == STARTS:
            break
        if all(
            abs(np.log(settings.attack_ms / k.attack_ms)) > APART
            or abs(np.log(settings.release_ms / k.release_ms)) > APART
            for k in (*kept, *visited)
        ):
            kept.append(settings)
    return kept


def _rough_curve(pair: Pair, curve: CurveFit) -> Floats:
    """Return gains from the ratio of levels, each frame of 8192 brought to the level of its counterpart first."""
    window = hann(FRAME).astype(np.float32)
    frames = max(FRAME, len(pair.raw))
    a, b = [], []
    for x, y in zip(pair.raw.T, pair.mixed.T, strict=True):
        padded = [np.pad(v, (0, frames - len(v))) for v in (x, y)]
        power = [np.abs(np.fft.rfft(sliding_window_view(v, FRAME)[::HOP] * window)) ** 2 for v in padded]
        a.append(power[0])
        b.append(power[1])
    raw, mixed = np.concatenate(a).astype(np.float64), np.concatenate(b).astype(np.float64)
    hz = np.arange(raw.shape[1], dtype=np.float64) * (pair.rate_hz / FRAME)
    windows = _Windows(curve.at_hz, FRAME, pair.rate_hz)
    gains_db = np.zeros(BANDS)
    for _ in range(ROUGH_PASSES):
        shape = np.abs(response(gains_db, hz, pair.rate_hz)) ** 2
        level = raw @ shape
        heard = level > 1e-9 * level.max()
        scale = mixed[heard].sum(axis=1) / level[heard]
        inside = windows.sums(scale @ raw[heard] * shape)
        outside = windows.sums(mixed[heard].sum(axis=0))
        below_db = 10.0 * np.log10(np.maximum(inside, 1e-30) / max(float(inside.max()), 1e-30))
        missing = 10.0 * np.log10(np.maximum(outside, 1e-30) / np.maximum(inside, 1e-30))
        spread = np.where(below_db > -HEARD_DB, ROUGH_SPREAD_DB * 10.0 ** (-below_db / 60.0), MOST_SPREAD_DB)
        gains_db = curve.step(gains_db, np.clip(missing, -40.0, 40.0), spread)
    return gains_db


class _LinearCurve:
    """The curve that is still missing, once the compressor is taken out."""

    def __init__(self, pair: Pair, curve: CurveFit) -> None:
        self._pair = pair
        self._length = fast_length(len(pair.raw))
        self._windows = _Windows(curve.at_hz, self._length, pair.rate_hz)
        fade = min(round(FADE_S * pair.rate_hz), len(pair.raw) // 4)
        self._taper = np.ones(len(pair.raw), np.float32)
        self._taper[len(pair.raw) - fade :] = hann(2 * fade)[fade:].astype(np.float32)
        if pair.start_s > 0.0:
            self._taper[:fade] = hann(2 * fade)[:fade].astype(np.float32)

    def lag(self, z: Samples, settings: Settings) -> int:
        """Return by how many frames the mixed sound is still behind z: 0 unless another lag is clearly better."""
        before = settings.taken_out(self._pair.mixed, z, self._pair.rate_hz)
        a, b = np.fft.rfft(z, 2 * self._length, axis=0), np.fft.rfft(before, 2 * self._length, axis=0)
        cross = (np.conj(a) * b).sum(axis=1)
        size = np.abs(cross)
        cross = np.where(size > 1e-6 * size.max(), cross / np.maximum(size, 1e-30), 0.0)
        found = np.abs(np.fft.irfft(cross))
        near = np.concatenate([found[-MOST_MORE_FRAMES:], found[: MOST_MORE_FRAMES + 1]])
        best = int(np.argmax(near)) - MOST_MORE_FRAMES
        return best if near.max() > CLEARLY * found[0] else 0

    def missing(self, z: Samples, settings: Settings) -> tuple[Floats, Floats]:
        """Return what z lacks in dB at the points of the curve, and the standard deviation of that."""
        before = settings.taken_out(self._pair.mixed, z, self._pair.rate_hz)
        bad = ~self._pair.usable
        cross = np.zeros(POINTS, np.complex128)
        inside, outside = np.zeros(POINTS), np.zeros(POINTS)
        for x, y in zip(z.T, before.T, strict=True):
            x, y = x * self._taper, y * self._taper
            y[bad] = x[bad]
            a, b = np.fft.rfft(x, self._length), np.fft.rfft(y, self._length)
            cross += self._windows.sums((np.conj(a) * b).astype(np.complex128))
            inside += self._windows.sums((a.real**2 + a.imag**2).astype(np.float64))
            outside += self._windows.sums((b.real**2 + b.imag**2).astype(np.float64))
        size = np.abs(cross)
        shared = np.clip(size**2 / np.maximum(inside * outside, 1e-60), 1e-6, 1.0 - 1e-9)
        noise = (1.0 - shared) / shared
        count = self._windows.counts * z.shape[1]
        spread = 8.686 * np.sqrt(noise / 2.0 / count + noise**2)
        missing = 20.0 * np.log10(np.maximum(size, 1e-60) / np.maximum(inside, 1e-60))
        return np.clip(missing, -20.0, 20.0), np.clip(spread, LEAST_SPREAD_DB, MOST_SPREAD_DB)
