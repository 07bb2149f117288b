"""What simpler means do at the same price: every track loses exactly as many LU as under unmasking.

All work on the mono tracks the ear judges, float `[T, frames]` at 48 kHz, offline and with zero phase. A track that
lost less than 0.02 LU is left as it is. Losses are those of `benchmarks.level`, met to 0.02 LU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks import peaq_ear
from benchmarks.masking_score import IMPORTANT, Judge
from benchmarks.suite import RATE_HZ, Run
from dsp.bark import CENTRES_HZ
from dsp.unmask import MAX_CUT_DB

Floats = NDArray[np.float64]
Tracks = NDArray[np.floating]

TOLERANCE_LU = 0.02
"""How well losses are met; a smaller loss counts as none."""
DEEPEST = 64.0
"""The strongest scaling tried."""

BELL_Q = 1.0
ATTACK_S, RELEASE_S = 0.020, 0.200
SLICE_FRAMES = 1024
"""The slices of the dynamic EQ, 21 ms under a sine window, half overlapping."""
GRID_HZ = np.geomspace(20.0, RATE_HZ / 2.0, 96)
"""Where the curve of the dynamic EQ is computed; in between it is a straight line in dB."""


class Equaliser(Protocol):
    """A filter of one track whose depth is one number: 0 does nothing, more takes more away."""

    def process(self, strength: float) -> NDArray[np.floating]:
        """Return the filtered track, float `[frames]`."""
        ...

    def curve_db(self, strength: float) -> Floats:
        """Return the combined cut at the 25 band centres while the track is active, `[moments, 25]`, <= 0."""
        ...


@dataclass(frozen=True, eq=False)
class Processed:
    """Tracks after a comparator, with the deepest combined cut of any at a band centre, and the mean of all."""

    tracks: Tracks
    deepest_db: float
    mean_db: float


@dataclass(frozen=True, eq=False)
class Comparators:
    """The four of one scene, at the losses of one run of the unmasking.

    `tracks` mono before; `importances` 0 to 1; `lost_lu` what each track lost under `run`.
    """

    judge: Judge
    tracks: Tracks
    importances: tuple[float, ...]
    lost_lu: Floats
    run: Run

    @classmethod
    def of(
        cls, judge: Judge, before: Tracks, importances: ArrayLike, run: Run, after: Tracks
    ) -> "Comparators":
        """Measure the losses of `run`, whose mono tracks are `after`."""
        lost = np.array([judge.lost_lu(t, track) for t, track in enumerate(after)])
        return cls(judge, before, tuple(np.asarray(importances, np.float64)), lost, run)

    def static_fader(self) -> Processed:
        """Turn each track down by what it lost."""
        return self._faded(np.where(np.abs(self.lost_lu) < TOLERANCE_LU, 0.0, self.lost_lu))

    def uniform_fader(self) -> Processed:
        """Turn all tracks below importance 0.6 down by the mean of what they lost, the others not at all."""
        others = np.array(self.importances) < IMPORTANT
        lost = float(self.lost_lu[others].mean()) if others.any() else 0.0
        return self._faded(np.where(others, lost, 0.0))

    def _faded(self, lost_db: Floats) -> Processed:
        tracks = np.asarray(self.tracks * 10.0 ** (-lost_db[:, None] / 20.0), np.float32)
        return Processed(tracks, -float(lost_db.max()), -float(lost_db.mean()))

    def static_eq(self) -> Processed:
        """Give each track the mean, in dB, of its cuts over its active frames, its depth scaled to the loss."""
        return self._each(
            lambda t: StaticEq(
                self.tracks[t], self.run.cut_db[self.active_periods(t), t].mean(axis=0, dtype=np.float64)
            )
        )

    def naive_dynamic_eq(self) -> Processed:
        """Give each track `NaiveDynamicEq` on the targets of the unmasking, scaled to the loss."""
        return self._each(
            lambda t: NaiveDynamicEq(
                self.tracks[t],
                self.run.target_db[:, t].astype(np.float64),
                self.active_periods(t),
                self.run.period_frames,
            )
        )

    def active_periods(self, t: int) -> NDArray[np.bool_]:
        """Return bool[periods]: where the frame of the ear nearest to the control period is active."""
        middle = (np.arange(len(self.run.cut_db)) + 0.5) * self.run.period_frames
        frame = np.rint((middle - peaq_ear.WINDOW_FRAMES / 2) / peaq_ear.HOP_FRAMES).astype(int)
        active = self.judge.active[t]
        return np.asarray(active[np.clip(frame, 0, len(active) - 1)])

    def unmasked(self, after: Tracks) -> Processed:
        """Return the tracks of the run itself, with its cuts counted as those of the others."""
        curves = [self.run.cut_db[self.active_periods(t), t] for t in range(len(after))]
        return Processed(
            after, float(self.run.cut_db.min()), float(np.mean([c.mean() for c in curves if c.size]))
        )

    def _each(self, equaliser: Callable[[int], Equaliser]) -> Processed:
        out, curves = np.array(self.tracks), [np.zeros((1, len(CENTRES_HZ)))] * len(self.tracks)
        for t, lost_lu in enumerate(self.lost_lu):
            if lost_lu >= TOLERANCE_LU:
                eq = equaliser(t)
                out[t], strength = _losing(self.judge, t, float(lost_lu), eq.process)
                curves[t] = eq.curve_db(strength)
        return Processed(out, float(min(c.min() for c in curves)), float(np.mean([c.mean() for c in curves])))


def _losing(
    judge: Judge, track: int, wanted_lu: float, process: Callable[[float], NDArray[np.floating]]
) -> tuple[NDArray[np.floating], float]:
    """Return what `process` makes at the strength where it loses `wanted_lu`, and that strength.

    Regula falsi (Illinois). Raises ValueError where no strength is enough.
    """
    low, low_error = 0.0, -wanted_lu
    strength = 1.0
    while True:
        made = process(strength)
        error = judge.lost_lu(track, made) - wanted_lu
        if abs(error) <= TOLERANCE_LU:
            return made, strength
        if error > 0.0:
            break
        if strength >= DEEPEST:
            raise ValueError(f"track {track} does not lose {wanted_lu:.2f} LU at any strength")
        low, low_error, strength = strength, error, 2.0 * strength
    high, high_error, side = strength, error, 0
    while abs(error) > TOLERANCE_LU:
        strength = (low * high_error - high * low_error) / (high_error - low_error)
        made = process(strength)
        error = judge.lost_lu(track, made) - wanted_lu
        if error > 0.0:
            high, high_error = strength, error
            low_error *= 0.5 if side == 1 else 1.0
            side = 1
        else:
            low, low_error = strength, error
            high_error *= 0.5 if side == -1 else 1.0
            side = -1
    return made, strength


class StaticEq:
    """One fixed curve through given cuts at the band centres."""

    def __init__(self, track: NDArray[np.floating], cut_db: Floats) -> None:
        self._cut_db = cut_db
        self._frames = len(track)
        self._spectrum = np.fft.rfft(track, 2 * len(track))
        self._gain_db = _between(np.fft.rfftfreq(2 * len(track), 1.0 / RATE_HZ), CENTRES_HZ, cut_db)

    def process(self, strength: float) -> NDArray[np.floating]:
        """Filter with the curve times `strength`."""
        shaped = np.fft.irfft(self._spectrum * 10.0 ** (strength * self._gain_db / 20.0), 2 * self._frames)
        return np.asarray(shaped[: self._frames], np.float32)

    def curve_db(self, strength: float) -> Floats:
        """Return the one curve."""
        return strength * self._cut_db[None, :]


class NaiveDynamicEq:
    """25 bells of Q 1 in series, each held to -6 dB alone, with no limit to what they do together.

    The targets are scaled, limited band by band and smoothed with 20 and 200 ms; the curve of all bells is put on
    half-overlapping slices of 21 ms.
    """

    def __init__(
        self,
        track: NDArray[np.floating],
        target_db: Floats,
        active: NDArray[np.bool_],
        period_frames: int,
    ) -> None:
        self._frames = len(track)
        self._wanted_db = -target_db
        self._active = active
        self._period_s = period_frames / RATE_HZ
        self._spectra = _slices(track)
        at = np.arange(len(self._spectra)) * (SLICE_FRAMES // 2) / period_frames
        self._period = np.clip(np.rint(at - 0.5).astype(int), 0, len(target_db) - 1)

    def process(self, strength: float) -> NDArray[np.floating]:
        """Filter with bells as deep as the targets times `strength`, or 6 dB."""
        gain_db = _in_series(self._depth_db(strength)[self._period], GRID_HZ)
        return _joined(self._spectra * 10.0 ** (gain_db @ _GRID_TO_BINS / 20.0), self._frames)

    def curve_db(self, strength: float) -> Floats:
        """Return the curve of all bells in every active control period."""
        return _in_series(self._depth_db(strength)[self._active], CENTRES_HZ)

    def _depth_db(self, strength: float) -> Floats:
        return _followed(np.minimum(strength * self._wanted_db, MAX_CUT_DB), self._period_s)


def _in_series(depth_db: Floats, at_hz: Floats) -> Floats:
    """Return the response in dB, `[moments, points]`, of bells `[moments, 25]` that deep."""
    covers = 1.0 / (1.0 + (BELL_Q * (at_hz[:, None] / CENTRES_HZ - CENTRES_HZ / at_hz[:, None])) ** 2)
    gain_db = np.zeros((len(depth_db), len(at_hz)))
    for band in np.flatnonzero(depth_db.any(axis=0)):
        removed = -np.expm1(-depth_db[:, band, None] * np.log(10.0) / 10.0)
        gain_db += 10.0 * np.log10(1.0 - removed * covers[:, band])
    return gain_db


def _between(at_hz: NDArray[np.floating], known_hz: Floats, values: Floats) -> Floats:
    """Interpolate linearly over log frequency, constant beyond the ends."""
    return np.asarray(np.interp(np.log(np.maximum(at_hz, 1.0)), np.log(known_hz), values))


_GRID_TO_BINS = np.array(
    [_between(np.fft.rfftfreq(SLICE_FRAMES, 1.0 / RATE_HZ), GRID_HZ, one) for one in np.eye(len(GRID_HZ))]
)
_SINE = np.sin(np.pi * (np.arange(SLICE_FRAMES) + 0.5) / SLICE_FRAMES)


def _followed(wanted_db: Floats, period_s: float) -> Floats:
    """Return `[periods, bands]` depths that follow what is wanted, growing with 20 and shrinking with 200 ms."""
    attack, release = np.exp(-period_s / ATTACK_S), np.exp(-period_s / RELEASE_S)
    depth_db, now = np.empty_like(wanted_db), np.zeros(wanted_db.shape[1])
    for period, wish in enumerate(wanted_db):
        now = wish + np.where(wish > now, attack, release) * (now - wish)
        depth_db[period] = now
    return depth_db


def _slices(track: NDArray[np.floating]) -> NDArray[np.complex128]:
    """Return the spectra of half-overlapping slices, the first centred on frame 0."""
    half = SLICE_FRAMES // 2
    padded = np.pad(track, (half, SLICE_FRAMES + half - len(track) % half))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SLICE_FRAMES)[::half]
    return np.asarray(np.fft.rfft(windows * _SINE, axis=1))


def _joined(spectra: NDArray[np.complex128], frames: int) -> NDArray[np.floating]:
    """Return the signal of `_slices` again."""
    half = SLICE_FRAMES // 2
    windows = np.fft.irfft(spectra, SLICE_FRAMES, axis=1) * _SINE
    out = np.zeros((len(windows) + 1, half))
    out[:-1] += windows[:, :half]
    out[1:] += windows[:, half:]
    return np.asarray(out.reshape(-1)[half : half + frames], np.float32)
