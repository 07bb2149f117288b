"""The memory that control process and engine process share while a session lasts: one segment, named views.

Every field has exactly one writer; the others only read it. All positions are absolute frames of the transport.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.events import QUEUE_BYTES, QUEUES, EventQueue
from engine.host import callback
from engine.host.shm import Segment, aligned
from engine.inputs import INPUT_BYTES, InputRing
from engine.moves import MOVES_BYTES, MoveLog
from engine.slots import METER_CAPACITY, SLOT_CAPACITY, Slots

# Engine statistics, float64; written by the DSP loop.
LOAD_MEAN, LOAD_MAX, QUANTA, LATE_QUANTA, DEVICE_LOST, STARTED, SAFETY_QUANTA = range(7)
STATISTICS = 8

_RING_BYTES = callback.RING_FRAMES * 2 * 4
_SIZES_BYTES = (
    _RING_BYTES,
    callback.COUNTERS * 8,
    callback.UNDERRUN_LOG * callback.UNDERRUN_COLUMNS * 8,
    STATISTICS * 8,
    callback.INTERVAL_WORDS * 8,
    SLOT_CAPACITY * 8,
    METER_CAPACITY * 8,
    INPUT_BYTES,
    MOVES_BYTES,
    *[QUEUE_BYTES] * QUEUES,
)


class Underrun(NamedTuple):
    """One stretch in which the ring was short: it ran dry at `frame`, and `frames` were missing.

    `interval_us` lies between the device's request before and the one that found too little, by the device's own
    clock: about a period where the engine was late, much less where the device asked in a burst. -1 where unknown.
    """

    frame: int
    frames: int
    interval_us: int


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """How the engine is doing, read at one moment.

    `frame_rendered` and `frame_heard` (given to the device) are absolute frames. Loads are shares of the quantum:
    the mean of the last second, and the largest so far. An under-run is one stretch in which the ring was short;
    `underrun_frames` counts what the device got as silence instead. `device_underflows` are those that PortAudio
    reports on its own. `ring_minimum_frames` is the least that was left in the ring after the device took its
    share. `device_lost` says that the device stopped asking and the null clock took over. `heartbeat` grows with
    every turn of the DSP loop, some hundred times a second, whatever the device does: if it stands still, the engine
    hangs. `started` says that the driver runs; `safety_quanta` is how far the engine is ahead of it now.

    Under-runs are counted over all engines of the session, everything else since the present one began.
    """

    frame_rendered: int
    frame_heard: int
    load_mean: float
    load_max: float
    quanta: int
    late_quanta: int
    underruns: int
    underrun_frames: int
    callbacks: int
    device_underflows: int
    ring_minimum_frames: int
    device_frames: int
    device_lost: bool
    heartbeat: int
    started: bool
    safety_quanta: int
    alive: bool


@dataclass(frozen=True, slots=True, eq=False)
class DeviceIntervals:
    """The intervals between the buffers that the device asked for, by the machine's monotonic clock, as a histogram.

    `counts` int64 `[2049]`: place k is for k to k + 1 times `bin_ns`, the last one for all that is longer. The device
    took `frames` in all of them together; `longest_ns` is the longest. `pieces` are the callbacks that went on with a
    buffer, as PortAudio may cut them, and end no interval: with those counted they are all callbacks but the first.
    Nothing is counted, and `bin_ns` is 0, where there is no device, or no clock that a callback can read.
    """

    bin_ns: int
    counts: NDArray[np.int64]
    frames: int
    longest_ns: int
    pieces: int


class Session:
    """The views of a session segment.

    Attributes, with their only writer:
        ring        float32 `[RING_FRAMES, 2]`   DSP loop: rendered sound; frame n is at n modulo RING_FRAMES
        counters    int64 `[COUNTERS]`           see `engine.host.callback`, where each one's writer is named
        underruns   int64 `[UNDERRUN_LOG, 3]`    callback (null clock): the fields of `Underrun`
        statistics  float64 `[STATISTICS]`       DSP loop
        intervals   int64 `[INTERVAL_WORDS]`     callback
        params      float64 `[SLOT_CAPACITY]`    control process
        meters      float64 `[METER_CAPACITY]`   DSP loop (processors)
        inputs      `InputRing`                  callback
        moves       `MoveLog`                    DSP loop (renderer)
        queues      `EventQueue` each            control process pushes, DSP loop (players) takes
    """

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        starts = []
        end = 0
        for size in _SIZES_BYTES:
            starts.append(aligned(end))
            end = starts[-1] + size
        ring = segment.view(np.float32, callback.RING_FRAMES * 2, starts[0])
        self.ring: NDArray[np.float32] = ring.reshape(callback.RING_FRAMES, 2)
        self.counters: NDArray[np.int64] = segment.view(np.int64, callback.COUNTERS, starts[1])
        log = segment.view(np.int64, callback.UNDERRUN_LOG * callback.UNDERRUN_COLUMNS, starts[2])
        self.underruns: NDArray[np.int64] = log.reshape(callback.UNDERRUN_LOG, callback.UNDERRUN_COLUMNS)
        self.statistics: NDArray[np.float64] = segment.view(np.float64, STATISTICS, starts[3])
        self.intervals: NDArray[np.int64] = segment.view(np.int64, callback.INTERVAL_WORDS, starts[4])
        self.params: Slots = segment.view(np.float64, SLOT_CAPACITY, starts[5])
        self.meters: Slots = segment.view(np.float64, METER_CAPACITY, starts[6])
        self.inputs = InputRing(segment.view(np.uint8, INPUT_BYTES, starts[7]))
        order = callback.order_memory
        self.moves = MoveLog(segment.view(np.uint8, MOVES_BYTES, starts[8]), order)
        self.queues = tuple(
            EventQueue(segment.view(np.uint8, QUEUE_BYTES, start), order) for start in starts[9:]
        )

    @classmethod
    def create(cls, first_frame: int = 0) -> "Session":
        """Make a session whose transport begins at `first_frame`; raises HostError where there is no room."""
        session = cls(Segment.create(sum(aligned(size) for size in _SIZES_BYTES)))
        session.begin(first_frame)
        return session

    @classmethod
    def attach(cls, name: str) -> "Session":
        """Open the session of the control process."""
        return cls(Segment.attach(name))

    def begin(self, first_frame: int) -> None:
        """Set all counters for an engine that begins at `first_frame`; only while none is running.

        Frames between what was rendered last and `first_frame` are silence to whoever records. Under-runs, the
        frames of live input, parameters, meters and queues stay as they are.
        """
        skipped = min(first_frame - int(self.counters[callback.WRITTEN]), callback.RING_FRAMES)
        if skipped > 0:
            self.ring[np.arange(first_frame - skipped, first_frame) % callback.RING_FRAMES] = 0.0
        # Others read meanwhile: where the transport is, and what stays, is never 0 on the way.
        kept = (callback.WRITTEN, callback.READ, callback.UNDERRUNS, callback.UNDERRUN_FRAMES)
        for counter in set(range(callback.COUNTERS)).difference(kept):
            self.counters[counter] = 0
        self.statistics.fill(0.0)
        self.intervals.fill(0)
        self.inputs.counters[1] = 0
        self.counters[callback.READ] = first_frame
        self.counters[callback.RING_MINIMUM] = callback.RING_FRAMES
        self.counters[callback.WRITTEN] = first_frame

    def snapshot(self, alive: bool) -> EngineStatistics:
        """Return the counters and statistics as they are now."""
        counters = [int(value) for value in self.counters]
        statistics = [float(value) for value in self.statistics]
        return EngineStatistics(
            frame_rendered=counters[callback.WRITTEN],
            frame_heard=counters[callback.READ],
            load_mean=statistics[LOAD_MEAN],
            load_max=statistics[LOAD_MAX],
            quanta=int(statistics[QUANTA]),
            late_quanta=int(statistics[LATE_QUANTA]),
            underruns=counters[callback.UNDERRUNS],
            underrun_frames=counters[callback.UNDERRUN_FRAMES],
            callbacks=counters[callback.CALLBACKS],
            device_underflows=counters[callback.DEVICE_UNDERFLOWS],
            ring_minimum_frames=counters[callback.RING_MINIMUM],
            device_frames=counters[callback.DEVICE_FRAMES],
            device_lost=statistics[DEVICE_LOST] != 0.0,
            heartbeat=counters[callback.HEARTBEAT],
            started=statistics[STARTED] != 0.0,
            safety_quanta=int(statistics[SAFETY_QUANTA]),
            alive=alive,
        )

    def intervals_so_far(self) -> DeviceIntervals:
        """Return how long the device has let pass between its buffers since the present engine began."""
        words = self.intervals.copy()
        return DeviceIntervals(
            bin_ns=int(words[callback.BIN_NS]),
            counts=words[callback.FIRST_BIN :],
            frames=int(words[callback.INTERVAL_FRAMES]),
            longest_ns=int(words[callback.LONGEST_NS]),
            pieces=int(words[callback.PIECES]),
        )

    def underruns_since(self, count: int) -> list[Underrun]:
        """Return the under-runs after the first `count`, as far as they are remembered.

        One that is still under way is there with what it has missed so far.
        """
        total = int(self.counters[callback.UNDERRUNS])
        callback.order_memory()  # acquire: no row is read before the counter that vouches for it
        numbers = range(max(count, total - callback.UNDERRUN_LOG, 0), total)
        rows = [self.underruns[number % callback.UNDERRUN_LOG] for number in numbers]
        return [Underrun(*row.tolist()) for row in rows]

    def close(self) -> None:
        """Let go of the segment; the process that made it removes it."""
        self.segment.close()
