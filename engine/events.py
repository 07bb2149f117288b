"""Sound events and the queue they cross in: drawn ahead on the control side, started by frame on the engine side.

One writer (control) and one reader (the players), each with its own counter; the same class over plain memory
offline and over shared memory live. Events may be pushed in any order: the queue only carries them, and the
players sort them by start. A cut is an event too: it ends what was pushed before it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

QUEUE_CAPACITY = 4096
"""Events that can wait at once; a power of two."""

QUEUES = 8
"""Queues of an engine: each scene that sounds has its own, and while they cross-fade there are several."""

EVENT_INTS = 8
EVENT_FLOATS = 4
QUEUE_BYTES = 8 * (2 + QUEUE_CAPACITY * (EVENT_INTS + EVENT_FLOATS))

MOST_GAIN = 200.0
"""Above the gain of any event: 40 dB, and what its level and its place vary by."""

CUT = -1
"""The clip of an event that is a cut."""

ALL_TRACKS = -1
"""The track of a cut that ends every track's events."""

ANY_FRAME = -(2**62)
"""The entry of an event that is heard from its start on; before every frame there is."""


class Event(NamedTuple):
    """One sounding of a clip on a track.

    The clip is read from `offset_frames` for `frames` frames, which must lie inside it, and starts at the
    absolute frame `start_frame`; an event that reaches the players later than that enters in its middle. `gain`
    is an amplitude. A fade of `fade_in_frames` or `fade_out_frames` follows a sine (equal power); `rho` is the
    correlation of the two sides of a cross-fade (0: equal power, 1: equal gain), by which both gains are
    normalised so that the sum keeps its power. Where `entry_frame` is later than the start, the event is silent
    until then and enters in its middle, as a late one does. `balance`, -1 to 1, makes the left lane louder by
    1 - balance and the right one by 1 + balance, amplitudes.
    """

    start_frame: int
    track: int
    clip: int
    offset_frames: int
    frames: int
    fade_in_frames: int
    fade_out_frames: int
    gain: float = 1.0
    rho_in: float = 0.0
    rho_out: float = 0.0
    entry_frame: int = ANY_FRAME
    balance: float = 0.0


def cut(start_frame: int, track: int, frames: int) -> Event:
    """Return the event that ends all events of `track`, or of `ALL_TRACKS`, that were pushed before it.

    What sounds at `start_frame` fades out from there over `frames`, 1 or more; what would be heard first at
    `start_frame` or later never is. A cut that reaches the players after `start_frame` begins when it does.
    """
    return Event(start_frame, track, CUT, 0, frames, 0, 0)


class EventQueue:
    """Single-producer single-consumer ring of events, in any order of their starts.

    Attributes: `counters` int64 `[2]` (written, read: ever growing, one writer each), `ints` int64
    `[QUEUE_CAPACITY, 8]`, `floats` float64 `[QUEUE_CAPACITY, 4]`, columns in the order of `Event` except for the
    entry, which is the last of the ints. `order` is called between an event and the counter that vouches for it, so
    that a reader in another process cannot see them the other way round.
    """

    def __init__(
        self, memory: NDArray[np.uint8] | None = None, order: Callable[[], None] | None = None
    ) -> None:
        memory = np.zeros(QUEUE_BYTES, np.uint8) if memory is None else memory
        words = memory[:QUEUE_BYTES].view(np.int64)
        ints_end = 2 + QUEUE_CAPACITY * EVENT_INTS
        self._order = order
        self.counters = words[:2]
        self.ints = words[2:ints_end].reshape(QUEUE_CAPACITY, EVENT_INTS)
        self.floats = words[ints_end:].view(np.float64).reshape(QUEUE_CAPACITY, EVENT_FLOATS)

    @property
    def free(self) -> int:
        """Events that can be pushed now."""
        return QUEUE_CAPACITY - int(self.counters[0] - self.counters[1])

    def push(self, event: Event) -> bool:
        """Hand over one event (control side), whenever it starts; False when the queue is full."""
        if self.free == 0:
            return False
        written = int(self.counters[0])
        row = written % QUEUE_CAPACITY
        self.ints[row, :-1] = event[: EVENT_INTS - 1]
        self.ints[row, -1] = event.entry_frame
        self.floats[row, :-1] = event[EVENT_INTS - 1 : -2]
        self.floats[row, -1] = event.balance
        if self._order is not None:
            self._order()
        self.counters[0] = written + 1
        return True

    def clear(self) -> None:
        """Forget all events, read or not; only while nobody reads."""
        self.counters.fill(0)
