"""Playing clips: events from a queue become voices, voices are read into the lanes of their tracks."""

import math

import numpy as np
from numba import carray
from numpy.typing import NDArray

from dsp.jit import device, kernel
from dsp.memory import pointer

# Columns of an event, in the queue and in the table of voices alike.
START, TRACK, CLIP, OFFSET, FRAMES, FADE_IN, FADE_OUT = range(7)
GAIN, RHO_IN, RHO_OUT = range(3)

# What the kernel keeps count of.
VOICES, DROPPED, LATE = range(3)

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
def _start_voices(
    until: int,
    first: int,
    lanes_of: Ints,
    counters: Ints,
    queue_ints: Ints,
    queue_floats: Floats,
    voice_ints: Ints,
    voice_floats: Floats,
    counts: Ints,
) -> None:
    read = counters[1]
    while read < counters[0]:
        row = read % queue_ints.shape[0]
        if queue_ints[row, START] >= until:
            break
        track = queue_ints[row, TRACK]
        if counts[VOICES] == voice_ints.shape[0]:
            counts[DROPPED] += 1
        elif 0 <= track < lanes_of.shape[0] and lanes_of[track] >= 0:
            voice = counts[VOICES]
            voice_ints[voice] = queue_ints[row]
            voice_floats[voice] = queue_floats[row]
            counts[VOICES] = voice + 1
            if queue_ints[row, START] < first:
                counts[LATE] += 1
        read += 1
    counters[1] = read


@device
def _add_fading(
    out: NDArray[np.float32],
    lane: int,
    samples: NDArray[np.float32],
    ints: Ints,
    floats: Floats,
    frame: int,
    begin: int,
    end: int,
) -> None:
    """Add the frames `begin` to `end` of a voice, where it fades in, out, or both."""
    tracks = out.shape[1] // 2
    start, length = ints[START], ints[FRAMES]
    for now in range(begin, end):
        at = now - start
        level = floats[GAIN]
        if at < ints[FADE_IN]:
            level *= fade_gain(float(at), ints[FADE_IN], floats[RHO_IN])
        if at >= length - ints[FADE_OUT]:
            level *= fade_gain(float(length - 1 - at), ints[FADE_OUT], floats[RHO_OUT])
        out[now - frame, lane] += np.float32(level * samples[ints[OFFSET] + at, 0])
        out[now - frame, tracks + lane] += np.float32(level * samples[ints[OFFSET] + at, 1])


@kernel(
    "void(float32[:, ::1], int64, int64[::1], int64[::1], int64[:, ::1], float64[:, ::1], int64[:, ::1],"
    " float64[:, ::1], int64[::1], int64[::1], int64[::1])"
)
def play(
    out: NDArray[np.float32],
    frame: int,
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

    `lanes_of[number]` is the lane of a track's left channel, -1 where there is no such track. `counters`,
    `queue_ints`, `queue_floats` are the event queue. `voice_ints`, `voice_floats` hold the events that sound, in
    the order in which they started, `counts` how many they are, how many found no place and how many came late.

    The sum of a lane is formed in the order of the starts, so it depends neither on the quantum nor on when
    the events arrived.
    """
    frames = out.shape[0]
    tracks = out.shape[1] // 2
    out[:] = np.float32(0.0)
    _start_voices(
        frame + frames, frame, lanes_of, counters, queue_ints, queue_floats, voice_ints, voice_floats, counts
    )
    kept = 0
    for voice in range(counts[VOICES]):
        start = voice_ints[voice, START]
        clip = voice_ints[voice, CLIP]
        offset = voice_ints[voice, OFFSET]
        length = voice_ints[voice, FRAMES]
        fade_in = voice_ints[voice, FADE_IN]
        fade_out = voice_ints[voice, FADE_OUT]
        gain = voice_floats[voice, GAIN]
        lane = lanes_of[voice_ints[voice, TRACK]]
        there = 0 <= clip < clip_frames.shape[0] and offset >= 0 and offset + length <= clip_frames[clip]
        begin = max(start, frame)
        end = min(start + length, frame + frames)
        if there and lane >= 0:
            samples = carray(pointer(clip_addresses[clip]), (clip_frames[clip], 2), np.float32)
            steady = min(max(begin, start + fade_in), end)
            fading = min(max(steady, start + length - fade_out), end)
            if begin < steady or fading < end:
                _add_fading(out, lane, samples, voice_ints[voice], voice_floats[voice], frame, begin, steady)
                _add_fading(out, lane, samples, voice_ints[voice], voice_floats[voice], frame, fading, end)
            if steady < fading:
                heard = out[steady - frame : fading - frame]
                source = samples[offset + steady - start : offset + fading - start]
                level = np.float32(gain)
                for n in range(fading - steady):
                    heard[n, lane] += level * source[n, 0]
                    heard[n, tracks + lane] += level * source[n, 1]
        if start + length > frame + frames:
            if kept != voice:
                voice_ints[kept] = voice_ints[voice]
                voice_floats[kept] = voice_floats[voice]
            kept += 1
    counts[VOICES] = kept
