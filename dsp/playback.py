"""Playing clips: events from a queue become voices, voices are read into the lanes of their tracks."""

import math

import numpy as np
from numba import carray
from numpy.typing import NDArray

from dsp.jit import device, kernel
from dsp.memory import fence, pointer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Columns of an event, in the queue and in the table of voices alike.
START, TRACK, CLIP, OFFSET, FRAMES, FADE_IN, FADE_OUT, ENTRY = range(8)
GAIN, RHO_IN, RHO_OUT = range(3)

# In the table only: the frame from which a voice is heard (its start, its entry, or later if the event came late), how
# many events came before it, the cut that ends it, and one that had begun before that cut does.
HEARD, ARRIVAL, CUT_AT, CUT_FRAMES, HELD_AT, HELD_FRAMES = range(8, 14)

# Lists of places in the table: voices that have started, in order; voices to come, as a heap; places that are free;
# room to sort in.
PLAYING, WAITING, FREE, DUE = range(4)

# What else is counted: voices heard in the quantum, events that found no place, events that came after they were to
# be heard, events taken in all.
SOUNDING, DROPPED, LATE, ARRIVED = range(3, 7)

CUT = -1
"""The clip of an event that is a cut."""

ALL_TRACKS = -1
"""The track of a cut that ends every track's voices."""

NO_CUT = 2**62
"""A frame after every other: where the cut of a voice is that has none."""

FIRST_FRAME = -(2**61)
"""At frames before this one the queue is left alone: a warm-up run may not take events from the thread that plays."""


class VoiceTable:
    """The events that sound or are still to come, `voices` at most.

    Attributes: `ints` int64 `[voices, 14]` and `floats` float64 `[voices, 3]`, a row a voice; `order` int64
    `[4, voices]`, lists of rows, so that no row ever moves; `counts` int64 `[7]`, the lengths of the first three lists
    and what else is counted.
    """

    def __init__(self, voices: int) -> None:
        self._rows = np.arange(voices)
        self.ints = np.zeros((voices, HELD_FRAMES + 1), np.int64)
        self.floats = np.zeros((voices, RHO_OUT + 1))
        self.order = np.zeros((DUE + 1, voices), np.int64)
        self.counts = np.zeros(ARRIVED + 1, np.int64)
        self.clear()

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Forget all voices and counts; allocates nothing."""
        self.order[FREE] = self._rows
        self.counts.fill(0)
        self.counts[FREE] = len(self)

    def take_over(self, other: "VoiceTable") -> None:
        """Become what `other`, which is not larger, is; allocates nothing."""
        size = len(other)
        self.ints[:size] = other.ints
        self.floats[:size] = other.floats
        self.order[:, :size] = other.order
        self.counts[:] = other.counts
        free = other.counts[FREE]
        self.order[FREE, free : free + len(self) - size] = self._rows[size:]
        self.counts[FREE] = free + len(self) - size


@device
def fade_gain(position: float, length: int, rho: float) -> float:
    """Amplitude at `position` of a fade over `length` frames whose two sides have correlation `rho`.

    With a = sin, b = cos of the same angle the gain is a / sqrt(a² + b² + 2 a b rho), so that both sides
    together keep their power: equal power at rho 0, equal gain at rho 1.
    """
    angle = 0.5 * math.pi * (position + 0.5) / length
    rising = math.sin(angle)
    return rising / math.sqrt(1.0 + 2.0 * rising * math.cos(angle) * rho)


@device
def cut_gain(position: int, length: int) -> float:
    """Amplitude at `position` of a cut over `length` frames: a raised cosine, without a kink where it begins."""
    if position < 0:
        return 1.0
    if position >= length:
        return 0.0
    return 0.5 + 0.5 * math.cos(math.pi * (float(position) + 0.5) / length)


@device
def _before(ints: Ints, one: int, other: int) -> bool:
    """Whether row `one` is summed before row `other`: by start, then track, then as they came."""
    if ints[one, START] != ints[other, START]:
        return bool(ints[one, START] < ints[other, START])
    if ints[one, TRACK] != ints[other, TRACK]:
        return bool(ints[one, TRACK] < ints[other, TRACK])
    return bool(ints[one, ARRIVAL] < ints[other, ARRIVAL])


@device
def _add_waiting(row: int, ints: Ints, order: Ints, counts: Ints) -> None:
    at = counts[WAITING]
    counts[WAITING] += 1
    while at > 0:
        parent = (at - 1) // 2
        if not _before(ints, row, order[WAITING, parent]):
            break
        order[WAITING, at] = order[WAITING, parent]
        at = parent
    order[WAITING, at] = row


@device
def _sink(row: int, at: int, size: int, ints: Ints, order: Ints) -> None:
    """Put `row` at `at` in the heap of `size`, or below what is to come before it."""
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _before(ints, order[WAITING, child + 1], order[WAITING, child]):
            child += 1
        if not _before(ints, order[WAITING, child], row):
            break
        order[WAITING, at] = order[WAITING, child]
        at = child
    order[WAITING, at] = row


@device
def _release(row: int, order: Ints, counts: Ints) -> None:
    order[FREE, counts[FREE]] = row
    counts[FREE] += 1


@device
def _sweep(ints: Ints, order: Ints, counts: Ints) -> None:
    """Free the places of voices that have no frames left."""
    for which in (PLAYING, WAITING):
        kept = 0
        for i in range(counts[which]):
            row = order[which, i]
            if ints[row, FRAMES] > 0:
                order[which, kept] = row
                kept += 1
            else:
                _release(row, order, counts)
        counts[which] = kept
    waiting = counts[WAITING]
    for at in range(waiting // 2 - 1, -1, -1):
        _sink(order[WAITING, at], at, waiting, ints, order)


@device
def _cut_voice(ints: Ints, floats: Floats, frame: int, at: int, length: int) -> None:
    """Have a voice end with a cut, unless an earlier one ends it sooner; without frames if it is not to be heard.

    Of two cuts the one that ends first wins, and where the other has begun before it, that stands still from there.
    """
    if ints[HEARD] < frame:
        at = max(at, frame)
    elif max(ints[START], ints[ENTRY]) >= at:
        ints[FRAMES] = 0
        return
    sooner = at + length - ints[CUT_AT] - ints[CUT_FRAMES]
    if sooner < 0 or (sooner == 0 and at < ints[CUT_AT]):
        if ints[CUT_AT] < at:
            # There is room for one that is held; what a third has taken away by now stays away.
            floats[GAIN] *= cut_gain(min(frame, ints[CUT_AT] - 1) - ints[HELD_AT], ints[HELD_FRAMES])
            ints[HELD_AT] = ints[CUT_AT]
            ints[HELD_FRAMES] = ints[CUT_FRAMES]
        ints[CUT_AT] = at
        ints[CUT_FRAMES] = length
    elif at < ints[CUT_AT] and ints[HELD_AT] == NO_CUT:
        ints[HELD_AT] = at
        ints[HELD_FRAMES] = length


@device
def _take_events(
    frame: int,
    until: int,
    counters: Ints,
    queue_ints: Ints,
    queue_floats: Floats,
    voice_ints: Ints,
    voice_floats: Floats,
    order: Ints,
    counts: Ints,
) -> None:
    """Move events from the queue to their places in the table, and let cuts act on those that came before."""
    if frame < FIRST_FRAME:
        return
    first = counters[1]
    written = counters[0]
    fence()  # acquire: no event is read before the counter that vouches for it
    read = first
    swept = True
    while read < written:
        event = queue_ints[read % queue_ints.shape[0]]
        begin = max(event[START], event[ENTRY])
        if event[CLIP] == CUT:
            for which in (PLAYING, WAITING):
                for i in range(counts[which]):
                    row = order[which, i]
                    if event[TRACK] == ALL_TRACKS or event[TRACK] == voice_ints[row, TRACK]:
                        length = max(1, event[FRAMES])
                        _cut_voice(voice_ints[row], voice_floats[row], frame, event[START], length)
            swept = False
            read += 1
            continue
        if begin < frame and event[START] + event[FRAMES] <= frame:
            counts[LATE] += 1
            read += 1
            continue
        if counts[FREE] == 0 and not swept:
            _sweep(voice_ints, order, counts)
            swept = True
        if counts[FREE] > 0:
            counts[FREE] -= 1
            row = order[FREE, counts[FREE]]
            voice = voice_ints[row]
            for column in range(queue_ints.shape[1]):
                voice[column] = event[column]
            for column in range(queue_floats.shape[1]):
                voice_floats[row, column] = queue_floats[read % queue_ints.shape[0], column]
            voice[HEARD] = max(begin, frame)
            voice[ARRIVAL] = counts[ARRIVED]
            voice[CUT_AT] = NO_CUT
            voice[CUT_FRAMES] = 0
            voice[HELD_AT] = NO_CUT
            voice[HELD_FRAMES] = 0
            counts[ARRIVED] += 1
            _add_waiting(row, voice_ints, order, counts)
            if begin < frame:
                counts[LATE] += 1
        elif begin < until:
            counts[DROPPED] += 1
        else:
            break
        read += 1
    if not swept:
        _sweep(voice_ints, order, counts)
    if read != first:
        fence()  # release: the rows have been read before they are given back
        counters[1] = read


@device
def _start_voices(until: int, ints: Ints, order: Ints, counts: Ints) -> None:
    """Move the voices that start before `until` from the heap to their places among those that play."""
    due = 0
    while counts[WAITING] > 0 and ints[order[WAITING, 0], START] < until:
        order[DUE, due] = order[WAITING, 0]
        due += 1
        counts[WAITING] -= 1
        last = counts[WAITING]
        if last > 0:
            _sink(order[WAITING, last], 0, last, ints, order)
    playing = counts[PLAYING]
    counts[PLAYING] += due
    while due > 0:
        if playing > 0 and _before(ints, order[DUE, due - 1], order[PLAYING, playing - 1]):
            order[PLAYING, playing + due - 1] = order[PLAYING, playing - 1]
            playing -= 1
        else:
            order[PLAYING, playing + due - 1] = order[DUE, due - 1]
            due -= 1


@device
def _add_fading(
    out: NDArray[np.float32],
    lane: int,
    samples: NDArray[np.float32],
    ints: Ints,
    floats: Floats,
    frame: int,
    entry_frames: int,
    begin: int,
    end: int,
) -> None:
    """Add the frames `begin` to `end` of a voice, where it fades in, out, or both, enters late, or is cut."""
    tracks = out.shape[1] // 2
    start, length, heard, cut_at = ints[START], ints[FRAMES], ints[HEARD], ints[CUT_AT]
    for now in range(begin, end):
        at = now - start
        level = floats[GAIN]
        if at < ints[FADE_IN]:
            level *= fade_gain(float(at), ints[FADE_IN], floats[RHO_IN])
        if at >= length - ints[FADE_OUT]:
            level *= fade_gain(float(length - 1 - at), ints[FADE_OUT], floats[RHO_OUT])
        if heard > start and now - heard < entry_frames:
            level *= 0.5 - 0.5 * math.cos(math.pi * (float(now - heard) + 0.5) / entry_frames)
        if now >= ints[HELD_AT]:
            level *= cut_gain(min(now, cut_at - 1) - ints[HELD_AT], ints[HELD_FRAMES])
        if now >= cut_at:
            level *= cut_gain(now - cut_at, ints[CUT_FRAMES])
        out[now - frame, lane] += np.float32(level * samples[ints[OFFSET] + at, 0])
        out[now - frame, tracks + lane] += np.float32(level * samples[ints[OFFSET] + at, 1])


@kernel(
    "void(float32[:, ::1], int64, int64, int64[::1], int64[::1], int64[:, ::1], float64[:, ::1],"
    " int64[:, ::1], float64[:, ::1], int64[:, ::1], int64[::1], int64[::1], int64[::1])"
)
def play(
    out: NDArray[np.float32],
    frame: int,
    entry_frames: int,
    lanes_of: Ints,
    counters: Ints,
    queue_ints: Ints,
    queue_floats: Floats,
    voice_ints: Ints,
    voice_floats: Floats,
    order: Ints,
    counts: Ints,
    clip_addresses: Ints,
    clip_frames: Ints,
) -> None:
    """Fill `out` (`[frames, 2 tracks]`) with all that sounds from the absolute `frame` on.

    `lanes_of[number]` is the lane of a track's left channel, -1 where there is no such track: its events are kept
    and silent until it is there. `counters`, `queue_ints`, `queue_floats` are the event queue, which is emptied
    into the `VoiceTable` of `voice_ints`, `voice_floats`, `order` and `counts`. Without room in the table events wait
    in the queue until they are due, and what is behind them with them. A late event plays as if it had been in time,
    but rises along a raised cosine over `entry_frames` where it enters.

    The sum of a lane is formed by start and track, of those with both alike in the order of arrival, so it depends
    neither on the quantum nor on when or in which order the events arrived. A voice to come costs nothing but its
    place: n that arrive at once cost n log n, a cut looks at every voice once.
    """
    frames = out.shape[0]
    tracks = out.shape[1] // 2
    until = frame + frames
    out[:] = np.float32(0.0)
    _take_events(frame, until, counters, queue_ints, queue_floats, voice_ints, voice_floats, order, counts)
    _start_voices(until, voice_ints, order, counts)
    sounding = 0
    kept = 0
    for i in range(counts[PLAYING]):
        row = order[PLAYING, i]
        ints, floats = voice_ints[row], voice_floats[row]
        start = ints[START]
        track = ints[TRACK]
        clip = ints[CLIP]
        offset = ints[OFFSET]
        length = ints[FRAMES]
        lane = lanes_of[track] if 0 <= track < lanes_of.shape[0] else -1
        there = 0 <= clip < clip_frames.shape[0] and offset >= 0 and offset + length <= clip_frames[clip]
        over = min(start + length, ints[CUT_AT] + ints[CUT_FRAMES])
        begin = max(ints[HEARD], frame)
        end = min(over, until)
        if ints[HEARD] < until:
            sounding += 1
        if there and lane >= 0 and begin < end:
            samples = carray(pointer(clip_addresses[clip]), (clip_frames[clip], 2), np.float32)
            risen = start + ints[FADE_IN]
            if ints[HEARD] > start:
                risen = max(risen, ints[HEARD] + entry_frames)
            falls = min(start + length - ints[FADE_OUT], ints[CUT_AT], ints[HELD_AT])
            steady = min(max(begin, risen), end)
            fading = min(max(steady, falls), end)
            if begin < steady or fading < end:
                _add_fading(out, lane, samples, ints, floats, frame, entry_frames, begin, steady)
                _add_fading(out, lane, samples, ints, floats, frame, entry_frames, fading, end)
            if steady < fading:
                heard = out[steady - frame : fading - frame]
                source = samples[offset + steady - start : offset + fading - start]
                level = np.float32(floats[GAIN])
                for n in range(fading - steady):
                    heard[n, lane] += level * source[n, 0]
                    heard[n, tracks + lane] += level * source[n, 1]
        if over > until:
            order[PLAYING, kept] = row
            kept += 1
        else:
            _release(row, order, counts)
    counts[PLAYING] = kept
    counts[SOUNDING] = sounding
