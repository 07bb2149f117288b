"""From voices to the lanes of a bank: each lane's voices summed in order, all lanes written row by row."""

import math
from typing import Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from dsp.jit import device
from dsp.memory import pointer
from dsp.tiles import far_quads, fetch, turned
from dsp.vectors import WIDTH, load, splat, store
from dsp.voices import (
    BALANCE,
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
SCRATCH = (MOST * (8 + 2 * SAMPLE_BYTES) + (SUMS + 1) * ROW * SAMPLE_BYTES) // (8 * (BALANCE + 1)) + 1
"""Rows of float64 that hold an address and two gains of `MOST` lanes, the sums, and a row of silence."""

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
    left, right = 1.0 - floats[BALANCE], 1.0 + floats[BALANCE]
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
        row[2 * (now - frame)] += np.float32(level * left * source[2 * (ints[OFFSET] + at)])
        row[2 * (now - frame) + 1] += np.float32(level * right * source[2 * (ints[OFFSET] + at) + 1])


@device
def _find(
    voice: int,
    frame: int,
    until: int,
    entry_frames: int,
    voice_ints: Ints,
    voice_floats: Floats,
    clip_addresses: Ints,
    clip_frames: Ints,
    row_at: int,
) -> tuple[int, np.float32, np.float32]:
    """Return the address and both gains of a lane's frames from `frame` to `until`, left and right in turn.

    With one voice, of steady gain, that is in the clip; else `voice` and those behind it are summed at `row_at`.
    """
    row = carray(pointer(row_at), ROW, np.float32)
    first = True
    while voice >= 0:
        ints, floats = voice_ints[voice], voice_floats[voice]
        start, length, heard = ints[START], ints[FRAMES], ints[HEARD]
        source = carray(pointer(clip_addresses[ints[CLIP]]), 2 * clip_frames[ints[CLIP]], np.float32)
        begin = max(heard, frame)
        end = min(start + length, ints[CUT_AT] + ints[CUT_FRAMES], until)
        risen = start + ints[FADE_IN]
        if heard > start:
            risen = max(risen, heard + entry_frames)
        falls = min(start + length - ints[FADE_OUT], ints[CUT_AT], ints[HELD_AT])
        steady = min(max(begin, risen), end)
        fading = min(max(steady, falls), end)
        left = np.float32(floats[GAIN] * (1.0 - floats[BALANCE]))
        right = np.float32(floats[GAIN] * (1.0 + floats[BALANCE]))
        if first:
            if ints[NEXT] < 0 and steady == frame and fading == until:
                return clip_addresses[ints[CLIP]] + FRAME_BYTES * (ints[OFFSET] + frame - start), left, right
            for i in range(2 * (until - frame)):
                row[i] = NOTHING
        if begin < steady:
            _add_fading(row, source, ints, floats, frame, entry_frames, begin, steady)
        if fading < end:
            _add_fading(row, source, ints, floats, frame, entry_frames, fading, end)
        sums, more = row[2 * (steady - frame) :], source[2 * (ints[OFFSET] + steady - start) :]
        if left == right:
            for i in range(2 * (fading - steady)):
                sums[i] += left * more[i]
        else:
            for i in range(fading - steady):
                sums[2 * i] += left * more[2 * i]
                sums[2 * i + 1] += right * more[2 * i + 1]
        first, voice = False, ints[NEXT]
    return row_at, UNITY, UNITY


@device
def _write(
    out: Samples,
    begin: int,
    end: int,
    first: Any,
    count: int,
    addresses: Ints,
    lefts: Samples,
    rights: Samples,
) -> None:
    """Write the frames `begin` to `end` of `count` lanes from `first` on, each from its address times its gains.

    As in every sum, which begins with +0, a sample of -0 becomes +0.
    """
    frames, tracks = end - begin, out.shape[1] // 2
    if frames < STEP or count < WIDTH:
        for i in range(count):
            source = carray(pointer(addresses[i]), (frames, 2), np.float32)
            for n in range(frames):
                out[begin + n, first + i] = NOTHING + source[n, 0] * lefts[i]
                out[begin + n, tracks + first + i] = NOTHING + source[n, 1] * rights[i]
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
            gain, other_gain = load(lefts, i), load(rights, i)
            nothing, lane = splat(NOTHING), first + i
            for m in range(n, n + STEP, 2):
                left, right, next_left, next_right = turned(far_quads(addresses, i, FRAME_BYTES * m))
                one, other = out[begin + m], out[begin + m + 1]
                store(one, lane, nothing + left * gain)
                store(one, tracks + lane, nothing + right * other_gain)
                store(other, lane, nothing + next_left * gain)
                store(other, tracks + lane, nothing + next_right * other_gain)


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

    Each row of `out` is written from one end to the other: a column of it may lie in one set of the cache.
    """
    tracks = out.shape[1] // 2
    scratch = voice_floats.ctypes.data + 8 * voice_floats.shape[1] * voice_ints.shape[0]
    addresses = carray(pointer(scratch), MOST, np.int64)
    lefts = carray(pointer(scratch + 8 * MOST), MOST, np.float32)
    rights = carray(pointer(scratch + (8 + SAMPLE_BYTES) * MOST), MOST, np.float32)
    silence = scratch + (8 + 2 * SAMPLE_BYTES) * MOST
    row = carray(pointer(silence), ROW, np.float32)
    for i in range(ROW):
        row[i] = NOTHING
    # From the last frames to the first, because of the voices in the first row.
    for begin in range((out.shape[0] - 1) // CHUNK * CHUNK, -1, -CHUNK):
        end = min(begin + CHUNK, out.shape[0])
        first = np.int64(0)
        while first < tracks:
            count, used, pause = 0, 1, 0
            while first + count < tracks and count < MOST and used <= SUMS and pause < PAUSE:
                voice = voices[0, first + count]
                place, left_gain, right_gain = silence, NOTHING, NOTHING
                pause += 1
                if voice >= 0:
                    pause = 0
                    place, left_gain, right_gain = _find(
                        voice,
                        frame + begin,
                        frame + end,
                        entry_frames,
                        voice_ints,
                        voice_floats,
                        clip_addresses,
                        clip_frames,
                        silence + SAMPLE_BYTES * ROW * used,
                    )
                    used += place == silence + SAMPLE_BYTES * ROW * used
                    fetch(place)
                addresses[count], lefts[count], rights[count] = place, left_gain, right_gain
                count += 1
            if pause == PAUSE:
                count = (count - PAUSE + LINE - 1) // LINE * LINE
            _write(out, begin, end, first, count, addresses, lefts, rights)
            first += count
            count = 0
            while first + count < tracks and voices[0, first + count] < 0:
                count += 1
            if count >= LINE:
                for n in range(begin, end):
                    left, right = out[n, first:], out[n, tracks + first :]
                    for lane in range(count):
                        left[lane] = NOTHING
                        right[lane] = NOTHING
                first += count
