"""From voices to the lanes of a bank: each lane's voices summed in order, all lanes written row by row."""

import math

import numpy as np
from numba import carray
from numpy.typing import NDArray

from dsp.jit import device
from dsp.memory import pointer
from dsp.tiles import far_quads, fetch, turned
from dsp.vectors import WIDTH, load, splat, store
from dsp.voices import (
    CLIP,
    CUT_AT,
    CUT_FRAMES,
    FADE_IN,
    FADE_OUT,
    FRAMES,
    GAIN,
    HEARD,
    HELD_AT,
    HELD_FRAMES,
    NEXT,
    OFFSET,
    RHO_IN,
    RHO_OUT,
    START,
    Floats,
    Ints,
)

Samples = NDArray[np.float32]
Voices = NDArray[np.int32]

LINE = 16
"""Samples in a line of the cache."""
CHUNK = 128
"""Frames that are summed at once."""
MOST = 1024
"""Lanes that are written at once."""
SUMS = 32
"""Those of them that may be sums; all others are read from their clips."""
ROW = 2 * CHUNK + LINE
"""Samples of the row of a sum: left and right in turn, and a line of the cache, so that rows lie in different sets."""
PAUSE = 2 * LINE
"""Silent lanes side by side of which whole lines are written by themselves."""
STEP = 8
"""Frames that are written at once: of a clip they are a line of the cache, and more rows might not stay in it."""
AHEAD = 32
"""How many lanes ahead a line of a clip is fetched: without that it takes twice as long."""

SAMPLE_BYTES = 4
FRAME_BYTES = 2 * SAMPLE_BYTES
SCRATCH = (MOST * (8 + SAMPLE_BYTES) + (SUMS + 1) * ROW * SAMPLE_BYTES) // (8 * (RHO_OUT + 1)) + 1
"""Rows of float64 that hold an address and a gain of `MOST` lanes, the sums, and a row of silence."""

NOTHING = np.float32(0.0)
UNITY = np.float32(1.0)


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
def _add_fading(
    row: Samples,
    source: Samples,
    ints: Ints,
    floats: Floats,
    frame: int,
    entry_frames: int,
    begin: int,
    end: int,
) -> None:
    """Add the frames `begin` to `end` of a voice, where it fades in, out, or both, enters late, or is cut."""
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
        for side in range(2):
            sample = source[2 * (ints[OFFSET] + at) + side]
            row[2 * (now - frame) + side] += np.float32(level * sample)


@device
def _parts(ints: Ints, frame: int, until: int, entry_frames: int) -> tuple[int, int, int, int]:
    """Return where between `frame` and `until` a voice begins, ceases to rise, falls, and ends."""
    start, length, heard = ints[START], ints[FRAMES], ints[HEARD]
    begin = max(heard, frame)
    end = min(start + length, ints[CUT_AT] + ints[CUT_FRAMES], until)
    risen = start + ints[FADE_IN]
    if heard > start:
        risen = max(risen, heard + entry_frames)
    falls = min(start + length - ints[FADE_OUT], ints[CUT_AT], ints[HELD_AT])
    steady = min(max(begin, risen), end)
    return begin, end, steady, min(max(steady, falls), end)


@device
def _sum_lane(
    row_at: int,
    voice: int,
    frame: int,
    until: int,
    entry_frames: int,
    voice_ints: Ints,
    voice_floats: Floats,
    clip_addresses: Ints,
    clip_frames: Ints,
) -> None:
    """Fill the row at an address, left and right in turn, with `voice` and those behind it from `frame` to `until`."""
    row = carray(pointer(row_at), ROW, np.float32)
    for i in range(2 * (until - frame)):
        row[i] = NOTHING
    while voice >= 0:
        ints, floats = voice_ints[voice], voice_floats[voice]
        source = carray(pointer(clip_addresses[ints[CLIP]]), 2 * clip_frames[ints[CLIP]], np.float32)
        begin, end, steady, fading = _parts(ints, frame, until, entry_frames)
        if begin < steady:
            _add_fading(row, source, ints, floats, frame, entry_frames, begin, steady)
        if fading < end:
            _add_fading(row, source, ints, floats, frame, entry_frames, fading, end)
        level = np.float32(floats[GAIN])
        behind = 2 * (ints[OFFSET] - ints[START] + frame)
        for i in range(2 * (steady - frame), 2 * (fading - frame)):
            row[i] += level * source[i + behind]
        voice = ints[NEXT]


@device
def _write_two(out: Samples, n: int, lane: int, addresses: Ints, gains: Samples, i: int, offset: int) -> None:
    """Write frames n and n + 1 of `WIDTH` lanes from `lane` on; i and `offset` say where from."""
    tracks = out.shape[1] // 2
    one, other = out[n], out[n + 1]
    gain, nothing = load(gains, i), splat(NOTHING)
    left, right, next_left, next_right = turned(far_quads(addresses, i, offset))
    # As in every sum, which begins with +0, a sample of -0 becomes +0.
    store(one, lane, nothing + left * gain)
    store(one, tracks + lane, nothing + right * gain)
    store(other, lane, nothing + next_left * gain)
    store(other, tracks + lane, nothing + next_right * gain)


@device
def _write(
    out: Samples, begin: int, end: int, first: int, count: int, addresses: Ints, gains: Samples
) -> None:
    """Write the frames `begin` to `end` of `count` lanes from `first` on, each from its address times its gain."""
    frames, tracks = end - begin, out.shape[1] // 2
    if frames < STEP or count < WIDTH:
        for i in range(count):
            source, gain = carray(pointer(addresses[i]), (frames, 2), np.float32), gains[i]
            for n in range(frames):
                out[begin + n, first + i] = NOTHING + source[n, 0] * gain
                out[begin + n, tracks + first + i] = NOTHING + source[n, 1] * gain
        return
    for row in range(0, frames, STEP):
        for place in range(0, count, WIDTH):
            # Frames or lanes that fill no step or vector are written together with some before them, once more.
            n, i = min(row, frames - STEP), min(place, count - WIDTH)
            soon, line = place + AHEAD, n + STEP
            if soon >= count:
                soon, line = soon - count, n + 2 * STEP
            for k in range(soon, min(soon + WIDTH, count)):
                fetch(addresses[k] + FRAME_BYTES * line - 1)
            for pair in range(0, STEP, 2):
                _write_two(out, begin + n + pair, first + i, addresses, gains, i, FRAME_BYTES * (n + pair))


@device
def _silent_lanes(voices: Voices, first: int) -> int:
    """Return how many lanes from `first` on have no voice."""
    count, tracks = 0, voices.shape[1] // 2
    while first + count < tracks and voices[0, first + count] < 0:
        count += 1
    return count


@device
def sum_lanes(
    out: Samples,
    frame: int,
    entry_frames: int,
    voices: Voices,
    voice_ints: Ints,
    voice_floats: Floats,
    clip_addresses: Ints,
    clip_frames: Ints,
) -> None:
    """Fill `out` (`[frames, 2 tracks]`) from the absolute `frame` on with the sum of each lane's voices.

    `voices` (int32 `[1, 2 tracks]`), which may be the memory of the first row of `out`, holds the row of every track's
    first voice, -1 if it has none; `NEXT` of a voice leads to the one behind it. A sum is formed in this order from +0
    on. Behind the voices `voice_floats` has `SCRATCH` rows.

    A lane with one voice of steady gain is read right from the clip, others are summed in rows of their own first. Each
    row of `out` is written from one end to the other, because a column of it may lie in one set of the cache.
    """
    tracks = out.shape[1] // 2
    scratch = voice_floats.ctypes.data + 8 * voice_floats.shape[1] * voice_ints.shape[0]
    addresses = carray(pointer(scratch), MOST, np.int64)
    gains = carray(pointer(scratch + 8 * MOST), MOST, np.float32)
    silence = scratch + (8 + SAMPLE_BYTES) * MOST
    sums = silence + SAMPLE_BYTES * ROW
    for i in range(ROW):
        carray(pointer(silence), ROW, np.float32)[i] = NOTHING
    # From the last frames to the first, because of the voices in the first row.
    for begin in range((out.shape[0] - 1) // CHUNK * CHUNK, -1, -CHUNK):
        end = min(begin + CHUNK, out.shape[0])
        now, until = frame + begin, frame + end
        first: int = 0
        while first < tracks:
            count = _silent_lanes(voices, first)
            if count >= LINE:
                for n in range(begin, end):
                    for lane in range(first, first + count):
                        out[n, lane] = NOTHING
                    for lane in range(tracks + first, tracks + first + count):
                        out[n, lane] = NOTHING
                first += count
                continue
            count, used, pause = 0, 0, 0
            while first + count < tracks and count < MOST and used < SUMS and pause < PAUSE:
                voice = voices[0, first + count]
                if voice < 0:
                    addresses[count], gains[count] = silence, NOTHING
                    pause += 1
                else:
                    ints = voice_ints[voice]
                    _, _, steady, fading = _parts(ints, now, until, entry_frames)
                    if ints[NEXT] < 0 and steady == now and fading == until:
                        at = FRAME_BYTES * (ints[OFFSET] + now - ints[START])
                        addresses[count] = clip_addresses[ints[CLIP]] + at
                        gains[count] = np.float32(voice_floats[voice, GAIN])
                        fetch(addresses[count])
                    else:
                        addresses[count], gains[count] = sums + SAMPLE_BYTES * ROW * used, UNITY
                        _sum_lane(
                            addresses[count],
                            voice,
                            now,
                            until,
                            entry_frames,
                            voice_ints,
                            voice_floats,
                            clip_addresses,
                            clip_frames,
                        )
                        used += 1
                    pause = 0
                count += 1
            if pause == PAUSE:
                count = (count - PAUSE + LINE - 1) // LINE * LINE
            _write(out, begin, end, first, count, addresses, gains)
            first += count
