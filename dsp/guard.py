"""The finite-sample guard that stands where sound enters: files, live input, what a plug-in returns."""

import numpy as np

from dsp.jit import device, kernel

LIMIT_AMPLITUDE = 15.848931924611133
"""+24 dBFS: above any sensible signal, far below where a float32 sum of hundreds of lanes could overflow."""

EXPONENT_BITS = np.uint32(0x7F800000)


@device
def is_finite(bits: np.uint32) -> bool:
    """Return whether the float32 with these bits is finite: its exponent is not all ones (IEEE 754).

    The test reads bits and not values, so no floating-point optimisation can remove it.
    """
    finite: bool = (bits & EXPONENT_BITS) != EXPONENT_BITS
    return finite


@kernel("int64(float32[:, ::1], float64)")
def sanitise(block: np.ndarray, limit: float) -> int:
    """Zero every non-finite sample, clamp the rest to ±limit, return how many were not finite.

    Shapes    block (frames, lanes)
    Units     amplitude, full scale 1.0; `limit` is usually `LIMIT_AMPLITUDE`
    In place  yes
    """
    bits = block.view(np.uint32)
    top = np.float32(limit)
    changed = 0
    for n in range(block.shape[0]):
        for lane in range(block.shape[1]):
            fine = is_finite(bits[n, lane])
            value = block[n, lane] if fine else np.float32(0.0)
            value = top if value > top else value
            value = -top if value < -top else value
            block[n, lane] = value
            changed += 0 if fine else 1
    return changed


@kernel("boolean(float32[:, ::1], float64)")
def has_run_away(block: np.ndarray, limit: float) -> bool:
    """Return whether any sample is not finite, or beyond ±limit.

    Shapes    block (frames, lanes)
    Units     amplitude, full scale 1.0
    """
    bits = block.view(np.uint32)
    top = np.float32(limit)
    away = False
    for n in range(block.shape[0]):
        for lane in range(block.shape[1]):
            away = away or not is_finite(bits[n, lane]) or abs(block[n, lane]) > top
    return away
