"""Flushing of subnormal numbers to zero, for the calling thread.

Decaying filters and tails end in subnormals (below 1.2e-38), on which some processors are 50 times slower.
The setting belongs to a thread and is inherited by the threads it starts; it holds for all code that runs
there, numpy included.
"""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils as numba_cgutils
from numba.core import types
from numba.extending import intrinsic

from dsp.jit import kernel

cgutils: Any = numba_cgutils
config: Any = numba.config

X86_64 = platform.machine().lower() in ("x86_64", "amd64")
AARCH64 = platform.machine().lower() in ("aarch64", "arm64")
SUPPORTED = (X86_64 or AARCH64) and not config.DISABLE_JIT
"""Whether this machine has a setting that `flush_denormals` knows."""

FLUSH_BITS = 0x8040 if X86_64 else 1 << 24
"""MXCSR FTZ (bit 15) and DAZ (bit 6), Intel SDM vol. 1, 10.2.3; or FPCR FZ (bit 24), Arm ARM C5.2.8."""


def _x86_control(builder: Any, value: Any | None) -> Any:
    word = cgutils.alloca_once(builder, ir.IntType(32))
    name = "llvm.x86.sse.stmxcsr" if value is None else "llvm.x86.sse.ldmxcsr"
    pointer = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [pointer]), name)
    if value is not None:
        builder.store(builder.trunc(value, ir.IntType(32)), word)
    builder.call(function, [builder.bitcast(word, pointer)])
    return builder.zext(builder.load(word), ir.IntType(64))


def _aarch64_control(builder: Any, value: Any | None) -> Any:
    wide = ir.IntType(64)
    if value is None:
        kind, name, arguments = ir.FunctionType(wide, []), "llvm.aarch64.get.fpcr", []
    else:
        kind, name, arguments = ir.FunctionType(ir.VoidType(), [wide]), "llvm.aarch64.set.fpcr", [value]
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    result = builder.call(function, arguments)
    return result if value is None else value


_control = _x86_control if X86_64 else _aarch64_control


def _type_read(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _control(builder, None)

    return types.int64(), generate


def _type_write(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _control(builder, arguments[0])

    return types.int64(types.int64), generate


_read: Any = intrinsic(_type_read)
_write: Any = intrinsic(_type_write)


if SUPPORTED:

    @kernel("int64(int64, int64)")
    def _change(clear: int, put: int) -> int:
        before: int = _read()
        _write((before & ~clear) | put)
        return before


def flush_denormals(on: bool) -> bool:
    """Have the calling thread flush subnormals to zero, or not; return whether it did before.

    Sets the flags for results and for operands (x86-64 FTZ and DAZ, aarch64 FZ). Where there is no such
    setting nothing happens and the answer is False.
    """
    if not SUPPORTED:
        return False
    before = _change(FLUSH_BITS, FLUSH_BITS if on else 0)
    return before & FLUSH_BITS == FLUSH_BITS


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Flush subnormals within a `with` block, then restore what the thread had before."""
    before = flush_denormals(True)
    try:
        yield
    finally:
        flush_denormals(before)
