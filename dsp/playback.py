"""Playing clips: events from a queue become voices, voices are read into the lanes of their tracks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.jit import device, kernel
from dsp.lane_sums import SCRATCH, cut_gain, sum_lanes
from dsp.memory import fence
from dsp.voices import (
    ALL_TRACKS,
    ARRIVAL,
    ARRIVED,
    BALANCE,
    CLIP,
    CUT,
    CUT_AT,
    CUT_FRAMES,
    DROPPED,
    DUE,
    ENTRY,
    FIRST_FRAME,
    FRAMES,
    FREE,
    GAIN,
    HEARD,
    HELD_AT,
    HELD_FRAMES,
    LATE,
    NEXT,
    NO_CUT,
    OFFSET,
    PLAYING,
    SOUNDING,
    START,
    TRACK,
    WAITING,
    Floats,
    Ints,
)

__all__ = [
    "ALL_TRACKS",
    "ARRIVAL",
    "CLIP",
    "CUT",
    "DROPPED",
    "FRAMES",
    "FREE",
    "HEARD",
    "LATE",
    "PLAYING",
    "SOUNDING",
    "START",
    "TRACK",
    "WAITING",
    "VoiceTable",
    "play",
]


class VoiceTable:
    """The events that sound or are still to come, `voices` at most.

    Attributes: `ints` int64 `[voices, 15]` and `floats` float64 `[voices + SCRATCH, 4]`, a row a voice, and behind them
    scratch for the sums; `order` int64 `[4, voices]`, lists of rows, so that no row ever moves; `counts` int64 `[7]`,
    the lengths of the first three lists and what else is counted.
    """

    def __init__(self, voices: int) -> None:
        self._rows = np.arange(voices)
        self.ints = np.zeros((voices, NEXT + 1), np.int64)
        self.floats = np.zeros((voices + SCRATCH, BALANCE + 1))
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
        self.floats[:size] = other.floats[:size]
        self.order[:, :size] = other.order
        self.counts[:] = other.counts
        free = other.counts[FREE]
        self.order[FREE, free : free + len(self) - size] = self._rows[size:]
        self.counts[FREE] = free + len(self) - size


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
def _sink(row: int, at: Any, size: int, ints: Ints, order: Ints) -> None:
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
            _sink(order[WAITING, last], np.int64(0), last, ints, order)
    playing = counts[PLAYING]
    counts[PLAYING] += due
    while due > 0:
        if playing > 0 and _before(ints, order[DUE, due - 1], order[PLAYING, playing - 1]):
            order[PLAYING, playing + due - 1] = order[PLAYING, playing - 1]
            playing -= 1
        else:
            order[PLAYING, playing + due - 1] = order[DUE, due - 1]
            due -= 1


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
    tracks = out.shape[1] // 2
    until = frame + out.shape[0]
    _take_events(frame, until, counters, queue_ints, queue_floats, voice_ints, voice_floats, order, counts)
    _start_voices(until, voice_ints, order, counts)
    # The first row, until it is filled, holds the first and the last voice of every lane.
    ends = out.view(np.int32)
    for lane in range(2 * tracks if out.shape[0] > 0 else 0):
        ends[0, lane] = -1
    sounding = 0
    kept = 0
    for i in range(counts[PLAYING]):
        row = order[PLAYING, i]
        ints = voice_ints[row]
        track = ints[TRACK]
        clip = ints[CLIP]
        lane = lanes_of[track] if 0 <= track < lanes_of.shape[0] else -1
        there = 0 <= clip < clip_frames.shape[0] and ints[OFFSET] >= 0
        there = there and ints[OFFSET] + ints[FRAMES] <= clip_frames[clip]
        over = min(ints[START] + ints[FRAMES], ints[CUT_AT] + ints[CUT_FRAMES])
        if ints[HEARD] < until:
            sounding += 1
        if there and lane >= 0 and max(ints[HEARD], frame) < min(over, until):
            last = ends[0, tracks + lane]
            if last < 0:
                ends[0, lane] = row
            else:
                voice_ints[last, NEXT] = row
            ints[NEXT] = -1
            ends[0, tracks + lane] = row
        if over > until:
            order[PLAYING, kept] = row
            kept += 1
        else:
            _release(row, order, counts)
    counts[PLAYING] = kept
    counts[SOUNDING] = sounding
    sum_lanes(out, frame, entry_frames, ends, voice_ints, voice_floats, clip_addresses, clip_frames)
