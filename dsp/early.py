"""Early reflections: a few taps of one delay line, each with a low-pass of its own, on the two channels of a return.

A change of the room is a fade of 20 ms from the old taps to the new ones, so nothing clicks and no pitch bends; one
that comes during a fade waits for its end. Every sample is the same whatever the blocks are.

The input is the mean of both channels, as it is of the tail: where a sound comes from is in its direct sound, and the
taps have directions of their own, with constant power.
"""

import numpy as np
import numpy.typing as npt

from dsp.early_design import (
    AIR_DB_M,
    HIGH_HZ,
    REFLECTIONS,
    direct_m,
    low_pass,
    reflections,
    wall_ratio,
)
from dsp.glide import eased
from dsp.jit import device, kernel
from dsp.memory import aligned
from dsp.ramp import LaneRamp, advance
from dsp.room_box import mean_absorption
from dsp.units import db_to_amplitude, ms_to_frames
from dsp.vectors import WIDTH, fma, load, store

Ints = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]

LANES = 16
"""Taps, and silent lanes up to a whole vector."""
CHUNK = 128
RAMP_MS = 20.0
SIZE_STEPS = 64
SETTINGS = 3
AT, FADE_LEFT, NOW, NEXT, WAITING = range(5)
NOTHING = -1
TO_LEFT, TO_RIGHT, DULL = range(3)
"""Rows of a setting: gains to both sides, and the low-pass's share of a new sample, 1 - a."""
ZERO, HALF = np.float32(0.0), np.float32(0.5)
TAPS, HEADS = 0, CHUNK * LANES
SCRATCH = HEADS + 4 * CHUNK


@device
def _hear(
    line: Samples, at: int, delays: Ints, rows: Samples, state: Samples, frames: int, scratch: Samples, place: int
) -> None:  # fmt: skip
    """Write left and right, CHUNK apart, of what the taps of one setting give; `line` holds the input twice."""
    newest = at + line.shape[0] // 2
    for tap in range(LANES):
        start = newest - delays[tap]
        for n in range(frames):
            scratch[TAPS + n * LANES + tap] = line[start + n]
    for v in range(0, LANES, WIDTH):
        share, y = load(rows[DULL], v), load(state, v)
        for n in range(frames):
            i = TAPS + n * LANES + v
            y = fma(share, load(scratch, i) - y, y)
            store(scratch, i, y)
        store(state, v, y)
    for n in range(frames):
        left, right = ZERO, ZERO
        for tap in range(REFLECTIONS):
            value = scratch[TAPS + n * LANES + tap]
            left += rows[TO_LEFT, tap] * value
            right += rows[TO_RIGHT, tap] * value
        scratch[place + n] = left
        scratch[place + CHUNK + n] = right


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], int64[::1], int64[:, ::1], float32[:, :, ::1],"
    " float32[:, ::1], float32[:, ::1], float32[::1], int64)"
)
def reflect(
    x: Samples,
    y: Samples,
    line: Samples,
    at: Ints,
    delays: Ints,
    rows: Samples,
    states: Samples,
    gain: Samples,
    scratch: Samples,
    fade_frames: int,
) -> None:
    """Write the reflections of x to y.

    Shapes    x, y (frames, 2); line (2 n,); delays (3, 16); rows (3, 3, 16); states (2, 16); gain (4, 1), a `LaneRamp`;
              scratch (`SCRATCH`,)
    State     line, states; at (5,): place in the line, frames of the fade that are left, settings; zeros are silence
    In place  no
    """
    half = line.shape[0] // 2
    current, target, step, left_over = gain[0], gain[1], gain[2], gain[3]
    done = 0
    while done < x.shape[0]:
        if at[FADE_LEFT] == 0 and at[WAITING] != NOTHING:
            at[NEXT], at[WAITING], at[FADE_LEFT] = at[WAITING], NOTHING, fade_frames
            states[1] = ZERO
        fading = at[FADE_LEFT] > 0
        frames = min(x.shape[0] - done, CHUNK, half - at[AT])
        if fading:
            frames = min(frames, at[FADE_LEFT])
        for n in range(frames):
            value = HALF * (x[done + n, 0] + x[done + n, 1])
            line[at[AT] + n] = value
            line[at[AT] + half + n] = value
        _hear(line, at[AT], delays[at[NOW]], rows[at[NOW]], states[0], frames, scratch, HEADS)
        if fading:
            _hear(
                line, at[AT], delays[at[NEXT]], rows[at[NEXT]], states[1], frames, scratch, HEADS + 2 * CHUNK
            )
            for n in range(frames):
                share = np.float32(eased(fade_frames - at[FADE_LEFT] + n + 1, fade_frames))
                for side in range(2):
                    i = HEADS + side * CHUNK + n
                    scratch[i] += share * (scratch[i + 2 * CHUNK] - scratch[i])
        for n in range(frames):
            level = advance(current, target, step, left_over, 0)
            y[done + n, 0] = level * scratch[HEADS + n]
            y[done + n, 1] = level * scratch[HEADS + CHUNK + n]
        at[AT] = (at[AT] + frames) % half
        if fading:
            at[FADE_LEFT] -= frames
            if at[FADE_LEFT] == 0:
                at[NOW] = at[NEXT]
                states[0] = states[1]
        done += frames


class EarlyReflections:
    """The first reflections of a room at one rate, relative to a direct sound of gain 1."""

    def __init__(self, rate_hz: int) -> None:
        # set once
        self.rate_hz = rate_hz
        sizes = [step / SIZE_STEPS for step in range(SIZE_STEPS + 1)]
        rooms = [reflections(size) for size in sizes]
        self._delays_of = np.array([np.rint(room.delays_s * rate_hz) for room in rooms]).astype(np.int64)
        reflected = [np.sqrt(1.0 - mean_absorption(size)) for size in sizes]
        self._gains_of = np.array(
            [
                beta**room.bounces * direct_m(size) / room.distances_m
                for beta, room, size in zip(reflected, rooms, sizes, strict=True)
            ]
        )
        self._bounces_of = np.array([room.bounces for room in rooms])
        self._air_db_of = np.array(
            [AIR_DB_M * (room.distances_m - direct_m(s)) for room, s in zip(rooms, sizes, strict=True)]
        )
        angle = np.pi / 4.0 * (1.0 + np.array([room.lateral for room in rooms]))
        self._sides_of = np.cos(angle), np.sin(angle)
        # state
        self._line = aligned((2 * (int(self._delays_of.max()) + 2 * CHUNK),))
        self._at = np.zeros(5, np.int64)
        self._states = aligned((2, LANES))
        self._delays = np.ones((SETTINGS, LANES), np.int64)
        self._rows = aligned((SETTINGS, 3, LANES))
        self._ramp = LaneRamp(1, max(1, ms_to_frames(RAMP_MS, rate_hz)))
        self._gain = np.zeros(1, np.float32)
        # scratch
        self._scratch = aligned((SCRATCH,))
        self.reset()

    def reset(self) -> None:
        """Go back to silence, with nothing on its way; what the room is like must be set again."""
        self._line.fill(0.0)
        self._states.fill(0.0)
        self._at.fill(0)
        self._at[WAITING] = NOTHING

    def set_room(self, size: float, damping: float, jump: bool = False) -> None:
        """Set the reflections of a room of `size` and `damping` 0..1, at once with `jump`.

        The size is that of the nearest sixty-fourth. The change is made when the last one is; until then a later one
        takes its place.
        """
        at = self._at
        slot = 0
        while slot == at[NOW] or (at[FADE_LEFT] > 0 and slot == at[NEXT]):
            slot += 1
        step = round(min(max(size, 0.0), 1.0) * SIZE_STEPS)
        wall = wall_ratio(step / SIZE_STEPS, damping)
        rows, delays = self._rows[slot], self._delays[slot]
        high_hz = min(HIGH_HZ, 0.5 * self.rate_hz)
        for tap in range(REFLECTIONS):
            delays[tap] = self._delays_of[step, tap]
            gain = self._gains_of[step, tap]
            rows[TO_LEFT, tap] = gain * self._sides_of[0][step, tap]
            rows[TO_RIGHT, tap] = gain * self._sides_of[1][step, tap]
            let_through = wall ** self._bounces_of[step, tap] * db_to_amplitude(-self._air_db_of[step, tap])
            rows[DULL, tap] = 1.0 - low_pass(let_through, high_hz, self.rate_hz)
        if jump:
            at[NOW], at[FADE_LEFT], at[WAITING] = slot, 0, NOTHING
        else:
            at[WAITING] = slot

    def set_level(self, level_db: float, jump: bool = False) -> None:
        """Set how loud the reflections are, 0 dB being what the room's geometry says."""
        self._gain[0] = db_to_amplitude(level_db)
        if jump:
            self._ramp.jump_to(self._gain)
        else:
            self._ramp.set_targets(self._gain)

    def process(self, x: Samples, y: Samples) -> None:
        """Write the reflections of x to y, both (frames, 2)."""
        reflect(
            x, y, self._line, self._at, self._delays, self._rows, self._states, self._ramp.table, self._scratch,
            self._ramp.ramp_frames,
        )  # fmt: skip
