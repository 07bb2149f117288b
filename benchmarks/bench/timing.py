"""How long a quantum takes: the default graph on the real renderer, every track of it at work."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bench import yardstick
from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance, Load
from benchmarks.bench.percentiles import Percentiles
from benchmarks.bench.quiet import Pace, quiet
from benchmarks.workload import Stage

ROUNDS = 5

Times = npt.NDArray[np.int64]
"""int64 `[2, quanta]`: what each quantum took, in ns of wall clock and of the thread's processor time."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks, both in ns. Processor time leaves out what other programs took."""

    wall: Callable[[], int] = time.perf_counter_ns
    cpu: Callable[[], int] = time.thread_time_ns

    def overhead_us(self) -> tuple[float, float]:
        """Return what they measure, in µs, when nothing is done between two readings."""
        found = np.zeros((2, 1000), np.int64)
        for i in range(found.shape[1]):
            self.read(_nothing, found, i)
        wall, cpu = np.median(found, axis=1) / 1e3
        return float(wall), float(cpu)

    def read(self, work: Callable[[], None], into: Times, at: int) -> None:
        """Do `work` and put down how long it took."""
        begin_cpu = self.cpu()
        begin = self.wall()
        work()
        end = self.wall()
        into[1, at] = self.cpu() - begin_cpu
        into[0, at] = end - begin


CLOCKS = Clocks()


@dataclass(frozen=True, slots=True)
class Row:
    """The times of one load, round by round."""

    load: Load
    rounds: tuple[Times, ...]

    @property
    def quanta(self) -> int:
        """How many were timed."""
        return sum(times.shape[1] for times in self.rounds)

    @property
    def wall_us(self) -> Percentiles:
        """Over all rounds, by the wall clock."""
        return self._over_all(0)

    @property
    def cpu_us(self) -> Percentiles:
        """Over all rounds, by processor time."""
        return self._over_all(1)

    def _over_all(self, clock: int) -> Percentiles:
        return Percentiles.of(np.concatenate([times[clock] for times in self.rounds]) / 1e3)

    @property
    def figures(self) -> dict[str, Figure]:
        """Percentiles over all rounds, with those of each round as samples."""
        made = {}
        for clock, whole, by in ((0, self.wall_us, ""), (1, self.cpu_us, " by processor time")):
            rounds = [Percentiles.of(times[clock] / 1e3) for times in self.rounds]
            for label, which in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")):
                samples = tuple(getattr(r, which) for r in rounds)
                made[f"{self.load.name}: {label}{by}"] = Figure(getattr(whole, which), "µs", "lower", samples)
        return made

    def as_json(self) -> dict[str, Any]:
        """Return it with all percentiles, in µs and as shares of the budget."""
        budget_us = self.load.budget_us
        return {
            "tracks": self.load.tracks,
            "quantum_frames": self.load.quantum_frames,
            "budget_us": budget_us,
            "quanta": self.quanta,
            "wall_us": self.wall_us.as_json(),
            "wall_share": self.wall_us.over(budget_us).as_json(),
            "cpu_us": self.cpu_us.as_json(),
            "cpu_share": self.cpu_us.over(budget_us).as_json(),
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """All rows."""

    rows: tuple[Row, ...]
    yardstick_us: tuple[tuple[float, ...], ...] = ()
    """Readings of each round."""

    @property
    def figures(self) -> dict[str, Figure]:
        """Those of all rows, and how fast the machine was meanwhile."""
        rows = {name: figure for row in self.rows for name, figure in row.figures.items()}
        return rows | ({yardstick.NAME: yardstick.figure(self.yardstick_us)} if self.yardstick_us else {})

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return [row.as_json() for row in self.rows]


def measure(
    stages: Mapping[Load, Stage],
    seconds: float,
    advance: Advance,
    *,
    rounds: int = ROUNDS,
    clocks: Clocks = CLOCKS,
) -> Timing:
    """Time `seconds` of sound of each of the warm `stages`, in `rounds` that go back and forth over all of them.

    So when the machine is faster or slower for a while, it is so for every row.
    """
    found: dict[Load, list[Times]] = {load: [] for load in stages}
    stick, readings_us = yardstick.Yardstick(), []
    with quiet():
        pace = Pace()
        for number in range(rounds):
            read_us = [stick.read_us()]
            for at, load in enumerate(back_and_forth(list(stages), number)):
                advance(load.name, (number * len(stages) + at) / (rounds * len(stages)))
                quanta = load.quanta(seconds / rounds)
                found[load].append(time_quanta(stages[load], quanta, clocks, pace))
                read_us.append(stick.read_us())
            readings_us.append(tuple(read_us))
    return Timing(tuple(Row(load, tuple(times)) for load, times in found.items()), tuple(readings_us))


def back_and_forth(loads: Sequence[Load], number: int) -> Sequence[Load]:
    """Return the order of round `number`, from 0: forward, then backward, and so on."""
    return loads[::-1] if number % 2 else loads


def time_quanta(stage: Stage, quanta: int, clocks: Clocks, pace: Pace) -> Times:
    """Render so many quanta and time each; all tracks go on sounding."""
    times = np.zeros((2, quanta), np.int64)
    stage.feed(quanta * stage.spec.quantum_frames)
    for i in range(quanta):
        clocks.read(stage.render, times, i)
        pace.rest()
    return times


def _nothing() -> None:
    pass
