"""Feedback delay network: sixteen delay lines that feed each other, and lose in every octave what its time asks for.

    v_i[n] = F_i(x_i[n - N_i])          what comes out of line i, after its filter (`dsp.fdn_design`)
    x[n]   = R[n] H v[n] + b u[n]       Hadamard matrix H, slow rotations R of pairs of lines, u = (left + right) / 2
    left   = sum of c_i v_i, right = sum of d_i v_i, with c and d orthogonal

H and R are orthogonal at every frame, so nothing but the filters takes energy out of the loop, and nothing adds any:
with the filters bypassed the tail stands for ever. The rotations keep the modes from standing out, without the loss and
the change of pitch of delays that move; their angles depend on the absolute frame alone.

A change of lengths and filters is a fade between two readings of the same lines, so that the tail rings on through it;
one that comes during a fade waits for its end. Every sample is the same whatever the blocks are.

Source    Jot & Chaigne 1991; Schlecht & Habets, "Time-varying feedback matrices in feedback delay networks", JASA 2015
"""

import math

import numpy as np
import numpy.typing as npt

from dsp.fdn_design import (
    BELLS,
    FEEDS,
    GAIN,
    HIGH_C,
    HIGH_G,
    LINES,
    LOW_C,
    LOW_G,
    OCTAVES,
    ROWS,
    SIZE_STEPS,
    Fit,
    feed_delays,
    feed_gains,
    line_lengths,
)
from dsp.glide import eased
from dsp.jit import device, kernel
from dsp.memory import aligned
from dsp.ramp import LaneRamp, advance
from dsp.units import ms_to_frames
from dsp.vectors import WIDTH, fma, load, splat, store

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]

CHUNK = 128
"""Frames done at once at most; rotations are straight between multiples of it."""
RAMP_MS = 20.0
"""How long a change takes: of lengths and filters, of the gains, and from a tail that lives to one that is frozen."""

SETTINGS = 3
"""The one that sounds, the one that fades in, and the one that waits."""
AT, FED, FADE_LEFT, NOW, NEXT, WAITING = range(6)
NOTHING = -1

LOW, HIGH, BELL_STATES = 0, 1, 2
STATES = BELL_STATES + 2 * OCTAVES

PAIRS = LINES // 2
DEPTH = 0.25
"""Largest tangent of half the angle by which a pair is rotated: 28 degrees."""
SLOWEST_HZ, FASTEST_HZ = 0.11, 0.83

DIRECT, CROSS, OPEN = range(3)
"""Gains that are ramped: of each channel to its own side and to the other, and how much the loop lets in and loses."""
LEFT_TAPS, RIGHT_TAPS = 0, 1

ONE_HEAD = CHUNK * LINES
HEADS, FREE, LINE_ROWS, ENTRIES = 0, 2 * ONE_HEAD, 3 * ONE_HEAD, 4 * ONE_HEAD
LEFT, RIGHT = 5 * ONE_HEAD, 5 * ONE_HEAD + CHUNK
SCRATCH = RIGHT + CHUNK
"""Parts of the scratch: two readings (frames, lines), one unfiltered; what leaves and enters lines (lines, CHUNK)."""

ZERO, ONE, HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)
NORM = np.float32(1.0 / math.sqrt(LINES))


@device
def _absorb(scratch: Samples, place: int, frames: int, rows: Samples, state: Samples) -> None:
    """Filter a reading in place; lines are the lanes."""
    for v in range(0, LINES, WIDTH):
        gain, low_g, low_c = load(rows[GAIN], v), load(rows[LOW_G], v), load(rows[LOW_C], v)
        high_g, high_c = load(rows[HIGH_G], v), load(rows[HIGH_C], v)
        low, high = load(state[LOW], v), load(state[HIGH], v)
        for n in range(frames):
            at = place + n * LINES + v
            x = gain * load(scratch, at)
            step = low_g * (x - low)
            passed = step + low
            low = passed + step
            x = fma(low_c, passed, x)
            step = high_g * (x - high)
            passed = step + high
            high = passed + step
            x = fma(high_c, x - passed, x)
            for o in range(OCTAVES):
                h, s = load(state[BELL_STATES + 2 * o], v), load(state[BELL_STATES + 2 * o + 1], v)
                w = fma(load(rows[BELLS + 3 * o], v), h, x - s)
                store(state[BELL_STATES + 2 * o], v, w - h)
                store(state[BELL_STATES + 2 * o + 1], v, fma(load(rows[BELLS + 3 * o + 1], v), w, s))
                x = fma(load(rows[BELLS + 3 * o + 2], v), w, x)
            store(scratch, at, x)
        store(state[LOW], v, low)
        store(state[HIGH], v, high)


@device
def _leave(
    ring: Samples, lengths: Ints, at: int, frames: int, scratch: Samples, place: int, rows: Samples,
    state: Samples, gates: Samples,
) -> None:  # fmt: skip
    """Read what comes out of the lines, (frames, lines), filtered as far as the loop is open."""
    mask = ring.shape[1] - 1
    for line in range(LINES):
        start = at - lengths[line]
        for n in range(frames):
            scratch[place + n * LINES + line] = ring[line, (start + n) & mask]
    target, step, left = gates[1, OPEN], gates[2, OPEN], gates[3, OPEN]
    if left == ZERO and target == ZERO:
        state[:] = ZERO
        return
    if left == ZERO:
        _absorb(scratch, place, frames, rows, state)
        return
    for i in range(frames * LINES):
        scratch[FREE + i] = scratch[place + i]
    _absorb(scratch, place, frames, rows, state)
    for n in range(frames):
        share = splat(target - step * max(left - np.float32(n + 1), ZERO))
        for v in range(0, LINES, WIDTH):
            i = n * LINES + v
            free = load(scratch, FREE + i)
            store(scratch, place + i, fma(share, load(scratch, place + i) - free, free))


@device
def _enter(
    feed: Samples, at: int, delays: Ints, gains: Samples, scratch: Samples, place: int, wide: int
) -> None:
    """Write what enters each line, (lines, CHUNK), from the input that is past; `feed` holds it twice in a row."""
    newest = at + feed.shape[0] // 2
    for line in range(LINES):
        for n in range(0, wide, WIDTH):
            entry = splat(ZERO)
            for k in range(FEEDS):
                entry = fma(splat(gains[line, k]), load(feed, newest - delays[line, k] + n), entry)
            store(scratch, place + line * CHUNK + n, entry)


@device
def _hadamard(scratch: Samples, wide: int) -> None:
    """Mix the lines in place, up to the factor `NORM`."""
    half = 1
    while half < LINES:
        for line in range(LINES):
            if line & half == 0:
                a, b = LINE_ROWS + line * CHUNK, LINE_ROWS + (line + half) * CHUNK
                for n in range(0, wide, WIDTH):
                    x, y = load(scratch, a + n), load(scratch, b + n)
                    store(scratch, a + n, x + y)
                    store(scratch, b + n, x - y)
        half *= 2


@device
def _rotate(scratch: Samples, frame: int, frames: int, swing: Floats) -> None:
    """Rotate line k and line 15 - k by the angle of the frame, and scale by `NORM`.

    The tangent t of half the angle is straight between the corners, and cosine and sine follow from it, so that the
    matrix is orthogonal in between as well.
    """
    corner, past = frame // CHUNK, frame % CHUNK
    for pair in range(PAIRS):
        turn, offset = swing[0, pair], swing[1, pair]
        first = DEPTH * math.sin(2.0 * math.pi * (turn * corner + offset))
        second = DEPTH * math.sin(2.0 * math.pi * (turn * (corner + 1) + offset))
        base, slope = np.float32(first), np.float32((second - first) / CHUNK)
        a, b = LINE_ROWS + pair * CHUNK, LINE_ROWS + (LINES - 1 - pair) * CHUNK
        for n in range(frames):
            t = base + slope * np.float32(past + n)
            scale = NORM / (ONE + t * t)
            cosine, sine = (ONE - t * t) * scale, (t + t) * scale
            x, y = scratch[a + n], scratch[b + n]
            scratch[a + n] = cosine * x - sine * y
            scratch[b + n] = sine * x + cosine * y


@kernel(
    "void(float32[:, ::1], float32[:, ::1], int64, float32[:, ::1], float32[::1], int64[::1], float32[:, :, ::1],"
    " int64[:, :, ::1], float32[:, :, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1],"
    " float64[:, ::1], int64)"
)
def reverberate(
    x: Samples,
    y: Samples,
    frame: int,
    ring: Samples,
    feed: Samples,
    at: Ints,
    rows: Samples,
    delays: Ints,
    states: Samples,
    gates: Samples,
    taps: Samples,
    feed_gains: Samples,
    scratch: Samples,
    swing: Floats,
    fade_frames: int,
) -> None:
    """Run the network for a block of any length.

    Shapes    x, y (frames, 2); ring (16, power of 2); feed (2 n,); rows (3, `ROWS`, 16); delays (3, 16, 1 + FEEDS):
              length of each line, then when the input enters it; states (2, `STATES`, 16); gates (4, 3), a `LaneRamp`;
              taps (2, 16); feed_gains (16, FEEDS); scratch (`SCRATCH`,); swing (2, 8): turns in a chunk, and at frame 0
    State     ring, feed, states; at (6,): places in ring and feed, frames of the fade that are left, settings; zeros
              are silence
    In place  no
    """
    mask, half = ring.shape[1] - 1, feed.shape[0] // 2
    current, target, step, left = gates[0], gates[1], gates[2], gates[3]
    done = 0
    while done < x.shape[0]:
        if at[FADE_LEFT] == 0 and at[WAITING] != NOTHING and target[OPEN] == ONE:
            at[NEXT], at[WAITING], at[FADE_LEFT] = at[WAITING], NOTHING, fade_frames
            states[1] = ZERO
        fading = at[FADE_LEFT] > 0
        now, then = delays[at[NOW]], delays[at[NEXT]]
        frames = min(x.shape[0] - done, CHUNK - (frame + done) % CHUNK, half - at[FED])
        for line in range(LINES):
            frames = min(frames, now[line, 0])
            if fading:
                frames = min(frames, then[line, 0])
        if fading:
            frames = min(frames, at[FADE_LEFT])
        wide = (frames + WIDTH - 1) // WIDTH * WIDTH

        _leave(ring, now[:, 0], at[AT], frames, scratch, HEADS, rows[at[NOW]], states[0], gates)
        if fading:
            _leave(
                ring, then[:, 0], at[AT], frames, scratch, HEADS + ONE_HEAD, rows[at[NEXT]], states[1], gates
            )
            for n in range(frames):
                share = splat(np.float32(eased(fade_frames - at[FADE_LEFT] + n + 1, fade_frames)))
                for v in range(0, LINES, WIDTH):
                    i = n * LINES + v
                    old = load(scratch, HEADS + i)
                    new = load(scratch, HEADS + ONE_HEAD + i)
                    store(scratch, HEADS + i, fma(share, new - old, old))
        for line in range(LINES):
            for n in range(frames):
                scratch[LINE_ROWS + line * CHUNK + n] = scratch[HEADS + n * LINES + line]

        for n in range(0, wide, WIDTH):
            to_left, to_right = splat(ZERO), splat(ZERO)
            for line in range(LINES):
                out = load(scratch, LINE_ROWS + line * CHUNK + n)
                to_left = fma(splat(taps[LEFT_TAPS, line]), out, to_left)
                to_right = fma(splat(taps[RIGHT_TAPS, line]), out, to_right)
            store(scratch, LEFT + n, to_left)
            store(scratch, RIGHT + n, to_right)
        for n in range(frames):
            m = done + n
            direct, cross = (
                advance(current, target, step, left, DIRECT),
                advance(current, target, step, left, CROSS),
            )
            entering = HALF * (x[m, 0] + x[m, 1]) * advance(current, target, step, left, OPEN)
            feed[at[FED] + n] = entering
            feed[at[FED] + half + n] = entering
            y[m, 0] = direct * scratch[LEFT + n] + cross * scratch[RIGHT + n]
            y[m, 1] = direct * scratch[RIGHT + n] + cross * scratch[LEFT + n]

        _hadamard(scratch, wide)
        _rotate(scratch, frame + done, frames, swing)
        _enter(feed, at[FED], now[:, 1:], feed_gains, scratch, ENTRIES, wide)
        if fading:
            _enter(feed, at[FED], then[:, 1:], feed_gains, scratch, HEADS, wide)
            for n in range(frames):
                part = np.float32(eased(fade_frames - at[FADE_LEFT] + n + 1, fade_frames))
                for line in range(LINES):
                    i = line * CHUNK + n
                    scratch[ENTRIES + i] += part * (scratch[HEADS + i] - scratch[ENTRIES + i])
        for line in range(LINES):
            for n in range(frames):
                i = line * CHUNK + n
                ring[line, (at[AT] + n) & mask] = scratch[LINE_ROWS + i] + scratch[ENTRIES + i]

        at[AT] = (at[AT] + frames) & mask
        at[FED] = (at[FED] + frames) % half
        if fading:
            at[FADE_LEFT] -= frames
            if at[FADE_LEFT] == 0:
                at[NOW] = at[NEXT]
                states[0] = states[1]
        done += frames


def _hadamard_row(k: int) -> Floats:
    return np.array([(-1.0) ** (line & k).bit_count() for line in range(LINES)])


def _taps() -> Samples:
    """Return the taps (2, 16): orthogonal, each line nearer to one side (7.7 dB), a power of 16 on each side."""
    angle = np.where(np.arange(LINES) % 2 == 0, np.pi / 8.0, 3.0 * np.pi / 8.0)
    to_left = np.cos(angle) * _hadamard_row(6)
    to_right = np.sin(angle) * _hadamard_row(13)
    taps: Samples = (math.sqrt(2.0) * np.array([to_left, to_right])).astype(np.float32)
    return taps


class Fdn:
    """The network of one room at one rate."""

    def __init__(self, rate_hz: int) -> None:
        # set once
        self.rate_hz = rate_hz
        self._fit = Fit.at(rate_hz)
        sizes = [step / SIZE_STEPS for step in range(SIZE_STEPS + 1)]
        self._rooms = np.array(
            [np.column_stack([line_lengths(s, rate_hz), feed_delays(s, rate_hz)]) for s in sizes]
        )
        self._taps, self._feed_gains = _taps(), feed_gains()
        pair = np.arange(PAIRS)
        swings_hz = SLOWEST_HZ * (FASTEST_HZ / SLOWEST_HZ) ** (pair / (PAIRS - 1))
        self._swing = np.array([swings_hz * CHUNK / rate_hz, pair * 0.618034 % 1.0])
        # state
        longest, latest = int(self._rooms[:, :, 0].max()), int(self._rooms[:, :, 1:].max())
        self._ring = aligned((LINES, 1 << (longest + CHUNK - 1).bit_length()))
        self._feed = aligned((2 * (latest + 2 * CHUNK),))
        self._states = aligned((2, STATES, LINES))
        self._at = np.zeros(6, np.int64)
        self._rows = aligned((SETTINGS, ROWS, LINES))
        self._delays = np.ones((SETTINGS, LINES, 1 + FEEDS), np.int64)
        self._ramp = LaneRamp(3, max(1, ms_to_frames(RAMP_MS, rate_hz)))
        self._gates = np.zeros(3, np.float32)
        # scratch
        self._scratch = aligned((SCRATCH,))
        self._work = np.zeros((6, self._fit.points.shape[1]))
        self.reset()

    def reset(self) -> None:
        """Go back to silence, with nothing on its way; what the room is like must be set again."""
        self._ring.fill(0.0)
        self._feed.fill(0.0)
        self._states.fill(0.0)
        self._at.fill(0)
        self._at[WAITING] = NOTHING

    def set_room(self, size: float, rt60_s: Floats, jump: bool = False) -> float:
        """Set lengths for a room of `size` 0..1 and times (7,) of the octaves, at once with `jump`.

        The lengths are those of the nearest sixteenth. The change is made when the last one is and the tail is not
        frozen; until then a later one takes its place. Returns the energy of the tail of a unit impulse in both
        inputs, in each output at a gain of 1.
        """
        at = self._at
        slot = 0
        while slot == at[NOW] or (at[FADE_LEFT] > 0 and slot == at[NEXT]):
            slot += 1
        np.copyto(self._delays[slot], self._rooms[round(min(max(size, 0.0), 1.0) * SIZE_STEPS)])
        power = self._fit.design(rt60_s, self._delays[slot], self._rows[slot], self._work)
        if jump:
            at[NOW], at[FADE_LEFT], at[WAITING] = slot, 0, NOTHING
        else:
            at[WAITING] = slot
        return LINES * power

    def set_gates(self, direct: float, cross: float, is_open: bool, jump: bool = False) -> None:
        """Set the gains of each channel to its own side and to the other, and whether the tail lives or is frozen."""
        self._gates[DIRECT], self._gates[CROSS], self._gates[OPEN] = direct, cross, is_open
        if jump:
            self._ramp.jump_to(self._gates)
        else:
            self._ramp.set_targets(self._gates)

    def process(self, x: Samples, y: Samples, frame: int) -> None:
        """Write the tail of x to y, both (frames, 2); `frame` is the absolute frame of the first."""
        reverberate(
            x, y, frame, self._ring, self._feed, self._at, self._rows, self._delays, self._states,
            self._ramp.table, self._taps, self._feed_gains, self._scratch, self._swing, self._ramp.ramp_frames,
        )  # fmt: skip
