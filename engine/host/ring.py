"""The ring of rendered frames: one writer (DSP loop), one reader that the pace depends on (callback), any taps."""

import numpy as np
from numpy.typing import NDArray

from dsp.jit import kernel
from dsp.memory import fence
from engine.host.callback import READ, RING_FRAMES, WRITTEN, order_memory
from engine.host.session import Session
from engine.spec import QUANTA_FRAMES, Block


@kernel("void(float32[:, ::1], int64, float32[:, ::1])")
def _copy_in(ring: NDArray[np.float32], at: int, block: NDArray[np.float32]) -> None:
    """ring[at + n modulo its length] = block[n]."""
    mask = ring.shape[0] - 1
    for n in range(block.shape[0]):
        place = (at + n) & mask
        ring[place, 0] = block[n, 0]
        ring[place, 1] = block[n, 1]
    fence()  # release: the samples are there before the caller's counter says so


class RingWriter:
    """The DSP loop's side: appends quanta."""

    def __init__(self, session: Session) -> None:
        self._ring = session.ring
        self._counters = session.counters

    @property
    def waiting_frames(self) -> int:
        """Frames written that the device has not taken yet."""
        # No fence: the ring is never filled so far that a place which is still read could be written again.
        return int(self._counters[WRITTEN]) - int(self._counters[READ])

    def write(self, block: Block) -> None:
        """Append one quantum; the caller keeps `waiting_frames` below `RING_FRAMES`."""
        written = int(self._counters[WRITTEN])
        _copy_in(self._ring, written, block)
        self._counters[WRITTEN] = written + len(block)


class RingTap:
    """A recorder's side: every rendered frame exactly once, from the beginning of the session or from now on.

    Attributes: `frame`, the absolute frame that `read` continues at; `lost_frames`, how many came too late to be
    read because the tap lagged behind by more than the ring holds.
    """

    def __init__(self, session: Session, frame: int) -> None:
        self._ring = session.ring
        self._counters = session.counters
        self.frame = frame
        self.lost_frames = 0

    def read(self) -> NDArray[np.float32]:
        """Return a copy of all frames rendered since the last call, float32 `[frames, 2]`, perhaps none."""
        written = int(self._counters[WRITTEN])
        order_memory()  # acquire: no sample is read before the counter that vouches for it
        begin = max(self.frame, self._oldest_frame())
        places = np.arange(begin, max(begin, written)) & (RING_FRAMES - 1)
        frames: NDArray[np.float32] = self._ring[places]
        order_memory()  # acquire: what was overwritten meanwhile is found by a counter read after the samples
        overwritten = min(max(self._oldest_frame() - begin, 0), len(frames))
        self.lost_frames += begin - self.frame + overwritten
        self.frame = max(begin, written)
        return frames[overwritten:]

    def _oldest_frame(self) -> int:
        """Return the first frame that the writer, who may be in the middle of a quantum, has not reached again."""
        return int(self._counters[WRITTEN]) + QUANTA_FRAMES[1] - RING_FRAMES
