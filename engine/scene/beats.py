"""Loops in time: the frames at which they begin again, and how one repetition gives way to the next."""

import math
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from dsp.units import ms_to_frames
from engine.events import Event

ATTACK_MS = 2.0
"""How fast a repetition rises: no click, and still an attack where the sound has one."""

RELEASE_MS = 10.0
"""How fast a repetition that would go on gives way to the next, with equal power."""

NEARLY_MS = 5.0
"""A clip that is shorter than the period by no more was cut to fit it: it is let sound to its end."""


class Grid(NamedTuple):
    """Where repetitions begin: every `period_frames` from `origin_frame` on, both of any fraction.

    The frame of each is rounded by itself, so that no error adds up.
    """

    origin_frame: float
    period_frames: float

    def start(self, number: int) -> int:
        """Return the frame at which repetition `number` begins; halves are rounded up."""
        return math.floor(self.origin_frame + number * self.period_frames + 0.5)

    def number_at(self, frame: float) -> int:
        """Return the number of the first repetition that begins at `frame` or later."""
        number = math.ceil((frame - self.origin_frame - 1.0) / self.period_frames)
        while self.start(number) < frame:
            number += 1
        return number

    def nearest(self, frame: float) -> int:
        """Return the number of the repetition whose start is nearest to `frame`."""
        return round((frame - self.origin_frame) / self.period_frames)

    def moved(self, frames: float) -> "Grid":
        """Return the same grid, `frames` later."""
        return self._replace(origin_frame=self.origin_frame + frames)


def period_frames(beats: float, tempo_bpm: float, rate_hz: int) -> float:
    """Return how long `beats` quarter notes are."""
    return beats * 60.0 * rate_hz / tempo_bpm


def repetitions(
    track: int, clip: int, frames: int, gain: float, grid: Grid, rate_hz: int, first: int = 0
) -> Iterator[Event]:
    """Yield the repetitions of a clip of `frames` from the number `first` on, without end.

    A clip that is longer than the period fades out over 10 ms from the next start on; one that is longer by less
    crosses into the next over what there is; one that is shorter ends by itself.
    """
    attack = min(ms_to_frames(ATTACK_MS, rate_hz), frames // 2)
    release = min(ms_to_frames(RELEASE_MS, rate_hz), frames // 2)
    nearly = ms_to_frames(NEARLY_MS, rate_hz)
    rise = attack
    for number in count(first):
        start = grid.start(number)
        over = frames - (grid.start(number + 1) - start)
        length = frames - max(0, over - release)
        fade_in, rise = rise, attack
        if attack < over < release:
            fall = rise = over
        else:
            fall = attack if -nearly <= over <= attack else release
        yield Event(start, track, clip, 0, length, fade_in, fall, gain)
