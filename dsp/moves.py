"""Parameters taken over once a quantum, and every change of one noted with its frame."""

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel
from dsp.memory import fence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CHUNK = 32
"""Slots that are compared at once: almost always none has moved."""


@kernel("void(float64[::1], float64[::1], float64[::1], int64, int64[::1], int64[:, ::1], float64[::1])")
def take_params(
    now: Floats, snapshot: Floats, noted: Floats, frame: int, counters: Ints, places: Ints, values: Floats
) -> None:
    """Copy `now`, which others write meanwhile, to `snapshot`, and append what differs from `noted` to a log.

    Shapes    now, snapshot, noted (n); counters (>= 1): rows written so far; of the log, row r modulo its length:
              places (N, 2): frame and slot; values (N)
    State     noted becomes what was copied; what is in the log is exactly that, even if `now` changes meanwhile
    """
    mask = np.uint64(values.shape[0] - 1)
    written = counters[0]
    for start in range(0, now.shape[0], CHUNK):
        stop = min(start + CHUNK, now.shape[0])
        moved = False
        for i in range(start, stop):
            value = now[i]
            snapshot[i] = value
            moved |= value != noted[i]
        if not moved:
            continue
        for i in range(start, stop):
            if snapshot[i] != noted[i]:
                noted[i] = snapshot[i]
                row = np.uint64(written) & mask
                places[row, 0], places[row, 1], values[row] = frame, i, snapshot[i]
                written += 1
    fence()  # release: the rows are there before the counter says so
    counters[0] = written
