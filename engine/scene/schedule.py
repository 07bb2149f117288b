"""When each track sounds: a stream of events per track, drawn from the track's own generator.

A track's draws depend on the scene's seed and the track's name alone, so adding, muting or removing a track
changes no other.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dsp.units import ms_to_frames, seconds_to_frames
from engine.events import Event
from engine.scene.beats import Grid, period_frames, repetitions
from engine.scene.schema import Loop, Once, Random

EVENT_FADE_MS = 10.0
LOOP_FADE_IN_MS = 50.0
CROSSFADE_S = 2.0
CROSSFADE_SHARE = 0.25
"""A loop crosses into itself over `CROSSFADE_S`, or over this share of its length if that is shorter."""


class Clip(NamedTuple):
    """What the schedule knows of a clip: its number, length and event gain, and how its end resembles its start.

    `rho` is the correlation of the part that fades out with the part that fades in when it loops.
    """

    number: int
    frames: int
    gain: float
    rho: float = 0.0


def track_generator(seed: int, track: str) -> np.random.Generator:
    """Return the generator of one track: PCG64 on SeedSequence([seed, crc32(name)])."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(track.encode())])))


def crossfade_frames(frames: int, rate_hz: int) -> int:
    """Return over how many frames a loop of `frames` crosses into itself."""
    return min(seconds_to_frames(CROSSFADE_S, rate_hz), int(frames * CROSSFADE_SHARE))


def track_events(
    schedule: Once | Loop | Random,
    number: int,
    clips: Sequence[Clip],
    generator: np.random.Generator,
    window_frames: int,
    rate_hz: int,
    tempo_bpm: float | None = None,
) -> Iterator[Event]:
    """Yield the events of track `number` in the order of their starts; endless for `Loop` and `Random`.

    `window_frames` is where a `Once` without `at` finds its seeded place; `tempo_bpm` is for a `Loop` with `beats`.
    """
    match schedule:
        case Once():
            yield _once(schedule, number, clips, generator, window_frames, rate_hz)
        case Loop(beats=float(beats)) if tempo_bpm is not None:
            grid = Grid(0.0, period_frames(beats, tempo_bpm, rate_hz))
            clip = clips[0]
            yield from repetitions(number, clip.number, clip.frames, clip.gain, grid, rate_hz)
        case Loop():
            yield from _loop(number, clips[0], rate_hz)
        case Random():
            yield from _random(schedule, number, clips, generator, rate_hz)


def one_shot(start_frame: int, track: int, clip: Clip, rate_hz: int) -> Event:
    """Return the event of a clip that sounds once, whole."""
    fade = min(ms_to_frames(EVENT_FADE_MS, rate_hz), clip.frames // 2)
    return Event(start_frame, track, clip.number, 0, clip.frames, fade, fade, clip.gain)


def _once(
    schedule: Once,
    number: int,
    clips: Sequence[Clip],
    generator: np.random.Generator,
    window_frames: int,
    rate_hz: int,
) -> Event:
    place = generator.random()
    clip = clips[0]
    if schedule.at is not None:
        start = seconds_to_frames(schedule.at, rate_hz)
    else:
        start = int(place * max(0, window_frames - clip.frames))
    return one_shot(start, number, clip, rate_hz)


def _loop(number: int, clip: Clip, rate_hz: int) -> Iterator[Event]:
    cross = max(1, crossfade_frames(clip.frames, rate_hz))
    fade_in = min(ms_to_frames(LOOP_FADE_IN_MS, rate_hz), max(1, clip.frames - cross))
    start = 0
    rho_in = 0.0
    while True:
        yield Event(start, number, clip.number, 0, clip.frames, fade_in, cross, clip.gain, rho_in, clip.rho)
        start += max(1, clip.frames - cross)
        fade_in = cross
        rho_in = clip.rho


def _random(
    schedule: Random, number: int, clips: Sequence[Clip], generator: np.random.Generator, rate_hz: int
) -> Iterator[Event]:
    shortest, longest = schedule.gap
    start = seconds_to_frames(generator.uniform(0.0, longest), rate_hz)
    which = int(generator.integers(len(clips)))
    while True:
        clip = clips[which]
        yield one_shot(start, number, clip, rate_hz)
        gap = seconds_to_frames(generator.uniform(shortest, longest), rate_hz)
        start += clip.frames + max(1, gap)
        if len(clips) > 1:
            which = (which + 1 + int(generator.integers(len(clips) - 1))) % len(clips)
