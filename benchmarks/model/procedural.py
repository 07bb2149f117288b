"""Twelve families of sounds, computed: each with its physics in broad strokes, and every number drawn."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.model.clip import RATE, Clip, Floats, normalised
from engine.learn.bands import fast_length

Rng = np.random.Generator
Make = Callable[[Rng], Floats]

NOTES_HZ = 440.0 * 2.0 ** ((np.arange(128) - 69) / 12.0)


def clips(count: int, seed: int) -> Iterator[Clip]:
    """Yield `count` sounds of each of the families, each of a group of its own, and takes of the built-in library."""
    from dsp.synth import SOUNDS, synthesise

    for family, make in MAKERS.items():
        for k in range(count):
            rng = np.random.default_rng([seed, k, *family.encode()])
            yield Clip(family, f"procedural {family} {k}", normalised(make(rng)))
    for name in sorted(SOUNDS):
        for take in range(max(1, count // 12)):
            rng = np.random.default_rng([seed, take, *name.encode()])
            whole = synthesise(name, rate_hz=RATE, seed=seed + take).mean(axis=1, dtype=np.float64)
            length = round(RATE * rng.uniform(1.0, 6.0))
            start = int(rng.integers(0, max(1, len(whole) - length)))
            part = whole[start : start + length]
            if np.abs(part).max() > 1e-3:
                yield Clip("ambience", f"library {name}", normalised(part))


def _time(seconds: float) -> Floats:
    return np.arange(fast_length(max(64, round(seconds * RATE))), dtype=np.float64) / RATE


def _decay(t: Floats, rt_s: float) -> Floats:
    """Return an envelope that falls by 60 dB in `rt_s`."""
    return np.asarray(10.0 ** (-3.0 * t / rt_s))


def _noise(rng: Rng, frames: int, low_hz: float, high_hz: float, slope: float = 0.0) -> Floats:
    """Return noise of RMS 1 between two corners, its amplitude falling as frequency to the power of `slope`."""
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    hz = np.maximum(np.fft.rfftfreq(frames, 1.0 / RATE), 1.0)
    shape = hz**slope / np.sqrt((1.0 + (low_hz / hz) ** 6) * (1.0 + (hz / high_hz) ** 6))
    made = np.fft.irfft(spectrum * shape, frames)
    return np.asarray(made / max(float(np.sqrt(np.mean(made**2))), 1e-12))


def _partials(
    t: Floats,
    f0: Floats | float,
    levels: Floats,
    rng: Rng,
    rt_s: Floats | None = None,
    stretch: Floats | None = None,
) -> Floats:
    """Return partials 1, 2, … (or at the ratios of `stretch`), each with its level and its own decay."""
    phase = 2.0 * np.pi * np.cumsum(np.broadcast_to(f0, t.shape)) / RATE
    ratios = np.arange(1, len(levels) + 1) if stretch is None else stretch
    top = float(np.max(f0))
    made = np.zeros_like(t)
    for i, (level, ratio) in enumerate(zip(levels, ratios, strict=True)):
        if ratio * top < 0.45 * RATE:
            part = level * np.sin(ratio * phase + rng.uniform(0, 2 * np.pi))
            made += part if rt_s is None else part * _decay(t, rt_s[i])
    return made


def _attack(t: Floats, seconds: float) -> Floats:
    return np.minimum(1.0, t / max(seconds, 1e-4))


def _sustained(t: Floats, attack_s: float, release_s: float) -> Floats:
    return np.asarray(_attack(t, attack_s) * np.minimum(1.0, (t[-1] - t) / max(release_s, 1e-3)))


def _note(rng: Rng, low: int, high: int) -> float:
    return float(NOTES_HZ[int(rng.integers(low, high))])


def _kick(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.15, 0.8))
    low, sweep = rng.uniform(35, 75), rng.uniform(60, 400)
    f = low + sweep * np.exp(-t / rng.uniform(0.008, 0.04))
    body = np.sin(2 * np.pi * np.cumsum(f) / RATE) * _decay(t, rng.uniform(0.15, 0.9))
    click = _noise(rng, len(t), 800, rng.uniform(3000, 9000)) * _decay(t, rng.uniform(0.01, 0.06))
    return np.asarray(np.tanh(rng.uniform(0.7, 3.0) * body) + rng.uniform(0.0, 0.4) * click)


def _snare(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.15, 0.6))
    f0 = rng.uniform(140, 280)
    body = _partials(t, f0, np.array([1.0, 0.6]), rng, np.full(2, rng.uniform(0.1, 0.3)), np.array([1, 1.6]))
    wires = _noise(rng, len(t), rng.uniform(700, 2500), rng.uniform(7000, 16000))
    return np.asarray(
        rng.uniform(0.3, 1.2) * body + rng.uniform(0.3, 1.0) * wires * _decay(t, rng.uniform(0.12, 0.5))
    )


def _hat(rng: Rng) -> Floats:
    long = rng.random() < 0.45
    t = _time(rng.uniform(0.6, 3.0) if long else rng.uniform(0.05, 0.3))
    metal = np.sign(_partials(t, rng.uniform(250, 520), np.ones(6), rng, None, rng.uniform(1.0, 3.2, 6)))
    spectrum = np.fft.rfft(metal)
    hz = np.maximum(np.fft.rfftfreq(len(t), 1.0 / RATE), 1.0)
    metal = np.fft.irfft(spectrum / np.sqrt(1.0 + (rng.uniform(3000, 8000) / hz) ** 8), len(t))
    hiss = _noise(rng, len(t), rng.uniform(3500, 8000), rng.uniform(12000, 20000))
    decay_s = rng.uniform(0.8, 4.0) if long else rng.uniform(0.04, 0.4)
    return np.asarray((rng.uniform(0.0, 1.0) * metal + 0.4 * hiss) * _decay(t, decay_s))


def _percussion(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.15, 1.5))
    ratios = np.sort(np.concatenate(([1.0], rng.uniform(1.3, 5.0, 5))))
    f0 = rng.uniform(80, 900)
    bend = f0 * (1.0 + rng.uniform(0.0, 0.5) * np.exp(-t / 0.02))
    rt = rng.uniform(0.08, 1.2) / ratios ** float(rng.uniform(0.2, 1.0))
    body = _partials(
        t, bend, rng.uniform(0.1, 1.0, 6) / ratios ** float(rng.uniform(0.2, 1.5)), rng, rt, ratios
    )
    slap = _noise(rng, len(t), rng.uniform(200, 2000), rng.uniform(3000, 14000)) * _decay(
        t, rng.uniform(0.02, 0.2)
    )
    return np.asarray(body + rng.uniform(0.05, 0.9) * slap)


def _bass(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.4, 3.0))
    f0 = _note(rng, 24, 48)
    levels = 1.0 / np.arange(1.0, 25) ** float(rng.uniform(0.8, 2.2))
    if rng.random() < 0.5:
        rt = rng.uniform(1.0, 5.0) / np.arange(1.0, 25) ** float(rng.uniform(0.2, 0.8))
        return _partials(t, f0, levels, rng, rt) * _attack(t, rng.uniform(0.002, 0.01))
    corner = rng.uniform(150, 1500) / f0
    levels /= np.sqrt(1.0 + (np.arange(1.0, 25) / corner) ** 4)
    return np.asarray(
        np.tanh(rng.uniform(0.5, 2.5) * _partials(t, f0, levels, rng)) * _sustained(t, 0.005, 0.05)
    )


def _plucked(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.6, 4.0))
    f0, count = _note(rng, 40, 84), 30
    n = np.arange(1.0, count + 1)
    levels = np.abs(np.sin(np.pi * n * rng.uniform(0.08, 0.4))) / n ** float(rng.uniform(0.6, 1.8))
    rt = rng.uniform(0.8, 6.0) / (1.0 + rng.uniform(0.05, 0.3) * n)
    stretch = n * np.sqrt(1.0 + rng.uniform(0.0, 3e-4) * n**2)
    pick = _noise(rng, len(t), 1000, 9000) * _decay(t, 0.03)
    made = _partials(t, f0, levels, rng, rt, stretch) + rng.uniform(0.0, 0.2) * pick
    return np.asarray(np.tanh(rng.uniform(0.3, 6.0) * made) if rng.random() < 0.25 else made)


def _keys(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.6, 4.0))
    f0 = _note(rng, 36, 90)
    kind = rng.random()
    if kind < 0.45:  # struck strings
        n = np.arange(1.0, 26)
        levels = np.exp(-n / rng.uniform(2.0, 7.0)) * rng.uniform(0.5, 1.0, 25)
        rt = rng.uniform(1.5, 8.0) * (220.0 / f0) ** 0.3 / (1.0 + 0.15 * n)
        hammer = _noise(rng, len(t), 100, 3000) * _decay(t, 0.05)
        beats = _partials(t, f0 * (1 + rng.uniform(0, 8e-4)), levels, rng, rt)
        return np.asarray(_partials(t, f0, levels, rng, rt) + beats + 0.05 * hammer)
    if kind < 0.7:  # bars and tines
        ratios = np.array([1.0, rng.uniform(2.7, 4.1), rng.uniform(5.5, 10.5), rng.uniform(10, 18)])
        rt = rng.uniform(0.6, 5.0) / ratios**0.5
        return _partials(t, f0, np.array([1.0, 0.4, 0.15, 0.08]) * rng.uniform(0.3, 1.0, 4), rng, rt, ratios)
    levels = rng.uniform(0.0, 1.0, 9) ** 2  # drawbars
    return _partials(t, f0 / 2, levels, rng, None, np.array([1, 2, 3, 4, 6, 8, 10, 12, 16.0])) * _sustained(
        t, 0.01, 0.03
    )


def _chord(rng: Rng, t: Floats, levels: Floats, voices: int) -> Floats:
    root = int(rng.integers(40, 66))
    made = np.zeros_like(t)
    for step in rng.choice([0, 3, 4, 7, 10, 12, 14], voices, replace=False):
        for _ in range(3):
            detune = 2.0 ** (rng.normal(0.0, 6.0) / 1200.0)
            drift = 1.0 + 0.002 * np.sin(2 * np.pi * rng.uniform(0.1, 6.0) * t + rng.uniform(0, 6))
            made += _partials(t, NOTES_HZ[root + step] * detune * drift, levels, rng)
    return made


def _pad(rng: Rng) -> Floats:
    t = _time(rng.uniform(2.0, 5.0))
    n = np.arange(1.0, 17)
    levels = 1.0 / n ** float(rng.uniform(0.8, 2.0))
    voices = int(rng.integers(1, 5))
    return _chord(rng, t, levels, voices) * _sustained(t, rng.uniform(0.1, 1.2), rng.uniform(0.2, 1.0))


def _lead(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.4, 3.0))
    vibrato = 1.0 + rng.uniform(0.0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 7) * t)
    f0 = _note(rng, 50, 88) * vibrato
    n = np.arange(1.0, 33)
    levels = 1.0 / n if rng.random() < 0.6 else (n % 2) / n
    corner = rng.uniform(3, 25)
    levels = levels / np.sqrt(1.0 + (n / corner) ** 4)
    made = _partials(t, f0, levels, rng)
    if rng.random() < 0.5:
        made = made + _partials(t, f0 * 1.006, levels, rng)
    return np.asarray(made * _sustained(t, rng.uniform(0.003, 0.05), 0.05))


def _wind(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.5, 4.0))
    vibrato = 1.0 + rng.uniform(0.0, 0.008) * _attack(t, 0.8) * np.sin(2 * np.pi * rng.uniform(4, 6.5) * t)
    f0 = _note(rng, 46, 92) * vibrato
    n = np.arange(1.0, 25)
    levels = np.exp(-n / rng.uniform(0.7, 6.0))
    if rng.random() < 0.3:
        levels = levels * np.where(n % 2 == 0, rng.uniform(0.02, 0.3), 1.0)
    breath = _noise(rng, len(t), 400, rng.uniform(3000, 9000))
    made = _partials(t, f0, levels, rng) / max(float(levels.max()), 1e-6)
    envelope = _sustained(t, rng.uniform(0.03, 0.2), rng.uniform(0.05, 0.3))
    return np.asarray((made + rng.uniform(0.003, 0.15) * breath) * envelope)


def _voice(rng: Rng) -> Floats:
    t = _time(rng.uniform(0.5, 4.0))
    glide = np.interp(t, np.linspace(0, t[-1], 6), rng.uniform(0.85, 1.2, 6))
    f0 = rng.uniform(85, 420) * glide * (1.0 + 0.004 * np.sin(2 * np.pi * 5.5 * t))
    formants = [(rng.uniform(280, 850), 80), (rng.uniform(850, 2400), 110), (rng.uniform(2400, 3200), 180)]
    n = np.arange(1.0, 61)
    hz = n * float(np.mean(f0))
    gain = np.sum([1.0 / (1.0 + ((hz - c) / w) ** 2) for c, w in formants], axis=0)
    source = _partials(t, f0, gain / n**0.7, rng)
    syllables = np.clip(np.interp(t, np.linspace(0, t[-1], 14), rng.uniform(-0.3, 1.0, 14)), 0.0, 1.0)
    if rng.random() < 0.35:
        syllables = _sustained(t, 0.1, 0.2)
    sibilants = _noise(rng, len(t), 3500, 9000) * np.clip(0.3 - syllables, 0, 1)
    return np.asarray(source * syllables / max(np.abs(source).max(), 1e-9) + 0.15 * sibilants)


def _ambience(rng: Rng) -> Floats:
    t = _time(rng.uniform(2.0, 6.0))
    bed = _noise(
        rng, len(t), rng.uniform(20, 400), rng.uniform(1500, 16000), rng.uniform(-1.0, 0.0)
    ) * np.interp(t, np.linspace(0, t[-1], 8), rng.uniform(0.3, 1.0, 8))
    if rng.random() < 0.6:
        n = np.arange(1.0, 8)
        levels = rng.uniform(0.0, 1.0, 7) / n
        drone = _chord(rng, t, levels, int(rng.integers(1, 4)))
        bed = bed + rng.uniform(0.2, 3.0) * drone / max(float(np.abs(drone).max()), 1e-9)
    return np.asarray(bed * _sustained(t, rng.uniform(0.05, 1.0), rng.uniform(0.1, 1.0)))


MAKERS: dict[str, Make] = {
    "kick": _kick,
    "snare": _snare,
    "hat": _hat,
    "percussion": _percussion,
    "bass": _bass,
    "plucked": _plucked,
    "keys": _keys,
    "pad": _pad,
    "lead": _lead,
    "wind": _wind,
    "voice": _voice,
    "ambience": _ambience,
}
"""What makes a sound of each family."""
