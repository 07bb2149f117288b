"""How long it takes from the start of a process to the first sound, with kernels compiled already and without."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import child
from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance

WARM_RUNS = 3
MODULE = "benchmarks.bench.first_sound"
STAGES = ("interpreter", "imports", "scene", "graph", "sound")
"""What a start consists of, in order: each ends when the next begins. Kernels are loaded with the imports."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds of each stage, by the names of `STAGES`; kernels, and the seconds they took of it."""

    stages_s: dict[str, float]
    kernels: int
    kernels_s: float

    @property
    def total_s(self) -> float:
        """From the start of the process to the first quantum that is not silent."""
        return sum(self.stages_s.values())

    @classmethod
    def of(cls, begin_s: float, told: dict[str, Any]) -> "Start":
        """Read what `first_sound` printed of a process that began at `begin_s`."""
        ends = [told["at_s"][name] for name in STAGES]
        spent = [end - begin for begin, end in zip([begin_s, *ends], ends, strict=False)]
        return cls(dict(zip(STAGES, spent, strict=True)), told["kernels"], told["kernels_s"])


@dataclass(frozen=True, slots=True)
class Starts:
    """Some warm starts, and a cold one, if it was asked for."""

    warm: tuple[Start, ...]
    cold: Start | None

    @property
    def figures(self) -> dict[str, Figure]:
        """Warm, in all and by stage, and cold."""
        made = {"warm start: to the first sound": Figure.of([start.total_s for start in self.warm], "s")}
        for stage in STAGES:
            samples = [start.stages_s[stage] for start in self.warm]
            made[f"warm start: {stage}"] = Figure.of(samples, "s")
        if self.cold:
            made["cold start: to the first sound"] = Figure.of([self.cold.total_s], "s")
            made["cold start: kernels"] = Figure.of([self.cold.kernels_s], "s")
        return made

    def as_json(self) -> dict[str, Any]:
        """Return medians; the cold start is None if it was not measured."""
        return {
            "warm": {
                "total_s": statistics.median(start.total_s for start in self.warm),
                "stages_s": {
                    stage: statistics.median(start.stages_s[stage] for start in self.warm) for stage in STAGES
                },
                "runs": len(self.warm),
                "kernels": self.warm[0].kernels,
                "kernels_s": statistics.median(start.kernels_s for start in self.warm),
            },
            "cold": self.cold
            and {
                "total_s": self.cold.total_s,
                "stages_s": self.cold.stages_s,
                "kernels": self.cold.kernels,
                "kernels_s": self.cold.kernels_s,
            },
        }


def measure(rate_hz: int, advance: Advance, *, cold: bool = False, runs: int = WARM_RUNS) -> Starts:
    """Start the built-in scene some times; then, if `cold` is asked for, once with an empty cache of kernels."""
    warm = []
    for number in range(runs):
        advance("warm", number / (runs + (10 if cold else 0)))
        warm.append(start(rate_hz))
    if not cold:
        return Starts(tuple(warm), None)
    advance("cold: compiling", runs / (runs + 10))
    with tempfile.TemporaryDirectory() as cache:
        return Starts(tuple(warm), start(rate_hz, Path(cache)))


def start(rate_hz: int, cache: Path | None = None) -> Start:
    """Start a process and have it make sound; its kernels are in the user's cache, or will be in `cache`."""
    changed = {"XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": None} if cache else None
    begin_s = time.perf_counter()
    return Start.of(begin_s, child.run(MODULE, "--rate", str(rate_hz), environment=changed))
