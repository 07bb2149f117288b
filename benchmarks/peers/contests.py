"""Two sides in turns: one turn of each, next to each other in time, is one ratio."""

from typing import Protocol

from benchmarks import kernels
from benchmarks.peers.ours import Ours
from benchmarks.peers.peer import MissingPeerError, Runner
from benchmarks.twin import Twin
from dsp.unmask import control_period_frames

LONGEST_QUANTUM_FRAMES = control_period_frames(kernels.RATE_HZ)
"""A control period at the rate the twin is compared at."""


class Contest(Protocol):
    """Two sides of one comparison."""

    def turn(self, number: int) -> float:
        """Have both sides do the same number of quanta; return the ratio of their times."""
        ...

    def idle_turn(self) -> float | None:
        """Return what the peer takes without filters as a share of ours; None where that says nothing."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class AgainstPeer:
    """The peer's time over ours, for the filters of the unmasking stage."""

    def __init__(self, ours: Ours, runner: Runner, quanta: int) -> None:
        self._ours, self._runner, self._quanta = ours, runner, quanta

    def turn(self, number: int) -> float:
        """The side that begins changes from turn to turn."""
        if number % 2:
            theirs_s = self._runner.run(self._quanta)
            return theirs_s / self._ours.run(self._quanta)
        ours_s = self._ours.run(self._quanta)
        return self._runner.run(self._quanta) / ours_s

    def idle_turn(self) -> float | None:
        """Run the peer without filters."""
        theirs_s = self._runner.idle(self._quanta)
        return None if theirs_s is None else theirs_s / self._ours.run(self._quanta)

    def close(self) -> None:
        """Let the peer go."""
        self._runner.close()


class WholeStage:
    """The time of the whole unmasking stage over that of its filters."""

    def __init__(self, ours: Ours, quanta: int) -> None:
        self._ours, self._quanta = ours, quanta
        ours.run_stage(quanta)

    def turn(self, number: int) -> float:
        """The side that begins changes from turn to turn."""
        if number % 2:
            stage_s = self._ours.run_stage(self._quanta)
            return stage_s / self._ours.run(self._quanta)
        filters_s = self._ours.run(self._quanta)
        return self._ours.run_stage(self._quanta) / filters_s

    def idle_turn(self) -> float | None:
        """There is none."""
        return None

    def close(self) -> None:
        """There is nothing to let go."""


class AgainstTwin:
    """The time of our kernels over that of the same kernels in C: `benchmarks.kernels.compare`."""

    def __init__(self, twin: Twin, ours: Ours, quanta: int) -> None:
        quantum_frames = ours.task.quantum_frames
        if quantum_frames > LONGEST_QUANTUM_FRAMES:
            raise MissingPeerError(f"the twin takes quanta of at most {LONGEST_QUANTUM_FRAMES} frames")
        self._twin, self._tracks, self._quantum_frames = twin, ours.task.tracks, quantum_frames
        self._seconds = quanta * quantum_frames / kernels.RATE_HZ

    def turn(self, number: int) -> float:
        """Each turn has many of its own."""
        row = kernels.compare(self._twin, self._tracks, self._quantum_frames, self._seconds)
        return float(row["both"]["ratio"])

    def idle_turn(self) -> float | None:
        """There is nothing but filters."""
        return None

    def close(self) -> None:
        """There is nothing to let go."""
