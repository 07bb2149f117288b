"""What a sound is made of: random curves and event times, and the kernels with arrays of the right type."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dsp.synth import kernels

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CONTROL_HZ = 200.0
"""Points per second of the curves that `drift` makes; fast enough for syllables and flames."""


def silence(frames: int, channels: int) -> F32:
    """Return a buffer of nothing to add layers to."""
    return np.zeros((frames, channels), np.float32)


def seed(rng: np.random.Generator) -> np.uint64:
    """Draw the seed of one kernel's noise (never 0, where xorshift stands still)."""
    return np.uint64(rng.integers(1, 2**63))


def log_uniform(rng: np.random.Generator, low: float, high: float, count: int) -> F64:
    """Draw `count` values that are uniform in log between `low` and `high`."""
    values: F64 = np.exp(rng.uniform(math.log(low), math.log(high), count))
    return values


def wide(rng: np.random.Generator, count: int) -> F64:
    """Draw pan positions, -1 left to 1 right, half of them in the middle and half at the far sides."""
    pan: F64 = np.clip(rng.uniform(-2.0, 2.0, count), -1.0, 1.0)
    return pan


def scattered(rng: np.random.Generator, per_s: float, duration_s: float) -> F64:
    """Draw the sorted times of a Poisson process, at least one event, in seconds."""
    return np.sort(rng.uniform(0.0, duration_s, max(1, rng.poisson(per_s * duration_s))))


def thinned(rng: np.random.Generator, times_s: F64, chance: F64) -> F64:
    """Keep each time with the chance (0..1) of a curve at `CONTROL_HZ`; the first is always kept."""
    kept = rng.random(times_s.size) < np.interp(times_s * CONTROL_HZ, np.arange(chance.size), chance)
    kept[:1] = True
    return times_s[kept]


def regular(rng: np.random.Generator, period_s: float, jitter: float, duration_s: float) -> F64:
    """Return times from 0 on whose spacing is `period_s` with a relative standard deviation of `jitter`."""
    count = math.ceil(duration_s / period_s) + 1
    gaps = period_s * np.clip(1.0 + jitter * rng.standard_normal(count), 0.3, 3.0)
    times: F64 = np.cumsum(gaps) - gaps[0]
    return times[: max(1, int(np.searchsorted(times, duration_s)))]


def grid(duration_s: float, control_hz: float = CONTROL_HZ) -> F64:
    """Return the times of a curve's points, in seconds, from 0 to just past `duration_s`."""
    return np.arange(math.ceil(duration_s * control_hz) + 2) / control_hz


def drift(rng: np.random.Generator, duration_s: float, period_s: float) -> F64:
    """Return a smooth random curve at `CONTROL_HZ`: mean 0, variance about 1, one knot every `period_s`."""
    at = grid(duration_s) / period_s + rng.random()
    knots = rng.standard_normal(int(at[-1]) + 2)
    index = at.astype(np.int64)
    part = at - index
    part *= part * (3.0 - 2.0 * part)
    curve: F64 = (knots[index] * (1.0 - part) + knots[index + 1] * part) * 1.16
    return curve


def noise(
    out: F32,
    rate_hz: float,
    rng: np.random.Generator,
    low_hz: ArrayLike,
    high_hz: ArrayLike,
    gain: ArrayLike,
    *,
    q: float = 0.7,
) -> None:
    """Add a band of noise to every channel, a different one to each; 12 dB per octave beyond the corners."""
    for channel in range(out.shape[1]):
        low, high, level = _curve(low_hz), _curve(high_hz), _curve(gain)
        kernels.noise(out, channel, seed(rng), rate_hz, CONTROL_HZ, low, high, level, q)


def modes(
    out: F32,
    rate_hz: float,
    start_s: ArrayLike,
    freq_hz: ArrayLike,
    decay_s: ArrayLike,
    gain: ArrayLike,
    *,
    attack_s: ArrayLike = 0.0,
    slope_per_s: ArrayLike = 0.0,
    pan: ArrayLike = 0.0,
) -> None:
    """Add one damped sinusoid per event; the arguments are broadcast against each other."""
    start, freq, slope, decay, attack, level, place = _events(
        start_s, freq_hz, slope_per_s, decay_s, attack_s, gain, pan
    )
    sides = _panned(level, place, out.shape[1])
    kernels.modes(out, rate_hz, start, freq, slope, decay, attack, sides)


def bursts(
    out: F32,
    rate_hz: float,
    rng: np.random.Generator,
    start_s: ArrayLike,
    low_hz: ArrayLike,
    high_hz: ArrayLike,
    decay_s: ArrayLike,
    gain: ArrayLike,
    *,
    attack_s: ArrayLike = 0.0,
    pan: ArrayLike = 0.0,
) -> None:
    """Add one burst of noise per event; the arguments are broadcast against each other."""
    start, low, high, decay, attack, level, place = _events(
        start_s, low_hz, high_hz, decay_s, attack_s, gain, pan
    )
    sides = _panned(level, place, out.shape[1])
    kernels.bursts(out, seed(rng), rate_hz, start, low, high, decay, attack, sides)


def tone(
    out: F32,
    rate_hz: float,
    freq_hz: ArrayLike,
    gain: ArrayLike,
    *,
    partials: ArrayLike = 1.0,
    pan: float = 0.0,
    control_hz: float = CONTROL_HZ,
) -> None:
    """Add a harmonic tone whose frequency and level follow curves at `control_hz`."""
    sides = _panned(np.ones(1), np.array([pan]), out.shape[1])[0]
    kernels.tone(out, rate_hz, control_hz, _curve(freq_hz), _curve(gain), _curve(partials), sides)


def voice(
    out: F32,
    rate_hz: float,
    rng: np.random.Generator,
    pitch_hz: ArrayLike,
    gain: ArrayLike,
    breath: ArrayLike,
    formant_hz: F64,
    bandwidth_hz: F64,
    *,
    pan: float = 0.0,
) -> None:
    """Add a voice: pitch, level and breath are curves, the formants a curve each (formants, points)."""
    sides = _panned(np.ones(1), np.array([pan]), out.shape[1])[0]
    pitch, level, hiss = _curve(pitch_hz), _curve(gain), _curve(breath)
    formants = np.ascontiguousarray(formant_hz, np.float64)
    kernels.voice(out, seed(rng), rate_hz, CONTROL_HZ, pitch, level, hiss, formants, bandwidth_hz, sides)


def _curve(value: ArrayLike) -> F64:
    return np.ascontiguousarray(np.atleast_1d(np.asarray(value, np.float64)))


def _events(*values: ArrayLike) -> list[F64]:
    arrays: list[Any] = [np.asarray(value, np.float64) for value in values]
    return [np.ascontiguousarray(array.reshape(-1)) for array in np.broadcast_arrays(*arrays)]


def _panned(gain: F64, pan: F64, channels: int) -> F64:
    if channels == 1:
        return np.ascontiguousarray(gain[:, np.newaxis])
    angle = (pan + 1.0) * (math.pi / 4.0)
    return np.ascontiguousarray(np.stack([np.cos(angle), np.sin(angle)], axis=1) * gain[:, np.newaxis])
