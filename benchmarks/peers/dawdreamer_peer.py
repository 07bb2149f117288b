"""DawDreamer: a Faust program per track, compiled for this machine, in a graph rendered offline block by block."""

import importlib.metadata
import time
from typing import Any

import numpy as np

from benchmarks.kernels import LEVEL
from benchmarks.peers import faust
from benchmarks.peers.peer import MissingPeerError
from benchmarks.peers.task import Task

FLAGS = ("-mcd", "0")
"""Delays as rings, not shifted: the fastest of what was tried (-vec with several -vs and -lv, -dfs, -fun, -inpl, -fm,
biquads in other forms, the state variable form), and exact."""


QUIETEST = 0.1 * LEVEL**2
"""The mean square per track below which tracks are missing: bells take away less than 6 dB."""


class DawDreamerPeer:
    """A graph of T Faust processors, all with one compiled program, each with its own bells.

    One program for all tracks would be worse: eight in one take 15 s to compile, and twice as long per track to run.
    """

    same_work = True
    work = (
        "the same filters, but all at the full rate and smoothed every frame (ours: low bands at a lower rate, every"
        f" control period); faust {' '.join(FLAGS)}, one program a track"
    )

    def __init__(self) -> None:
        try:
            import dawdreamer
        except (ImportError, OSError) as error:
            raise MissingPeerError(f"{error}; pip install 'roomtone[peers]' brings it") from error
        self.version = f"DawDreamer {importlib.metadata.version('dawdreamer')}"
        if not hasattr(dawdreamer.FaustProcessor, "compile_flags"):
            raise MissingPeerError(f"{self.version} takes no flags for Faust; 0.8.3 does")

    def start(self, task: Task, quanta: int) -> "_Engines":
        """Compile the programs."""
        return _Engines(task, quanta)


def engine(task: Task, program: str, sound: Any) -> Any:
    """Return a `RenderEngine` with a player, the program and its settings for each track, and their sum.

    `sound` is float32[T, 2, frames]; with a single track the output is that of the program.
    """
    import dawdreamer

    made = dawdreamer.RenderEngine(task.rate_hz, task.quantum_frames)
    graph: list[tuple[Any, list[str]]] = []
    tracks: list[str] = []
    for t in range(task.tracks):
        graph.append((made.make_playback_processor(f"player{t}", sound[t]), []))
        processor = made.make_faust_processor(f"track{t}")
        processor.compile_flags = list(FLAGS)
        processor.set_dsp_string(program)
        if not processor.compile():
            raise MissingPeerError("Faust refuses the program")
        values = faust.settings(task, t)
        for parameter in processor.get_parameters_description():
            processor.set_parameter(parameter["index"], values[parameter["name"].rpartition("/")[2]])
        graph.append((processor, [f"player{t}"]))
        tracks.append(f"track{t}")
    if task.tracks > 1:
        graph.append((made.make_add_processor("sum", [1.0] * task.tracks), tracks))
    made.load_graph(graph)
    return made


class _Engines:
    """The graph with the filters, and one without."""

    def __init__(self, task: Task, quanta: int) -> None:
        self._task = task
        sound = task.noise(quanta * task.quantum_frames)
        self._full = engine(task, faust.program(task), sound)
        self._wire = engine(task, faust.wire(task), sound)
        for made in (self._full, self._wire):
            self._render(made, 1)
            y = made.get_audio()
            if y.shape != (2, task.quantum_frames) or not np.mean(y**2) > QUIETEST * task.tracks:
                raise MissingPeerError("not all of its tracks are heard")

    def run(self, quanta: int) -> float:
        """Render so many blocks."""
        return self._render(self._full, quanta)

    def idle(self, quanta: int) -> float | None:
        """Render as many blocks of the players and their sum, through programs without filters."""
        return self._render(self._wire, quanta)

    def close(self) -> None:
        """Let go of the engines."""
        self._full = self._wire = None

    def _render(self, made: Any, quanta: int) -> float:
        begin = time.process_time_ns()
        made.render(self._task.duration_s(quanta))
        return (time.process_time_ns() - begin) / 1e9
