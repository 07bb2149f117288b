"""Raw and mixed sounds whose settings are known, made with pedalboard: 31 peak filters, compressor, gain."""

from dataclasses import dataclass

import numpy as np
import pedalboard
from numpy.typing import NDArray

from engine.learn.bands import BANDS, CENTRES_HZ
from engine.learn.equaliser import Q

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]

RATE_HZ = 44_100
LENGTH_S = 4.0
GAP_S = 0.1
"""Between the repetitions of a sound that is shorter."""


@dataclass(frozen=True)
class Mix:
    """Settings as drawn."""

    eq_db: Floats
    threshold_db: float
    ratio: float
    attack_ms: float
    release_ms: float
    gain_db: float
    level_dbfs: float

    def applied(self, raw: Samples, rate_hz: float = RATE_HZ) -> Samples:
        """Return float32 `[frames, channels]` through pedalboard."""
        return _through([*self._filters(), self._compressor(), pedalboard.Gain(self.gain_db)], raw, rate_hz)

    def equalised(self, raw: Samples, rate_hz: float = RATE_HZ) -> Samples:
        """Return the sound through the equaliser alone."""
        return _through(self._filters(), raw, rate_hz)

    def compressed(self, equalised: Samples, rate_hz: float = RATE_HZ) -> Samples:
        """Return the equalised sound through the compressor, before the gain."""
        return _through([self._compressor()], equalised, rate_hz)

    def _filters(self) -> list[pedalboard.Plugin]:
        return [
            pedalboard.PeakFilter(float(hz), float(gain), Q)
            for hz, gain in zip(CENTRES_HZ, self.eq_db, strict=True)
        ]

    def _compressor(self) -> pedalboard.Plugin:
        return pedalboard.Compressor(self.threshold_db, self.ratio, self.attack_ms, self.release_ms)


def _through(plugins: list[pedalboard.Plugin], samples: Samples, rate_hz: float) -> Samples:
    board = pedalboard.Pedalboard(plugins)  # type: ignore[attr-defined]
    return np.ascontiguousarray(board(np.ascontiguousarray(samples.T), rate_hz, reset=True).T)


def draw(rng: np.random.Generator) -> Mix:
    """Draw a smooth equaliser of 2 to 5 bumps, up to 12 dB, and a compressor behind it."""
    octaves = np.log2(CENTRES_HZ)
    eq = np.zeros(BANDS)
    for _ in range(int(rng.integers(2, 6))):
        centre, width = rng.uniform(octaves[0], octaves[-1]), rng.uniform(0.5, 2.5)
        eq += rng.uniform(-12.0, 12.0) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    return Mix(
        np.clip(eq, -12.0, 12.0),
        float(rng.uniform(-45.0, -8.0)),
        float(np.exp(rng.uniform(np.log(1.2), np.log(10.0)))),
        float(np.exp(rng.uniform(np.log(0.5), np.log(150.0)))),
        float(np.exp(rng.uniform(np.log(20.0), np.log(1000.0)))),
        float(rng.uniform(-12.0, 12.0)),
        float(rng.uniform(-30.0, -14.0)),
    )


def looped(samples: Samples, rate_hz: float = RATE_HZ) -> Samples:
    """Return 4 s of float32 `[frames, channels]`: cut, or repeated with gaps of 0.1 s."""
    frames = round(LENGTH_S * rate_hz)
    if len(samples) < frames:
        gap = np.zeros((round(GAP_S * rate_hz), samples.shape[1]), np.float32)
        once = np.concatenate([samples, gap])
        samples = np.tile(once, (-(-frames // len(once)), 1))
    return samples[:frames]


def at_level(samples: Samples, level_dbfs: float) -> Samples:
    """Return the sound at an RMS level."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return np.ascontiguousarray(samples * (10.0 ** (level_dbfs / 20.0) / max(rms, 1e-9)), np.float32)


def procedural(rng: np.random.Generator, rate_hz: float = RATE_HZ) -> Samples:
    """Return 4 s of a made-up sound, mono: hits, notes, chords, a bed of noise or a swelling pad."""
    frames = round(LENGTH_S * rate_hz)
    t = np.arange(frames) / rate_hz
    made = np.zeros(frames)
    kind = rng.integers(5)
    if kind in (0, 1, 2):
        for at_s in np.cumsum(rng.exponential(rng.uniform(0.1, 0.6), 60)):
            if at_s >= LENGTH_S - 0.05:
                break
            since = t[round(at_s * rate_hz) :] - at_s
            decay_s = rng.uniform(0.02, 0.5)
            envelope = np.exp(-since / decay_s) * np.minimum(1.0, since / rng.uniform(0.0005, 0.01))
            if kind == 0:
                body = rng.standard_normal(len(since))
            else:
                pitch = rng.uniform(60.0, 800.0)
                body = sum(
                    np.sin(2.0 * np.pi * pitch * k * since) / k ** rng.uniform(0.5, 1.5)
                    for k in range(1, max(2, min(30, int(18_000 / pitch))))
                )
                body = body + rng.uniform(0.0, 0.1) * rng.standard_normal(len(since))
            made[len(made) - len(since) :] += rng.uniform(0.1, 1.0) * envelope * body
    else:
        spectrum = np.fft.rfft(rng.standard_normal(frames))
        hz = np.maximum(np.fft.rfftfreq(frames, 1.0 / rate_hz), 20.0)
        made = np.fft.irfft(spectrum * (hz / 1000.0) ** -rng.uniform(0.0, 1.2), frames)
        swell = rng.uniform(0.2, 3.0)
        made *= 1.0 + rng.uniform(0.3, 0.95) * np.sin(2.0 * np.pi * swell * t + rng.uniform(0.0, 6.0))
        if kind == 4:
            pulses = np.repeat(rng.uniform(0.05, 1.0, 1 + frames // 11_025), 11_025)[:frames]
            made *= pulses
    return np.asarray(made[:, None] / np.abs(made).max(), np.float32)
