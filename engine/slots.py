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

SLOT_CAPACITY = 16_384
"""Slots of one table: 128 KiB, room for a bank of 1000 tracks with a dozen values each."""


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
    """Where the slots of every (node, value) lie. Immutable: an edit makes a new map with `updated`."""

    spans: Mapping[tuple[str, str], Span] = field(default_factory=dict)

    def updated(self, wanted: Mapping[tuple[str, str], tuple[object, int]]) -> "SlotMap":
        """Return a map for `wanted` ((node, value) -> (key, count)) that moves nothing that stays.

        Raises GraphError when `SLOT_CAPACITY` is exceeded.
        """
        kept = {
            name: span
            for name, span in self.spans.items()
            if name in wanted and wanted[name] == (span.key, span.count)
        }
        # Places given up in this edit stay unused until the next one: the old plan may still read them.
        taken = sorted((s.start, s.start + s.count) for s in self.spans.values())
        spans = dict(kept)
        for name, (key, count) in wanted.items():
            if name in kept:
                continue
            start = _first_fit(taken, count)
            spans[name] = Span(key, start, count)
            taken = sorted([*taken, (start, start + count)])
        return SlotMap(spans)

    @property
    def used(self) -> int:
        """Slots up to the last one in use."""
        return max((s.start + s.count for s in self.spans.values()), default=0)


def _first_fit(taken: list[tuple[int, int]], count: int) -> int:
    end = 0
    for start, stop in taken:
        if start - end >= count:
            return end
        end = max(end, stop)
    if end + count > SLOT_CAPACITY:
        raise GraphError(f"the graph needs more than {SLOT_CAPACITY} parameter or meter slots")
    return end
