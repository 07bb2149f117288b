"""The tempo of a MIDI clock: 24 ticks a quarter note, as they arrive, late and early and sometimes not at all."""

from collections import deque
from typing import Final

from engine.control.midi import messages as midi

TICKS_PER_BEAT: Final = 24
TIMEOUT_S: Final = 0.5
"""After so long without a tick there is no tempo."""
WINDOW_TICKS: Final = 4 * TICKS_PER_BEAT
"""The tempo is measured over so many of the last ticks."""
CHANGE: Final = 0.02
"""If the newest beat is by so much faster or slower than the window, the tempo has changed: only the beat counts."""
LEAST_TICKS: Final = 6
"""Fewer make no tempo."""
LOST_AFTER: Final = 1.6
"""A gap of so many intervals means that ticks were lost."""
LOST_IN_A_ROW: Final = 4
"""After so many such gaps the clock has become slower instead."""


class ClockFollower:
    """Follows the clock of one port, with the transport that goes with it.

    The tempo is the slope of a line through the arrival times of the last four beats, so that single ticks may be
    milliseconds early or late; lost ticks are counted in. Times are those of `take`, on a clock that never goes back.

    With ticks up to 2 ms early or late, 120 BPM are met within 0.2 % after two beats and 0.08 % after four; the error
    is in proportion to the tempo. The position is met within 1 ms after a beat.
    """

    def __init__(self) -> None:
        self.running = False
        """Between start or continue and stop."""
        self.ticks = 0
        """Since the start, while running: 24 a quarter note."""
        self._arrived: deque[tuple[int, float]] = deque(maxlen=WINDOW_TICKS + 1)
        self._gaps = 0
        self._interval_s = 0.0
        self._waiting = False

    def take(self, status: int, at_s: float) -> None:
        """Take a real-time message that came at `at_s`; others than clock, start, continue and stop mean nothing."""
        if status == midi.CLOCK:
            self._tick(at_s)
        elif status == midi.START:
            self.running, self.ticks, self._waiting = True, 0, True
        elif status == midi.CONTINUE:
            self._waiting = self._waiting or not self.running
            self.running = True
        elif status == midi.STOP:
            self.running = False

    def locate(self, sixteenths: int) -> None:
        """Take a song position, in sixteenth notes: where the next `continue` goes on."""
        if not self.running:
            self.ticks = sixteenths * TICKS_PER_BEAT // 4

    def tempo_bpm(self, now_s: float) -> float | None:
        """Return the tempo in quarter notes a minute; None before there is one and after a drop-out."""
        arrived = self._arrived
        if len(arrived) < LEAST_TICKS or now_s - arrived[-1][1] > TIMEOUT_S:
            return None
        interval_s = self._interval()
        return 60.0 / (TICKS_PER_BEAT * interval_s) if interval_s > 0.0 else None

    def place(self, now_s: float) -> tuple[float, float] | None:
        """Return the tempo in quarter notes a minute and how many of them lie between the start and `now_s`.

        None unless the clock runs: before a start or continue, after a stop, and once no tick has come for half a
        second. The first tick after a start is 0; shortly before it the position is below. Between ticks it goes on
        evenly, from the mean of the newest beat, so that it steps no more than the mean does. Until six ticks have
        come anew, the tempo is the one there was before.
        """
        arrived = self._arrived
        if not self.running or not arrived or now_s - arrived[-1][1] > TIMEOUT_S:
            return None
        if len(arrived) >= LEAST_TICKS:
            self._interval_s = self._interval()
        if self._interval_s <= 0.0:
            return None
        beat = list(arrived)[-TICKS_PER_BEAT - 1 :]
        middle = sum(number for number, _ in beat) / len(beat)
        mean_s = sum(at_s for _, at_s in beat) / len(beat)
        # The last tick to come has the number `ticks` - 1: the first after the start is the start.
        since_last = middle - arrived[-1][0] + (now_s - mean_s) / self._interval_s
        ticks = self.ticks - 1 + since_last
        beats = (min(ticks, self.ticks) if self._waiting else ticks) / TICKS_PER_BEAT
        return 60.0 / (TICKS_PER_BEAT * self._interval_s), beats

    def _interval(self) -> float:
        """Return how far ticks are apart, in seconds, from the line through them."""
        points = list(self._arrived)
        interval_s = _slope(points)
        beat = points[-TICKS_PER_BEAT - 1 :]
        newest_s = _slope(beat)
        if len(beat) < len(points) and abs(newest_s - interval_s) > CHANGE * interval_s:
            return newest_s
        return interval_s

    def _tick(self, at_s: float) -> None:
        step = 1
        if self._arrived:
            last_s = self._arrived[-1][1]
            if at_s - last_s > TIMEOUT_S:
                self._begin()
            elif len(self._arrived) >= LEAST_TICKS:
                step = self._passed(at_s - last_s)
                if step > 1 and self.running and self._waiting:
                    # It stood still before the start: nothing was lost.
                    self._begin()
                    step = 1
        if self._arrived:
            self._arrived.append((self._arrived[-1][0] + step, at_s))
        else:
            self._arrived.append((0, at_s))
        if self.running:
            self.ticks += step
            self._waiting = False

    def _passed(self, gap_s: float) -> int:
        """Return how many ticks there were, with lost ones, in a gap between two that came."""
        recent = list(self._arrived)[-TICKS_PER_BEAT:]
        interval_s = (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])
        if interval_s <= 0.0 or gap_s < LOST_AFTER * interval_s:
            self._gaps = 0
            return 1
        self._gaps += 1
        if self._gaps >= LOST_IN_A_ROW:
            self._begin()
            return 1
        return round(gap_s / interval_s)

    def _begin(self) -> None:
        if len(self._arrived) >= LEAST_TICKS:
            self._interval_s = self._interval()
        self._arrived.clear()
        self._gaps = 0


def _slope(points: list[tuple[int, float]]) -> float:
    """Return the least-squares slope of times over numbers, in seconds a tick."""
    count = len(points)
    middle = sum(number for number, _ in points) / count
    mean_s = sum(at_s for _, at_s in points) / count
    above = sum((number - middle) * (at_s - mean_s) for number, at_s in points)
    return above / sum((number - middle) ** 2 for number, _ in points)
