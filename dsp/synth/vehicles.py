"""Engine, car and train."""

import math

import numpy as np

from dsp.synth import kernels
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
    silence,
    tone,
)
from dsp.synth.sound import Sound, in_turn


def firings(rng: np.random.Generator, rate_per_s: F64, duration_s: float) -> F64:
    """Return the times at which the phase of a rate curve (per second, at `CONTROL_HZ`) passes integers."""
    phase = np.concatenate([[0.0], np.cumsum(rate_per_s) / CONTROL_HZ])
    at = np.arange(math.floor(phase[-1])) + np.clip(
        0.012 * rng.standard_normal(math.floor(phase[-1])), 0.0, 0.2
    )
    times: F64 = np.interp(at, phase, np.arange(phase.size) / CONTROL_HZ)
    return times[times < duration_s]


def engine(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """A parallel twin at 3600 rpm: 60 unequal firings a second ringing the exhaust, with valve gear on top.

    Source: Farnell, "Designing Sound" (2010), "Cars" (pulses, exhaust resonances, overlapping mechanical noise).
    """
    duration_s = frames / rate_hz
    out = silence(frames, 1)
    rate_per_s = 60.0 * (1.0 + 0.02 * drift(rng, duration_s, 0.6) + 0.005 * drift(rng, duration_s, 0.06))
    fire_s = firings(rng, rate_per_s, duration_s)
    count = fire_s.size
    odd = np.arange(count) % 2
    force = (1.0 - 0.22 * odd) * np.clip(1.0 + 0.10 * rng.standard_normal(count), 0.5, 1.5)
    for freq_hz, decay_s, gain in (
        (62.0, 0.014, 0.35),
        (118.0, 0.012, 0.42),
        (235.0, 0.008, 0.42),
        (480.0, 0.006, 0.35),
        (1130.0, 0.0040, 0.85),
        (1720.0, 0.0034, 0.85),
        (2450.0, 0.0028, 0.85),
        (3300.0, 0.0022, 0.65),
    ):
        split = 1.0 + 0.02 * odd
        modes(out, rate_hz, fire_s, freq_hz * split, decay_s, gain * force, attack_s=0.00015)
    bursts(out, rate_hz, rng, fire_s, 900.0, 3800.0, 0.0045, 0.9 * force, attack_s=0.0008)
    for lag, gain in ((0.31, 0.20), (0.68, 0.14)):
        tap_s = fire_s + lag / 60.0
        tap = gain * np.clip(1.0 + 0.25 * rng.standard_normal(count), 0.2, 2.0)
        modes(out, rate_hz, tap_s, 2900.0 + 350.0 * odd, 0.0016, tap)
        bursts(out, rate_hz, rng, tap_s, 2600.0, 6000.0, 0.0012, tap)
    noise(out, rate_hz, rng, 700.0, 2600.0, 0.035)
    return out


def car_passing(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """One car at 58 km/h, 5 m away: tyre roar, motor and gear whine, with Doppler and the road's reflection.

    Source: Sandberg & Ejsmont, "Tyre/Road Noise" (2002): tyre noise peaks at 0.7-1.3 kHz.
    """
    duration_s = frames / rate_hz
    lead_s = 0.5 + 8.0 * duration_s / 343.0
    long_s = duration_s + lead_s
    source = silence(frames + math.ceil(lead_s * rate_hz), 1)
    rough = 1.0 + 0.06 * drift(rng, long_s, 0.05)
    noise(source, rate_hz, rng, 550.0, 1300.0, 0.60 * rough)
    noise(source, rate_hz, rng, 120.0, 4000.0, 0.16 * rough)
    noise(source, rate_hz, rng, 40.0, 130.0, 0.20)
    rpm_hz = 82.0 * rng.uniform(0.9, 1.1) * (1.0 + 0.002 * drift(rng, long_s, 0.6))
    tone(source, rate_hz, rpm_hz, 0.055, partials=0.75 ** np.arange(10))
    tone(source, rate_hz, 0.5 * rpm_hz, 0.012, partials=0.8 ** np.arange(24))
    tone(source, rate_hz, 7.3 * rpm_hz, 0.035 * rough, partials=[1.0, 0.0, 0.3])
    out = silence(frames, 1)
    kernels.pass_by(source, out, rate_hz, lead_s, 0.5 * duration_s, 16.0, 5.0, 0.3)
    out *= np.sin(np.linspace(0.0, math.pi, frames, dtype=np.float32))[:, np.newaxis]
    return out


def train(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
    """Riding in a train over jointed rails: rumble, and two bogies' four wheels clacking at every joint.

    Source: Thompson, "Railway Noise and Vibration" (2009): impact at joints; 18 m rails at 80 km/h.
    """
    duration_s = frames / rate_hz
    out = silence(frames, 2)
    sway = np.maximum(1.0 + 0.2 * drift(rng, duration_s, 0.5) + 0.12 * drift(rng, duration_s, 0.08), 0.2)
    noise(out, rate_hz, rng, 35.0, 140.0, 0.45 * sway)
    noise(out, rate_hz, rng, 180.0, 650.0, 0.11 * sway)
    noise(out, rate_hz, rng, 900.0, 2600.0, 0.03 * sway**2)
    joint_s = regular(rng, 0.82, 0.008, duration_s + 1.6) - 0.82 * rng.random()
    for axle_s, pan, gain in ((0.0, -0.9, 1.0), (0.115, -0.8, 0.85), (0.33, 0.8, 0.7), (0.445, 0.9, 0.6)):
        hit_s = joint_s + axle_s
        hit_s = hit_s[(hit_s >= 0.0) & (hit_s < duration_s)]
        force = gain * rng.uniform(0.75, 1.1, hit_s.size)
        bursts(out, rate_hz, rng, hit_s, 150.0, 1500.0, 0.016, 0.85 * force, attack_s=0.001, pan=pan)
        bursts(out, rate_hz, rng, hit_s, 1200.0, 4500.0, 0.005, 0.35 * force, pan=pan)
        for freq_hz, decay_s, level in ((72.0, 0.06, 0.22), (190.0, 0.035, 0.30), (640.0, 0.02, 0.22)):
            modes(out, rate_hz, hit_s, freq_hz, decay_s, level * force, attack_s=0.002, pan=pan)
    flange = np.clip(drift(rng, duration_s, 0.8) - 1.2, 0.0, 1.0)
    squeal_hz = 2300.0 + 60.0 * drift(rng, duration_s, 0.2)[: grid(duration_s).size]
    noise(out, rate_hz, rng, squeal_hz, squeal_hz, 0.0015 * flange, q=14.0)
    return out


SOUNDS = (
    Sound(
        "engine",
        ("motorcycle", "motor", "motorbike", "generator", "moped", "chainsaw", "lawn mower", "lawnmower"),
        "A motorcycle engine running steadily",
        10.0,
        True,
        engine,
    ),
    Sound(
        "car",
        ("automobile", "traffic", "vehicle", "car pass", "road", "street", "truck", "bus", "taxi", "lorry"),
        "A car driving past",
        9.0,
        False,
        in_turn(car_passing, 9.0),
    ),
    Sound(
        "train",
        ("railway", "railroad", "tram", "subway", "metro", "locomotive", "rail"),
        "Inside a train on jointed rails",
        20.0,
        True,
        train,
    ),
)
