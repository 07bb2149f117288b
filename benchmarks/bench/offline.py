"""How fast a scene becomes a file: times real time, by the wall clock and by processor time."""

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance
from benchmarks.bench.timing import ROUNDS
from benchmarks.crowd import crowd
from engine.control.bounce import bounce
from engine.scene.composition import compose

TRACKS = 8
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Offline:
    """Times real time of every round; `quantum_frames` is what a render chose by itself."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]
    quantum_frames: int

    @property
    def figures(self) -> dict[str, Figure]:
        """Both."""
        name = f"render of {TRACKS} tracks"
        return {
            name: Figure.of(self.wall, "× real time", "higher"),
            f"{name}, by processor time": Figure.of(self.cpu, "× real time", "higher"),
        }

    def as_json(self) -> dict[str, Any]:
        """Return both, and what was rendered."""
        wall, cpu = self.figures.values()
        return {
            "tracks": TRACKS,
            "seconds": SECONDS,
            "quantum_frames": self.quantum_frames,
            "times_real_time": wall.value,
            "times_real_time_by_cpu": cpu.value,
        }


def measure(rate_hz: int, advance: Advance, *, seconds: float = SECONDS, rounds: int = ROUNDS) -> Offline:
    """Render a scene of procedural sounds to memory, in `rounds`; the analysis of the result is included."""
    advance("composing", 0.0)
    composition = compose(crowd(TRACKS), rate_hz=rate_hz)
    made = bounce(composition, duration_s=seconds / 4, keep_samples=False)
    wall, cpu = [], []
    for number in range(rounds):
        advance("", (number + 1) / (rounds + 1))
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        bounce(composition, duration_s=seconds, keep_samples=False)
        wall.append(seconds / (time.perf_counter() - begin_s))
        cpu.append(seconds / (time.process_time() - begin_cpu_s))
    return Offline(tuple(wall), tuple(cpu), made.spec.quantum_frames)
