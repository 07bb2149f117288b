"""Mix settings from a raw and a mixed sound: which equaliser, compressor and gain lie between them.

The compressor hides the equaliser, whose every frame it moves, and the equaliser hides what the compressor hears. Each
is found in turn with the other taken out: first roughly, from level ratios that a slow gain does not touch; then, once
the gain of the compressor is known frame for frame and can be divided out, what is left is linear, and the equaliser
is read off the cross-spectrum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.stft import hann
from engine.learn.bands import BANDS, fast_length
from engine.learn.compressor_fit import STARTS, CompressorFit, Fit, Settings
from engine.learn.equaliser import CurveFit, response
from engine.learn.pair import Pair

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]
Complexes = NDArray[np.complex128]
Progress = Callable[[str, int, int], None]

POINTS = 200
RANGE_HZ = (22.0, 20_000.0)
WIDTH_OCTAVES = 1.0 / 12.0
FRAME, HOP = 8192, 2048
RING_S = 1.0
"""Silence behind a sound for the equaliser to ring in: at 20 Hz it needs 0.5 s to fall by 60 dB."""

ROUGH_PASSES = 2
ROUNDS = 8
SETTLED_DB = 0.02
ROUGH_SPREAD_DB = 0.7
LEAST_SPREAD_DB = 0.03
MOST_SPREAD_DB = 40.0
HEARD_DB = 75.0
"""A band further below the loudest one says nothing in a level ratio."""
FADE_S = 0.02
WARM_S = 2.0
"""What a stretch out of the middle needs until its envelope no longer depends on what was before."""


@dataclass(frozen=True)
class Found:
    """What lies between the two sounds of a pair.

    eq_db       float64 `[31]`: gains of the peak filters at `bands.CENTRES_HZ`, zero mean; gain and threshold hold the rest
    spread_db   float64 `[31]`: how uncertain each is; large where the raw sound holds nothing
    """

    eq_db: Floats
    spread_db: Floats
    fit: Fit
    rounds: int

    @property
    def settings(self) -> Settings:
        """Of the compressor."""
        return self.fit.settings

    def rendered(self, raw: Samples, rate_hz: float) -> Samples:
        """Return what the settings make of float32 `[frames, channels]`."""
        return self.settings.applied(_Filter(raw, rate_hz).filtered(self.eq_db), rate_hz)


class _Filter:
    """One sound through many equalisers, by its Fourier transform."""

    def __init__(self, raw: Samples, rate_hz: float) -> None:
        self._frames = len(raw)
        self._length = fast_length(len(raw) + round(RING_S * rate_hz))
        self._rate_hz = rate_hz
        self._spectrum = np.fft.rfft(raw, self._length, axis=0)
        hz = np.arange(len(self._spectrum)) * (rate_hz / self._length)
        self._grid_hz = np.concatenate([[0.0], np.geomspace(5.0, rate_hz / 2.0, 1500)])
        self._hz = hz

    def filtered(self, gains_db: Floats) -> Samples:
        """Return float32 `[frames, channels]`."""
        at = response(gains_db, self._grid_hz, self._rate_hz)
        curve = np.interp(self._hz, self._grid_hz, at.real) + 1j * np.interp(self._hz, self._grid_hz, at.imag)
        made = np.fft.irfft(self._spectrum * curve[:, None].astype(np.complex64), self._length, axis=0)
        return np.ascontiguousarray(made[: self._frames], np.float32)


class _Windows:
    """Sums of spectra over windows a twelfth of an octave wide, never narrower than one bin, at the points of a curve."""

    def __init__(self, at_hz: Floats, length: int, rate_hz: float) -> None:
        half = 2.0 ** (WIDTH_OCTAVES / 2.0)
        width_hz = rate_hz / length
        bins = length // 2 + 1
        self._low = np.clip(np.ceil(at_hz / half / width_hz).astype(int), 0, bins - 1)
        self._high = np.clip(np.floor(at_hz * half / width_hz).astype(int), self._low, bins - 1)
        self.counts = (self._high - self._low + 1).astype(np.float64)

    def sums(self, spectrum: NDArray[np.inexact]) -> NDArray[np.inexact]:
        total = np.concatenate([np.zeros(1, spectrum.dtype), np.cumsum(spectrum)])
        return np.asarray(total[self._high + 1] - total[self._low])


def _points(rate_hz: float) -> Floats:
    return np.geomspace(RANGE_HZ[0], min(RANGE_HZ[1], 0.47 * rate_hz), POINTS)


def identify(pair: Pair, progress: Progress | None = None) -> Found:
    """Return what lies between the two sounds of a pair."""
    tell = progress or (lambda *_: None)
    rate_hz = pair.rate_hz
    steps = ROUNDS + 2
    tell("equaliser", 0, steps)
    at_hz = _points(rate_hz)
    curve = CurveFit(at_hz, rate_hz)
    filtering = _Filter(pair.raw, rate_hz)
    gains_db = _rough_curve(pair, curve)
    z = filtering.filtered(gains_db)
    tell("compressor", 1, steps)
    fitter = CompressorFit(
        pair.mixed, rate_hz, pair.usable, round(WARM_S * rate_hz) if pair.start_s > 0.0 else 0
    )
    found = fitter.search(z)
    fits = [fitter.refine(z, start, 12) for start in _distinct(found)]
    fit = min(fits, key=lambda f: f.cost)
    linear = _LinearCurve(pair, curve)
    spread = np.full(POINTS, ROUGH_SPREAD_DB)
    done = 0
    for done in range(1, ROUNDS + 1):
        tell("both", 1 + done, steps)
        before = gains_db
        missing, spread = linear.missing(z, fit.settings)
        gains_db = curve.step(gains_db, missing, spread)
        z = filtering.filtered(gains_db)
        fit = fitter.refine(z, fit.settings, 8)
        if np.abs(curve.curve_db(gains_db) - curve.curve_db(before)).max() < SETTLED_DB:
            break
    fit = fitter.refine(z, fit.settings)
    tell("done", steps, steps)
    return Found(gains_db, curve.spreads(gains_db, spread), fit, done)


def _distinct(found: list[Settings]) -> list[Settings]:
    """Return the best few starts that are not neighbours on the grid."""
    kept: list[Settings] = []
    for settings in found:
        if len(kept) == STARTS:
            break
        if all(
            abs(np.log(settings.attack_ms / k.attack_ms)) > 1.2
            or abs(np.log(settings.release_ms / k.release_ms)) > 1.2
            for k in kept
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
    hz = np.arange(raw.shape[1]) * (pair.rate_hz / FRAME)
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

    def missing(self, z: Samples, settings: Settings) -> tuple[Floats, Floats]:
        """Return what z lacks in dB at the points of the curve, and the standard deviation of that."""
        before = settings.taken_out(self._pair.mixed, z, self._pair.rate_hz)
        bad = ~self._pair.usable
        cross: NDArray[np.inexact] = np.zeros(POINTS, np.complex128)
        inside, outside = np.zeros(POINTS), np.zeros(POINTS)
        for x, y in zip(z.T, before.T, strict=True):
            x, y = x * self._taper, y * self._taper
            y[bad] = x[bad]
            a, b = np.fft.rfft(x, self._length), np.fft.rfft(y, self._length)
            cross = cross + self._windows.sums((np.conj(a) * b).astype(np.complex128))
            inside += self._windows.sums((a.real**2 + a.imag**2).astype(np.float64))
            outside += self._windows.sums((b.real**2 + b.imag**2).astype(np.float64))
        size = np.abs(cross)
        shared = np.clip(size**2 / np.maximum(inside * outside, 1e-60), 1e-6, 1.0 - 1e-9)
        noise = (1.0 - shared) / shared
        count = self._windows.counts * z.shape[1]
        spread = 8.686 * np.sqrt(noise / 2.0 / count + noise**2)
        missing = 20.0 * np.log10(np.maximum(size, 1e-60) / np.maximum(inside, 1e-60))
        return np.clip(missing, -20.0, 20.0), np.clip(spread, LEAST_SPREAD_DB, MOST_SPREAD_DB)
