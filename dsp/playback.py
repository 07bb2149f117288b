"""Playing clips: events from a queue become voices, voices are read into the lanes of their tracks."""

import math

import numpy as np
from numba import carray
from numpy.typing import NDArray

from dsp.jit import device, kernel
from dsp.memory import pointer

# Columns of an event, in the queue and in the table of voices alike; ENTRY, the frame from which a voice is heard
# (its start, or later if the event came late), is in the table only.
START, TRACK, CLIP, OFFSET, FRAMES, FADE_IN, FADE_OUT, ENTRY = range(8)
GAIN, RHO_IN, RHO_OUT = range(3)

# What the kernel keeps count of: entries of the table, those of them that start before the end of the quantum,
# events that found no place, events that came after their start.
VOICES, SOUNDING, DROPPED, LATE = range(4)

FIRST_FRAME = -(2**61)
"""At frames before this one the queue is left alone: a warm-up run may not take events from the thread that plays."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


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
def _copy_voice(voice_ints: Ints, voice_floats: Floats, source: int, target: int) -> None:
    for column in range(voice_ints.shape[1]):
        voice_ints[target, column] = voice_ints[source, column]
    for column in range(voice_floats.shape[1]):
        voice_floats[target, column] = voice_floats[source, column]


@device
def _take_events(
    frame: int,
    until: int,
    counters: Ints,
    queue_ints: Ints,
    queue_floats: Floats,
    voice_ints: Ints,
    voice_floats: Floats,
    counts: Ints,
) -> None:
    """Move events from the queue to their places in the table, sorted by start and track, equals as they came."""
    if frame < FIRST_FRAME:
        return
    first = counters[1]
    written = counters[0]
    read = first
    while read < written:
        row = read % queue_ints.shape[0]
        start = queue_ints[row, START]
        track = queue_ints[row, TRACK]
        if start < frame and start + queue_ints[row, FRAMES] <= frame:
            counts[LATE] += 1
        elif counts[VOICES] < voice_ints.shape[0]:
            voice = counts[VOICES]
            while voice > 0 and (
                voice_ints[voice - 1, START] > start
                or (voice_ints[voice - 1, START] == start and voice_ints[voice - 1, TRACK] > track)
            ):
                _copy_voice(voice_ints, voice_floats, voice - 1, voice)
                voice -= 1
            for column in range(queue_ints.shape[1]):
                voice_ints[voice, column] = queue_ints[row, column]
            for column in range(queue_floats.shape[1]):
                voice_floats[voice, column] = queue_floats[row, column]
            voice_ints[voice, ENTRY] = max(start, frame)
            counts[VOICES] += 1
            if start < frame:
                counts[LATE] += 1
        elif start < until:
            counts[DROPPED] += 1
        else:
            break
        read += 1
    if read != first:
        counters[1] = read


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
    """Add the frames `begin` to `end` of a voice, where it fades in, out, or both, or enters late."""
    tracks = out.shape[1] // 2
    start, length, entry = ints[START], ints[FRAMES], ints[ENTRY]
    for now in range(begin, end):
        at = now - start
        level = floats[GAIN]
        if at < ints[FADE_IN]:
            level *= fade_gain(float(at), ints[FADE_IN], floats[RHO_IN])
        if at >= length - ints[FADE_OUT]:
            level *= fade_gain(float(length - 1 - at), ints[FADE_OUT], floats[RHO_OUT])
        if entry > start and now - entry < entry_frames:
            level *= (float(now - entry) + 0.5) / entry_frames
        out[now - frame, lane] += np.float32(level * samples[ints[OFFSET] + at, 0])
        out[now - frame, tracks + lane] += np.float32(level * samples[ints[OFFSET] + at, 1])


@kernel(
    "void(float32[:, ::1], int64, int64, int64[::1], int64[::1], int64[:, ::1], float64[:, ::1],"
    " int64[:, ::1], float64[:, ::1], int64[::1], int64[::1], int64[::1])"
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
    counts: Ints,
    clip_addresses: Ints,
    clip_frames: Ints,
) -> None:
    """Fill `out` (`[frames, 2 tracks]`) with all that sounds from the absolute `frame` on.

    `lanes_of[number]` is the lane of a track's left channel, -1 where there is no such track: its events are kept
    and silent until it is there. `counters`, `queue_ints`, `queue_floats` are the event queue, which is emptied
    into `voice_ints`, `voice_floats`: the events that sound or are still to come, sorted by start and track,
    those with both alike in the order of arrival. `counts` is how many they are, how many of them start before
    the end of the quantum, how many events found no place and how many came late. Without room in the table
    events wait in the queue until they are due. A late event plays as if it had been in time, but rises over
    `entry_frames` where it enters.

    The sum of a lane is formed in the order of the table, so it depends neither on the quantum nor on when or in
    which order the events arrived.
    """
    frames = out.shape[0]
    tracks = out.shape[1] // 2
    until = frame + frames
    out[:] = np.float32(0.0)
    _take_events(frame, until, counters, queue_ints, queue_floats, voice_ints, voice_floats, counts)
    voices = counts[VOICES]
    sounding = 0
    kept = 0
    for voice in range(voices):
        start = voice_ints[voice, START]
        if start >= until:
            break
        sounding += 1
        track = voice_ints[voice, TRACK]
        clip = voice_ints[voice, CLIP]
        offset = voice_ints[voice, OFFSET]
        length = voice_ints[voice, FRAMES]
        fade_in = voice_ints[voice, FADE_IN]
        fade_out = voice_ints[voice, FADE_OUT]
        gain = voice_floats[voice, GAIN]
        lane = lanes_of[track] if 0 <= track < lanes_of.shape[0] else -1
        there = 0 <= clip < clip_frames.shape[0] and offset >= 0 and offset + length <= clip_frames[clip]
        begin = max(start, frame)
        end = min(start + length, until)
        if there and lane >= 0:
            samples = carray(pointer(clip_addresses[clip]), (clip_frames[clip], 2), np.float32)
            risen = start + fade_in
            if voice_ints[voice, ENTRY] > start:
                risen = max(risen, voice_ints[voice, ENTRY] + entry_frames)
            steady = min(max(begin, risen), end)
            fading = min(max(steady, start + length - fade_out), end)
            if begin < steady or fading < end:
                ints, floats = voice_ints[voice], voice_floats[voice]
                _add_fading(out, lane, samples, ints, floats, frame, entry_frames, begin, steady)
                _add_fading(out, lane, samples, ints, floats, frame, entry_frames, fading, end)
            if steady < fading:
                heard = out[steady - frame : fading - frame]
                source = samples[offset + steady - start : offset + fading - start]
                level = np.float32(gain)
                for n in range(fading - steady):
                    heard[n, lane] += level * source[n, 0]
                    heard[n, tracks + lane] += level * source[n, 1]
        if start + length > until:
            if kept != voice:
                _copy_voice(voice_ints, voice_floats, voice, kept)
            kept += 1
    if kept != sounding:
        for voice in range(sounding, voices):
            _copy_voice(voice_ints, voice_floats, voice, kept + voice - sounding)
    counts[VOICES] = kept + voices - sounding
    counts[SOUNDING] = sounding
