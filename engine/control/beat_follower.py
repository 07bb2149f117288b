"""Loops of a deck that follow a clock: which of them is off its beat, and from where on it begins anew."""

import math
from typing import NamedTuple

from dsp.units import ms_to_frames, seconds_to_frames
from engine.scene.beats import Grid
from engine.scene.composition import Track

TOLERANCE_MS = 3.0
"""A repetition that is off its beat by no more stays where it is."""

DECISION_S = 0.5
"""How long before it begins a repetition may be moved: the sooner, the less exactly its beat can be told."""

JUMP_BEATS = 0.5
"""A clock that is elsewhere by more, in quarter notes, has been set to another place, and is joined there at once."""

JOIN_MS = 20.0
"""A loop that is off a clock that has jumped by no more can wait for its next repetition."""

JUMP_INTERVAL_S = 0.25
"""A clock is not joined more often: one that is set again sooner is joined when this is over."""

WAIT_MS = 150.0
"""A clock that is joined shortly before a repetition begins is joined there."""


class Clock(NamedTuple):
    """A clock on the engine's frames: at `frame`, of any fraction, it stands at `beats` quarter notes."""

    frame: float
    beats: float
    frames_per_beat: float

    def grid(self, beats: float) -> Grid:
        """Return where a loop of `beats` quarter notes begins: at 0, and after each of its lengths."""
        return Grid(self.frame - self.beats * self.frames_per_beat, beats * self.frames_per_beat)

    def beats_at(self, frame: float) -> float:
        """Return where it stands at another frame if it goes on evenly."""
        return self.beats + (frame - self.frame) / self.frames_per_beat


class Restart(NamedTuple):
    """What sounds of the track `number` gives way at `cut_frame`, and from there on it is on `grid`."""

    number: int
    cut_frame: int
    grid: Grid


class BeatFollower:
    """Where the repetitions of each loop with beats are, on the engine's frames, and where a clock wants them.

    A repetition is moved only shortly before it begins, from its start on, and each only once; what sounds goes on
    until then. A loop that would begin late is entered in its middle, where the one before it has ended.
    """

    def __init__(self, rate_hz: int) -> None:
        self._tolerance_frames = TOLERANCE_MS * 1e-3 * rate_hz
        self._join_frames = JOIN_MS * 1e-3 * rate_hz
        self._decision_frames = seconds_to_frames(DECISION_S, rate_hz)
        self._jump_frames = seconds_to_frames(JUMP_INTERVAL_S, rate_hz)
        self._wait_frames = ms_to_frames(WAIT_MS, rate_hz)
        self._grids: dict[int, Grid] = {}
        self._moved: dict[int, int] = {}
        self._jumped_frame = -math.inf
        self.clock: Clock | None = None

    def place(self, number: int, track: Track, grid: Grid) -> Grid:
        """Note that a track begins on `grid`, on the engine's frames; with a clock, return that of the clock instead.

        The clock goes on as it was last told.
        """
        if self.clock is not None and track.beats is not None:
            grid = self.clock.grid(track.beats)
        self._grids[number] = grid
        self._moved.pop(number, None)
        return grid

    def tell(self, clock: Clock) -> bool:
        """Take where the clock stands now; return whether it is there by a jump."""
        before = self.clock
        jumps = before is None or abs(clock.beats - before.beats_at(clock.frame)) > JUMP_BEATS
        if jumps and clock.frame - self._jumped_frame < self._jump_frames:
            return False
        if jumps:
            self._jumped_frame = clock.frame
        self.clock = clock
        return jumps

    def restart(self, number: int, track: Track, soon_frame: int, jumps: bool) -> Restart | None:
        """Return how the track is brought to the beat of the clock, or None where it is or has time.

        Nothing before `soon_frame` can be changed any more. What is returned is taken to happen.
        """
        now = self._grids.get(number)
        if self.clock is None or track.beats is None or now is None:
            return None
        wanted = self.clock.grid(track.beats)
        begins = now.start(now.number_at(soon_frame))
        nearest = wanted.start(wanted.nearest(begins))
        if abs(nearest - begins) <= self._tolerance_frames:
            return None
        following = wanted.start(wanted.number_at(soon_frame))
        if jumps and _apart(now, wanted, soon_frame) > self._join_frames:
            at_frame = following if following - soon_frame < self._wait_frames else soon_frame
        else:
            at_frame = min(begins, max(nearest, following))
            if at_frame - soon_frame > self._decision_frames or begins <= self._moved.get(number, begins - 1):
                return None
        after = wanted.start(wanted.number_at(at_frame))
        self._moved[number] = after if after - at_frame <= self._decision_frames else at_frame
        self._grids[number] = wanted
        return Restart(number, at_frame, wanted)


def _apart(one: Grid, other: Grid, frame: int) -> float:
    """Return how many frames apart two grids are within their repetitions at `frame`."""
    turns = (frame - one.origin_frame) / one.period_frames - (
        frame - other.origin_frame
    ) / other.period_frames
    return abs(turns - round(turns)) * other.period_frames
