"""Bell, clock, door and keyboard: things that are struck."""

import math

import numpy as np

from dsp.synth.layers import F32, bursts, log_uniform, modes, silence
from dsp.synth.sound import Sound, in_turn

BELL = (
    (0.5, 3.2, 0.55),
    (1.0, 2.1, 0.60),
    (1.2, 1.7, 0.75),
    (1.5, 1.2, 0.30),
    (2.0, 1.3, 1.00),
    (2.5, 0.8, 0.40),
    (2.67, 0.7, 0.35),
    (3.0, 0.65, 0.55),
    (4.0, 0.45, 0.45),
    (5.2, 0.30, 0.30),
    (6.4, 0.20, 0.22),
    (7.8, 0.14, 0.15),
)
"""Hum, prime, tierce, quint, nominal and above: (ratio to the prime, decay in s, level)."""


def bell(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A church bell: each partial is a pair that beats, the clapper's blow is heard first.

    Source: Fletcher & Rossing, "The Physics of Musical Instruments" (1998), ch. 21.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    prime_hz = 440.0 * 2.0 ** rng.uniform(-0.15, 0.15)
    ratio, decay_s, gain = np.array(BELL).T
    split_hz = rng.uniform(0.25, 0.9, ratio.size)
    for strike_s in np.arange(0.0, max(duration_s - 8.0, 0.01), 12.0):
        force = rng.uniform(0.9, 1.0)
        for side, share in ((-0.5, 0.62), (0.5, 0.38)):
            freq_hz = ratio * prime_hz + side * split_hz
            level = share * force * gain * rng.uniform(0.9, 1.1, ratio.size)
            modes(out, rate_hz, strike_s, freq_hz, decay_s, level, attack_s=0.0012)
        bursts(out, rate_hz, rng, strike_s, 1800.0, 6000.0, 0.006, 0.5 * force)
    return out


def clock(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A pendulum clock, two beats a second: the anchor's tick and its duller tock, in a wooden case.

    Source: Farnell, "Designing Sound" (2010), "Clocks": each beat is several impacts within some 20 ms.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    beat_s = np.arange(0.0, duration_s, 0.5)
    beat_s[1:] += 0.0005 * rng.standard_normal(beat_s.size - 1)
    tune = rng.uniform(0.93, 1.07)
    for odd, pitch, loud in ((0, 1.0, 1.0), (1, 0.76, 0.8)):
        here_s = beat_s[odd::2]
        level = loud * rng.uniform(0.9, 1.0, here_s.size)
        for lag_s, share in ((0.0, 1.0), (0.0065, 0.4), (0.018, 0.55)):
            for freq_hz, decay_s, gain in (
                (480.0, 0.016, 0.35),
                (960.0, 0.010, 0.40),
                (2250.0, 0.0055, 0.60),
                (3480.0, 0.0040, 0.55),
                (5300.0, 0.0024, 0.30),
            ):
                modes(
                    out,
                    rate_hz,
                    here_s + lag_s,
                    tune * pitch * freq_hz,
                    decay_s,
                    share * gain * level,
                    attack_s=0.0001,
                )
            bursts(out, rate_hz, rng, here_s + lag_s, 2000.0, 7000.0 * pitch, 0.0012, 0.8 * share * level)
    return out


def creaking_door(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """One door: the hinge creaks (stick and slip), the leaf thuds home, the latch snaps.

    Source: Farnell, "Designing Sound" (2010), "Creaking" (stick-slip pulses into the panel's resonances).
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    length_s = min(0.62 * duration_s, 2.2)
    panel = rng.uniform(0.92, 1.08)
    wobble = rng.uniform(0.0, 6.0)
    slip_s = [0.0]
    while slip_s[-1] < length_s:
        swing = slip_s[-1] / length_s
        uneven = 1.0 + 0.45 * math.sin(wobble + 11.0 * swing)
        rate_per_s = 25.0 + 170.0 * math.sin(math.pi * swing) ** 2 * uneven
        slip_s.append(slip_s[-1] + rng.uniform(0.93, 1.07) / rate_per_s)
    at_s = np.array(slip_s)
    part = np.minimum(at_s / length_s, 1.0)
    force = (0.25 + 0.75 * np.sin(math.pi * part) ** 0.7) * rng.uniform(0.6, 1.0, at_s.size)
    for freq_hz, decay_s, gain in (
        (340.0, 0.008, 0.25),
        (610.0, 0.009, 0.40),
        (1080.0, 0.008, 0.50),
        (1630.0, 0.006, 0.40),
        (2420.0, 0.004, 0.30),
        (3650.0, 0.003, 0.14),
    ):
        bend = panel * freq_hz * (1.0 + 0.12 * np.sin(math.pi * part))
        modes(out, rate_hz, at_s, bend, decay_s, 0.75 * gain * force, attack_s=0.0003)
    shut_s = length_s + min(0.18, 0.1 * duration_s)
    modes(
        out,
        rate_hz,
        shut_s,
        panel * np.array([58.0, 96.0, 143.0, 222.0, 390.0]),
        [0.11, 0.09, 0.07, 0.05, 0.03],
        [0.7, 0.8, 0.7, 0.5, 0.3],
        attack_s=0.002,
    )
    bursts(out, rate_hz, rng, shut_s, 120.0, 1300.0, 0.022, 1.6, attack_s=0.0006)
    latch_s = shut_s + np.array([-0.022, 0.028, 0.052])
    for snap_s, level in zip(latch_s, (0.45, 0.9, 0.5), strict=True):
        metal_hz = np.array([1850.0, 2700.0, 3900.0, 5600.0]) * rng.uniform(0.96, 1.04)
        modes(out, rate_hz, snap_s, metal_hz, [0.011, 0.009, 0.006, 0.004], 0.28 * level, attack_s=0.0002)
        bursts(out, rate_hz, rng, snap_s, 1500.0, 6500.0, 0.003, 0.9 * level)
    return out


def keyboard(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Typing: key down and key up, words and short pauses, the space bar duller than the rest.

    Source: Asonov & Agrawal (2004): a key is a touch, a hit about 10 ms on, and a release about 100 ms after.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    down: list[float] = []
    wide: list[float] = []
    now_s = 0.0
    while now_s < duration_s:
        letters = int(rng.integers(2, 9))
        for letter in range(letters + 1):
            down.append(now_s)
            wide.append(0.62 if letter == letters else rng.uniform(0.9, 1.1))
            now_s += float(np.clip(rng.lognormal(-1.95, 0.3), 0.06, 0.4))
        now_s += 0.12 * rng.random()
    down_s = np.array(down)
    size = np.array(wide)
    count = down_s.size
    force = rng.uniform(0.55, 1.0, count)
    for lag_s, share in ((0.0, 0.25), (0.011, 1.0), (0.095, 0.38)):
        at_s = down_s + lag_s * rng.uniform(0.85, 1.15, count)
        level = share * force
        bursts(
            out,
            rate_hz,
            rng,
            at_s,
            1700.0 * size,
            6500.0 * size,
            log_uniform(rng, 0.0015, 0.003, count),
            level,
        )
        for freq_hz, decay_s, gain in ((185.0, 0.010, 0.13), (1250.0, 0.004, 0.20), (2900.0, 0.003, 0.25)):
            modes(out, rate_hz, at_s, size * freq_hz, decay_s, gain * level, attack_s=0.0004)
    return out


SOUNDS = (
    Sound(
        "bell",
        ("church bell", "chime", "tower bell", "bell tower", "church"),
        "A church bell struck once",
        12.0,
        False,
        bell,
    ),
    Sound(
        "clock",
        ("tick", "ticking", "tick tock", "pendulum", "grandfather clock", "watch", "metronome"),
        "A pendulum clock, two beats a second",
        10.0,
        False,
        clock,
    ),
    Sound(
        "door",
        ("door creak", "creak", "creaking door", "door slam", "gate", "hinge"),
        "A door creaks, falls shut and latches",
        4.0,
        False,
        in_turn(creaking_door, 4.0),
    ),
    Sound(
        "keyboard",
        ("typing", "typist", "computer", "laptop", "computer keyboard", "office"),
        "Someone typing",
        15.0,
        True,
        keyboard,
    ),
)
