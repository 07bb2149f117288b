"""What a quantum allocates, counted in a process of its own: numba must be told to before it is imported."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bench import child
from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance

TRACKS, QUANTUM_FRAMES = 8, 128
MODULE = "benchmarks.allocations"


@dataclass(frozen=True, slots=True)
class Allocated:
    """What `benchmarks.allocations` tells of the default graph."""

    tracks: int
    quantum_frames: int
    quanta: int
    in_kernels: int
    """Allocations of compiled code in all those quanta, beside the handles of arrays: 0, or something is wrong."""
    handles: int
    """Handles of arrays in one quantum, at most."""
    growth_bytes: int
    peak_bytes: int

    @property
    def figures(self) -> dict[str, Figure]:
        """Two that are counted, not timed."""
        return {
            "allocations in kernels": Figure.of([float(self.in_kernels)], ""),
            "peak of Python's memory in a quantum": Figure.of([float(self.peak_bytes)], "bytes"),
        }

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self)


def measure(advance: Advance) -> Allocated:
    """Count."""
    advance(f"{TRACKS} tracks", 0.0)
    told = child.run(MODULE, "--graph", str(TRACKS), "--quantum", str(QUANTUM_FRAMES), "--json")
    return Allocated(
        TRACKS,
        QUANTUM_FRAMES,
        told["counted_quanta"],
        told["beside_them"],
        told["arrays_most"],
        told["growth_bytes"],
        told["peak_bytes"],
    )
