"""Rain, wind, thunder and leaves."""

import numpy as np

from dsp.synth.layers import (
    CONTROL_HZ,
    F32,
    F64,
    bursts,
    drift,
    grid,
    log_uniform,
    modes,
    noise,
    scattered,
    silence,
    thinned,
    wide,
)
from dsp.synth.sound import Sound, in_turn


def rain(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Steady rain: a bed of far drops, near drops on hard ground, and bubbles in puddles.

    Source: Farnell, "Designing Sound" (2010), "Rain"; Minnaert (1933) for the pitch of a puddle's bubble.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    shower = 1.0 + 0.07 * drift(rng, duration_s, 3.0)
    noise(out, rate_hz, rng, 1500.0, 9000.0, 0.10 * shower)
    noise(out, rate_hz, rng, 250.0, 900.0, 0.06 * shower)
    drops_s = scattered(rng, 700.0, duration_s)
    count = drops_s.size
    size = np.minimum(rng.lognormal(-1.0, 0.7, count), 1.4)
    low_hz = log_uniform(rng, 900.0, 6000.0, count) / (0.6 + size)
    bursts(
        out,
        rate_hz,
        rng,
        drops_s,
        low_hz,
        low_hz * rng.uniform(2.0, 4.0, count),
        log_uniform(rng, 0.0008, 0.005, count),
        0.75 * size,
        attack_s=0.0002,
        pan=wide(rng, count),
    )
    puddle_s = scattered(rng, 90.0, duration_s)
    count = puddle_s.size
    freq_hz = log_uniform(rng, 1200.0, 7000.0, count)
    modes(
        out,
        rate_hz,
        puddle_s,
        freq_hz,
        12.0 / freq_hz,
        0.16 * np.minimum(rng.lognormal(-0.6, 0.6, count), 1.6),
        attack_s=1.0 / freq_hz,
        slope_per_s=rng.uniform(0.0, 12.0, count),
        pan=wide(rng, count),
    )
    return out


def gusts(rng: np.random.Generator, duration_s: float) -> F64:
    """Draw a wind speed curve around 1, from 0.5 to 1.9, at `CONTROL_HZ`: squalls, gusts and flutter."""
    slow = (
        drift(rng, duration_s, 2.6) + 0.5 * drift(rng, duration_s, 0.9) + 0.25 * drift(rng, duration_s, 0.3)
    )
    speed: F64 = np.clip(np.exp(0.27 * slow), 0.5, 1.9)
    return speed


def wind(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Wind around a house: broad gusts whose pitch follows their speed, and whistling from two gaps.

    Source: Farnell, "Designing Sound" (2010), "Wind" (gust, squall and resonant gaps driven by one wind speed).
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    speed = gusts(rng, duration_s)
    for channel in range(2):
        side = silence(frames, 1)
        here = speed * (1.0 + 0.12 * drift(rng, duration_s, 0.7))
        here = np.maximum(here, 0.1)
        noise(side, rate_hz, rng, 60.0, 160.0 * here, 0.4 * here)
        centre_hz = 330.0 * here**0.7
        noise(side, rate_hz, rng, 0.8 * centre_hz, 1.25 * centre_hz, 0.4 * here**1.5, q=1.3)
        for gap_hz, threshold in ((520.0, 0.7), (840.0, 1.0)):
            whistle_hz = gap_hz * (1.0 + 0.2 * (here - 1.0) + 0.01 * drift(rng, duration_s, 0.15))
            level = 0.011 * np.maximum(here - threshold, 0.0)
            noise(side, rate_hz, rng, whistle_hz, whistle_hz, level, q=13.0)
        noise(side, rate_hz, rng, 1200.0, 3500.0, 0.012 * here**2)
        out[:, channel] = side[:, 0]
    return out


def clap_of_thunder(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """One clap: a torn crack, then the roll of ever more distant parts of the channel.

    Source: Ribner & Roy (1982), a tortuous channel heard piece by piece; Farnell, "Designing Sound" (2010), "Thunder".
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    stroke_s = np.concatenate([[0.0], np.sort(rng.exponential(0.16, 25))])
    count = stroke_s.size
    bursts(
        out,
        rate_hz,
        rng,
        stroke_s,
        log_uniform(rng, 50.0, 400.0, count),
        3800.0 * np.exp(-stroke_s / 0.3) + 200.0,
        rng.uniform(0.012, 0.05, count),
        2.1 * np.exp(-stroke_s / 0.22) * rng.uniform(0.4, 1.0, count),
        attack_s=0.001,
    )
    lump_s = np.cumsum(rng.exponential(0.16, 70))
    count = lump_s.size
    bursts(
        out,
        rate_hz,
        rng,
        lump_s,
        rng.uniform(18.0, 45.0, count),
        60.0 + 200.0 * np.exp(-lump_s / 3.0) * rng.uniform(0.5, 1.2, count),
        rng.uniform(0.12, 0.5, count),
        6.5 * np.exp(-lump_s / 3.8) * np.minimum(rng.lognormal(-0.4, 0.7, count), 2.0),
        attack_s=rng.uniform(0.02, 0.09, count),
    )
    t = grid(duration_s)
    roll = np.exp(-t / 3.4) * (1.0 - np.exp(-t / 0.25)) * np.exp(0.6 * drift(rng, duration_s, 0.45))
    noise(out, rate_hz, rng, 25.0, 55.0 + 90.0 * np.exp(-t / 3.0), 2.8 * roll)
    return out


def leaves(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Leaves stirred by a breeze: thousands of dry touches whose number follows the wind.

    Source: Cook (1997), PhISEM: collisions as a random process whose rate is the shaking's energy.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    speed = gusts(rng, duration_s) / 1.9
    noise(out, rate_hz, rng, 2500.0, 5500.0, 0.07 * speed**1.4)
    noise(out, rate_hz, rng, 500.0, 1500.0, 0.02 * speed)
    for channel in range(2):
        near = np.clip(speed * (1.0 + 0.35 * drift(rng, duration_s, 0.12)), 0.02, 1.0)
        touch_s = thinned(rng, scattered(rng, 1400.0, duration_s), near**1.4)
        count = touch_s.size
        low_hz = log_uniform(rng, 1800.0, 6000.0, count)
        force = np.interp(touch_s * CONTROL_HZ, np.arange(near.size), near)
        bursts(
            out,
            rate_hz,
            rng,
            touch_s,
            low_hz,
            1.8 * low_hz,
            log_uniform(rng, 0.001, 0.007, count),
            (0.25 + force) * np.minimum(rng.lognormal(-1.2, 0.7, count), 1.0),
            attack_s=0.0005,
            pan=np.clip(rng.uniform(-2.5, 0.5, count), -1.0, 1.0) * (1.0 - 2.0 * channel),
        )
    return out


SOUNDS = (
    Sound(
        "rain",
        ("rainfall", "drizzle", "downpour", "shower", "rain shower", "heavy rain", "raindrop"),
        "Steady rain on hard ground and puddles",
        20.0,
        True,
        rain,
    ),
    Sound(
        "wind",
        ("breeze", "gale", "gust", "storm wind", "windy", "draught"),
        "Wind around a house, gusting and whistling",
        30.0,
        True,
        wind,
    ),
    Sound(
        "thunder",
        ("thunderclap", "lightning", "thunderstorm", "thunder clap", "storm"),
        "A near crack and its long roll",
        12.0,
        False,
        in_turn(clap_of_thunder, 12.0),
    ),
    Sound(
        "leaves",
        ("leaf", "foliage", "tree", "rustle", "rustling", "forest"),
        "Leaves rustling in a breeze",
        20.0,
        True,
        leaves,
    ),
)
