"""Footsteps, babble and applause."""

import numpy as np

from dsp.synth.layers import F32, F64, bursts, grid, log_uniform, modes, noise, regular, silence, voice, wide
from dsp.synth.sound import Sound

VOWELS_HZ = np.array(
    [
        [270.0, 2290.0, 3010.0],
        [390.0, 1990.0, 2550.0],
        [530.0, 1840.0, 2480.0],
        [660.0, 1720.0, 2410.0],
        [730.0, 1090.0, 2440.0],
        [570.0, 840.0, 2410.0],
        [440.0, 1020.0, 2240.0],
        [300.0, 870.0, 2240.0],
        [640.0, 1190.0, 2390.0],
        [490.0, 1350.0, 1690.0],
    ]
)
"""First three formants of ten vowels, men's averages: Peterson & Barney (1952), table II."""

UPPER_HZ = (3500.0, 4500.0)
BANDWIDTH_HZ = np.array([90.0, 100.0, 130.0, 200.0, 250.0])
"""Of the three formants of `VOWELS_HZ` and the two of `UPPER_HZ`, which do not move."""


def footsteps(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Walking in shoes on a gritty pavement: heel, roll of grit, toe; left and right are not quite alike.

    Source: Cook, "Modeling Bill's gait" (2002); Farnell, "Designing Sound" (2010), "Footsteps".
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    heel_s = regular(rng, 0.54, 0.03, duration_s)
    for index, at_s in enumerate(heel_s):
        side = 1.0 + 0.07 * (index % 2)
        force = rng.uniform(0.8, 1.0)
        toe_s = at_s + rng.uniform(0.095, 0.125)
        modes(
            out,
            rate_hz,
            at_s,
            side * np.array([92.0, 168.0, 410.0, 930.0, 1750.0]),
            [0.022, 0.018, 0.010, 0.006, 0.003],
            force * np.array([0.30, 0.30, 0.26, 0.24, 0.16]),
            attack_s=0.001,
        )
        bursts(out, rate_hz, rng, at_s, 350.0 * side, 2600.0, 0.007, 1.5 * force, attack_s=0.0003)
        modes(
            out, rate_hz, toe_s, side * np.array([130.0, 300.0]), [0.02, 0.011], 0.14 * force, attack_s=0.003
        )
        bursts(out, rate_hz, rng, toe_s, 700.0, 3800.0 * side, 0.014, 0.75 * force, attack_s=0.003)
        count = int(rng.integers(18, 34))
        grit_s = np.concatenate(
            [at_s + rng.uniform(0.005, 0.1, count // 2), toe_s + rng.uniform(0.0, 0.09, count - count // 2)]
        )
        low_hz = log_uniform(rng, 1500.0, 5000.0, count)
        level = 0.55 * force * rng.random(count) ** 2
        bursts(out, rate_hz, rng, grit_s, low_hz, 2.0 * low_hz, log_uniform(rng, 0.0006, 0.003, count), level)
    return out


def _talk(out: F32, rate_hz: int, rng: np.random.Generator, pan: float, level: float) -> None:
    """Add one talker: syllables of about 0.22 s in phrases of about 2 s, pitch falling over each phrase."""
    duration_s = out.shape[0] / rate_hz
    woman = rng.random() < 0.5
    home_hz = rng.uniform(180.0, 235.0) if woman else rng.uniform(95.0, 135.0)
    tract = rng.uniform(1.12, 1.2) if woman else rng.uniform(0.96, 1.04)
    pace_s = rng.uniform(0.20, 0.245)
    at_s: list[float] = []
    pitch: list[float] = []
    loud: list[float] = []
    formants: list[F64] = []
    hiss_s: list[float] = []
    now_s = -rng.uniform(0.0, 2.0)
    while now_s < duration_s + 1.0:
        syllables = int(rng.integers(5, 14))
        for index in range(syllables):
            length_s = pace_s * rng.uniform(0.7, 1.35) * (1.35 if index == syllables - 1 else 1.0)
            stress = rng.uniform(0.45, 1.0)
            vowel = VOWELS_HZ[rng.integers(VOWELS_HZ.shape[0])] * tract
            glide = VOWELS_HZ[rng.integers(VOWELS_HZ.shape[0])] * tract
            onset = np.array([300.0, rng.uniform(900.0, 2100.0), 2400.0]) * tract
            fall = 1.15 - 0.32 * index / syllables + 0.35 * (stress - 0.7)
            for part, weight, shape in (
                (0.0, 0.0, onset),
                (0.22, 0.85, 0.3 * onset + 0.7 * vowel),
                (0.5, 1.0, vowel),
                (0.78, 0.5, 0.6 * vowel + 0.4 * glide),
                (0.95, 0.0, 0.5 * vowel + 0.5 * onset),
            ):
                at_s.append(now_s + part * length_s)
                pitch.append(home_hz * fall * (1.0 + 0.06 * stress * weight))
                loud.append(weight * stress)
                formants.append(shape)
            if rng.random() < 0.45:
                hiss_s.append(now_s - 0.03)
            now_s += length_s
        now_s += rng.uniform(0.25, 0.9)
    t = grid(duration_s)
    table = np.array(formants)
    gain = np.interp(t, at_s, loud)
    curves = np.empty((5, t.size))
    for row in range(3):
        curves[row] = np.interp(t, at_s, table[:, row])
    curves[3:] = np.array(UPPER_HZ)[:, np.newaxis] * tract
    voice(
        out,
        rate_hz,
        rng,
        np.interp(t, at_s, pitch),
        level * gain,
        0.04 * level * gain,
        curves,
        BANDWIDTH_HZ,
        pan=pan,
    )
    start_s = np.array([at for at in hiss_s if 0.0 <= at < duration_s - 0.05])
    count = start_s.size
    low_hz = rng.uniform(2800.0, 5200.0, count)
    bursts(
        out,
        rate_hz,
        rng,
        start_s,
        low_hz,
        1.7 * low_hz,
        rng.uniform(0.015, 0.035, count),
        2.5 * level * rng.uniform(0.3, 1.0, count),
        attack_s=rng.uniform(0.002, 0.015, count),
        pan=pan,
    )


def babble(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """People talking in a room: two near talkers, four further off, no words to be made out.

    Source: Klatt & Klatt (1990) for the voices; Greenberg (2003), syllables of about 200 ms.
    """
    out = silence(frames, 2)
    for pan, level in ((-0.75, 1.0), (0.7, 0.9), (-1.0, 0.35), (1.0, 0.35), (0.1, 0.25), (-0.2, 0.2)):
        _talk(out, rate_hz, rng, pan, level)
    noise(out, rate_hz, rng, 150.0, 900.0, 0.004)
    return out


def applause(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Sixty people clapping, each at their own pace and with their own hands.

    Source: Peltola et al. (2007): a clap is a few ms of noise around 0.5-2 kHz; about 4 a second.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    for _ in range(60):
        near = 0.15 + 0.6 * rng.random()
        clap_s = regular(rng, rng.uniform(0.2, 0.32), 0.07, duration_s + 0.4) - 0.4 * rng.random()
        clap_s = clap_s[(clap_s >= 0.0) & (clap_s < duration_s)]
        count = clap_s.size
        centre_hz = float(log_uniform(rng, 700.0, 2200.0, 1)[0])
        bursts(
            out,
            rate_hz,
            rng,
            clap_s,
            0.75 * centre_hz,
            1.9 * centre_hz * (1.0 + near),
            rng.uniform(0.003, 0.006) * rng.uniform(0.8, 1.2, count),
            (0.12 + 0.5 * near) * rng.uniform(0.6, 1.0, count),
            attack_s=0.0004,
            pan=wide(rng, 1),
        )
    noise(out, rate_hz, rng, 600.0, 2500.0, 0.02)
    return out


SOUNDS = (
    Sound(
        "footsteps",
        ("footstep", "step", "walking", "walk", "walker", "foot", "shoe"),
        "Someone walking on a gritty pavement",
        8.0,
        False,
        footsteps,
    ),
    Sound(
        "babble",
        (
            "speech",
            "crowd",
            "people",
            "talking",
            "conversation",
            "voice",
            "chatter",
            "cafe",
            "person",
            "talker",
        ),
        "People talking in a room, no words to be made out",
        20.0,
        True,
        babble,
    ),
    Sound(
        "applause",
        ("clapping", "clap", "ovation", "audience"),
        "Sixty people clapping",
        15.0,
        True,
        applause,
    ),
)
