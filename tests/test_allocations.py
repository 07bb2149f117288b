"""What is rendered allocates nothing: not in kernels, not in Python, in no quantum of an edit or a fault either."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

STRAY = """
from benchmarks import allocations as a
import numba
import numpy as np
from engine.rendering import renderer as home

# By numba itself: a kernel without a source file cannot be kept, and would have all that are kept set aside.
@numba.njit("boolean(int64, int64, int64, int64)", nogil=True, error_model="numpy")
def watch(block_address, frames, lanes, last_address):
    return bool(np.ones(lanes).max() > 0.0)

home.watch = watch
kept = []
stage = a.Stage(8, 64)
for _ in range(20):
    stage.render()
in_kernels = a.in_kernels(stage.render)
in_python = a.in_python(lambda: kept.append(a.np.zeros(1)))
in_quantum = a.in_python(lambda: np.zeros((64, 2), np.float32))
print(in_kernels["beside_them"], in_python["growth_bytes"], in_python["collections"], in_quantum["peak_bytes"])
"""


def child(*command: str) -> str:
    """Run a process of its own: numba counts only if it is told so before it is imported."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def measured() -> Any:
    return json.loads(child("-m", "benchmarks.allocations", "--json"))


def test_a_kernel_allocates(measured: Any) -> None:
    """In 200 quanta of every node and graph: one allocation for each array handed in, no more, and all are freed."""
    assert len(measured["quanta"]) == 40
    for place, row in measured["quanta"].items():
        assert row["arrays_least"] >= 2, place
        assert (row["beside_them"], row["never_freed"]) == (0, 0), place


@pytest.mark.parametrize("quantum", [64, 512])
def test_more_tracks_hand_more_arrays_to_kernels(measured: Any, quantum: int) -> None:
    """8 and 64 tracks: the same number, but for one more call (16 arrays) where their control is done in more parts."""
    few, many = (measured["quanta"][f"{tracks} tracks, {quantum} frames"] for tracks in (8, 64))
    for which in ("arrays_least", "arrays_most"):
        assert few[which] <= many[which] <= few[which] + 16


def test_memory_grows_or_the_collector_runs_while_rendering(measured: Any) -> None:
    """Over 2000 quanta: less than 2 KiB more at the end, 2 KiB and pedalboard's return at most; 0 collections."""
    for place, row in measured["quanta"].items():
        quantum = int(place.split()[-2])
        returned = (
            8 * quantum
            if place.split(",")[0] in ("room", "compressor", "insert", "8 tracks", "64 tracks")
            else 0
        )
        assert row["growth_bytes"] < 2048, place
        assert row["peak_bytes"] < 2048 + returned, place
        assert row["collections"] == 0, place
        assert abs(row["objects_tracked"]) < 10, place


def test_the_quanta_of_an_edit_or_a_fault_allocate(measured: Any) -> None:
    """Seven edits and a fault of each of ten nodes: no quantum, adoption and healing included, peaks above 4 KiB."""
    assert len(measured["edits"]) == 7 + 10
    assert {what: peak for what, peak in measured["edits"].items() if peak >= 4096} == {}


def test_a_stray_allocation_would_be_found() -> None:
    """A guard that makes one temporary for each of 10 nodes' 11 outputs; an array kept; a stereo quantum not kept."""
    in_kernels, growth, collections, peak = map(int, child("-c", STRAY).split())
    assert in_kernels == 200 * 11
    assert growth > 2000 * 8
    assert collections == 0
    assert peak >= 512
