"""The guards against samples that are not finite or absurdly loud: where sound enters, and behind every node."""

import numpy as np
from numba import carray

from dsp.jit import device, kernel
from dsp.memory import pointer

LIMIT_AMPLITUDE = 15.848931924611133
"""+24 dBFS: above any sensible signal, far below where a float32 sum of hundreds of lanes could overflow."""

EXPONENT_BITS = np.uint32(0x7F800000)

MAGNITUDE_BITS = np.int32(0x7FFFFFFF)
RUNAWAY_AMPLITUDE = 1e4
"""+80 dBFS: louder than hundreds of tracks at full level with all gains up; only what has run away gets there."""

RUNAWAY_BITS = int(np.float32(RUNAWAY_AMPLITUDE).view(np.int32))

SILENCE_AMPLITUDE = 1e-6
"""-120 dBFS: below it a decaying sample is silence."""


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


Watched = tuple[int, int, int, int]
"""What `watch` is called with."""


def watched(block: np.ndarray, last: np.ndarray) -> Watched:
    """Return what `watch` takes for `block` (frames, lanes) and `last` (lanes,), which must outlive all calls.

    Raises TypeError unless both are C-contiguous float32 of these shapes.
    """
    for array in (block, last):
        if array.dtype != np.float32 or not array.flags.c_contiguous:
            raise TypeError("only C-contiguous float32 can be watched")
    if block.ndim != 2 or last.shape != block.shape[1:]:
        raise TypeError(f"a last frame of {last.shape} does not fit a block of {block.shape}")
    return block.ctypes.data, *block.shape, last.ctypes.data


@kernel("boolean(int64, int64, int64, int64)")
def watch(block_address: int, frames: int, lanes: int, last_address: int) -> bool:
    """Return whether all of a block is finite and within +80 dBFS; if it is, keep its last frame.

    It runs after every node, and takes addresses, which `watched` gives, because an array takes longer to be handed
    over than to be looked through.

    Without their sign the bits of float32 are in the order of their magnitudes, and infinities and NaN above all: one
    maximum of integers finds all three, in vectors.

    Shapes    block (frames, lanes); last (lanes,)
    Units     amplitude, full scale 1.0
    """
    block = carray(pointer(block_address), (frames, lanes), np.float32)
    last = carray(pointer(last_address), (lanes,), np.float32)
    bits = carray(pointer(block_address), (frames * lanes,), np.int32)
    worst = np.int32(0)
    for i in range(bits.shape[0]):
        worst = max(worst, np.int32(bits[i] & MAGNITUDE_BITS))
    if worst > RUNAWAY_BITS:
        return False
    for lane in range(lanes):
        last[lane] = block[frames - 1, lane]
    return True


@kernel(
    "int64(float32[:, ::1], float32[::1], float64[::1], int64[::1], boolean[::1], boolean[::1], int32[::1],"
    " float32[::1], float64)"
)
def mend(
    block: np.ndarray,
    last: np.ndarray,
    rest: np.ndarray,
    risen: np.ndarray,
    bad: np.ndarray,
    again: np.ndarray,
    worst: np.ndarray,
    rise: np.ndarray,
    decay: float,
) -> int:
    """Replace what `watch` would refuse, lane by lane, so that no lane steps; return how many lanes are not at rest.

    A lane with such a sample gives up the whole block: its last good sample dies away in its place. Afterwards the lane
    comes back along `rise`, over what is left of that. A lane at rest is not touched.

    Shapes    block (frames, lanes); rise (fade frames,), 0 to 1; all others (lanes,)
    State     last: the last frame put out; rest: what still dies away; risen: frames of the rise that are past
    Output    bad: the lanes given up; again: those of them that were bad in the block before, too; worst: scratch
    In place  yes
    """
    frames, lanes = block.shape
    bits = block.view(np.int32)
    worst[:] = np.int32(0)
    for n in range(frames):
        for lane in range(lanes):
            worst[lane] = max(worst[lane], np.int32(bits[n, lane] & MAGNITUDE_BITS))
    busy = 0
    for lane in range(lanes):
        was_bad = bad[lane]
        bad[lane] = worst[lane] > RUNAWAY_BITS
        again[lane] = was_bad and bad[lane]
        if bad[lane]:
            rest[lane] = last[lane]
            risen[lane] = 0
        left, at = rest[lane], risen[lane]
        if left != 0.0 or at < rise.shape[0] or bad[lane]:
            for n in range(frames):
                left = left * decay if abs(left) > SILENCE_AMPLITUDE else 0.0
                value = left
                if not bad[lane]:
                    value += block[n, lane] * (rise[at] if at < rise.shape[0] else np.float32(1.0))
                    at += 1
                block[n, lane] = np.float32(value)
            rest[lane], risen[lane] = left, min(at, rise.shape[0])
            if left != 0.0 or at < rise.shape[0]:
                busy += 1
        last[lane] = block[frames - 1, lane]
    return busy
