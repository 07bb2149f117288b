"""pedalboard: it has no band-pass of a given width, so peak filters stand in for the bank."""

import importlib.metadata
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pedalboard

from benchmarks.peers.task import Bell, Task

library: Any = pedalboard
STAND_IN_DB = -3.0
"""Any depth but 0 will do: what a peak filter costs does not depend on it."""
INPUTS = 8
"""Quanta of noise that go round and round."""


def equaliser(bells: Sequence[Bell]) -> Any:
    """Return a board of peak filters with the response of these bells at the depths they come from.

    A peak filter of JUCE has Q times the square root of its gain where a bell with constant poles has Q.
    """
    return library.Pedalboard(
        [
            library.PeakFilter(bell.centre_hz, -bell.from_db, bell.q * 10.0 ** (bell.from_db / 40.0))
            for bell in bells
        ]
    )


def stand_in(task: Task) -> Any:
    """Return a board of one peak filter per band, in series."""
    centres_hz = [math.sqrt(band.low_hz * band.high_hz) for band in task.bands]
    widths_hz = [band.high_hz - band.low_hz for band in task.bands]
    return library.Pedalboard(
        [
            library.PeakFilter(centre, STAND_IN_DB, centre / width)
            for centre, width in zip(centres_hz, widths_hz, strict=True)
        ]
    )


class PedalboardPeer:
    """pedalboard as its documentation has it, quantum by quantum with `reset=False`.

    With `one_bank` the filters that are the same for all tracks take all of them in one call, as the channels of
    one board: the fewest calls there can be. Bells differ from track to track and need a board each.
    """

    same_work = False
    work = (
        "not the same work: a peak filter for each band-pass, so half the sections; no energies; depths stand still."
        " Its reverb and compressor are the engine's own room and glue: nothing to compare"
    )

    def __init__(self, one_bank: bool) -> None:
        self._one_bank = one_bank
        self.version = f"pedalboard {importlib.metadata.version('pedalboard')}"

    def start(self, task: Task, quanta: int) -> "_Boards":
        """Build the boards and run them once."""
        return _Boards(task, self._one_bank)


class _Boards:
    def __init__(self, task: Task, one_bank: bool) -> None:
        self._task = task
        self._one_bank = one_bank
        self._eqs = [equaliser(bells) for bells in task.bells]
        self._banks = [stand_in(task) for _ in range(1 if one_bank else task.tracks)]
        lanes = task.noise(INPUTS * task.quantum_frames)
        self._inputs = [
            np.ascontiguousarray(lanes[:, :, start : start + task.quantum_frames])
            for start in range(0, lanes.shape[2], task.quantum_frames)
        ]
        self._mono = np.zeros((task.tracks, task.quantum_frames), np.float32)
        # The first array must have more frames than channels, or pedalboard takes one for the other.
        frames = max(task.tracks + 1, 2 * task.quantum_frames)
        for boards, channels in ((self._banks, task.tracks if one_bank else 1), (self._eqs, 2)):
            for board in boards:
                board.process(np.zeros((channels, frames), np.float32), task.rate_hz, frames, reset=False)

    def run(self, quanta: int) -> float:
        """Process so many quanta of every track."""
        rate_hz, frames, mono = self._task.rate_hz, self._task.quantum_frames, self._mono
        begin = time.process_time_ns()
        for number in range(quanta):
            x = self._inputs[number % INPUTS]
            np.add(x[:, 0], x[:, 1], out=mono)
            np.multiply(mono, np.float32(0.5), out=mono)
            if self._one_bank:
                self._banks[0].process(mono, rate_hz, frames, reset=False)
            else:
                for t, board in enumerate(self._banks):
                    board.process(mono[t : t + 1], rate_hz, frames, reset=False)
            for t, board in enumerate(self._eqs):
                board.process(x[t], rate_hz, frames, reset=False)
        return (time.process_time_ns() - begin) / 1e9

    def idle(self, quanta: int) -> float | None:
        """There is nothing but filters."""
        return None

    def close(self) -> None:
        """Let go of the boards."""
        self._eqs.clear()
        self._banks.clear()
