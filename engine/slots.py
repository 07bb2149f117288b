"""Scalars that cross between control side and engine side: one float64 slot each, in memory both sides see.

A slot keeps its place as long as its node is unchanged, so a processor that survives a graph edit keeps reading
and writing the same memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError

Slots = NDArray[np.float64]
"""float64 `[n]`: the slots of one parameter or meter, one for each of its keys."""

SLOT_CAPACITY = 32_768
"""Slots of the parameter table: 256 KiB, room for a bank of 1000 tracks with a dozen values each, and for an edit."""

METER_CAPACITY = 131_072
"""Slots of the meter table: 1 MiB, room for the band spectra of a bank of 1000 tracks, and for an edit of it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of slots: `count` of them from `start`, owned by the row `key` (name and keys of the values)."""

    key: object
    start: int
    count: int

    def of(self, memory: Slots) -> Slots:
        """Return the view of `memory` that this span covers."""
        return memory[self.start : self.start + self.count]


@dataclass(frozen=True, slots=True)
class SlotMap:
    """Where the slots of every (node, value) lie. Immutable: an edit makes a new map with `updated`.

    `reserved` are the places given up since the map was last `settled`: plans before the newest may still use them.
    """

    spans: Mapping[tuple[str, str], Span] = field(default_factory=dict)
    reserved: tuple[Span, ...] = ()
    capacity: int = SLOT_CAPACITY

    def updated(self, wanted: Mapping[tuple[str, str], tuple[object, int]]) -> "SlotMap":
        """Return a map for `wanted` ((node, value) -> (key, count)) that moves nothing that stays.

        Places given up stay reserved, over any number of edits, until the map is `settled`.
        Raises GraphError when the capacity is exceeded.
        """
        kept = {
            name: span
            for name, span in self.spans.items()
            if name in wanted and wanted[name] == (span.key, span.count)
        }
        given_up = tuple(span for name, span in self.spans.items() if name not in kept)
        reserved = self.reserved + given_up
        taken = sorted((s.start, s.start + s.count) for s in (*kept.values(), *reserved))
        spans = dict(kept)
        for name, (key, count) in wanted.items():
            if name in kept:
                continue
            start = _first_fit(taken, count, self.capacity)
            spans[name] = Span(key, start, count)
            taken = sorted([*taken, (start, start + count)])
        return SlotMap(spans, reserved, self.capacity)

    def settled(self) -> "SlotMap":
        """Return this map with nothing reserved: for when the newest plan plays, and so no older one does."""
        return SlotMap(self.spans, capacity=self.capacity)

    @property
    def used(self) -> int:
        """Slots up to the last one in use."""
        return max((s.start + s.count for s in self.spans.values()), default=0)


def _first_fit(taken: list[tuple[int, int]], count: int, capacity: int) -> int:
    end = 0
    for start, stop in taken:
        if start - end >= count:
            return end
        end = max(end, stop)
    if end + count > capacity:
        raise GraphError(f"the graph needs more than {capacity} parameter or meter slots")
    return end
