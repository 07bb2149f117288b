"""How many events sound at once: where it would be too many, the less important ones are left out.

Only tracks that are heard once or again and again count; a track that loops sounds all the time, and a live input and a
sound that is triggered by hand are somebody's will. Events rank by the importance of their track to the nearest 32nd,
then by their start, then by the number of the track. An event is left out if at any moment of it as many of higher rank
sound as there may be. So what sounds is decided by what is known ahead: the same live, in a render, and after a seek.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from engine.events import Event
from engine.scene.schedules import Loop

if TYPE_CHECKING:
    from engine.scene.composition import Track

STEPS = 32
"""Of importance: for each there is, what sounds has to be known by one more event ahead."""

Span = tuple[int, int]


def counting(tracks: Iterable["Track"]) -> dict[int, float]:
    """Return the importance of each track, by its number, whose events count."""
    return {t.number: t.importance for t in tracks if t.clips and not isinstance(t.schedule, Loop)}


def capped(
    streams: Mapping[int, Iterator[Event]], importances: Mapping[int, float], most: int
) -> dict[int, Iterator[Event]]:
    """Return `streams`, the events of each track by its number in order of start, with at most `most` at once.

    Where one is left out there is a rest, the same event with no frames, so that nobody waits for ever for the next
    that is heard. Tracks without `importances`, 0 to 1, do not count and stay as they are; and all do where so few
    tracks count that it never is too many, for no track overlaps itself.
    """
    counting = [number for number in streams if number in importances]
    if len(counting) <= most:
        return dict(streams)
    cap = _Cap({number: streams[number] for number in counting}, importances, most)
    return {
        number: cap.stream(number) if number in importances else events for number, events in streams.items()
    }


class _Rank:
    """The tracks of one importance: their events in the order of their starts, and what sounds against them."""

    def __init__(self, streams: Mapping[int, Iterator[Event]]) -> None:
        self.ended: set[int] = set()
        watched = [self._watched(number, events) for number, events in streams.items()]
        self._events = heapq.merge(*watched, key=_order)
        self.next = next(self._events, None)
        self.drawn: deque[Event] = deque()
        self.sounding: list[Span] = []

    def _watched(self, number: int, events: Iterator[Event]) -> Iterator[Event]:
        yield from events
        self.ended.add(number)

    def has_more_of(self, number: int) -> bool:
        """Whether a track may have events that are not decided."""
        return number not in self.ended or any(event.track == number for event in self.drawn)

    def draw(self, until: int) -> int:
        """Draw all that starts before `until`; return when the last one is over that is not decided, or `until`."""
        while self.next is not None and self.next.start_frame < until:
            self.drawn.append(self.next)
            self.next = next(self._events, None)
        return max([until, *(e.start_frame + e.frames for e in self.drawn)])


class _Cap:
    """The tracks that count, highest importance first, decided as far as it is needed."""

    def __init__(
        self, streams: Mapping[int, Iterator[Event]], importances: Mapping[int, float], most: int
    ) -> None:
        self._most = most
        steps = {number: round(STEPS * importances[number]) for number in streams}
        levels = sorted(set(steps.values()), reverse=True)
        self._ranks = [_Rank({n: s for n, s in streams.items() if steps[n] == level}) for level in levels]
        self._rank_of = {number: levels.index(step) for number, step in steps.items()}
        self._decided: dict[int, deque[Event]] = {number: deque() for number in streams}

    def stream(self, number: int) -> Iterator[Event]:
        """Yield the events of a track, as they are or as rests."""
        decided, place = self._decided[number], self._rank_of[number]
        rank = self._ranks[place]
        while True:
            while decided:
                yield decided.popleft()
            if not rank.has_more_of(number):
                return
            if rank.drawn:
                self._decide(place, rank.drawn[0].start_frame + 1)
            elif rank.next is not None:
                self._decide(place, rank.next.start_frame + 1)

    def _decide(self, place: int, until: int) -> None:
        """Decide all events of a rank that start before `until`, and all of higher ranks that may sound with them."""
        horizons = [until]
        for rank in reversed(self._ranks[1 : place + 1]):
            horizons.append(rank.draw(horizons[-1]))
        self._ranks[0].draw(horizons[-1])
        for i, horizon in enumerate(reversed(horizons)):
            rank = self._ranks[i]
            while rank.drawn and rank.drawn[0].start_frame < horizon:
                self._decide_one(rank.drawn.popleft(), i)

    def _decide_one(self, event: Event, place: int) -> None:
        number, span = event.track, (event.start_frame, event.start_frame + event.frames)
        rank = self._ranks[place]
        rank.sounding = [other for other in rank.sounding if other[1] > span[0]]
        if _most_at_once(rank.sounding, span) >= self._most:
            self._decided[number].append(event._replace(frames=0))
            return
        self._decided[number].append(event)
        for lower in self._ranks[place:]:
            if lower.next is not None or lower.drawn:
                lower.sounding.append(span)


def _order(event: Event) -> tuple[int, int]:
    return event.start_frame, event.track


def _most_at_once(spans: Iterable[Span], within: Span) -> int:
    """Return how many of `spans` there are at once at most, in the time `within`."""
    turns = []
    for start, end in spans:
        if start < within[1] and end > within[0]:
            turns += [(max(start, within[0]), 1), (end, -1)]
    most = now = 0
    for _, step in sorted(turns):
        now += step
        most = max(most, now)
    return most
