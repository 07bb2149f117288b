"""What is allocated while sound is rendered: nothing but the handles of arrays on their way into kernels.

    python -m benchmarks.allocations
    python -m benchmarks.allocations --json
    python -m benchmarks.allocations --graph 8 --quantum 128      only the graph of a scene of 8 tracks

numba's runtime counts every allocation of compiled code. Each array handed to a kernel takes one, the handle that is
freed when it returns; one more, and a kernel allocates. What Python allocates, `tracemalloc` sees, numpy's and
pedalboard's arrays among it.
"""

import argparse
import gc
import json
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

# numba reads it when it is imported.
os.environ["NUMBA_NRT_STATS"] = "1"

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.runtime import rtsys

from benchmarks.node_cases import Case, Site, bank, describe
from benchmarks.node_subjects import SUBJECTS
from benchmarks.workload import Stage, composition
from dsp.denormals import denormals_flushed
from engine.control.patch import default_graph
from engine.nodes import Compressor, Limiter, Players, Room
from engine.rendering import Graph
from engine.spec import Block

WARM_CALLS = 2200
"""CPython keeps up to 2000 argument tuples of each length before it frees any."""

LONGEST_PERIOD_FRAMES = 256
"""What is not done in every quantum is done once in so many frames, at 48 kHz."""

COUNTED_QUANTA = 200
TRACED_QUANTA = 2000


class _Counted:
    """A kernel that counts the arrays it is handed."""

    arrays = 0

    def __init__(self, kernel: Dispatcher) -> None:
        self._kernel = kernel

    def __call__(self, *args: Any) -> Any:
        for arg in args:
            _Counted.arrays += len(arg) if isinstance(arg, tuple) else isinstance(arg, np.ndarray)
        return self._kernel(*args)


@contextmanager
def arrays_counted() -> Iterator[None]:
    """Count the arrays that Python hands to kernels."""
    homes = [m for name, m in sys.modules.items() if name.split(".")[0] in ("dsp", "engine", "benchmarks")]
    kernels = [(m, n, v) for m in homes for n, v in vars(m).items() if isinstance(v, Dispatcher)]
    for home, name, kernel in kernels:
        setattr(home, name, _Counted(kernel))
    try:
        yield
    finally:
        for home, name, kernel in kernels:
            setattr(home, name, kernel)


def in_kernels(quantum: Callable[[], None]) -> dict[str, Any]:
    """Return what compiled code allocated in each of some quanta, beside the arrays it was handed."""
    handles, kept, arrays = [], [], []
    with arrays_counted():
        for _ in range(COUNTED_QUANTA):
            _Counted.arrays = 0
            before = rtsys.get_allocation_stats()
            quantum()
            after = rtsys.get_allocation_stats()
            handles.append(after.alloc - before.alloc)
            kept.append(handles[-1] - (after.free - before.free))
            arrays.append(_Counted.arrays)
    return {
        "arrays_least": min(arrays),
        "arrays_most": max(arrays),
        "beside_them": sum(abs(h - a) for h, a in zip(handles, arrays, strict=True)),
        "never_freed": sum(kept),
    }


def warm_quanta(frames: int) -> int:
    """Return after how many quanta of so many frames even what is done seldom has been done often."""
    return WARM_CALLS * max(1, LONGEST_PERIOD_FRAMES // frames)


def in_python(quantum: Callable[[], None], frames: int = LONGEST_PERIOD_FRAMES) -> dict[str, Any]:
    """Return what Python's memory grew by over many quanta, its peak in them, and what the collector did."""
    gc.collect()  # before warming up: it empties the stores that CPython keeps
    for _ in range(warm_quanta(frames)):
        quantum()
    tracemalloc.start()
    for _ in range(10):
        quantum()
    collections, counted = sum(g["collections"] for g in gc.get_stats()), gc.get_count()[0]
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(TRACED_QUANTA):
        quantum()
    after, peak = tracemalloc.get_traced_memory()
    tracked = gc.get_count()[0] - counted
    collected = sum(g["collections"] for g in gc.get_stats()) - collections
    tracemalloc.stop()
    return {
        "growth_bytes": after - before,
        "peak_bytes": peak - before,
        "collections": collected,
        "objects_tracked": tracked,
    }


def node(name: str, quantum: int) -> Callable[[], None]:
    """Return a quantum of a node by itself, fed with a full-scale sine."""
    subject = SUBJECTS[name]
    case = Case(name, max(subject.tracks), False, 48_000, quantum, "sine")
    description, spec = describe(case)
    graph = Graph()
    graph.add("node", description)
    site = Site(graph, spec)
    site.load(case)
    ins = tuple(np.ascontiguousarray(bank(case)[:quantum]) for _ in description.inputs)
    outs = tuple(np.zeros((quantum, port.lanes), np.float32) for port in description.outputs)
    processor = description.build(site.context)
    frame = 0

    def process() -> None:
        nonlocal frame
        site.inputs.counters[0] += quantum
        processor.process(ins, outs, frame)
        frame += quantum

    return process


def poison(stage: Stage, name: str) -> None:
    """Have a node put out what is not finite in the next quantum."""
    plan = stage.engine.renderer.newest_plan
    assert plan is not None
    processor = plan.layout.parts[name].processor
    process = processor.process

    def poisoned(ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        process(ins, outs, frame)
        outs[0][3, 1] = np.nan
        del processor.process

    processor.process = poisoned  # type: ignore[method-assign]


def highest_peak(stage: Stage, quanta: int) -> int:
    """Return the most bytes that Python had at once in any of some quanta, beyond what it had before."""
    most = 0
    for _ in range(quanta):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        stage.render()
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    return most


def edits(tracks: int, quantum: int) -> dict[str, int]:
    """Return the peak of Python's memory in the quanta of edits and of faults, in bytes."""
    stage = Stage(tracks, quantum)
    gc.collect()
    for _ in range(warm_quanta(quantum)):
        stage.render()
    graphs: dict[str, Callable[[], Graph]] = {
        "a track more": lambda: default_graph(composition(tracks + 1)),
        "a track less": lambda: default_graph(composition(tracks - 1)),
        "another compressor": lambda: _with(stage.graph, "glue", Compressor(-30.0)),
        "another limiter": lambda: _with(stage.graph, "limiter", Limiter(-3.0)),
        "another look-ahead": lambda: _with(stage.graph, "limiter", Limiter(-3.0, 4.0)),
        "another room": lambda: _with(stage.graph, "room", Room(0.9, 0.1, 0.2, 0.5)),
        "fewer voices": lambda: _with(
            stage.graph, "tracks", replace(_players(stage.graph.nodes["tracks"]), voices=2048)
        ),
    }
    gc.disable()
    tracemalloc.start()
    peaks = {}
    try:
        for name, make in graphs.items():
            stage.swap(make())
            peaks[name] = highest_peak(stage, 2 + 2000 // quantum)
            if not stage.engine.renderer.settled:
                raise RuntimeError(f"{name}: the handover takes longer than is measured")
            stage.engine.poll()
        for name in stage.graph.nodes:
            poison(stage, name)
            peaks[f"a fault of {name}"] = highest_peak(stage, 2 + 2000 // quantum)
            if [fault.node for fault in stage.engine.faults] != [name]:
                raise RuntimeError(f"{name}: {list(stage.engine.faults)}")
            stage.engine.faults.clear()
    finally:
        tracemalloc.stop()
        gc.enable()
    return peaks


def _players(found: object) -> Players:
    assert isinstance(found, Players)
    return found


def _with(graph: Graph, name: str, other: Any) -> Graph:
    made = Graph()
    made.nodes = dict(graph.nodes)
    made.edges = list(graph.edges)
    made.output = graph.output
    made.replace(name, other)
    return made


def graph(tracks: int, quantum: int) -> dict[str, Any]:
    """Measure the graph of a scene of so many `tracks`, and nothing else."""
    with denormals_flushed():
        return {"counted_quanta": COUNTED_QUANTA} | _place(Stage(tracks, quantum).render, quantum)


def _place(process: Callable[[], None], frames: int) -> dict[str, Any]:
    for _ in range(20):
        process()
    return in_kernels(process) | in_python(process, frames)


def measure(quanta: tuple[int, ...] = (64, 512), tracks: tuple[int, ...] = (8, 64)) -> dict[str, Any]:
    """Measure every node, the graph of scenes of so many `tracks`, and edits of the first of them."""
    places: dict[str, Callable[[], Callable[[], None]]] = {}
    for quantum in quanta:
        for name in SUBJECTS:
            places[f"{name}, {quantum} frames"] = lambda name=name, quantum=quantum: node(name, quantum)  # type: ignore[misc]
        for count in tracks:
            places[f"{count} tracks, {quantum} frames"] = lambda count=count, quantum=quantum: (
                Stage(count, quantum).render  # type: ignore[misc]
            )
    rows = {}
    with denormals_flushed():
        for place, make in places.items():
            process = make()
            rows[place] = _place(process, int(place.split()[-2]))
        return {"quanta": rows, "edits": edits(tracks[0], quanta[0])}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--graph", type=int, metavar="TRACKS", help="only the graph of so many tracks")
    parser.add_argument("--quantum", type=int, default=128, metavar="FRAMES", help="of --graph")
    options = parser.parse_args()
    if options.graph is not None:
        found = graph(options.graph, options.quantum)
        print(json.dumps(found) if options.json else "\n".join(f"{k:16} {v}" for k, v in found.items()))
        return
    result = measure()
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'':28} arrays a quantum  beside  kept   growth     peak  collections  tracked")
    for place, row in result["quanta"].items():
        print(
            f"{place:28} {row['arrays_least']:6d} to {row['arrays_most']:4d} {row['beside_them']:9d}"
            f" {row['never_freed']:5d} {row['growth_bytes']:8d} {row['peak_bytes']:8d}"
            f" {row['collections']:10d} {row['objects_tracked']:9d}"
        )
    print("peak of Python's memory in a quantum, bytes")
    for what, peak in result["edits"].items():
        print(f"  {what:28} {peak:6d}")


if __name__ == "__main__":
    main()
