"""Where the time of a quantum goes: every step of the plan, the guards, and what the renderer itself takes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance, Load
from benchmarks.bench.quiet import Pace, quiet
from benchmarks.bench.timing import ROUNDS, back_and_forth
from benchmarks.workload import Stage
from engine.rendering import renderer
from engine.rendering.steps import Step

GUARDS, REST = "guards", "renderer"
"""What is no step: looking at the output of every node, and what is left, the clocks' own time among it."""

COST_CALLS = 2000
PAUSE_QUANTA = 8
"""Quanta before those that are timed, with the clocks in place."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What one load spends on what: by the name of each part, µs `[quanta]` of every round."""

    load: Load
    parts: Mapping[str, tuple[npt.NDArray[np.float64], ...]]
    whole: tuple[npt.NDArray[np.float64], ...]
    clocks_us: float
    """What timing the parts adds to a quantum, most of it to what is the renderer's."""

    def mean_us(self) -> dict[str, float]:
        """Return what each part takes in the mean: they add up to the whole."""
        return {name: float(np.mean(np.concatenate(rounds))) for name, rounds in self.parts.items()}

    @property
    def figures(self) -> dict[str, Figure]:
        """The mean of every part, with that of each round as samples."""
        means = self.mean_us()
        return {
            f"{self.load.name}: {name}": Figure(
                means[name], "µs", "lower", tuple(float(np.mean(times)) for times in rounds)
            )
            for name, rounds in self.parts.items()
        }

    def as_json(self) -> dict[str, Any]:
        """Return mean and median of every part."""
        whole = np.concatenate(self.whole)
        return {
            "tracks": self.load.tracks,
            "quantum_frames": self.load.quantum_frames,
            "parts": {
                name: {"mean_us": mean, "p50_us": float(np.median(np.concatenate(self.parts[name])))}
                for name, mean in self.mean_us().items()
            },
            "whole": {"mean_us": float(np.mean(whole)), "p50_us": float(np.median(whole))},
            "clocks_us": self.clocks_us,
        }


@dataclass(frozen=True, slots=True)
class Nodes:
    """The breakdowns of all rows."""

    rows: tuple[Breakdown, ...]

    @property
    def figures(self) -> dict[str, Figure]:
        """Those of all rows."""
        return {name: figure for row in self.rows for name, figure in row.figures.items()}

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return [row.as_json() for row in self.rows]


def measure(
    stages: Mapping[Load, Stage],
    seconds: float,
    advance: Advance,
    *,
    rounds: int = ROUNDS,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Nodes:
    """Break down `seconds` of sound of each of the warm `stages`, by the wall clock, in `rounds` over all of them."""
    parts: dict[Load, list[dict[str, npt.NDArray[np.float64]]]] = {load: [] for load in stages}
    whole: dict[Load, list[npt.NDArray[np.float64]]] = {load: [] for load in stages}
    timed: dict[Load, int] = {}
    with quiet():
        pace = Pace()
        cost_us = call_cost_us(clock)
        for number in range(rounds):
            for at, load in enumerate(back_and_forth(list(stages), number)):
                advance(load.name, (number * len(stages) + at) / (rounds * len(stages)))
                found = split_quanta(stages[load], load.quanta(seconds / rounds), clock, pace)
                parts[load].append(found[0])
                whole[load].append(found[1])
                timed[load] = found[2]
    return Nodes(
        tuple(
            Breakdown(
                load,
                {name: tuple(found[name] for found in rounds_found) for name in rounds_found[0]},
                tuple(whole[load]),
                timed[load] * cost_us,
            )
            for load, rounds_found in parts.items()
        )
    )


def split_quanta(
    stage: Stage, quanta: int, clock: Callable[[], int], pace: Pace
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64], int]:
    """Render so many quanta; return the µs of every part by name, those of the whole, and how many calls were timed."""
    plan = stage.engine.renderer.newest_plan
    assert plan is not None
    stage.feed((quanta + PAUSE_QUANTA) * stage.spec.quantum_frames)
    with split(plan.steps, clock) as spent:
        for _ in range(PAUSE_QUANTA):
            stage.render()
        rows, whole = np.zeros((quanta, len(spent)), np.int64), np.zeros(quanta, np.int64)
        nothing = [0] * len(spent)
        for i in range(quanta):
            spent[:] = nothing
            begin = clock()
            stage.render()
            whole[i] = clock() - begin
            rows[i] = spent
            pace.rest()
    steps = len(plan.steps)
    parts = {step.name: rows[:, i] / 1e3 for i, step in enumerate(plan.steps)}
    parts[GUARDS] = rows[:, steps] / 1e3
    parts[REST] = (whole - rows.sum(axis=1)) / 1e3
    return parts, whole / 1e3, sum(1 + len(step.watched) for step in plan.steps)


@contextmanager
def split(steps: Sequence[Step], clock: Callable[[], int]) -> Iterator[list[int]]:
    """Time what the renderer calls of `steps` within the block, changing no sample.

    Gives a list of ns that each call adds to: of every step in their order, then of all guards together.
    """
    watch = vars(renderer)["watch"]
    spent = [0] * (len(steps) + 1)
    try:
        for at, step in enumerate(steps):
            vars(step.processor)["process"] = _timed(step.processor.process, spent, at, clock)
        vars(renderer)["watch"] = _timed(watch, spent, len(steps), clock)
        yield spent
    finally:
        vars(renderer)["watch"] = watch
        for step in steps:
            vars(step.processor).pop("process", None)


def call_cost_us(clock: Callable[[], int]) -> float:
    """Return what timing a call adds to it, in µs."""
    timed = _timed(_nothing, [0], 0, clock)
    begin = clock()
    for _ in range(COST_CALLS):
        _nothing()
    middle = clock()
    for _ in range(COST_CALLS):
        timed()
    return (clock() - middle - (middle - begin)) / COST_CALLS / 1e3


def _timed(
    function: Callable[..., Any], spent: list[int], at: int, clock: Callable[[], int]
) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        begin = clock()
        answer = function(*arguments)
        spent[at] += clock() - begin
        return answer

    return call


def _nothing() -> None:
    pass
