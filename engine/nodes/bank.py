"""What the nodes that take a bank of named tracks have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.node import Port


@dataclass(frozen=True)
class TrackBank:
    """A node from bank to bank, with one pair of lanes for each of `tracks`."""

    tracks: tuple[str, ...]

    @property
    def inputs(self) -> tuple[Port, ...]:
        """One bank."""
        return (Port("bank", 2 * len(self.tracks)),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """One bank."""
        return (Port("bank", 2 * len(self.tracks)),)


def moves(now: Sequence[str], before: Sequence[str]) -> list[tuple[int, int]]:
    """Return (place now, place before) of every track that was there before."""
    places = {track: i for i, track in enumerate(before)}
    return [(i, places[track]) for i, track in enumerate(now) if track in places]
