"""Sound events and the queue they cross in: drawn ahead on the control side, started by frame on the engine side.

One writer (control) and one reader (the players), each with its own counter; the same class over plain memory
offline and over shared memory live. Events may be pushed in any order: the queue only carries them, and the
players sort them by start.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

QUEUE_CAPACITY = 4096
"""Events that can wait at once; a power of two."""

EVENT_INTS = 7
EVENT_FLOATS = 3
QUEUE_BYTES = 8 * (2 + QUEUE_CAPACITY * (EVENT_INTS + EVENT_FLOATS))


class Event(NamedTuple):
    """One sounding of a clip on a track.

    The clip is read from `offset_frames` for `frames` frames, which must lie inside it, and starts at the
    absolute frame `start_frame`; an event that reaches the players later than that enters in its middle. `gain`
    is an amplitude. A fade of `fade_in_frames` or `fade_out_frames` follows a sine (equal power); `rho` is the
    correlation of the two sides of a cross-fade (0: equal power, 1: equal gain), by which both gains are
    normalised so that the sum keeps its power.
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


class EventQueue:
    """Single-producer single-consumer ring of events, in any order of their starts.

    Attributes: `counters` int64 `[2]` (written, read: ever growing, one writer each), `ints` int64
    `[QUEUE_CAPACITY, 7]`, `floats` float64 `[QUEUE_CAPACITY, 3]`, columns in the order of `Event`.
    """

    def __init__(self, memory: NDArray[np.uint8] | None = None) -> None:
        memory = np.zeros(QUEUE_BYTES, np.uint8) if memory is None else memory
        words = memory[:QUEUE_BYTES].view(np.int64)
        ints_end = 2 + QUEUE_CAPACITY * EVENT_INTS
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
        self.ints[row] = event[:EVENT_INTS]
        self.floats[row] = event[EVENT_INTS:]
        self.counters[0] = written + 1
        return True
