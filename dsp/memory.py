"""Memory for kernels: arrays over an address, or at a cache line, and the order in which others see what is written."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def pointer(typing_context: Any, address: Any) -> Any:
    """Turn an int64 address into a void pointer for `numba.carray`; the memory must outlive the call."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


@intrinsic  # type: ignore[untyped-decorator]
def fence(typing_context: Any) -> Any:
    """Order the memory accesses before and after, for processors that would not (x86 does anyway)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


ALIGNMENT_BYTES = 64
"""A line of the cache, and the widest vector there is."""


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Return zeros of `shape`, C-contiguous, that begin at a cache line.

    numpy's own begin anywhere at a multiple of 16 bytes; a load of a vector that lies across two lines takes twice as
    long, and the kernels do little else but load.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start : start + size].view(dtype).reshape(shape)
