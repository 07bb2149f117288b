"""Fire, and the kettle on it."""

import numpy as np

from dsp.synth.layers import (
    F32,
    bursts,
    drift,
    grid,
    log_uniform,
    modes,
    noise,
    scattered,
    silence,
    thinned,
    tone,
)
from dsp.synth.sound import Sound, in_turn


def fire(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A wood fire: lapping flames, hiss, crackles in volleys, and a pop now and then.

    Source: Farnell, "Designing Sound" (2010), "Fire" (lapping, hissing, crackling).
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    lapping = np.maximum(1.0 + 0.35 * drift(rng, duration_s, 0.13) + 0.2 * drift(rng, duration_s, 0.7), 0.4)
    noise(out, rate_hz, rng, 45.0, 190.0, 0.55 * lapping**1.5)
    noise(out, rate_hz, rng, 200.0, 700.0, 0.09 * lapping**1.5)
    noise(out, rate_hz, rng, 2500.0, 6000.0, 0.012 * lapping)
    volley = np.clip(0.15 + 0.35 * drift(rng, duration_s, 0.22), 0.04, 1.0)
    crackle_s = thinned(rng, scattered(rng, 90.0, duration_s), volley)
    count = crackle_s.size
    low_hz = log_uniform(rng, 900.0, 5500.0, count)
    bursts(
        out,
        rate_hz,
        rng,
        crackle_s,
        low_hz,
        rng.uniform(1.5, 3.0, count) * low_hz,
        log_uniform(rng, 0.0004, 0.003, count),
        1.3 * np.minimum(rng.lognormal(-1.2, 0.8, count), 0.9),
        pan=rng.uniform(-0.8, 0.8, count),
    )
    pop_s = scattered(rng, 0.9, duration_s)
    count = pop_s.size
    pan = rng.uniform(-0.6, 0.6, count)
    loud = rng.uniform(0.4, 1.0, count)
    bursts(out, rate_hz, rng, pop_s, 500.0, 5000.0, 0.004, 0.9 * loud, pan=pan)
    modes(out, rate_hz, pop_s, rng.uniform(180.0, 700.0, count), 0.012, 0.35 * loud, attack_s=0.0007, pan=pan)
    return out


def boiling_kettle(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """One kettle: simmering bubbles, rising steam, a whistle that climbs and holds, then off the fire.

    Source: Henrywood & Agarwal (2013): below a critical flow a Helmholtz tone, above it vortices whose
    frequency grows with the flow.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    at = grid(duration_s) / duration_s
    heat = np.interp(at, [0.0, 0.3, 0.55, 0.85, 1.0], [0.12, 0.35, 0.9, 1.0, 0.0])
    heat *= 1.0 + 0.03 * drift(rng, duration_s, 0.25)
    noise(out, rate_hz, rng, 250.0, 900.0, 0.02 + 0.05 * np.clip(heat, 0.0, 0.5))
    noise(out, rate_hz, rng, 3000.0, 8000.0, 0.03 * heat**2)
    bubble_s = thinned(rng, scattered(rng, 120.0, duration_s), np.clip(heat, 0.05, 1.0))
    count = bubble_s.size
    modes(
        out,
        rate_hz,
        bubble_s,
        log_uniform(rng, 180.0, 900.0, count),
        rng.uniform(0.008, 0.03, count),
        0.08 * rng.random(count) ** 2,
        attack_s=0.003,
    )
    flow = np.clip((heat - 0.32) / 0.6, 0.0, 1.2)
    breathy = 1.0 + 0.08 * drift(rng, duration_s, 0.03)
    freq_hz = 1500.0 + 1150.0 * flow + 5.0 * drift(rng, duration_s, 0.04)
    tone(out, rate_hz, freq_hz, 0.30 * flow**1.5 * breathy, partials=[1.0, 0.12, 0.05])
    tone(out, rate_hz, 1.19 * freq_hz, 0.10 * np.clip(flow - 0.35, 0.0, 1.0) * breathy, partials=[1.0, 0.1])
    noise(out, rate_hz, rng, freq_hz, freq_hz, 0.004 * flow, q=12.0)
    return out


SOUNDS = (
    Sound(
        "fire",
        ("campfire", "bonfire", "fireplace", "flame", "burning", "crackling fire", "hearth"),
        "A crackling wood fire",
        20.0,
        True,
        fire,
    ),
    Sound(
        "kettle",
        ("boiling", "boiling water", "tea kettle", "steam", "whistling kettle", "teapot"),
        "A kettle coming to the boil and whistling",
        14.0,
        False,
        in_turn(boiling_kettle, 14.0),
    ),
)
