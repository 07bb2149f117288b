"""Variants of a sound as it may have been recorded: another tilt, room, noise, length and level."""

import numpy as np

from benchmarks.model.clip import RATE, Clip, Floats, normalised
from engine.learn.bands import fast_length

MOST_FRAMES = 6 * RATE


def variants(clip: Clip, count: int, seed: int) -> list[Clip]:
    """Return the clip as it is and `count` variants of it, of its family and group."""
    rng = np.random.default_rng([seed, *f"{clip.group} {clip.family} {len(clip.samples)}".encode()])
    made = [clip._replace(samples=clip.samples[:MOST_FRAMES])]
    for _ in range(count):
        x = clip.samples[:MOST_FRAMES, 0].astype(np.float64)
        if rng.random() < 0.5:
            x = _resampled(x, 2.0 ** rng.uniform(-0.5, 0.5))
        x = _coloured(x, rng)
        if rng.random() < 0.35:
            x = _in_room(x, rng)
        if rng.random() < 0.3:
            x = np.tanh(x / max(np.abs(x).max(), 1e-9) * rng.uniform(0.5, 3.0))
        if rng.random() < 0.3 and len(x) > RATE // 2:
            x = x[: int(len(x) * rng.uniform(0.4, 1.0))].copy()
            x[-200:] *= np.linspace(1.0, 0.0, 200)
        power = np.mean(x**2)
        x = x + rng.standard_normal(len(x)) * np.sqrt(power * 10.0 ** rng.uniform(-8.0, -4.0))
        made.append(clip._replace(samples=normalised(x, rng.uniform(-18.0, 0.0))))
    return made


def _resampled(x: Floats, rate: float) -> Floats:
    at = np.arange(0, len(x) - 1, rate)
    return np.asarray(np.interp(at, np.arange(len(x)), x))


def _coloured(x: Floats, rng: np.random.Generator) -> Floats:
    length = fast_length(len(x))
    hz = np.maximum(np.fft.rfftfreq(length, 1.0 / RATE), 10.0)
    tilt_db = rng.normal(0.0, 1.2) * np.log2(hz / 1000.0)
    at_hz = np.geomspace(30.0, 18000.0, 8)
    shape_db = np.interp(np.log(hz), np.log(at_hz), rng.normal(0.0, 3.0, 8))
    gain = 10.0 ** ((tilt_db + shape_db) / 20.0)
    if rng.random() < 0.3:
        gain /= np.sqrt(1.0 + (hz / rng.uniform(4000, 15000)) ** 6)
    return np.asarray(np.fft.irfft(np.fft.rfft(x, length) * gain, length)[: len(x)])


def _in_room(x: Floats, rng: np.random.Generator) -> Floats:
    rt_s = rng.uniform(0.2, 1.8)
    tail = rng.standard_normal(round(rt_s * RATE)) * 10.0 ** (
        -3.0 * np.arange(round(rt_s * RATE)) / RATE / rt_s
    )
    tail *= 10.0 ** (-rng.uniform(3.0, 15.0) / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    length = fast_length(len(x) + len(tail))
    made = np.fft.irfft(np.fft.rfft(x, length) * np.fft.rfft(tail, length), length)
    return np.asarray(made[: len(x) + len(tail)])
