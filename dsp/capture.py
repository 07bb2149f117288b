"""Live input, read close behind the device's writing, and never with a click where the two come apart.

Reader and writer follow the same clock, the writer in bursts of a size that nobody tells. The reader starts a quantum
and a burst behind; where it turns out that less would do it moves up, and where it was too close it keeps further
off. Every change of place is a crossfade, and what is missing is continued by the odd reflection of what was there,
2 x[n] - x[n - k], which has the same value and slope where it begins, while it fades.
"""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.guard import LIMIT_AMPLITUDE, is_finite
from dsp.jit import device, kernel
from dsp.memory import fence

# The reader: its next frame; frames written when it last looked (-1: it never has); whether it reads; frames of its
# rise that are past; the largest step of the writer in this window of time and in the one before; the least that was
# left over after a quantum in this window, and how much of the window is past; the same over the windows past since
# its place changed, and how many they are; frames it keeps off further since it was too close; how often it was;
# frames past of the crossfade from the lanes' earlier channels.
(READ, SEEN, READS, RISEN, BURST, BURST_BEFORE, SPARE, WINDOW) = range(8)
(LONG_SPARE, WINDOWS, EXTRA, SHORT, SWITCHED) = range(8, 13)
STATE = 13

# What an earlier place of reading is on its way out with: its next frame; the first frame it cannot have, where it
# turns back (TURN_UNKNOWN; HELD: it has nothing and holds its last); frames past of its rise and of its fall.
POSITION, TURN, TAIL_RISEN, FALLEN = range(4)
TURN_UNKNOWN, HELD = -1, -2
TAILS = 2
"""One for a change of place, and one for a gap right after it."""

MOST_SPARE = 2**62
MOST_SHARE = 0.75
"""How much of the ring the reader may lag behind; the rest is the writer's, and for what fades there."""

MARGIN_SHARE = 1 / 8
"""The margin as a share of the quantum or the burst, whichever is longer: what is long is late by more."""

LONG_WINDOWS = 64
"""Windows without a gap or change of place after which the extra distance may shrink, if it was not needed."""

Ints = NDArray[np.int64]
Lanes = NDArray[np.float32]


@device
def _rise(done: int, length: int) -> float:
    """Raised cosine from 0 to 1 over `length` frames, of which `done` are past."""
    at = min(max(done, 0), length)
    return 0.5 - 0.5 * math.cos(math.pi * at / length)


@device
def _free_tails(tails: Ints, fade_frames: int) -> int:
    free = 0
    for tail in range(TAILS):
        free += 1 if tails[tail, FALLEN] >= fade_frames else 0
    return free


@device
def _let_go(state: Ints, tails: Ints, last: Lanes, fade_frames: int, ahead: int, turn: int) -> None:
    """Have what is read fade out by itself, beginning `ahead` frames from now."""
    for tail in range(TAILS):
        if tails[tail, FALLEN] >= fade_frames:
            tails[tail, POSITION] = state[READ]
            tails[tail, TURN] = turn
            tails[tail, TAIL_RISEN] = state[RISEN]
            tails[tail, FALLEN] = -ahead
            last[1 + tail] = last[0]
            break
    state[READS] = 0


@device
def _begin(state: Ints, read: int) -> None:
    state[READ] = read
    state[READS] = 1
    state[RISEN] = 0
    state[SPARE] = MOST_SPARE
    state[WINDOW] = 0
    state[LONG_SPARE] = MOST_SPARE
    state[WINDOWS] = 0


@device
def _steer(
    state: Ints,
    tails: Ints,
    last: Lanes,
    written: int,
    frames: int,
    ring_frames: int,
    fade_frames: int,
    margin_frames: int,
    window_frames: int,
) -> None:
    """Decide where the next `frames` are read."""
    most = int(MOST_SHARE * ring_frames)
    step = written - state[SEEN] if state[SEEN] >= 0 else 0
    state[SEEN] = written
    if step < 0:
        # The writer began anew: nothing of before is where it was.
        if state[READS]:
            _let_go(state, tails, last, fade_frames, 0, HELD)
        state[BURST] = 0
        state[BURST_BEFORE] = 0
        step = 0
    lag = written - state[READ]
    burst = max(state[BURST], state[BURST_BEFORE])
    if burst == 0 or not state[READS] or lag <= most:
        # Otherwise the step tells how long the reader was away, and nothing of the writer.
        state[BURST] = max(state[BURST], step)
        burst = max(burst, step)
    margin = max(margin_frames, int(MARGIN_SHARE * max(frames, burst)))

    was_short = False
    if state[READS] and lag > most:
        gone = lag + fade_frames + burst > ring_frames
        _let_go(state, tails, last, fade_frames, 0, HELD if gone else TURN_UNKNOWN)
    elif state[READS] and lag < frames:
        was_short = True
        _let_go(state, tails, last, fade_frames, max(0, lag - fade_frames), TURN_UNKNOWN)
        state[SHORT] += 1
        state[EXTRA] = min(max(2 * state[EXTRA], margin), most)
    elif state[READS]:
        state[SPARE] = min(state[SPARE], lag - frames)

    behind = min(frames + burst + state[EXTRA], most)
    if not state[READS]:
        # Where the input begins there must be something for a tail to turn back to.
        fits = frames + burst <= most and written >= behind + fade_frames
        if step > 0 and fits and not was_short and _free_tails(tails, fade_frames) > 0:
            _begin(state, written - behind)
    state[WINDOW] += frames
    if state[WINDOW] < window_frames:
        return
    if state[READS]:
        state[LONG_SPARE] = min(state[LONG_SPARE], state[SPARE])
        state[WINDOWS] += 1
        if state[WINDOWS] == LONG_WINDOWS:
            state[EXTRA] -= min(max(state[LONG_SPARE] - margin, 0), state[EXTRA])
            state[LONG_SPARE] = MOST_SPARE
            state[WINDOWS] = 0
        needless = state[SPARE] - state[EXTRA] - margin
        if needless > margin and _free_tails(tails, fade_frames) == TAILS:
            read = state[READ] + needless
            _let_go(state, tails, last, fade_frames, 0, TURN_UNKNOWN)
            _begin(state, read)
        state[SPARE] = MOST_SPARE
    state[WINDOW] = 0
    state[BURST_BEFORE] = state[BURST]
    state[BURST] = 0


@device
def _sample(ring: Lanes, bits: NDArray[np.uint32], frame: int, channel: int) -> float:
    place = frame & (ring.shape[0] - 1)
    return float(ring[place, channel]) if is_finite(bits[place, channel]) else 0.0


@device
def _tail_sample(
    ring: Lanes, bits: NDArray[np.uint32], last: Lanes, tails: Ints, tail: int, n: int, channel: int
) -> float:
    turn = tails[tail, TURN]
    frame = tails[tail, POSITION] + n
    if turn == HELD:
        return float(last[1 + tail, channel])
    if turn == TURN_UNKNOWN or frame < turn:
        return _sample(ring, bits, frame, channel)
    there = _sample(ring, bits, turn - 1, channel)
    return 2.0 * there - _sample(ring, bits, 2 * (turn - 1) - frame, channel)


@device
def _read(
    heard: Lanes,
    ring: Lanes,
    state: Ints,
    tails: Ints,
    last: Lanes,
    channels: int,
    written: int,
    fade_frames: int,
) -> None:
    """Fill `heard` (`[frames, channels of the ring]`) and move on."""
    frames = heard.shape[0]
    bits = ring.view(np.uint32)
    top = np.float32(LIMIT_AMPLITUDE)
    heard[:] = np.float32(0.0)
    reads = state[READS] != 0
    if reads:
        risen = state[RISEN]
        for n in range(frames):
            gain = _rise(risen + n, fade_frames) if risen + n < fade_frames else 1.0
            for channel in range(channels):
                heard[n, channel] = np.float32(gain * _sample(ring, bits, state[READ] + n, channel))
        for channel in range(channels):
            last[0, channel] = np.float32(_sample(ring, bits, state[READ] + frames - 1, channel))
        state[READ] += frames
        state[RISEN] = min(risen + frames, fade_frames)
    for tail in range(TAILS):
        if tails[tail, FALLEN] >= fade_frames:
            continue
        if tails[tail, TURN] == TURN_UNKNOWN and tails[tail, POSITION] + frames > written:
            tails[tail, TURN] = written
        risen = tails[tail, TAIL_RISEN]
        fallen = tails[tail, FALLEN]
        for n in range(min(frames, fade_frames - fallen)):
            gain = _rise(risen + n, fade_frames) * (1.0 - _rise(fallen + n, fade_frames))
            for channel in range(channels):
                value = _tail_sample(ring, bits, last, tails, tail, n, channel)
                heard[n, channel] += np.float32(gain * value)
        tails[tail, POSITION] += frames
        tails[tail, TAIL_RISEN] = min(risen + frames, fade_frames)
        tails[tail, FALLEN] = min(fallen + frames, fade_frames)
    for n in range(frames):
        for channel in range(channels):
            heard[n, channel] = min(max(heard[n, channel], -top), top)


@device
def _lane_sample(heard: Lanes, n: int, channel: int) -> np.float32:
    return heard[n, channel] if channel >= 0 else np.float32(0.0)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1],"
    " float32[:, ::1], float32[:, ::1], float64[::1], float64, int64, int64, int64)"
)
def capture(
    out: Lanes,
    ring: Lanes,
    counters: Ints,
    channel_of: Ints,
    channel_was: Ints,
    state: Ints,
    tails: Ints,
    last: Lanes,
    heard: Lanes,
    peaks: NDArray[np.float64],
    fall: float,
    fade_frames: int,
    margin_frames: int,
    window_frames: int,
) -> None:
    """Fill `out` (`[frames, lanes]`) with the next quantum of the input.

    `ring` (`[a power of two, channels]`) and `counters` (frames written, channels there are) are the writer's.
    `channel_of[lane]` is the channel a lane plays and `channel_was[lane]` the one it comes from, over half of
    `fade_frames` from where `state[SWITCHED]` is 0; -1 is silence, and so is a channel that is not there.
    `state` (`[STATE]`), `tails` (`[TAILS, 4]`) and `last` (`[1 + TAILS, channels]`) are kept from quantum to
    quantum; `heard` (`[frames, channels]`) is scratch. `peaks` are those of the channels, times `fall` a quantum.

    Places are changed over `fade_frames`. The reader moves up when after each quantum of `window_frames` more than
    twice the margin was left, and keeps the margin: `margin_frames`, or more (`MARGIN_SHARE`). While a quantum and a
    burst are more than `MOST_SHARE` of the ring, nothing is read.
    """
    frames = out.shape[0]
    written = counters[0]
    fence()  # acquire: no sample is read before the counter that vouches for it
    channels = min(max(counters[1], 0), ring.shape[1])
    _steer(state, tails, last, written, frames, ring.shape[0], fade_frames, margin_frames, window_frames)
    _read(heard, ring, state, tails, last, channels, written, fade_frames)
    for channel in range(ring.shape[1]):
        peak = peaks[channel] * fall
        for n in range(frames):
            peak = max(peak, float(abs(heard[n, channel])))
        peaks[channel] = peak
    out[:] = np.float32(0.0)
    switch_frames = max(1, fade_frames // 2)
    switched = state[SWITCHED]
    for lane in range(out.shape[1]):
        now = channel_of[lane]
        was = channel_was[lane]
        begin = min(max(switch_frames - switched, 0), frames) if was != now else 0
        for n in range(begin):
            gain = _rise(switched + n, switch_frames)
            mixed = gain * _lane_sample(heard, n, now) + (1.0 - gain) * _lane_sample(heard, n, was)
            out[n, lane] = np.float32(mixed)
        if now >= 0:
            for n in range(begin, frames):
                out[n, lane] = heard[n, now]
    state[SWITCHED] = min(switched + frames, switch_frames)
