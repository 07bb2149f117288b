"""Subnormals must be flushed where asked, in that thread only, and be back afterwards."""

import threading

import numpy as np
import pytest

from dsp.denormals import SUPPORTED, denormals_flushed, flush_denormals
from dsp.jit import kernel

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this machine has no flush-to-zero setting known here")


@kernel("float32(float32, float32)")
def product(a: np.float32, b: np.float32) -> np.float32:
    return a * b


@kernel("float64(float64, float64)")
def wide_product(a: float, b: float) -> float:
    return a * b


def flushes_results() -> bool:
    return product(np.float32(1e-30), np.float32(1e-10)) == 0.0 and wide_product(1e-300, 1e-15) == 0.0


def flushes_operands() -> bool:
    return product(np.float32(1e-40), np.float32(1e10)) == 0.0 and wide_product(1e-310, 1e20) == 0.0


def test_a_decaying_tail_does_not_stay_subnormal_while_flushing() -> None:
    """1e-30 * 1e-10 is 1e-40 (subnormal in float32) without, exactly 0 with; operands likewise."""
    assert not flushes_results()
    assert not flushes_operands()
    with denormals_flushed():
        assert flushes_results()
        assert flushes_operands()
    assert not flushes_results()
    assert not flushes_operands()


def test_normal_numbers_are_left_alone_while_flushing() -> None:
    """The smallest normal float32, 1.18e-38, survives."""
    with denormals_flushed():
        smallest = np.finfo(np.float32).tiny
        assert product(smallest, np.float32(1.0)) == smallest


def test_the_previous_setting_comes_back_after_an_error_and_after_nesting() -> None:
    """Inner blocks and exceptions leave the outer setting as it was."""
    with denormals_flushed():
        with pytest.raises(KeyError), denormals_flushed():
            raise KeyError
        assert flushes_results()
    assert not flushes_results()


def test_turning_it_on_reports_what_it_was() -> None:
    """False, then True, then off again."""
    try:
        assert flush_denormals(True) is False
        assert flush_denormals(True) is True
    finally:
        assert flush_denormals(False) is True
    assert not flushes_results()


def test_another_thread_is_not_changed() -> None:
    """The setting belongs to the thread that asked."""
    seen = []

    def work() -> None:
        flush_denormals(True)
        seen.append(flushes_results())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]
    assert not flushes_results()
