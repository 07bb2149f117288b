"""Turning tiles in registers, against numpy's transposition."""

import numpy as np
import pytest

from dsp.jit import kernel
from dsp.tiles import QUAD, far_quads, fetch, quads, turned
from dsp.vectors import WIDTH, Samples, store


@kernel("void(float32[:, ::1], int64, int64, float32[:, ::1])")
def turn(matrix: Samples, row: int, column: int, out: Samples) -> None:
    a, b, c, d = turned(quads(matrix, row, column))
    store(out[0], 0, a)
    store(out[1], 0, b)
    store(out[2], 0, c)
    store(out[3], 0, d)


@kernel("void(int64[::1], int64, int64, float32[:, ::1])")
def turn_far(addresses: np.ndarray, row: int, offset: int, out: Samples) -> None:
    for address in addresses:
        fetch(address)
    a, b, c, d = turned(far_quads(addresses, row, offset))
    store(out[0], 0, a)
    store(out[1], 0, b)
    store(out[2], 0, c)
    store(out[3], 0, d)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (1, 13)])
def test_a_tile_is_turned_to_another_place(row: int, column: int) -> None:
    """4 columns of as many rows as a vector has lanes, from any place of a matrix, and of rows that lie anywhere."""
    matrix = np.random.default_rng(1).standard_normal((WIDTH + 5, 17)).astype(np.float32)
    truth = matrix[row : row + WIDTH, column : column + QUAD].T
    out = np.zeros((QUAD, WIDTH), np.float32)
    turn(matrix, row, column, out)
    assert np.array_equal(out, truth)
    out[:] = 0.0
    rows = [line.copy() for line in matrix]
    turn_far(np.array([line.ctypes.data for line in rows]), row, 4 * column, out)
    assert np.array_equal(out, truth)
