"""The few things done to whole blocks: sum, delay, fade."""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.jit import kernel

Lanes = NDArray[np.float32]


@kernel("void(float32[:, ::1], float32[:, ::1])")
def add_to(x: Lanes, y: Lanes) -> None:
    """y += x, both `[frames, lanes]`."""
    for n in range(x.shape[0]):
        for lane in range(x.shape[1]):
            y[n, lane] += x[n, lane]


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def add(a: Lanes, b: Lanes, y: Lanes) -> None:
    """y = a + b, all `[frames, lanes]`."""
    for n in range(y.shape[0]):
        for lane in range(y.shape[1]):
            y[n, lane] = a[n, lane] + b[n, lane]


@kernel("int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64)")
def delay(x: Lanes, y: Lanes, line: Lanes, at: int) -> int:
    """y = x, `len(line)` frames later; `line` is the ring of what is under way, `at` its place, returned anew."""
    for n in range(x.shape[0]):
        for lane in range(x.shape[1]):
            y[n, lane] = line[at, lane]
            line[at, lane] = x[n, lane]
        at += 1
        if at == line.shape[0]:
            at = 0
    return at


@kernel("void(float32[:, ::1], int64, int64, boolean)")
def fade(x: Lanes, done: int, length: int, out: bool) -> None:
    """Multiply `x` in place by a raised cosine of `length` frames, of which `done` (may be < 0) are past.

    Rising from 0 to 1, or falling from 1 to 0 if `out`.
    """
    for n in range(x.shape[0]):
        at = min(max(done + n, 0), length)
        gain = 0.5 - 0.5 * math.cos(math.pi * at / length)
        if out:
            gain = 1.0 - gain
        for lane in range(x.shape[1]):
            x[n, lane] = np.float32(x[n, lane] * gain)
