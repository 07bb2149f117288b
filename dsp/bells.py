"""The audio side of the dynamic EQ: bells in series on the lanes of a bank, each along a ramp of its depth."""

import numpy as np
import numpy.typing as npt

from dsp.jit import device, kernel
from dsp.vectors import WIDTH, Vector, fma, load, splat, store, where

Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Section = tuple[Vector, Vector, Vector, Vector]
Bell = tuple[Vector, Vector, Vector]

LANES = WIDTH
"""Lanes per block: one vector; a block without a working bell is skipped."""
CHUNK = 64
"""Frames of a block that is not full that are copied to where there is room for a whole one."""
AT_ONCE = 4
"""Bells per inner loop: their states fill the registers, and one bell's additions run while another's wait."""

A, B, AMOUNT, SLOPE, H, S = (row * LANES for row in range(6))
ROWS = 6

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault
ZERO = np.float32(0.0)
BIAS = np.float32(1e-20)  # -400 dB


@device
def _coefs(m: Samples) -> Section:
    nothing = splat(ZERO)
    return load(m, A), load(m, B), nothing - load(m, AMOUNT), nothing - load(m, SLOPE)


@device
def _ring(x: Vector, now: Vector, bias: Vector, section: Section, h: Vector, s: Vector) -> Bell:
    """Run one bell for one frame; return what passes it, h and s."""
    a, b, minus_amount, minus_slope = section
    w = (x - s) + fma(a, h, bias)
    return fma(fma(now, minus_slope, minus_amount), w, x), w - h, fma(b, w, s)


@device
def _used(section: Section) -> Vector:
    """Return a vector that is 0 in lanes in which a bell neither works nor begins to."""
    return where(section[2], section[2], section[3])


@device
def _ring_four(z: Samples, first: int, rows: int, column: int, passed: int, m: Samples) -> None:
    """Run four bells over `rows` rows of `LANES` lanes of z, in place, the first of them `passed` into the period."""
    c0, c1, c2, c3 = _coefs(m[0]), _coefs(m[1]), _coefs(m[2]), _coefs(m[3])
    h0, h1, h2, h3 = load(m[0], H), load(m[1], H), load(m[2], H), load(m[3], H)
    s0, s1, s2, s3 = load(m[0], S), load(m[1], S), load(m[2], S), load(m[3], S)
    used = where(_used(c0), _used(c0), where(_used(c1), _used(c1), where(_used(c2), _used(c2), _used(c3))))
    bias = splat(BIAS)
    for i in range(rows):
        row, now = z[first + i], splat(np.float32(passed + i + 1))
        x = load(row, column)
        y, h0, s0 = _ring(x, now, bias, c0, h0, s0)
        y, h1, s1 = _ring(y, now, bias, c1, h1, s1)
        y, h2, s2 = _ring(y, now, bias, c2, h2, s2)
        y, h3, s3 = _ring(y, now, bias, c3, h3, s3)
        store(row, column, where(used, y, x))
    store(m[0], H, h0)
    store(m[0], S, s0)
    store(m[1], H, h1)
    store(m[1], S, s1)
    store(m[2], H, h2)
    store(m[2], S, s2)
    store(m[3], H, h3)
    store(m[3], S, s3)


@device
def _ring_one(z: Samples, first: int, rows: int, column: int, passed: int, m: Samples) -> None:
    """Do the same with one bell."""
    section, h, s = _coefs(m), load(m, H), load(m, S)
    used, bias = _used(section), splat(BIAS)
    for i in range(rows):
        row = z[first + i]
        x = load(row, column)
        y, h, s = _ring(x, splat(np.float32(passed + i + 1)), bias, section, h, s)
        store(row, column, where(used, y, x))
    store(m, H, h)
    store(m, S, s)


@device
def _ring_all(z: Samples, first: int, rows: int, column: int, passed: int, m: Samples, working: int) -> None:
    """Run all working bells, four at once as long as there are four."""
    k = 0
    while k < working:
        if k + AT_ONCE <= m.shape[0]:
            _ring_four(z, first, rows, column, passed, m[k : k + AT_ONCE])
            k += AT_ONCE
        else:
            _ring_one(z, first, rows, column, passed, m[k])
            k += 1


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
        if count == LANES:
            _ring_all(y, 0, frames, first, passed, lanes[block], working[block])
            continue
        for begin in range(0, frames, CHUNK):
            rows = min(CHUNK, frames - begin)
            for i in range(rows):
                source, copy = y[begin + i, first : first + count], z[i]
                for lane in range(count):
                    copy[lane] = source[lane]
            _ring_all(z, 0, rows, 0, passed + begin, lanes[block], working[block])
            for i in range(rows):
                source, copy = z[i], y[begin + i, first : first + count]
                for lane in range(count):
                    copy[lane] = source[lane]
