"""Kernels and their cache: what a failure to load one does."""

import os
import subprocess
import sys
from pathlib import Path
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


def test_kernel_without_a_file_throws_the_cache_away(tmp_path: Path) -> None:
    """Compiled all the same, and the cache of all other kernels stays where it is."""
    code = (
        "from dsp import jit; import numba\n"
        "@jit.kernel('float64(float64)')\n"
        "def doubled(x): return 2.0 * x\n"
        "print(doubled(1.5), numba.config.CACHE_DIR)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "NUMBA_CACHE_DIR": ""},
        cwd=Path(jit.__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    value, folder = done.stdout.split()
    assert value == "3.0"
    assert [f.name for f in (tmp_path / "roomtone").iterdir()] == [Path(folder).name]


def test_interrupt_that_a_library_made_an_error_of_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("somewhere inside")
    error.__context__ = ValueError()
    error.__context__.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        make(monkeypatch, error)
