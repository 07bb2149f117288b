"""Recordings whose reverberation is known: sounds of several kinds, in synthetic rooms, over a noise floor."""

import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dsp.synth import synthesise

Samples = NDArray[np.float64]

RATE_HZ = 24_000
GAP_S = 0.003
"""How long after the direct sound the tail begins."""
OCTAVES_HZ = (500.0, 1000.0, 2000.0, 4000.0)
LOUD_FRAME_S, LOUD_SHARE = 0.01, 0.95
PEAK = 0.5


def generator(*what: object) -> np.random.Generator:
    """Return the random numbers that belong to `what`."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def impacts(seed: int, duration_s: float) -> Samples:
    """Return blows of 2 to 12 ms, 0.5 s to 1.6 s apart."""
    rng = generator("impacts", seed)
    out = np.zeros(round(duration_s * RATE_HZ))
    at_s = 0.2
    frames = round(0.06 * RATE_HZ)
    hz = np.fft.rfftfreq(2 * frames, 1.0 / RATE_HZ)
    while at_s < duration_s - 0.5:
        decay = np.exp(-np.arange(frames) / RATE_HZ / rng.uniform(0.002, 0.012))
        blow = rng.standard_normal(frames) * decay * rng.uniform(0.3, 1.0)
        body = 1.0 + 2.0 / (1.0 + 1j * hz / rng.uniform(300.0, 1500.0))
        blow = np.fft.irfft(np.fft.rfft(blow, 2 * frames) * body)[:frames]
        _add(out, blow, at_s)
        at_s += rng.uniform(0.5, 1.6)
    return out


def speech(seed: int, duration_s: float) -> Samples:
    """Return syllables of pulses through formants and of noise, in phrases with pauses of 0.25 s to 0.8 s."""
    rng = generator("speech", seed)
    out = np.zeros(round(duration_s * RATE_HZ))
    pitch_hz = rng.uniform(90.0, 220.0)
    at_s = 0.15
    while at_s < duration_s - 0.6:
        for _ in range(rng.integers(2, 7)):
            length_s = rng.uniform(0.09, 0.26)
            _add(out, _syllable(rng, length_s, pitch_hz) * rng.uniform(0.3, 1.0), at_s)
            at_s += length_s + (rng.uniform(0.0, 0.05) if rng.random() < 0.6 else rng.uniform(0.05, 0.15))
        at_s += rng.uniform(0.25, 0.8)
    return out


def _syllable(rng: np.random.Generator, length_s: float, pitch_hz: float) -> Samples:
    frames = round(length_s * RATE_HZ)
    t = np.arange(frames) / RATE_HZ
    hz = np.fft.rfftfreq(2 * frames, 1.0 / RATE_HZ)
    if rng.random() < 0.75:
        bend = 1.0 + 0.12 * np.sin(3.0 * t / length_s + rng.uniform(0.0, 6.0))
        phase = np.cumsum(pitch_hz * bend) / RATE_HZ
        source = 0.02 * rng.standard_normal(frames)
        source[np.nonzero(np.diff(np.floor(phase)))[0]] += 1.0
        formants = ((rng.uniform(300, 800), 80.0), (rng.uniform(900, 2300), 120.0), (2800.0, 180.0))
        s = 1j * hz
        gain = sum(bw * s / (f * f + bw * s + s * s) for f, bw in formants)
    else:
        source = rng.standard_normal(frames)
        low_hz, high_hz = rng.uniform(1800, 3600), rng.uniform(6000, 10_000)
        gain = ((hz > low_hz) & (hz < high_hz)).astype(np.complex128)
    made = np.fft.irfft(np.fft.rfft(source, 2 * frames) * gain)[:frames]
    ends = np.minimum(t / 0.015, (length_s - t) / rng.uniform(0.01, 0.05))
    out: Samples = made / (np.sqrt(np.mean(made**2)) + 1e-9) * np.clip(ends, 0.0, 1.0)
    return out


def _add(out: Samples, part: Samples, at_s: float) -> None:
    at = round(at_s * RATE_HZ)
    frames = min(len(part), len(out) - at)
    if frames > 0:
        out[at : at + frames] += part[:frames]


def _noise(seed: int, duration_s: float) -> Samples:
    return generator("noise", seed).standard_normal(round(duration_s * RATE_HZ))


def _library(name: str) -> Callable[[int, float], Samples]:
    def make(seed: int, duration_s: float) -> Samples:
        made = synthesise(name, rate_hz=RATE_HZ, seed=seed, duration_s=duration_s)
        return np.asarray(made.mean(axis=1), np.float64)

    return make


SOURCES: dict[str, dict[str, Callable[[int, float], Samples]]] = {
    "impulsive": {"impacts": impacts}
    | {name: _library(name) for name in ("footsteps", "door", "clock", "keyboard", "drip")},
    "speech-like": {"speech": speech},
    "tonal": {name: _library(name) for name in ("bird", "bell")},
    "steady": {"noise": _noise}
    | {name: _library(name) for name in ("rain", "wind", "engine", "stream", "sea", "leaves")},
}
"""Kind → name → what makes `duration_s` of it, at `RATE_HZ`; the same seed makes the same."""


def response(rt60_s: float, drr_db: float, treble_ratio: float, rng: np.random.Generator) -> Samples:
    """Return the impulse response of a room: 1, and after `GAP_S` noise that dies away exponentially.

    The octave of 4 kHz lasts `treble_ratio` times that of 500 Hz; `rt60_s` is the mean of the logarithms of the four
    octaves from 500 Hz. `drr_db` is exact.
    """
    frames = round(RATE_HZ * max(rt60_s, 0.1) * 1.3 / math.sqrt(treble_ratio))
    t = np.arange(frames) / RATE_HZ
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    hz = np.fft.rfftfreq(frames, 1.0 / RATE_HZ)
    octave = np.clip(np.floor(np.log2(np.maximum(hz, 1.0) / OCTAVES_HZ[0]) + 0.5), 0, 3)
    tail = np.zeros(frames)
    for number in range(len(OCTAVES_HZ)):
        time_s = rt60_s * treble_ratio ** ((number - 1.5) / 3.0)
        tail += np.fft.irfft(np.where(octave == number, spectrum, 0.0), frames) * 10.0 ** (-3.0 * t / time_s)
    tail *= math.sqrt(10.0 ** (-0.1 * drr_db) / float(tail @ tail))
    return np.concatenate([[1.0], np.zeros(round(GAP_S * RATE_HZ) - 1), tail])


def convolved(sound: Samples, impulse: Samples) -> Samples:
    """Return `sound` in that room, as long as it was."""
    size = 1 << (len(sound) + len(impulse) - 2).bit_length()
    made: Samples = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(impulse, size), size)[: len(sound)]
    return made


def recorded(sound: Samples, floor_db: float, rng: np.random.Generator) -> Samples:
    """Return `sound` with white noise `floor_db` below the level of its loudest twentieth, at a peak of 0.5."""
    size = round(LOUD_FRAME_S * RATE_HZ)
    frames = sound[: len(sound) // size * size].reshape(-1, size)
    loud = float(np.quantile(np.sqrt(np.mean(frames**2, axis=1)), LOUD_SHARE))
    noisy = sound + rng.standard_normal(len(sound)) * loud * 10.0 ** (-0.05 * floor_db)
    return np.asarray(noisy * (PEAK / np.max(np.abs(noisy))), np.float64)
