"""The log of moves: every parameter that changed, with the frame at which the engine took it over.

One writer (the renderer), any readers; the same class over plain memory offline and over shared memory live.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.slots import SLOT_CAPACITY

MOVES_CAPACITY = 2**16
"""Moves the log holds, a power of two: all slots there are, twice. One of them is the most that a quantum can write."""

_HEAD_BYTES = 64
MOVES_BYTES = _HEAD_BYTES + MOVES_CAPACITY * (2 * 8 + 8)


class Move(NamedTuple):
    """The slot `slot` had the new value `value` from the absolute frame `frame` on."""

    frame: int
    slot: int
    value: float


class MoveLog:
    """The newest `MOVES_CAPACITY` moves, in the order of their frames.

    An engine begins with the values of all slots, at its first frame: so the log alone tells what holds when.
    Attributes, written by the renderer only: `counters` int64 `[8]`, of which the first is how many were written so
    far; `places` int64 `[MOVES_CAPACITY, 2]`, frame and slot; `values` float64 `[MOVES_CAPACITY]`; row n is at n modulo
    `MOVES_CAPACITY`. `order` is called between a counter and what it vouches for.
    """

    def __init__(
        self, memory: NDArray[np.uint8] | None = None, order: Callable[[], None] | None = None
    ) -> None:
        memory = np.zeros(MOVES_BYTES, np.uint8) if memory is None else memory[:MOVES_BYTES]
        words = memory.view(np.int64)
        head = _HEAD_BYTES // 8
        places_end = head + 2 * MOVES_CAPACITY
        self._order = order
        self.counters: NDArray[np.int64] = words[:head]
        self.places: NDArray[np.int64] = words[head:places_end].reshape(MOVES_CAPACITY, 2)
        self.values: NDArray[np.float64] = words[places_end:].view(np.float64)

    def reader(self) -> "MoveReader":
        """Return a reader of all that is written from now on."""
        return MoveReader(self)


class MoveReader:
    """Reads every move once. `lost` is how many were overwritten before they could be read."""

    def __init__(self, log: MoveLog) -> None:
        self._log = log
        self._read = int(log.counters[0])
        self.lost = 0

    def read(self) -> list[Move]:
        """Return the moves since the last call, oldest first."""
        log = self._log
        written = int(log.counters[0])
        self._fence()
        begin = max(self._read, _oldest(written))
        rows = np.arange(begin, written) % MOVES_CAPACITY
        places, values = log.places[rows].tolist(), log.values[rows].tolist()
        self._fence()
        # A counter read after the rows tells which of them may have been overwritten meanwhile.
        safe = min(max(begin, _oldest(int(log.counters[0]))), written)
        self.lost += safe - self._read
        self._read = written
        pairs = zip(places[safe - begin :], values[safe - begin :], strict=True)
        return [Move(frame, slot, value) for (frame, slot), value in pairs]

    def _fence(self) -> None:
        if self._log._order is not None:
            self._log._order()


def _oldest(written: int) -> int:
    """Return the oldest row that the writer, who may be in the middle of a quantum, has not reached again."""
    return max(0, written + SLOT_CAPACITY - MOVES_CAPACITY)
