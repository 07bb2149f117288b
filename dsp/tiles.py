"""Turning tiles of a matrix in registers: from rows to columns without walking down a column.

A column of a bank whose rows are 4096 bytes apart lies in one set of the processor's cache, which holds 8 lines of it.
So what needs columns reads pieces of `QUAD` samples of `WIDTH` rows, and turns them in registers.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba.core import types as numba_types
from numba.extending import intrinsic

from dsp.vectors import FLOAT, INT, VECTOR, WIDTH, Samples, Vector, cgutils, config

QUAD = 4
"""Samples of a row that are turned at once."""

Four = tuple[Vector, Vector, Vector, Vector]

types: Any = numba_types
_QUADS = types.UniTuple(VECTOR, QUAD)


def _shuffle(builder: Any, a: Any, b: Any, order: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT, len(order)), order))


def _join(builder: Any, parts: list[Any]) -> Any:
    while len(parts) > 1:
        size = 2 * parts[0].type.count
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [_shuffle(builder, a, b, list(range(size))) for a, b in pairs]
    return parts[0]


def _four(context: Any, builder: Any, form: Any, read: Callable[[int], Any]) -> Any:
    rows = [read(down) for down in range(WIDTH)]
    return context.make_tuple(builder, form, [_join(builder, rows[k::QUAD]) for k in range(QUAD)])


def _quads(typing: Any, matrix: Any, row: Any, column: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, row, column = arguments
        stride = builder.extract_value(array.shape, 1)
        quad = ir.VectorType(FLOAT, QUAD).as_pointer()

        def read(down: int) -> Any:
            at = builder.add(builder.mul(builder.add(row, ir.Constant(row.type, down)), stride), column)
            return builder.load(builder.bitcast(builder.gep(array.data, [at]), quad), align=4)

        return _four(context, builder, signature.return_type, read)

    return _QUADS(matrix, types.intp, types.intp), generate


def _turned(typing: Any, four: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, c, d = (builder.extract_value(arguments[0], k) for k in range(QUAD))

        def mixed(x: Any, y: Any, order: list[int]) -> Any:
            """Shuffle every quad alike: 0 to 3 are those of x, 4 to 7 those of y."""
            wide = [q + k % QUAD + (WIDTH if k >= QUAD else 0) for q in range(0, WIDTH, QUAD) for k in order]
            return _shuffle(builder, x, y, wide)

        low, high = [0, 4, 1, 5], [2, 6, 3, 7]
        ab, cd, ab_high, cd_high = mixed(a, b, low), mixed(c, d, low), mixed(a, b, high), mixed(c, d, high)
        first, last = [0, 1, 4, 5], [2, 3, 6, 7]
        columns = [
            mixed(ab, cd, first),
            mixed(ab, cd, last),
            mixed(ab_high, cd_high, first),
            mixed(ab_high, cd_high, last),
        ]
        return context.make_tuple(builder, signature.return_type, columns)

    return _QUADS(_QUADS), generate


def _far_quads(typing: Any, addresses: Any, row: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, row, offset = arguments
        quad = ir.VectorType(FLOAT, QUAD).as_pointer()

        def read(down: int) -> Any:
            address = builder.load(builder.gep(array.data, [builder.add(row, ir.Constant(row.type, down))]))
            return builder.load(builder.inttoptr(builder.add(address, offset), quad), align=4)

        return _four(context, builder, signature.return_type, read)

    return _QUADS(addresses, types.intp, types.intp), generate


def _fetch(typing: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        form = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, INT, INT, INT])
        function = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch.p0i8")
        to_read, to_all_caches, data = ir.Constant(INT, 0), ir.Constant(INT, 3), ir.Constant(INT, 1)
        builder.call(function, [place, to_read, to_all_caches, data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


quads: Callable[[Samples, int, int], Four] = cast(Any, intrinsic(_quads))
"""quads(matrix, row, column): the `QUAD` samples from `column` on of the `WIDTH` rows from `row` on.

The k-th of the four vectors holds those of rows k, k + 4, … of them; nobody checks that they are there.
"""
turned: Callable[[Four], Four] = cast(Any, intrinsic(_turned))
"""turned(four): of what `quads` returned the four columns, each a vector with a row a lane."""
far_quads: Callable[[Any, int, int], Four] = cast(Any, intrinsic(_far_quads))
"""far_quads(addresses, row, offset): the same of rows that each lie at an address of their own, `offset` bytes on."""
fetch: Callable[[int], None] = cast(Any, intrinsic(_fetch))
"""fetch(address): have the line of memory there come to the cache, to be read; harmless where there is none."""

if config.DISABLE_JIT:

    def _read_slowly(matrix: Samples, row: int, column: int) -> Four:
        rows = matrix[row : row + WIDTH, column : column + QUAD]
        return rows[0::QUAD].ravel(), rows[1::QUAD].ravel(), rows[2::QUAD].ravel(), rows[3::QUAD].ravel()

    def _turn_slowly(four: Four) -> Four:
        columns = np.stack(four).reshape(QUAD, WIDTH // QUAD, QUAD).T.reshape(QUAD, WIDTH)
        return columns[0], columns[1], columns[2], columns[3]

    quads, turned = _read_slowly, _turn_slowly
