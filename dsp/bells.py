"""The audio side of the dynamic EQ: bells in series on the lanes of a bank, each along a ramp of its depth."""

import numpy as np
import numpy.typing as npt

from dsp.jit import device, kernel
from dsp.vectors import WIDTH, Vector, fma, load, magnitude, negated, reread, splat, store, where, within

Samples = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bell = tuple[Vector, Vector, Vector]

LANES = WIDTH
"""Lanes per block: one vector; a block without a working bell is skipped."""
CHUNK = 64
"""Frames of a block that is not full that are copied to where there is room for a whole one."""
AT_ONCE = 4
"""Bells per inner loop: one bell's additions run while another's wait."""

A, B, AMOUNT, SLOPE, H, S = (row * LANES for row in range(6))
ROWS = 6

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault
ZERO = np.float32(0.0)
BIAS = np.float32(1e-20)  # -400 dB


@device
def _used(m: Samples) -> Vector:
    """Return a vector that is 0 in lanes in which a bell neither works nor begins to."""
    amount = load(m, AMOUNT)
    return where(amount, amount, load(m, SLOPE))


@device
def _ring(x: Vector, now: Vector, bias: Vector, m: Samples, h: Vector, s: Vector) -> Bell:
    """Run one bell for one frame; return what passes it, h and s."""
    w = (x - s) + fma(load(m, A), h, bias)
    amount = fma(now, load(m, SLOPE), load(m, AMOUNT))
    return fma(negated(amount), w, x), w - h, fma(load(m, B), w, s)


@device
def _sound(row: Samples, column: int) -> Vector:
    """Return the samples there, those that are a fault as 0."""
    x = load(row, column)
    return within(magnitude(x), splat(LIMIT), x, splat(ZERO))


@device
def _ring_four(x: Samples, y: Samples, column: int, passed: int, m: Samples) -> None:
    """Run four bells over a block of lanes from x into y, the first row of them `passed` into the period.

    What a bell is set to is read anew in every row: beside the states of all four there is no register left for it.
    """
    h0, h1, h2, h3 = load(m[0], H), load(m[1], H), load(m[2], H), load(m[3], H)
    s0, s1, s2, s3 = load(m[0], S), load(m[1], S), load(m[2], S), load(m[3], S)
    u0, u1, u2, u3 = _used(m[0]), _used(m[1]), _used(m[2]), _used(m[3])
    used = where(u0, u0, where(u1, u1, where(u2, u2, u3)))
    for i in range(x.shape[0]):
        reread()
        source, now, bias = _sound(x[i], column), splat(np.float32(passed + i + 1)), splat(BIAS)
        z, h0, s0 = _ring(source, now, bias, m[0], h0, s0)
        z, h1, s1 = _ring(z, now, bias, m[1], h1, s1)
        z, h2, s2 = _ring(z, now, bias, m[2], h2, s2)
        z, h3, s3 = _ring(z, now, bias, m[3], h3, s3)
        store(y[i], column, where(used, z, source))
    store(m[0], H, h0)
    store(m[0], S, s0)
    store(m[1], H, h1)
    store(m[1], S, s1)
    store(m[2], H, h2)
    store(m[2], S, s2)
    store(m[3], H, h3)
    store(m[3], S, s3)


@device
def _ring_one(x: Samples, y: Samples, column: int, passed: int, m: Samples) -> None:
    """Do the same with one bell."""
    used, h, s = _used(m), load(m, H), load(m, S)
    for i in range(x.shape[0]):
        source = _sound(x[i], column)
        z, h, s = _ring(source, splat(np.float32(passed + i + 1)), splat(BIAS), m, h, s)
        store(y[i], column, where(used, z, source))
    store(m, H, h)
    store(m, S, s)


@device
def _ring_all(x: Samples, y: Samples, column: int, passed: int, m: Samples, working: int) -> None:
    """Run all working bells from x into y, four at once as long as there are four."""
    k = 0
    while k < working:
        source = x if k == 0 else y
        if k + AT_ONCE <= m.shape[0]:
            _ring_four(source, y, column, passed, m[k : k + AT_ONCE])
            k += AT_ONCE
        else:
            _ring_one(source, y, column, passed, m[k])
            k += 1


@device
def _copy(x: Samples, y: Samples, first: int, last: int) -> None:
    """Copy lanes from x to y, samples that are a fault as 0."""
    for i in range(x.shape[0]):
        source, copy = x[i, first:last], y[i, first:last]
        for lane in range(last - first):
            sample = source[lane]
            copy[lane] = sample if abs(sample) <= LIMIT else ZERO


@device
def _ring_part(x: Samples, y: Samples, first: int, passed: int, m: Samples, working: int, z: Samples) -> None:
    """Run all working bells of the last block, which is not full, where there is room for a whole one."""
    count = x.shape[1] - first
    for begin in range(0, x.shape[0], CHUNK):
        rows = min(CHUNK, x.shape[0] - begin)
        for i in range(rows):
            for lane in range(count):
                z[0, np.uint64(i), np.uint64(lane)] = x[np.uint64(begin + i), np.uint64(first + lane)]
        _ring_all(z[0, :rows], z[1, :rows], 0, passed + begin, m, working)
        for i in range(rows):
            for lane in range(count):
                y[np.uint64(begin + i), np.uint64(first + lane)] = z[1, np.uint64(i), np.uint64(lane)]


@kernel("void(float32[:, ::1], float32[:, ::1], int64, float32[:, :, ::1], int64[::1], float32[:, :, ::1])")
def filter_bells(x: Samples, y: Samples, passed: int, lanes: Samples, working: Ints, z: Samples) -> None:
    """Filter part of a control period through the bells, each along its ramp.

    y = x - (1 - G) k v1 per bell, in series, 1 - G on a straight line from the first to the last frame of the
    period

    Shapes    x, y (n, 2 T) lanes L0..LT-1 R0..RT-1, of one control period, from frame `passed` of it on;
              lanes (blocks, K, 6 LANES): A, B (`dsp.svf`), amount (1 - G) k a g at the grid point, its slope
              per frame, h, s2, each for `LANES` lanes of x; working (blocks): bells in use; z (2, CHUNK,
              LANES) scratch for a block that is not full
    Units     amplitude, full scale 1.0
    State     h, s2
    In place  no: x and y must not overlap
    Exact     a track without a working bell is copied bit for bit; any split of a period into calls gives the
              same bits, since the ramps depend on the frame in the period only
    Guards    a sample that is not finite or beyond +120 dBFS becomes 0; BIAS (-400 dB) keeps the states on
              multiples of 1e-27, never denormal
    Source    section: `dsp.svf`
    """
    width = x.shape[1]
    block, blocks = 0, working.shape[0]
    while block < blocks:
        first = block * LANES
        if working[block] == 0:
            while block < blocks and working[block] == 0:
                block += 1
            _copy(x, y, first, min(block * LANES, width))
            continue
        if first + LANES <= width:
            _ring_all(x, y, first, passed, lanes[block], working[block])
        else:
            _ring_part(x, y, first, passed, lanes[block], working[block], z)
        block += 1
