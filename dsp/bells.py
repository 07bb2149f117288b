"""The audio side of the dynamic EQ: bells in series on the lanes of a bank, each along a ramp of its depth."""

import numpy as np
import numpy.typing as npt

from dsp.jit import device, kernel

Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LANES = 32
"""Lanes per inner loop, a constant: it fills vectors without a remainder; without a working bell it is skipped."""
CHUNK = 32
"""Frames that go through all bells of a block before the next: they stay in the cache."""

A, B, AMOUNT, SLOPE, H, S = (row * LANES for row in range(6))
ROWS = 6

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault
ZERO = np.float32(0.0)
BIAS = np.float32(1e-20)  # -400 dB


@device
def _ring(z: Samples, first: int, rows: int, column: int, passed: int, m: Samples) -> None:
    """Run one bell over `rows` rows of `LANES` lanes of z, in place, the first of them `passed` into the period."""
    # Two frames per turn halve the traffic of the states; the order of operations stays the same.
    for i in range(first, first + rows - 1, 2):
        early, late = z[i, column : column + LANES], z[i + 1, column : column + LANES]
        now, then = np.float32(passed + i - first + 1), np.float32(passed + i - first + 2)
        for lane in range(LANES):
            a, b, amount, slope = m[A + lane], m[B + lane], m[AMOUNT + lane], m[SLOPE + lane]
            h, s = m[H + lane], m[S + lane]
            x = early[lane]
            w = (x - s) + (a * h + BIAS)
            taken = (amount + now * slope) * w
            early[lane] = x - taken if taken != ZERO else x
            h = w - h
            s = s + b * w
            x = late[lane]
            w = (x - s) + (a * h + BIAS)
            taken = (amount + then * slope) * w
            late[lane] = x - taken if taken != ZERO else x
            m[H + lane] = w - h
            m[S + lane] = s + b * w
    if rows % 2:
        row, now = z[first + rows - 1, column : column + LANES], np.float32(passed + rows)
        for lane in range(LANES):
            x = row[lane]
            w = (x - m[S + lane]) + (m[A + lane] * m[H + lane] + BIAS)
            taken = (m[AMOUNT + lane] + now * m[SLOPE + lane]) * w
            row[lane] = x - taken if taken != ZERO else x
            m[H + lane] = w - m[H + lane]
            m[S + lane] = m[S + lane] + m[B + lane] * w


@kernel("void(float32[:, ::1], float32[:, ::1], int64, float32[:, :, ::1], int64[::1], float32[:, ::1])")
def filter_bells(x: Samples, y: Samples, passed: int, lanes: Samples, working: Ints, z: Samples) -> None:
    """Filter part of a control period through the bells, each along its ramp.

    y = x - (1 - G) k v1 per bell, in series, 1 - G on a straight line from the first to the last frame of the
    period

    Shapes    x, y (n, 2 T) lanes L0..LT-1 R0..RT-1, of one control period, from frame `passed` of it on;
              lanes (blocks, K, 6 LANES): A, B (`dsp.svf`), amount (1 - G) k a g at the grid point, its slope
              per frame, h, s2, each for `LANES` lanes of x; working (blocks): bells in use; z (CHUNK, LANES)
              scratch for a block that is not full
    Units     amplitude, full scale 1.0
    State     h, s2
    In place  no: x and y must not overlap
    Exact     a track without a working bell is copied bit for bit; any split of a period into calls gives the
              same bits, since the ramps depend on the frame in the period only
    Guards    a sample that is not finite or beyond +120 dBFS becomes 0; BIAS (-400 dB) keeps the states on
              multiples of 1e-27, never denormal
    Source    section: `dsp.svf`
    """
    frames, width = x.shape
    for i in range(frames):
        source, copy = x[i], y[i]
        for lane in range(width):
            sample = source[lane]
            copy[lane] = sample if abs(sample) <= LIMIT else ZERO
    for block in range(working.shape[0]):
        if working[block] == 0:
            continue
        first = block * LANES
        count = min(LANES, width - first)
        for begin in range(0, frames, CHUNK):
            rows = min(CHUNK, frames - begin)
            if count == LANES:
                for k in range(working[block]):
                    _ring(y, begin, rows, first, passed + begin, lanes[block, k])
                continue
            for i in range(rows):
                source, copy = y[begin + i, first : first + count], z[i]
                for lane in range(count):
                    copy[lane] = source[lane]
            for k in range(working[block]):
                _ring(z, 0, rows, 0, passed + begin, lanes[block, k])
            for i in range(rows):
                source, copy = z[i], y[begin + i, first : first + count]
                for lane in range(count):
                    copy[lane] = source[lane]
