"""When each track sounds: a stream of events per track, drawn from the track's own generator.

A track's draws depend on the scene's seed and the track's name alone, so adding, muting or removing a track
changes no other.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dsp.units import ms_to_frames, seconds_to_frames
from engine.events import Event
from engine.scene.beats import Grid, period_frames, repetitions
from engine.scene.schedules import Loop, Once, Random
from engine.scene.variation import STEADY, Variation, varied

EVENT_FADE_MS = 10.0
LOOP_FADE_IN_MS = 50.0
CROSSFADE_S = 2.0
CROSSFADE_SHARE = 0.25
"""A loop crosses into itself over `CROSSFADE_S`, or over this share of its length if that is shorter."""

MOST_GAPS = 4.0
"""A random silence exceeds its minimum by no more than this many times the width of its range."""

OWN = -1
"""Instead of the clip that a clip is a sounding of: it is none."""


class Clip(NamedTuple):
    """What the schedule knows of a clip: its number, length and event gain, and how its end resembles its start.

    `rho` is the correlation of the part that fades out with the part that fades in when it loops. Where it is a
    sounding of another clip at another rate, `base` is the number of that.
    """

    number: int
    frames: int
    gain: float
    rho: float = 0.0
    base: int = OWN


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
    variation: Variation = STEADY,
) -> Iterator[Event]:
    """Yield the events of track `number` in the order of their starts; endless for `Loop` and `Random`.

    `window_frames` is where a `Once` without `at` finds its seeded place; `tempo_bpm` is for a `Loop` with `beats`. By
    `variation` the events of a `Once` and a `Random` differ from their clips.
    """
    match schedule:
        case Once():
            yield _once(schedule, number, clips, generator, window_frames, rate_hz, variation)
        case Loop(beats=float(beats)) if tempo_bpm is not None:
            grid = Grid(0.0, period_frames(beats, tempo_bpm, rate_hz))
            clip = clips[0]
            yield from repetitions(number, clip.number, clip.frames, clip.gain, grid, rate_hz)
        case Loop():
            yield from _loop(number, clips[0], rate_hz)
        case Random():
            yield from _random(schedule, number, clips, generator, rate_hz, variation)


def one_shot(start_frame: int, track: int, clip: Clip, rate_hz: int) -> Event:
    """Return the event of a clip that sounds once, whole."""
    fade = min(ms_to_frames(EVENT_FADE_MS, rate_hz), clip.frames // 2)
    return Event(start_frame, track, clip.number, 0, clip.frames, fade, fade, clip.gain)


def own_rate(clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips that are no soundings of another one at another rate."""
    return [clip for clip in clips if clip.base == OWN]


def first_start_s(gap_s: tuple[float, float], generator: np.random.Generator) -> float:
    """Return when a track with this gap is heard first: exponential with the mean gap, on condition that it is below b.

    That is where somebody who came in at a random moment of the silence would be in it, and nobody waits longer than b.
    """
    mean_s = 0.5 * (gap_s[0] + gap_s[1])
    within = -math.expm1(-gap_s[1] / mean_s)
    return -mean_s * math.log1p(-within * generator.random())


def gap_s(gap: tuple[float, float], generator: np.random.Generator) -> float:
    """Return one silence of a renewal process: a + Exp with mean (b - a) / 2, at most a + 4 (b - a).

    How long it has been silent beyond a says nothing of how long it will be. One draw in 3000 is cut.
    """
    shortest, longest = gap
    spread = longest - shortest
    return shortest + min(float(generator.exponential(0.5 * spread)), MOST_GAPS * spread)


class ShuffleBag:
    """Draws the numbers 0 to `size` - 1, each once before any comes again, and none twice in a row."""

    def __init__(self, size: int, generator: np.random.Generator) -> None:
        self._size = size
        self._generator = generator
        self._left: list[int] = []
        self._last = -1

    def draw(self) -> int:
        """Return the next one."""
        if not self._left:
            left = self._generator.permutation(self._size).tolist()
            if self._size > 1 and left[-1] == self._last:
                other = int(self._generator.integers(self._size - 1))
                left[-1], left[other] = left[other], left[-1]
            self._left = left
        self._last = self._left.pop()
        return self._last


def _once(
    schedule: Once,
    number: int,
    clips: Sequence[Clip],
    generator: np.random.Generator,
    window_frames: int,
    rate_hz: int,
    variation: Variation,
) -> Event:
    place = generator.random()
    alternatives = own_rate(clips)
    clip = alternatives[ShuffleBag(len(alternatives), generator).draw()]
    if schedule.at is not None:
        start = seconds_to_frames(schedule.at, rate_hz)
    else:
        start = int(place * max(0, window_frames - clip.frames))
    return varied(one_shot(start, number, clip, rate_hz), variation, generator.random(), generator.random())


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
    schedule: Random,
    number: int,
    clips: Sequence[Clip],
    generator: np.random.Generator,
    rate_hz: int,
    variation: Variation,
) -> Iterator[Event]:
    soundings = {clip.number: [clip] for clip in own_rate(clips)}
    for clip in clips:
        if clip.base != OWN:
            soundings[clip.base].append(clip)
    alternatives = list(soundings.values())
    bag = ShuffleBag(len(alternatives), generator)
    start = seconds_to_frames(first_start_s(schedule.gap, generator), rate_hz)
    while True:
        # As many draws for every event, so that times do not depend on how much else varies.
        rated = alternatives[bag.draw()]
        rate, level, place = generator.random(3).tolist()
        clip = rated[int(rate * len(rated))]
        yield varied(one_shot(start, number, clip, rate_hz), variation, level, place)
        start += clip.frames + max(1, seconds_to_frames(gap_s(schedule.gap, generator), rate_hz))
