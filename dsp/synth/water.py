"""Stream, sea and drips: water is heard through its bubbles."""

import numpy as np

from dsp.synth.layers import (
    CONTROL_HZ,
    F32,
    F64,
    bursts,
    drift,
    grid,
    modes,
    noise,
    regular,
    scattered,
    silence,
    thinned,
)
from dsp.synth.sound import Sound


def bubbles(
    out: F32,
    rate_hz: int,
    rng: np.random.Generator,
    start_s: F64,
    radius_mm: F64,
    gain: F64,
    *,
    rising: float,
    pan: F64,
) -> None:
    """Add bubbles that ring at 3 / r Hz (r in m) and rise in pitch as they near the surface.

    Source: van den Doel (2005): decay d = 0.13 / r + 0.0072 r^-1.5 per second, slope 0.3 to 1 times rising d.
    """
    radius_m = 1e-3 * radius_mm
    loss_per_s = 0.13 / radius_m + 0.0072 * radius_m**-1.5
    modes(
        out,
        rate_hz,
        start_s,
        3.0 / radius_m,
        1.0 / loss_per_s,
        gain,
        attack_s=0.08 / loss_per_s,
        slope_per_s=rising * loss_per_s * rng.uniform(0.3, 1.0, start_s.size),
        pan=pan,
    )


def stream(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A brook over stones: clusters of bubbles at several places, and the hiss of a small fall.

    Source: van den Doel (2005): radii by a power law, the number of bubbles by the local turbulence.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    noise(out, rate_hz, rng, 900.0, 5000.0, 0.022 * (1.0 + 0.15 * drift(rng, duration_s, 0.4)))
    noise(out, rate_hz, rng, 90.0, 350.0, 0.03 * np.maximum(1.0 + 0.4 * drift(rng, duration_s, 0.2), 0.1))
    for place in (-1.0, -0.8, 0.0, 0.7, 1.0):
        flow = np.clip(
            0.4 + 0.3 * drift(rng, duration_s, 0.11) + 0.15 * drift(rng, duration_s, 0.9), 0.02, 1.0
        )
        start_s = thinned(rng, scattered(rng, 320.0, duration_s), flow)
        count = start_s.size
        radius_mm = 0.45 * (1.0 - 0.985 * rng.random(count)) ** -0.72
        bubbles(
            out,
            rate_hz,
            rng,
            start_s,
            radius_mm,
            0.05 * radius_mm**0.45 * rng.random(count) ** 2,
            rising=0.2,
            pan=np.clip(place + 0.1 * rng.standard_normal(count), -1.0, 1.0),
        )
    return out


def swell(duration_s: float, wave_s: F64, height: F64, rise_s: float, fall_s: float) -> F64:
    """Return the sum of one asymmetric hump per wave at `CONTROL_HZ`; `wave_s` are the times of breaking."""
    t = grid(duration_s)
    curve = np.zeros(t.size)
    for at_s, high in zip(wave_s, height, strict=True):
        begin = max(0, int((at_s - 4.0 * rise_s) * CONTROL_HZ))
        end = max(0, int((at_s + 7.0 * fall_s) * CONTROL_HZ))
        lag = t[begin:end] - at_s
        curve[begin:end] += high * np.where(lag < 0.0, np.exp(-((lag / rise_s) ** 2)), np.exp(-lag / fall_s))
    return curve


def sea(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Waves on a sandy beach every ten seconds: roar as each breaks, and the fizz of its foam running back.

    Source: Deane (1997), sound generation and air entrainment by breaking waves in the surf zone.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    wave_s = regular(rng, 10.0, 0.05, duration_s + 30.0) - rng.uniform(5.0, 15.0)
    height = rng.uniform(0.7, 1.0, wave_s.size)
    for channel in range(2):
        side = silence(frames, 1)
        here_s = wave_s + rng.uniform(-0.35, 0.35, wave_s.size)
        rough = 1.0 + 0.12 * drift(rng, duration_s, 0.3)
        breaking = swell(duration_s, here_s, height, 1.5, 1.5)
        backwash = swell(duration_s, here_s + 2.2, height, 1.3, 1.8)
        noise(
            side,
            rate_hz,
            rng,
            35.0,
            180.0,
            0.10 + 0.5 * swell(duration_s, here_s - 0.5, height, 1.7, 1.3) * rough,
        )
        noise(side, rate_hz, rng, 150.0, 350.0 + 3800.0 * breaking**1.5, (0.03 + 0.42 * breaking) * rough)
        noise(
            side, rate_hz, rng, 2200.0, 5500.0 + 2000.0 * breaking, 0.002 + 0.035 * backwash + 0.06 * breaking
        )
        fizz_s = thinned(rng, scattered(rng, 900.0, duration_s), np.clip(0.02 + backwash, 0.0, 1.0))
        count = fizz_s.size
        low_hz = rng.uniform(2500.0, 6000.0, count)
        bursts(side, rate_hz, rng, fizz_s, low_hz, 2.0 * low_hz, 0.0015, 0.25 * rng.random(count) ** 3)
        out[:, channel] = side[:, 0]
    return out


def drip(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Single drops into a basin: the tick of the impact, then one bubble whose pitch runs up.

    Source: van den Doel (2005); Leighton, "The Acoustic Bubble" (1994), for impact before bubble by ~20 ms.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    drop_s = regular(rng, 1.1, 0.25, duration_s)
    count = drop_s.size
    bursts(out, rate_hz, rng, drop_s, 2500.0, 7000.0, 0.0012, 0.35 * rng.uniform(0.5, 1.0, count))
    for _ in range(2):
        late_s = rng.uniform(0.012, 0.03, count)
        bubbles(
            out,
            rate_hz,
            rng,
            drop_s + late_s,
            rng.uniform(1.8, 4.0, count),
            rng.uniform(0.3, 1.0, count),
            rising=0.3,
            pan=np.zeros(count),
        )
    return out


SOUNDS = (
    Sound(
        "stream",
        ("brook", "creek", "river", "running water", "water", "fountain", "waterfall"),
        "A brook over stones",
        20.0,
        True,
        stream,
    ),
    Sound(
        "sea",
        ("ocean", "wave", "surf", "beach", "shore", "seaside", "sea wave"),
        "Waves breaking on a sandy beach",
        60.0,
        True,
        sea,
    ),
    Sound(
        "drip",
        ("dripping", "drop", "water drop", "tap", "faucet", "cave"),
        "Single drops falling into a basin",
        8.0,
        False,
        drip,
    ),
)
