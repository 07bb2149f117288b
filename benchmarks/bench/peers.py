"""The same work by other programs, as a part of the benchmark: see `benchmarks.peers`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance
from benchmarks.bench.settings import Settings
from benchmarks.peers import comparison
from benchmarks.peers.result import PeersResult

MOST_TRACKS = 128
"""Larger banks take the slowest of the others too long."""
SECONDS = 1.0
STEPS = 1000


@dataclass(frozen=True, slots=True)
class Peers:
    """What came of it, for every quantum."""

    results: tuple[PeersResult, ...]

    @property
    def figures(self) -> dict[str, Figure]:
        """A ratio each."""
        return {
            f"{name}, {found.quantum_frames} frames": figure
            for found in self.results
            for name, figure in found.figures().items()
        }

    def as_json(self) -> list[dict[str, Any]]:
        """Return all of it."""
        return [found.as_json() for found in self.results]


def measure(settings: Settings, advance: Advance) -> Peers:
    """Compare at every quantum of `settings`, with its banks of up to `MOST_TRACKS` tracks."""
    quanta = sorted(set(settings.quanta_frames))
    tracks = sorted({count for count in settings.tracks if count <= MOST_TRACKS}) or [MOST_TRACKS]
    results = []
    for place, frames in enumerate(quanta):

        def within(what: str, done: int, total: int, place: int = place) -> None:
            advance(what, (place + done / max(1, total)) / len(quanta))

        results.append(comparison.measure(tracks, frames, settings.rate_hz, SECONDS, within))
    return Peers(tuple(results))


def text(found: Peers) -> Iterator[Text]:
    """Return its lines, for people."""
    for result in found.results:
        yield Text("\n".join(result.lines()))
