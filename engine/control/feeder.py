"""Keeps the event queue filled ahead of the engine, and where wanted a log of everything that was scheduled."""

from collections.abc import Iterator

from engine.events import Event, EventQueue

HORIZON_S = 8.0
"""How far ahead events are queued: as long as the control side may be held up without the engine missing any."""


class Feeder:
    """Moves events of a timeline into a queue, those that start within `HORIZON_S` of the engine's frame.

    `log` holds every event moved if `keep_log` is set, which is for what has an end.
    """

    def __init__(
        self, timeline: Iterator[Event], queue: EventQueue, rate_hz: int, *, keep_log: bool = False
    ) -> None:
        self._timeline = timeline
        self._queue = queue
        self._horizon_frames = round(HORIZON_S * rate_hz)
        self._next = next(timeline, None)
        self._keep_log = keep_log
        self.log: list[Event] = []

    def feed(self, frame: int) -> None:
        """Queue what starts before `frame` + the horizon, as far as there is room."""
        until = frame + self._horizon_frames
        while self._next is not None and self._next.start_frame < until and self._queue.push(self._next):
            if self._keep_log:
                self.log.append(self._next)
            self._next = next(self._timeline, None)
