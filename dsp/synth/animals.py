"""Bird, crickets and frog."""

import math

import numpy as np

from dsp.synth.layers import F32, F64, log_uniform, modes, noise, regular, silence, tone
from dsp.synth.sound import Sound

SONG_HZ = 2000.0
"""Points per second of a song's curves: a bird's trill is far faster than `CONTROL_HZ` can follow."""


def bird(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A songbird: phrases of one motif of whistled sweeps, repeated, then another; a trill ends some.

    Source: Catchpole & Slater, "Bird Song" (2008): elements, syllables, phrases; Farnell (2010), "Birds".
    """
    duration_s = frames / rate_hz
    size = math.ceil(duration_s * SONG_HZ) + 2
    freq_hz = np.full(size, 3000.0)
    gain = np.zeros(size)
    now_s = 0.0
    while now_s < duration_s:
        home_hz = float(log_uniform(rng, 2800.0, 4600.0, 1)[0])
        elements = [
            (
                rng.uniform(0.05, 0.17),
                home_hz * 2.0 ** rng.uniform(-0.35, 0.45),
                home_hz * 2.0 ** rng.uniform(-0.35, 0.45),
                rng.uniform(-0.5, 0.5),
                rng.uniform(0.5, 1.0),
            )
            for _ in range(rng.integers(1, 4))
        ]
        gap_s = rng.uniform(0.03, 0.08)
        for _ in range(rng.integers(2, 6)):
            for length_s, from_hz, to_hz, bow, level in elements:
                _whistle(freq_hz, gain, now_s, length_s, from_hz, to_hz, bow, level)
                now_s += length_s + gap_s
        if rng.random() < 0.6:
            for _ in range(rng.integers(8, 16)):
                _whistle(freq_hz, gain, now_s, 0.032, 1.35 * home_hz, 0.95 * home_hz, 0.0, 0.7)
                now_s += 0.047
        now_s += rng.uniform(0.5, 1.1)
    out = silence(frames, 1)
    tone(out, rate_hz, freq_hz, gain, partials=[1.0, 0.06, 0.015], control_hz=SONG_HZ)
    return out


def _whistle(
    freq_hz: F64,
    gain: F64,
    start_s: float,
    length_s: float,
    from_hz: float,
    to_hz: float,
    bow: float,
    level: float,
) -> None:
    begin = int(start_s * SONG_HZ)
    size = min(int(length_s * SONG_HZ), freq_hz.size - 1 - begin)
    if size <= 0:
        return
    part = np.arange(size) / (length_s * SONG_HZ)
    arch = np.sin(math.pi * part)
    glide = from_hz * (to_hz / from_hz) ** part * 2.0 ** (bow * arch)
    freq_hz[begin : begin + size] = np.clip(glide, 2000.0, 7000.0)
    gain[begin : begin + size] = level * arch**0.7


def crickets(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Field crickets on a warm night: five near ones chirping in threes and fours, and a far chorus.

    Source: Bennet-Clark (1989): the wing's resonance near 4.5 kHz, one pulse per closing of the wings.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    noise(out, rate_hz, rng, 4400.0, 4600.0, 0.0012, q=8.0)
    for pan, level in ((-0.85, 1.0), (0.8, 0.85), (0.0, 0.32), (1.0, 0.3), (-0.3, 0.2)):
        size = math.ceil(duration_s * SONG_HZ) + 2
        gain = np.zeros(size)
        pulse_s = rng.uniform(0.030, 0.036)
        length = int(0.6 * pulse_s * SONG_HZ)
        part = (np.arange(length) + 0.5) / length
        pulse = level * np.sin(math.pi * part) ** 0.8
        chirp_s = regular(rng, rng.uniform(0.33, 0.46), 0.05, duration_s + 1.0) - rng.random()
        count = 4 if rng.random() < 0.5 else 3
        for begin_s in chirp_s:
            for k in range(count):
                begin = int((begin_s + k * pulse_s) * SONG_HZ)
                if 0 <= begin < size - length - 1:
                    gain[begin : begin + length] += pulse * (0.55 + 0.45 * k / (count - 1))
        home_hz = rng.uniform(4250.0, 4850.0)
        sag_hz = home_hz * (1.0 + 0.012 * (gain / level - 0.5))
        tone(out, rate_hz, sag_hz, gain, partials=[1.0, 0.05, 0.02], pan=pan, control_hz=SONG_HZ)
    return out


def frog(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A tree frog: two-part croaks, each a train of pulses through the vocal sac, the second part rising.

    Source: Gerhardt & Huber, "Acoustic Communication in Insects and Anurans" (2002): pulsed calls.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    home_hz = rng.uniform(0.92, 1.08)
    for call_s in regular(rng, 0.85, 0.12, duration_s):
        loud = rng.uniform(0.75, 1.0)
        for begin_s, length_s, low_hz, bend in ((0.0, 0.13, 880.0, 0.0), (0.17, 0.2, 1050.0, 0.35)):
            pulse_s = np.arange(0.0, length_s, 0.0125)
            count = pulse_s.size
            pulse_s = pulse_s + 0.0006 * rng.standard_normal(count)
            part = np.arange(count) / count
            arch = loud * np.sin(math.pi * (part + 0.5 / count)) ** 0.6
            sweep = home_hz * (1.0 + bend * part)
            at_s = np.maximum(call_s + begin_s + pulse_s, 0.0)
            for ratio, decay_s, gain in (
                (0.5, 0.008, 0.25),
                (1.0, 0.0065, 1.0),
                (2.1, 0.004, 0.55),
                (3.2, 0.003, 0.2),
            ):
                modes(out, rate_hz, at_s, ratio * low_hz * sweep, decay_s, gain * arch, attack_s=0.0007)
    return out


SOUNDS = (
    Sound(
        "bird",
        ("birdsong", "bird song", "songbird", "chirping", "blackbird", "robin", "nightingale", "warbler"),
        "A songbird's phrases",
        8.0,
        False,
        bird,
    ),
    Sound(
        "crickets",
        ("cricket", "insect", "cicada", "grasshopper", "night"),
        "Field crickets on a warm night",
        20.0,
        True,
        crickets,
    ),
    Sound(
        "frog",
        ("toad", "croak", "croaking", "tree frog", "pond"),
        "A tree frog calling",
        6.0,
        False,
        frog,
    ),
)
