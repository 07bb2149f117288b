"""Instruments made of hits and notes. Their ranges overlap: some toms are kicks, some guitars are pianos."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float, float]

RATE_HZ = 44_100
LENGTH_S = 3.0
FRAMES = round(LENGTH_S * RATE_HZ)
TABLE = 2048
SCALE = (0, 2, 3, 5, 7, 8, 10, 12)
"""Semitones of a minor scale."""
SWEEP_S = 0.02


@dataclass(frozen=True)
class Hit:
    """A struck thing: a tone that falls to its pitch, and noise in a band; ranges are drawn from once a song."""

    pitch_hz: Range
    fall: Range
    decay_s: Range
    noise: Range
    noise_hz: Range
    noise_decay_s: Range
    beats: Range


@dataclass(frozen=True)
class Tone:
    """A played or sung thing: harmonics of `slope` dB an octave, formants, breath; `held` notes do not decay."""

    pitch_hz: Range
    slope_db: Range
    attack_s: Range
    decay_s: Range
    breath_db: Range
    voices: Range
    beats: Range
    held: bool = False
    odd: float = 0.0
    vibrato: float = 0.0
    formants_hz: tuple[Range, ...] = ()


SOURCES: dict[str, Hit | Tone] = {
    "kick": Hit((42, 78), (1.5, 4), (0.07, 0.35), (0.02, 0.25), (1500, 6000), (0.004, 0.02), (1, 2)),
    "snare": Hit((150, 270), (1, 1.5), (0.04, 0.2), (0.4, 1.2), (800, 9000), (0.05, 0.25), (0.5, 1)),
    "tom": Hit((85, 210), (1.1, 1.8), (0.12, 0.5), (0.05, 0.4), (600, 5000), (0.01, 0.06), (0.5, 1.5)),
    "floor tom": Hit((55, 115), (1.1, 1.8), (0.15, 0.6), (0.05, 0.3), (400, 4000), (0.01, 0.06), (0.5, 1)),
    "hi-hat": Hit((300, 500), (1, 1.2), (0.01, 0.03), (2, 6), (5000, 18000), (0.02, 0.15), (2, 4)),
    "percussion": Hit((180, 700), (1, 1.3), (0.03, 0.2), (0.1, 1), (1000, 9000), (0.01, 0.08), (1.5, 4)),
    "bass guitar": Tone((41, 80), (-16, -8), (0.003, 0.01), (0.3, 1.5), (-70, -50), (1, 1), (1, 2)),
    "double bass": Tone((41, 80), (-18, -9), (0.006, 0.025), (0.25, 0.9), (-60, -40), (1, 1), (0.5, 2)),
    "bass synth": Tone((38, 75), (-14, -5), (0.002, 0.02), (0.2, 1), (-90, -70), (1, 1), (1, 4), True, 0.4),
    "electric guitar": Tone((82, 220), (-11, -4), (0.002, 0.01), (0.4, 2), (-65, -45), (1, 4), (1, 4)),
    "acoustic guitar": Tone((82, 240), (-12, -5), (0.001, 0.005), (0.3, 1.2), (-60, -42), (1, 4), (1, 4)),
    "piano": Tone((65, 400), (-15, -7), (0.001, 0.006), (0.4, 2), (-75, -55), (2, 4), (0.5, 2)),
    "electric piano": Tone((90, 400), (-20, -10), (0.001, 0.008), (0.4, 1.8), (-80, -60), (2, 4), (0.5, 2)),
    "organ": Tone((65, 400), (-9, -4), (0.005, 0.03), (1, 2), (-70, -50), (2, 4), (0.25, 1), True, 0.3, 0.003),
    "synth": Tone((80, 500), (-12, -3), (0.003, 0.3), (0.3, 2), (-90, -60), (1, 4), (0.25, 4), True, 0.3, 0.002),
    "strings": Tone((130, 500), (-9, -5), (0.05, 0.3), (1, 2), (-55, -38), (1, 4), (0.25, 1), True, 0, 0.006),
    "brass": Tone((115, 450), (-9, -4), (0.02, 0.08), (0.5, 2), (-58, -42), (1, 2), (0.5, 2), True, 0, 0.004),
    "saxophone": Tone((110, 400), (-10, -5), (0.015, 0.06), (0.5, 2), (-52, -36), (1, 1), (0.5, 2), True, 0.5, 0.006),
    "flute": Tone((260, 900), (-20, -11), (0.03, 0.1), (0.5, 2), (-46, -30), (1, 1), (0.5, 2), True, 0, 0.008),
    "vocal": Tone(
        *((110, 330), (-12, -7), (0.03, 0.1), (0.5, 1.5), (-46, -32), (1, 1), (0.5, 2), True, 0, 0.01),
        ((400, 800), (1100, 1900), (2400, 3300)),
    ),
    "backing vocal": Tone(
        *((150, 400), (-13, -7), (0.04, 0.15), (0.5, 2), (-46, -32), (2, 4), (0.25, 1), True, 0, 0.008),
        ((400, 800), (1100, 1900), (2400, 3300)),
    ),
}  # fmt: skip
KIT = {
    "overhead": {"kick": 0.15, "snare": 0.5, "hi-hat": 1.0, "tom": 0.2},
    "room": {"kick": 0.8, "snare": 1.0, "hi-hat": 0.4, "tom": 0.5},
}
"""What is heard over a drum kit and in its room, and how loud."""


def between(rng: np.random.Generator, limits: Range) -> float:
    """Return a number of a range, as likely by factor where both ends are above 0."""
    low, high = limits
    if low > 0.0:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(rng.uniform(low, high))


def played(instrument: str, song: int, beat_s: float, rng: np.random.Generator) -> Floats:
    """Return 3 s of an instrument at 44.1 kHz, float64 `[FRAMES]`, peak 1.

    What the instrument is like is drawn from `song`, a seed; what is played on it from `rng`.
    """
    if instrument in KIT:
        parts = [level * played(name, song, beat_s, rng) for name, level in KIT[instrument].items()]
        made = np.sum(parts, axis=0)
    else:
        source = SOURCES[instrument]
        own = np.random.default_rng([song, *instrument.encode()])
        made = (
            _hits(source, beat_s, own, rng) if isinstance(source, Hit) else _notes(source, beat_s, own, rng)
        )
    return np.asarray(made / max(float(np.abs(made).max()), 1e-9))


def _onsets(beats: float, beat_s: float, rng: np.random.Generator) -> list[int]:
    step = beat_s / beats
    at = np.arange(rng.uniform(0.0, min(step, 0.2)), LENGTH_S - 0.1, step)
    kept = [s for s in at if rng.random() < 0.85] or [0.0]
    return [round((s + rng.uniform(0.0, 0.01)) * RATE_HZ) for s in kept]


def _hits(hit: Hit, beat_s: float, own: np.random.Generator, rng: np.random.Generator) -> Floats:
    pitch, fall, decay = between(own, hit.pitch_hz), between(own, hit.fall), between(own, hit.decay_s)
    noise, noise_decay = between(own, hit.noise), between(own, hit.noise_decay_s)
    low, high = hit.noise_hz[0] * own.uniform(0.7, 1.4), hit.noise_hz[1] * own.uniform(0.6, 1.1)
    beats = between(own, hit.beats)
    hz = np.fft.rfftfreq(FRAMES, 1.0 / RATE_HZ)
    shape = 1.0 / (1.0 + (low / np.maximum(hz, 1.0)) ** 4) / (1.0 + (hz / high) ** 4)
    hiss = np.fft.irfft(np.fft.rfft(rng.standard_normal(FRAMES)) * shape, FRAMES)
    hiss /= np.abs(hiss).max()
    t = np.arange(round(1.5 * RATE_HZ)) / RATE_HZ
    phase = 2.0 * np.pi * pitch * (t + (fall - 1.0) * SWEEP_S * (1.0 - np.exp(-t / SWEEP_S)))
    tone = np.sin(phase) * np.exp(-t / decay)
    burst = noise * np.exp(-t / noise_decay)
    made = np.zeros(FRAMES)
    for at in _onsets(beats, beat_s, rng):
        count = min(len(t), FRAMES - at)
        strength = rng.uniform(0.45, 1.0)
        made[at : at + count] += strength * (tone[:count] + burst[:count] * hiss[at : at + count])
    return made


def _notes(tone: Tone, beat_s: float, own: np.random.Generator, rng: np.random.Generator) -> Floats:
    pitch, slope = between(own, tone.pitch_hz), between(own, tone.slope_db)
    attack, decay = between(own, tone.attack_s), between(own, tone.decay_s)
    breath, beats = between(own, tone.breath_db), between(own, tone.beats)
    voices = round(between(own, tone.voices))
    bright, dull = _cycle(pitch, slope, tone.odd, own), _cycle(pitch, slope - 8.0, tone.odd, own)
    formants = [(between(own, limits), own.uniform(6.0, 14.0)) for limits in tone.formants_hz]
    made = np.zeros(FRAMES)
    step_s = beat_s / beats
    for at in _onsets(beats, beat_s, rng):
        count = min(FRAMES - at, round(RATE_HZ * (step_s * 0.95 if tone.held else 2.5 * decay)))
        t = np.arange(max(count, 64)) / RATE_HZ
        t = t[: FRAMES - at]
        envelope = np.minimum(1.0, t / attack)
        if tone.held:
            envelope *= np.minimum(1.0, (t[-1] - t) / 0.02 + 1e-3)
            fade = np.full(len(t), own.uniform(0.4, 0.9))
        else:
            envelope *= np.exp(-t / decay)
            fade = np.exp(-t / (0.35 * decay))
        for _ in range(voices):
            hz = pitch * 2.0 ** (SCALE[int(rng.integers(len(SCALE)))] / 12.0)
            wobble = tone.vibrato * np.sin(2.0 * np.pi * 5.5 * t + rng.uniform(0.0, 6.0)) / 5.5
            at_cycle = ((t * hz + hz * wobble + rng.random()) % 1.0) * TABLE
            index = at_cycle.astype(np.int64) % TABLE
            strength = rng.uniform(0.5, 1.0)
            made[at : at + len(t)] += (
                strength * envelope * (fade * bright[index] + (1.0 - fade) * dull[index])
            )
    made /= max(float(np.abs(made).max()), 1e-9)
    made += 10.0 ** (breath / 20.0) * rng.standard_normal(FRAMES) * (0.2 + np.abs(made))
    if formants:
        hz_axis = np.maximum(np.fft.rfftfreq(FRAMES, 1.0 / RATE_HZ), 1.0)
        gain = sum(db * np.exp(-0.5 * (np.log2(hz_axis / f) / 0.18) ** 2) for f, db in formants)
        made = np.fft.irfft(np.fft.rfft(made) * 10.0 ** (gain / 20.0), FRAMES)
    return made


def _cycle(pitch_hz: float, slope_db: float, odd: float, rng: np.random.Generator) -> Floats:
    """Return one cycle, float64 `[TABLE]`: harmonics up to 15 kHz of the highest note; `odd` weakens the even ones."""
    count = int(min(TABLE // 4, max(3, 7_500.0 / pitch_hz)))
    k = np.arange(1, count + 1)
    size = 10.0 ** (slope_db * np.log2(k) / 20.0) * rng.uniform(0.6, 1.4, count)
    size[1::2] *= 1.0 - odd
    spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
    spectrum[1 : count + 1] = size * np.exp(2j * np.pi * rng.random(count))
    cycle = np.fft.irfft(spectrum)
    return np.asarray(cycle / np.abs(cycle).max())
