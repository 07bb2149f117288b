"""Vectors of float32 for the kernels: a filter's state stays in registers for as long as its loop runs.

The compiler turns loops over lanes into vectors by itself, but then loads and stores every state in every frame, and
at half the width some processors have. A `Vector` is a value of LLVM's own type, as wide as a register. Every
operation is done lane by lane, so a lane's result depends neither on another nor on the width.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

import llvmlite.binding
import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils as numba_cgutils
from numba.core import types
from numba.extending import intrinsic, models, overload, register_model

Samples = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]
"""What a kernel sees as one value of `WIDTH` lanes; a short array where numba is switched off."""

cgutils: Any = numba_cgutils
config: Any = numba.config


def _register_width() -> int:
    """Return how many float32 a register holds on the processor that numba compiles for."""
    if config.CPU_NAME or config.CPU_FEATURES:
        features = set((config.CPU_FEATURES or "").split(","))
    else:
        features = {f"+{name}" for name, has in llvmlite.binding.get_host_cpu_features().items() if has}
    if "+avx512f" in features:
        return 16
    return 8 if "+avx" in features or "+avx2" in features else 4


WIDTH = _register_width()
"""Lanes of a vector: 16 with AVX-512, 8 with AVX, else 4."""

FLOAT = ir.FloatType()
FLOATS = ir.VectorType(FLOAT, WIDTH)
INT = ir.IntType(32)


class VectorType(types.Type):
    """The type of a vector inside kernels."""

    def __init__(self) -> None:
        super().__init__(name=f"vector{WIDTH}")


VECTOR = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, FLOATS)


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    first = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(first, [at]), FLOATS.as_pointer())


def _load(typing: Any, row: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=4)

    return VECTOR(row, types.intp), generate


def _store(typing: Any, row: Any, at: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, at, value = arguments
        builder.store(value, _address(context, builder, signature.args[0], array, at), align=4)
        return context.get_dummy_value()

    return types.void(row, types.intp, VECTOR), generate


def _splat(typing: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        nothing = ir.Constant(FLOATS, ir.Undefined)
        first = builder.insert_element(nothing, arguments[0], ir.Constant(INT, 0))
        return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(INT, WIDTH), [0] * WIDTH))

    return VECTOR(types.float32), generate


def _fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        form = ir.FunctionType(FLOATS, [FLOATS] * 3)
        name = f"llvm.fmuladd.v{WIDTH}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, form, name), arguments)

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


def _reread(typing: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)
        return context.get_dummy_value()

    return types.void(), generate


def _where(typing: Any, which: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        which, a, b = arguments
        return builder.select(builder.fcmp_unordered("!=", which, ir.Constant(FLOATS, None)), a, b)

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


def _negated(typing: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fneg(*arguments)

    return VECTOR(VECTOR), generate


def _magnitude(typing: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        form = ir.FunctionType(FLOATS, [FLOATS])
        name = f"llvm.fabs.v{WIDTH}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, form, name), arguments)

    return VECTOR(VECTOR), generate


def _total(typing: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,), lanes = arguments, WIDTH
        while lanes > 1:
            lanes //= 2
            near, far = (
                builder.shuffle_vector(value, value, ir.Constant(ir.VectorType(INT, lanes), list(which)))
                for which in (range(lanes), range(lanes, 2 * lanes))
            )
            value = builder.fadd(near, far)
        return builder.extract_element(value, ir.Constant(INT, 0))

    return types.float32(VECTOR), generate


def _larger(typing: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return VECTOR(VECTOR, VECTOR), generate


def _within(typing: Any, size: Any, limit: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        size, limit, a, b = arguments
        return builder.select(builder.fcmp_ordered("<=", size, limit), a, b)

    return VECTOR(VECTOR, VECTOR, VECTOR, VECTOR), generate


def _operation(name: str) -> Any:
    def typed(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments)

        return VECTOR(a, b), generate

    return intrinsic(typed)


_sum, _difference, _product = _operation("fadd"), _operation("fsub"), _operation("fmul")


def _let(operation: Any, intrinsic_operation: Any) -> None:
    """Let the operator of Python stand for the intrinsic between two vectors."""

    def choose(a: Any, b: Any) -> Any:
        def apply(a: Any, b: Any) -> Any:
            return intrinsic_operation(a, b)

        return apply if isinstance(a, VectorType) and isinstance(b, VectorType) else None

    overload(operation)(choose)


_let(operator.add, _sum)
_let(operator.sub, _difference)
_let(operator.mul, _product)

load: Callable[[Samples, int], Vector] = cast(Any, intrinsic(_load))
"""load(row, at): the `WIDTH` samples of a contiguous row from index `at` on; nobody checks that they are there."""
store: Callable[[Samples, int, Vector], None] = cast(Any, intrinsic(_store))
"""store(row, at, value): the opposite."""
splat: Callable[[np.float32], Vector] = cast(Any, intrinsic(_splat))
"""splat(value): the same value in all lanes."""
fma: Callable[[Vector, Vector, Vector], Vector] = cast(Any, intrinsic(_fma))
"""fma(a, b, c): a b + c, rounded once if the processor has an instruction for it (all since 2013 do), or else twice."""
reread: Callable[[], None] = cast(Any, intrinsic(_reread))
"""reread(): what the code behind it reads it reads anew, and does not keep in registers it has too few of."""
where: Callable[[Vector, Vector, Vector], Vector] = cast(Any, intrinsic(_where))
"""where(which, a, b): a in lanes in which `which` is not 0, else b."""
negated: Callable[[Vector], Vector] = cast(Any, intrinsic(_negated))
"""negated(a): -a, which costs nothing as a factor of fma."""
magnitude: Callable[[Vector], Vector] = cast(Any, intrinsic(_magnitude))
"""magnitude(a): |a|."""
total: Callable[[Vector], np.float32] = cast(Any, intrinsic(_total))
"""total(a): the sum of the lanes, folded in halves: the upper half is added to the lower, until one is left."""
larger: Callable[[Vector, Vector], Vector] = cast(Any, intrinsic(_larger))
"""larger(a, b): a where a > b, else b, also where one of them is no number."""
within: Callable[[Vector, Vector, Vector, Vector], Vector] = cast(Any, intrinsic(_within))
"""within(size, limit, a, b): a where size <= limit, else b, also where one of them is no number."""

if config.DISABLE_JIT:

    def _store_slowly(row: Samples, at: int, value: Vector) -> None:
        row[at : at + WIDTH] = value

    def _total_slowly(value: Vector) -> np.float32:
        while len(value) > 1:
            value = value[: len(value) // 2] + value[len(value) // 2 :]
        return np.float32(value[0])

    load = lambda row, at: row[at : at + WIDTH].copy()  # noqa: E731
    store = _store_slowly
    splat = lambda value: np.full(WIDTH, value, np.float32)  # noqa: E731
    fma = lambda a, b, c: a * b + c  # noqa: E731
    where = lambda which, a, b: np.where(which != 0, a, b)  # noqa: E731
    reread = lambda: None  # noqa: E731
    negated = np.negative
    magnitude = np.abs
    total = _total_slowly
    larger = lambda a, b: np.where(a > b, a, b)  # noqa: E731
    within = lambda size, limit, a, b: np.where(size <= limit, a, b)  # noqa: E731
