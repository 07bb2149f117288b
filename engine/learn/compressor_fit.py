"""The compressor that lies between two sounds: threshold, ratio, attack and release, from how the level was bent."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsp.identify_kernels import (
    CANDIDATES,
    FALLING,
    RISING,
    SLOPE,
    THRESHOLD,
    bend_levels,
    block_envelopes,
    block_levels,
    compress,
    divide_out,
    time_share,
)

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

BLOCK_S = 0.001
ACTIVE_DB = 50.0
"""Blocks within this of the loudest one count."""
HEARD_DB = -100.0

ATTACKS_MS = (0.4, 1.0, 2.5, 6.0, 15.0, 40.0, 100.0, 250.0)
RELEASES_MS = (8.0, 20.0, 45.0, 100.0, 220.0, 450.0, 900.0, 2000.0)
"""Where the search begins, in pedalboard's sense of the word ms."""

ATTACK_RANGE_MS = (0.05, 500.0)
RELEASE_RANGE_MS = (2.0, 5000.0)
LEAST_SLOPE, MOST_SLOPE = 0.0, 0.98
"""Of 1 - 1/ratio: ratio 1 to 50."""

STARTS = 3
STEPS = 25
MOST_REJECTED = 4
HUBER = 1.5
"""Residuals above this many standard deviations count for less."""
INDEPENDENT = 1.0 / 8.0
"""Neighbouring blocks tell nearly the same; this share of them counts in the uncertainties."""
LEAST_NOISE_DB = 0.005


@dataclass(frozen=True)
class Settings:
    """Of a compressor, in pedalboard's sense, and the gain behind it: dB, one a channel."""

    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    gains_db: tuple[float, ...]

    @property
    def slope(self) -> float:
        """1 - 1/ratio."""
        return 1.0 - 1.0 / self.ratio

    def applied(self, z: Samples, rate_hz: float) -> Samples:
        """Return what compressor and gain make of float32 `[frames, channels]`."""
        made = np.empty_like(z)
        compress(z, made, *self._numbers(rate_hz), np.zeros(z.shape[1], np.float32))
        return made * np.float32(10.0) ** (np.array(self.gains_db, np.float32) / np.float32(20.0))

    def taken_out(self, y: Samples, z: Samples, rate_hz: float) -> Samples:
        """Return what must have gone into compressor and gain to make y, if z is nearly that."""
        made = np.ascontiguousarray(y * 10.0 ** (-np.array(self.gains_db, np.float32) / 20.0), np.float32)
        divide_out(z, made, *self._numbers(rate_hz), 1.0)
        return made

    def _numbers(self, rate_hz: float) -> tuple[float, float, float, float]:
        rising, falling = time_share(self.attack_ms, rate_hz), time_share(self.release_ms, rate_hz)
        return rising, falling, 10.0 ** (self.threshold_db / 20.0), 1.0 / self.ratio - 1.0


@dataclass(frozen=True)
class Fit:
    """Settings, how far the levels are from theirs, and how certain they are.

    reductions_db   float64 `[active blocks]`, of all channels
    spreads         standard errors: threshold and gain in dB, ratio, attack and release in nepers (0.1 is about 10 %)
    """

    settings: Settings
    cost: float
    residual_db: float
    reductions_db: Floats
    spreads: dict[str, float]

    @property
    def reduction_db(self) -> float:
        """The gain reduction that 5 % of the active blocks exceed."""
        return float(np.percentile(self.reductions_db, 95.0)) if len(self.reductions_db) else 0.0


class State(NamedTuple):
    """How settings do: residuals in dB `[n]`, their slopes `[n, 4]` and weights `[n]`, and what is a channel's own.

    Shapes    gains (channels,); reductions (channels, blocks); centres (channels, 4): what was taken off the slopes
    """

    cost: float
    residuals: Floats
    slopes: Floats
    weights: Floats
    gains: Floats
    reductions: Floats
    centres: Floats


class CompressorFit:
    """Fits compressors to one processed sound y, float32 `[frames, channels]`, for sounds z that may have gone in.

    `usable`, bool `[frames]`, is False where y is clipped; `skip_frames` at the start are not judged.
    """

    def __init__(
        self, y: Samples, rate_hz: float, usable: NDArray[np.bool_] | None = None, skip_frames: int = 0
    ) -> None:
        self._rate_hz = rate_hz
        self._block = max(1, round(BLOCK_S * rate_hz))
        self._shape = (y.shape[1], len(y) // self._block)
        self._wanted_db = self._levels(y)
        self._heard = self._wanted_db > HEARD_DB
        if usable is not None:
            whole = usable[: self._shape[1] * self._block].reshape(-1, self._block)
            self._heard &= whole.all(axis=1)
        self._heard[:, : -(-skip_frames // self._block)] = False

    def _levels(self, x: Samples) -> Floats:
        levels = np.empty(self._shape)
        block_levels(x, self._block, levels)
        return levels

    def active(self, z: Samples, range_db: float = ACTIVE_DB) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the levels of z in dB `[channels, blocks]`, and where both sounds are loud enough to compare."""
        levels = self._levels(z)
        return levels, self._heard & (levels > levels.max() - range_db)

    def search(self, z: Samples, range_db: float = ACTIVE_DB) -> list[Settings]:
        """Return likely settings, best first: all pairs of times on a grid, each with its best threshold and ratio."""
        levels, active = self.active(z, range_db)
        if active.sum() < 10:
            return []
        change = np.where(active, self._wanted_db - levels, 0.0)
        gains = np.array(
            [np.median(row[on]) if on.any() else 0.0 for row, on in zip(change, active, strict=True)]
        )
        pairs = [(a, r) for a in ATTACKS_MS for r in RELEASES_MS]
        found: list[tuple[float, Settings]] = []
        envelopes = np.empty((CANDIDATES, *self._shape))
        for first in range(0, len(pairs), CANDIDATES):
            group = pairs[first : first + CANDIDATES]
            rising = np.array([time_share(a, self._rate_hz) for a, _ in group], np.float32)
            falling = np.array([time_share(r, self._rate_hz) for _, r in group], np.float32)
            block_envelopes(z, rising, falling, self._block, envelopes)
            for (attack_ms, release_ms), envelope in zip(group, envelopes, strict=True):
                cost, threshold_db, slope, offset = _hinge(
                    envelope[active], (change - (gains - gains.mean())[:, None])[active]
                )
                found.append(
                    (
                        cost,
                        Settings(
                            threshold_db,
                            1.0 / (1.0 - slope),
                            attack_ms,
                            release_ms,
                            tuple(float(g) for g in gains - gains.mean() + offset),
                        ),
                    )
                )
        return [settings for _, settings in sorted(found, key=lambda f: f[0])]

    def refine(
        self, z: Samples, start: Settings, steps: int = STEPS, stride: int = 1, gain: float = 1e-5
    ) -> Fit:
        """Return the best settings near `start`: damped Gauss-Newton on the levels of the blocks, outliers held back.

        It looks at every `stride`-th block and ends after `steps`, or when one makes less than `gain` of difference.
        """
        active = self.active(z)[1]
        active[:, np.arange(self._shape[1]) % stride > 0] = False
        wanted = np.where(active, self._wanted_db, 0.0)
        p = np.array(
            [
                min(start.slope, MOST_SLOPE),
                start.threshold_db * np.log(10.0) / 20.0,
                np.log(start.attack_ms),
                np.log(start.release_ms),
            ]
        )
        state = self._judge(z, p, wanted, active, stride)
        damping, rejected = 1e-3, 0
        for _ in range(steps):
            weights, rows, residuals = state.weights, state.slopes, state.residuals
            normal = rows.T @ (rows * weights[:, None])
            gradient = rows.T @ (weights * residuals)
            damped = normal + damping * np.diag(np.diag(normal) + 1e-9)
            move = np.linalg.solve(damped + 1e-9 * np.eye(4), gradient)
            moved = _bounded(p + np.clip(move, -0.7, 0.7))
            tried = self._judge(z, moved, wanted, active, stride)
            if tried.cost < state.cost:
                small = tried.cost > state.cost * (1.0 - gain)
                p, state, damping = moved, tried, max(damping * 0.2, 1e-7)
                if small:
                    break
            else:
                damping *= 20.0
                rejected += 1
                if rejected > MOST_REJECTED:
                    break
        return self._fit(p, state, active)

    def _judge(self, z: Samples, p: Floats, wanted: Floats, active: NDArray[np.bool_], stride: int) -> State:
        """Return how settings do."""
        rising, falling = time_share(np.exp(p[2]), self._rate_hz), time_share(np.exp(p[3]), self._rate_hz)
        levels, reductions = np.zeros(self._shape), np.zeros(self._shape)
        bends = np.zeros((*self._shape, 4))
        bend_levels(z, rising, falling, p[1], p[0], self._block, stride, levels, bends, reductions)
        bends[..., RISING] *= -rising * np.log(max(rising, 1e-300))
        bends[..., FALLING] *= -falling * np.log(max(falling, 1e-300))
        rows = bends[..., [SLOPE, THRESHOLD, RISING, FALLING]]
        residual = wanted - levels
        gains = np.zeros(self._shape[0])
        parts, slopes, weights, centres = [], [], [], np.zeros((self._shape[0], 4))
        for lane, on in enumerate(active):
            if not on.any():
                continue
            r, b = residual[lane, on], rows[lane, on]
            gains[lane] = _centre(r)
            off = r - gains[lane]
            scale = max(1.4826 * float(np.median(np.abs(off))), 0.02)
            w = 1.0 / np.maximum(1.0, np.abs(off) / (HUBER * scale))
            total = w.sum()
            parts.append(off - (w @ off) / total)
            centres[lane] = (w @ b) / total
            slopes.append(b - centres[lane])
            weights.append(w)
        off = np.concatenate(parts)
        cost = float(np.mean(np.minimum(np.abs(off), 12.0))) + 1e-4 * abs(float(p[0]))
        return State(cost, off, np.concatenate(slopes), np.concatenate(weights), gains, reductions, centres)

    def _fit(
        self,
        p: Floats,
        state: State,
        active: NDArray[np.bool_],
    ) -> Fit:
        cost, residuals, rows, weights, gains, reductions, centres = state
        noise = max(LEAST_NOISE_DB, float(np.sqrt(np.mean(weights * residuals**2))))
        normal = rows.T @ (rows * weights[:, None]) * INDEPENDENT + 1e-9 * np.eye(4)
        covariance = noise**2 * np.linalg.inv(normal)
        errors = np.sqrt(np.diag(covariance))
        by_settings = max(float(c @ covariance @ c) for c in centres)
        slope = float(p[0])
        spreads = {
            "threshold_db": float(errors[1]) * 20.0 / np.log(10.0),
            "ratio": float(errors[0]) / max(1.0 - slope, 0.02),
            "attack_ms": float(errors[2]),
            "release_ms": float(errors[3]),
            "gain_db": float(np.sqrt(by_settings + noise**2 / max(1.0, len(rows) * INDEPENDENT))),
        }
        settings = Settings(
            float(p[1] * 20.0 / np.log(10.0)),
            1.0 / (1.0 - slope),
            float(np.exp(p[2])),
            float(np.exp(p[3])),
            tuple(float(g) for g in gains),
        )
        return Fit(settings, cost, float(np.median(np.abs(residuals))), reductions[active], spreads)


def _bounded(p: Floats) -> Floats:
    (a, b), (c, d) = ATTACK_RANGE_MS, RELEASE_RANGE_MS
    low = (LEAST_SLOPE, -9.0, np.log(a), np.log(c))
    return np.clip(p, low, (MOST_SLOPE, 2.0, np.log(b), np.log(d)))


def _centre(values: Floats) -> float:
    """Return the mean of the values near their median."""
    middle = float(np.median(values))
    off = np.abs(values - middle)
    near = off <= max(4.0 * 1.4826 * float(np.median(off)), 0.05)
    return float(values[near].mean())


def _hinge(envelope_db: Floats, change_db: Floats) -> tuple[float, float, float, float]:
    """Return cost, threshold, slope and offset of the best line with one bend: offset - slope max(0, e - threshold).

    All thresholds at once, by sums over the sorted envelope; the cost is the mean absolute error.
    """
    order = np.argsort(envelope_db)
    e, d = envelope_db[order], np.clip(change_db[order], -60.0, 60.0)
    n = len(e)
    cuts = np.unique(np.linspace(0, n - 10, 60).astype(int))
    tail = [np.concatenate((np.cumsum(v[::-1])[::-1], [0.0]))[cuts] for v in (np.ones(n), e, e * e, d, e * d)]
    ones, se, see, sd, sed = tail
    t = e[cuts]
    h, hh, hd = se - t * ones, see - 2.0 * t * se + t * t * ones, sed - t * sd
    mean_d = d.mean()
    variance = hh - h * h / n
    slope = np.clip(-(hd - h * mean_d) / np.maximum(variance, 1e-9), 0.0, 0.97)
    offset = mean_d + slope * h / n
    errors = (
        (d @ d)
        - 2 * offset * d.sum()
        + 2 * slope * hd
        + n * offset**2
        - 2 * offset * slope * h
        + slope**2 * hh
    )
    best = int(np.argmin(errors))
    left = d - offset[best] + slope[best] * np.maximum(0.0, e - t[best])
    left -= np.median(left)
    return float(np.mean(np.abs(left))), float(t[best]), float(slope[best]), float(offset[best])
