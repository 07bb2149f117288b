"""Which frame is heard when: the device's progress on the machine's clock, freed from the size of its buffers."""

import math
from collections import deque
from statistics import median

from engine.control.beat_follower import Clock
from engine.host.session import EngineStatistics

TEMPI_BPM = (20.0, 300.0)
READINGS = 31
"""So many of the newest readings count: a few seconds' worth, of which a device that stalls spoils less than half."""


class HeardClock:
    """A line through readings of the frame given to the device, each of them with the moment it was read.

    A device takes its frames a buffer at a time, so a reading lies up to a buffer above the even line on which they
    are heard, one of the null clock as far below it. The median of the newest `READINGS` is half a buffer off.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._offsets: deque[float] = deque(maxlen=READINGS)

    def read(self, statistics: EngineStatistics, now_s: float) -> None:
        """Take what the engine's statistics say at `now_s`, on the clock of `time.monotonic`."""
        self._offsets.append(statistics.frame_heard - now_s * self._rate_hz)

    def frame_at(self, at_s: float, statistics: EngineStatistics, null: bool) -> float:
        """Return the frame, of any fraction, that leaves the ring at `at_s`; with `null`, of the null clock.

        Raises StatisticsError before the first reading.
        """
        half_frames = 0.5 * statistics.device_frames
        middle = median(self._offsets)
        return at_s * self._rate_hz + middle + (half_frames if null else -half_frames)

    def clock(
        self,
        bpm: float | None,
        beats: float,
        at_s: float,
        statistics: EngineStatistics,
        null: bool,
        latency_frames: float,
    ) -> Clock | None:
        """Return a clock on the engine's frames that at `at_s` stood at `beats` and runs at `bpm`.

        What is rendered is heard `latency_frames` after it has left the ring. None where there is no tempo, or one
        beyond `TEMPI_BPM`.
        """
        if bpm is None or not TEMPI_BPM[0] <= bpm <= TEMPI_BPM[1] or not math.isfinite(beats + at_s):
            return None
        frame = self.frame_at(at_s, statistics, null) - latency_frames
        return Clock(frame, beats, 60.0 * self._rate_hz / bpm)
