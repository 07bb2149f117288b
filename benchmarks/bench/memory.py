"""How much memory a process holds that plays a scene, in the moment of its first sound."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bench import child
from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance
from benchmarks.bench.starts import MODULE

TRACKS = (8, 512)


@dataclass(frozen=True, slots=True)
class Held:
    """Resident memory of one process, in MiB: now, where the system tells, and at its peak."""

    tracks: int
    rss_mib: float | None
    peak_rss_mib: float


@dataclass(frozen=True, slots=True)
class Memory:
    """That of scenes of some sizes."""

    rows: tuple[Held, ...]

    @property
    def figures(self) -> dict[str, Figure]:
        """Two for each size, each measured once."""
        made = {}
        for row in self.rows:
            made[f"{row.tracks} tracks: peak memory"] = Figure.of([row.peak_rss_mib], "MiB")
            if row.rss_mib is not None:
                made[f"{row.tracks} tracks: memory"] = Figure.of([row.rss_mib], "MiB")
        return made

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rows."""
        return [asdict(row) for row in self.rows]


def measure(rate_hz: int, advance: Advance, *, tracks: tuple[int, ...] = TRACKS) -> Memory:
    """Start a process for every size."""
    rows = []
    for number, count in enumerate(tracks):
        advance(f"{count} tracks", number / len(tracks))
        told = child.run(MODULE, "--tracks", str(count), "--rate", str(rate_hz))
        rows.append(Held(told["tracks"], told["rss_mib"], told["peak_rss_mib"]))
    return Memory(tuple(rows))
