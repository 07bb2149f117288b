"""Keeps an event queue filled ahead of the engine, and knows again what the engine forgets when it is replaced."""

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import dropwhile

from engine.errors import InputError
from engine.events import ALL_TRACKS, ANY_FRAME, CUT, QUEUE_CAPACITY, Event, EventQueue, cut

HORIZON_S = 8.0
"""How far ahead events are queued: as long as the control side may be held up without the engine missing any."""

MOST_TRIGGERED = 256
"""How many triggered sounds are not over at once."""

MOST_EVENTS = QUEUE_CAPACITY - 96 - MOST_TRIGGERED
"""How many events are queued or sound at once: a cut always finds room, and so do all that are queued again."""

TIDY_S = 1.0
"""How often events that are over are forgotten."""


class _Track:
    """The events of one track, shifted by `offset_frame`; none that is over by `entry_frame`."""

    def __init__(self, number: int, events: Iterator[Event], offset_frame: int, entry_frame: int) -> None:
        self.number = number
        self._events = events
        self._offset_frame = offset_frame
        self.entry_frame = entry_frame
        self.next = self._draw()

    def take(self) -> Event | None:
        """Return the next event and draw the one after it."""
        event, self.next = self.next, self._draw()
        return event

    def _draw(self) -> Event | None:
        offset = self._offset_frame
        over_frame = self.entry_frame - offset
        for event in self._events:
            if event.start_frame + event.frames <= over_frame:
                continue
            entry = event.entry_frame if event.entry_frame == ANY_FRAME else event.entry_frame + offset
            start = event.start_frame + offset
            if start < self.entry_frame:
                entry = max(entry, self.entry_frame)
            return Event(start, self.number, *event[2:-2], entry, event.balance)
        return None


class Feeder:
    """Moves the events of a deck's tracks into its queue, those that start within `HORIZON_S` of the engine's frame.

    The queue has one producer: whoever calls from several threads holds a lock. `log` holds every event moved if
    `keep_log` is set, which is for what has an end.
    """

    def __init__(self, queue: EventQueue, rate_hz: int, *, keep_log: bool = False) -> None:
        self._queue = queue
        self._horizon_frames = round(HORIZON_S * rate_hz)
        self._tidy_frames = round(TIDY_S * rate_hz)
        self._tidy_frame = 0
        self._tracks: dict[int, _Track] = {}
        self._heap: list[tuple[int, int]] = []
        self._alive: list[tuple[Event, int]] = []
        self._unsent: deque[Event] = deque()
        self._triggered: list[int] = []
        self._keep_log = keep_log
        self.log: list[Event] = []

    @classmethod
    def of(
        cls,
        streams: Mapping[int, Iterator[Event]],
        queue: EventQueue,
        rate_hz: int,
        *,
        keep_log: bool = False,
    ) -> "Feeder":
        """Return a feeder of `streams`, the events of each track by its number, in their own frames."""
        feeder = cls(queue, rate_hz, keep_log=keep_log)
        for number, events in streams.items():
            feeder.add(number, events)
        return feeder

    def add(
        self,
        number: int,
        events: Iterator[Event],
        offset_frame: int = 0,
        entry_frame: int = ANY_FRAME,
    ) -> None:
        """Feed `events`, in the order of their starts, as track `number`: their frame 0 is the engine's `offset_frame`.

        Nothing of them is heard before the engine's `entry_frame`: what is over by then is left out, what would sound
        by then enters in its middle. Takes the place of what the track was fed before.
        """
        self._forget_track(number)
        track = _Track(number, events, offset_frame, entry_frame)
        if track.next is not None:
            self._tracks[number] = track
            heapq.heappush(self._heap, (track.next.start_frame, number))

    def renew(self, number: int, events: Iterator[Event], offset_frame: int) -> None:
        """Go on with `events` for a track, which start when those do that it was fed; what is queued stays.

        Nothing is where the track has nothing to come.
        """
        before = self._tracks.get(number)
        if before is None or before.next is None:
            return
        from_frame = before.next.start_frame - offset_frame
        rest = dropwhile(lambda event: event.start_frame < from_frame, events)
        self.add(number, rest, offset_frame, before.entry_frame)

    def drop(self, number: int, at_frame: int, fade_frames: int) -> None:
        """Fade track `number` out from `at_frame` on, over `fade_frames`, and feed it no more."""
        self._cut(number, at_frame, fade_frames)
        self._forget_track(number)

    def pause(self, at_frame: int, fade_frames: int) -> None:
        """Fade all tracks out from `at_frame` on, over `fade_frames`, and feed nothing more."""
        self._cut(ALL_TRACKS, at_frame, fade_frames)
        self._tracks.clear()
        self._heap.clear()

    def seek(
        self, streams: Mapping[int, Iterator[Event]], offset_frame: int, at_frame: int, fade_frames: int
    ) -> None:
        """Have `streams`, made anew, go on at the engine's `at_frame` as if their frame 0 had been at `offset_frame`.

        What was fed before fades out from `at_frame` on, over `fade_frames`, as by `pause`.
        """
        self.pause(at_frame, fade_frames)
        for number, events in streams.items():
            self.add(number, events, offset_frame, at_frame)

    def trigger(self, event: Event) -> None:
        """Queue one event beside what the tracks are fed, on the engine's clock.

        Raises InputError while `MOST_TRIGGERED` still sound.
        """
        self._triggered = [over_frame for over_frame in self._triggered if over_frame > event.start_frame]
        if len(self._triggered) >= MOST_TRIGGERED:
            raise InputError(f"{MOST_TRIGGERED} triggered sounds are not over yet")
        self._triggered.append(event.start_frame + event.frames)
        self._send(event, event.start_frame + event.frames)
        if self._keep_log:
            self.log.append(event)
        self._send_on()

    def feed(self, frame: int) -> None:
        """Queue what starts before `frame` + the horizon, as far as there is room."""
        if frame >= self._tidy_frame or len(self._alive) >= MOST_EVENTS:
            self._tidy(frame)
        until = frame + self._horizon_frames
        self._send_on()
        while self._heap and self._heap[0][0] < until and not self._unsent and len(self._alive) < MOST_EVENTS:
            self._take(self._heap[0][1])
            self._send_on()

    def rewind(self, frame: int) -> None:
        """Queue again all that has been fed and sounds at `frame` or later, for an engine that begins there.

        Only while no engine runs: the queue is cleared.
        """
        self._tidy(frame)
        self._queue.clear()
        self._unsent = deque(event for event, _ in self._alive)
        self._send_on()

    def _take(self, number: int) -> None:
        """Move the next event of the track that is first on the heap."""
        track = self._tracks[number]
        event = track.take()
        if event is not None and event.frames > 0:
            self._send(event, event.start_frame + event.frames)
            if self._keep_log:
                self.log.append(event)
        if track.next is None:
            del self._tracks[number]
            heapq.heappop(self._heap)
        else:
            heapq.heapreplace(self._heap, (track.next.start_frame, number))

    def _cut(self, number: int, at_frame: int, fade_frames: int) -> None:
        """End what was fed of track `number`, once all of it is fed that starts before `at_frame`."""
        while self._heap and self._heap[0][0] < at_frame:
            self._take(self._heap[0][1])
        event = cut(at_frame, number, fade_frames)
        over_frame = at_frame + fade_frames
        alive = []
        for other, other_over_frame in self._alive:
            if other.clip == CUT or number not in (ALL_TRACKS, other.track):
                alive.append((other, other_over_frame))
            elif max(other.start_frame, other.entry_frame) < at_frame:
                alive.append((other, min(other_over_frame, over_frame)))
        self._alive = alive
        self._send(event, over_frame)
        self._send_on()

    def _forget_track(self, number: int) -> None:
        if self._tracks.pop(number, None):
            self._heap = [(start, other) for start, other in self._heap if other != number]
            heapq.heapify(self._heap)

    def _tidy(self, frame: int) -> None:
        """Forget what is over at `frame`."""
        self._alive = [(event, over_frame) for event, over_frame in self._alive if over_frame > frame]
        self._tidy_frame = frame + self._tidy_frames

    def _send(self, event: Event, over_frame: int) -> None:
        self._alive.append((event, over_frame))
        self._unsent.append(event)

    def _send_on(self) -> None:
        """Push what was sent, as far as there is room."""
        while self._unsent and self._queue.push(self._unsent[0]):
            self._unsent.popleft()
