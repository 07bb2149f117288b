"""What a quantum costs when there is nothing to do: one track that is silent."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance, Load
from benchmarks.bench.quiet import Pace, quiet
from benchmarks.bench.timing import CLOCKS, ROUNDS, time_quanta
from benchmarks.workload import Stage

SILENCE_S = 2.0
"""Until filters sleep and the room has died away."""

QUANTA = 400


@dataclass(frozen=True, slots=True)
class Overhead:
    """Medians of the quantum of an empty bank, µs by the wall clock, of every round; by load."""

    rows: dict[Load, tuple[float, ...]]

    @property
    def figures(self) -> dict[str, Figure]:
        """One for each quantum."""
        return {
            f"empty bank, {load.quantum_frames} frames: p50": Figure.of(p50s, "µs")
            for load, p50s in self.rows.items()
        }

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return [
            {
                "quantum_frames": load.quantum_frames,
                "p50_us": float(np.median(p50s)),
                "share": float(np.median(p50s)) / load.budget_us,
            }
            for load, p50s in self.rows.items()
        ]


def measure(
    quanta_frames: tuple[int, ...], rate_hz: int, advance: Advance, *, rounds: int = ROUNDS
) -> Overhead:
    """Time an empty bank at every quantum, in `rounds` over all of them."""
    loads = [Load(frames, 1, rate_hz) for frames in quanta_frames]
    found: dict[Load, list[float]] = {load: [] for load in loads}
    with quiet():
        pace = Pace()
        stages = {load: Stage(1, load.quantum_frames, rate_hz, sounding=0) for load in loads}
        for load, stage in stages.items():
            advance(f"silence, {load.quantum_frames} frames", 0.0)
            time_quanta(stage, load.quanta(SILENCE_S), CLOCKS, pace)
        for number in range(rounds):
            advance("", number / rounds)
            for load, stage in stages.items():
                times = time_quanta(stage, QUANTA, CLOCKS, pace)
                found[load].append(float(np.median(times[0])) / 1e3)
    return Overhead({load: tuple(p50s) for load, p50s in found.items()})
