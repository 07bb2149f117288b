"""Which frame is heard when: the device's progress on the machine's clock, freed from the size of its buffers."""

from collections import deque
from statistics import median

from engine.host.session import EngineStatistics

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
