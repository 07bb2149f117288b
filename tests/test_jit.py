"""Kernels and their cache: what a failure to load one does."""

from typing import Any

import pytest

from dsp import jit


def doubled(x: float) -> float:
    return 2.0 * x


def make(monkeypatch: pytest.MonkeyPatch, *failures: Exception) -> tuple[Any, list[str]]:
    """Make a kernel whose first compilations fail; return it, and what became of the cache."""
    told: list[str] = []
    left = list(failures)

    def fails(*_: object) -> Any:
        if left:
            raise left.pop(0)
        return "compiled"

    monkeypatch.setattr(jit, "_compile", fails)
    monkeypatch.setattr(jit, "_cached", True)
    monkeypatch.setattr(jit, "_set_cache_aside", lambda: told.append("set aside"))
    return jit.kernel("float64(float64)")(doubled), told


def test_one_failure_throws_away_what_all_programs_have_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make(monkeypatch, RuntimeError("for a moment")) == ("compiled", [])


def test_damaged_cache_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make(monkeypatch, EOFError(), EOFError()) == ("compiled", ["set aside"])


def test_interrupt_that_a_library_made_an_error_of_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("somewhere inside")
    error.__context__ = ValueError()
    error.__context__.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        make(monkeypatch, error)
