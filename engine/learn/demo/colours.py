"""How a sound is picked up: what a dynamic or condenser microphone, a DI box or a computer makes of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.learn.bands import fast_length
from engine.learn.demo.catalogue import CONDENSER, DI, DIGITAL, DYNAMIC
from engine.learn.demo.instruments import FRAMES, RATE_HZ, Range, between

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Colour:
    """Of one kind of equipment. All ranges in dB or Hz; a piece is drawn from them once a song.

    bumps       (Hz, octaves, dB): bumps of its response
    low, high   where it begins and ends to hear
    bleed, air  how loud the other tracks and the room are
    level       RMS of what it delivers, in dBFS
    """

    bumps: tuple[tuple[float, float, Range], ...]
    low_hz: Range
    high_hz: Range
    bleed_db: Range
    air_db: Range
    noise_db: Range
    hum_db: Range
    level_db: Range
    drive: Range


COLOURS = {
    DYNAMIC: Colour(
        *(((5000.0, 0.7, (1.0, 6.0)), (160.0, 1.0, (0.0, 5.0))), (40, 90), (11_000, 16_000)),
        *((-44, -26), (-32, -16), (-78, -62), (-95, -80), (-30, -16), (0.2, 1.5)),
    ),
    CONDENSER: Colour(
        *(((10_000.0, 0.8, (-1.0, 5.0)), (300.0, 1.5, (-2.0, 2.0))), (15, 45), (17_000, 22_000)),
        *((-36, -18), (-24, -8), (-80, -66), (-100, -85), (-32, -18), (0.05, 0.4)),
    ),
    DI: Colour(
        *(((2500.0, 1.0, (-3.0, 3.0)), (80.0, 1.0, (-1.0, 3.0))), (8, 20), (14_000, 22_000)),
        *((-120, -110), (-120, -110), (-88, -68), (-80, -58), (-28, -12), (0.05, 0.8)),
    ),
    DIGITAL: Colour(
        *(((8000.0, 1.0, (-2.0, 3.0)),), (5, 15), (13_000, 21_000)),
        *((-120, -110), (-50, -18), (-110, -92), (-140, -130), (-22, -12), (0.02, 1.0)),
    ),
}


@dataclass(frozen=True)
class Place:
    """Where a song was recorded: how long its room rings, what its desk does, what all tracks sound like together."""

    seed: int
    room: Floats
    desk_db: float
    together: Floats


def make_place(seed: int, together: Floats) -> Place:
    """Return the place of a song; `together` is the sum of all its tracks, float64 `[FRAMES]`."""
    rng = np.random.default_rng([seed, 77])
    rt60_s = float(rng.uniform(0.25, 1.2))
    t = np.arange(round(1.5 * rt60_s * RATE_HZ)) / RATE_HZ
    room = rng.standard_normal(len(t)) * 10.0 ** (-3.0 * t / rt60_s)
    room *= np.minimum(1.0, t / 0.004)
    return Place(seed, room / np.sqrt(np.sum(room**2)), float(rng.uniform(-5.0, 5.0)), together)


def recorded(dry: Floats, equipment: str, place: Place, rng: np.random.Generator) -> Floats:
    """Return what a piece of equipment delivers of a dry sound, float64 `[FRAMES]`, peak below 1."""
    colour = COLOURS[equipment]
    own = np.random.default_rng([place.seed, *equipment.encode()])
    level = 10.0 ** (between(own, colour.air_db) / 20.0)
    made = dry + level * _convolved(dry, place.room)
    size = float(np.sqrt(np.mean(made**2)))
    others = place.together / max(float(np.sqrt(np.mean(place.together**2))), 1e-9)
    made = made + size * 10.0 ** (between(own, colour.bleed_db) / 20.0) * others
    made = _through(made, colour, own)
    drive = between(own, colour.drive)
    made = np.tanh(drive * made / np.abs(made).max()) / drive
    made *= 10.0 ** ((between(own, colour.level_db) + place.desk_db + rng.normal(0.0, 2.0)) / 20.0) / float(
        np.sqrt(np.mean(made**2))
    )
    t = np.arange(FRAMES) / RATE_HZ
    hum = sum(np.sin(2.0 * np.pi * 50.0 * k * t) / k for k in (1, 2, 3))
    made += 10.0 ** (between(own, colour.hum_db) / 20.0) * hum
    made += 10.0 ** (between(own, colour.noise_db) / 20.0) * rng.standard_normal(FRAMES)
    return np.asarray(made / max(1.0, float(np.abs(made).max()) / 0.98))


def _convolved(x: Floats, room: Floats) -> Floats:
    length = fast_length(len(x) + len(room))
    made = np.fft.irfft(np.fft.rfft(x, length) * np.fft.rfft(room, length), length)
    return np.asarray(made[: len(x)])


def _through(x: Floats, colour: Colour, own: np.random.Generator) -> Floats:
    """Return the sound through the response of one piece: bumps, both ends, and what makes it that very one."""
    hz = np.maximum(np.fft.rfftfreq(len(x), 1.0 / RATE_HZ), 1.0)
    octaves = np.log2(hz)
    gain_db = np.zeros(len(hz))
    for centre, width, limits in colour.bumps:
        gain_db += own.uniform(*limits) * np.exp(-0.5 * ((octaves - np.log2(centre)) / width) ** 2)
    for _ in range(4):
        centre, width = own.uniform(6.0, 14.0), own.uniform(0.4, 1.5)
        gain_db += own.normal(0.0, 2.0) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    low, high = between(own, colour.low_hz), between(own, colour.high_hz)
    response = 10.0 ** (gain_db / 20.0) / np.sqrt(1.0 + (low / hz) ** 4) / np.sqrt(1.0 + (hz / high) ** 8)
    return np.asarray(np.fft.irfft(np.fft.rfft(x) * response, len(x)))
