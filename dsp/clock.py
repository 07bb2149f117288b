"""The monotonic clock inside kernels, without the interpreter: C's `clock_gettime`, called through its address."""

import ctypes
import time
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_CLOCK = getattr(time, "CLOCK_MONOTONIC", 0)
_WORD = ir.IntType(64)
_INT = ir.IntType(32)


def clock_address() -> int:
    """Return the address of `clock_gettime`; 0 where there is none whose `timespec` is two 64-bit words.

    On Linux and macOS it is a function of the C library that reads memory the kernel keeps up to date (the vDSO, the
    commpage): it neither allocates nor locks, and enters the kernel only where a machine's clock cannot be read so.
    """
    if ctypes.sizeof(ctypes.c_long) != 8 or not hasattr(time, "CLOCK_MONOTONIC"):
        return 0
    try:
        function = ctypes.CDLL(None).clock_gettime
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@intrinsic  # type: ignore[untyped-decorator]
def monotonic_ns(typing_context: Any, address: Any) -> Any:
    """Return the time in nanoseconds (int64), by the function at int64 `address`, which is not 0; -1 if it fails."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        timespec = cgutils.alloca_once(builder, ir.ArrayType(_WORD, 2))
        kind = ir.FunctionType(_INT, [_INT, timespec.type])
        function = builder.inttoptr(args[0], kind.as_pointer())
        failed = builder.icmp_signed("!=", builder.call(function, [_INT(_CLOCK), timespec]), _INT(0))
        seconds = builder.load(cgutils.gep_inbounds(builder, timespec, 0, 0))
        rest_ns = builder.load(cgutils.gep_inbounds(builder, timespec, 0, 1))
        now_ns = builder.add(builder.mul(seconds, _WORD(1_000_000_000)), rest_ns)
        return builder.select(failed, _WORD(-1), now_ns)

    return types.int64(address), generate
