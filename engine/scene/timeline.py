"""The finite form of a scene: everything that sounds up to an end, when, and what was done to place it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dsp.units import ms_to_frames
from engine.events import Event
from engine.scene.pass_filter import PassFilter
from engine.scene.schedule import EVENT_FADE_MS

What = Literal["placed", "moved", "attenuated", "high-passed", "low-passed", "left-out"]


@dataclass(frozen=True)
class Decision:
    """What was done to one event, and why. A clash is the weighted share that is hidden, 0 for nothing.

    `from_s` and `to_s` are where it would have begun and where it does; `bands_hz` is the range in which it clashed
    most `with_whom`, both empty where it is only about time. `gain_db` is 0 and `filter_hz` None where that was not
    what was done.
    """

    track: str
    start_frame: int
    what: What
    from_s: float
    to_s: float
    gain_db: float
    filter_hz: float | None
    clash_before: float
    clash_after: float
    with_whom: str
    bands_hz: tuple[float, float] | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        facts = asdict(self)
        facts["bands_hz"] = None if self.bands_hz is None else list(self.bands_hz)
        return facts


@dataclass(frozen=True, eq=False)
class Timeline:
    """All events of the finite form in the order of their starts, and the decisions in the order they were taken.

    A clip whose number is `first_added` or more is not the scene's own: it is that one of `filters`, in their order.
    """

    end_frame: int
    events: tuple[Event, ...]
    decisions: tuple[Decision, ...] = ()
    first_added: int = 0
    filters: tuple[PassFilter, ...] = ()

    def of_track(self, number: int) -> Iterator[Event]:
        """Yield the events of one track."""
        return (event for event in self.events if event.track == number)

    def notes(self) -> dict[tuple[str, int], str]:
        """Return in words what was done to an event, by its track and its start."""
        told: dict[tuple[str, int], list[str]] = {}
        for d in self.decisions:
            told.setdefault((d.track, d.start_frame), []).append(d.why)
        return {event: "; ".join(words) for event, words in told.items()}


def in_order(events: Iterable[Event], tracks: Sequence[int]) -> tuple[Event, ...]:
    """Return events by their starts; those that start together in the order of the tracks."""
    rank = {number: i for i, number in enumerate(tracks)}
    return tuple(sorted(events, key=lambda e: (e.start_frame, rank[e.track])))


def ended(event: Event, end_frame: int, rate_hz: int) -> Event:
    """Return an event that is over at `end_frame`: what goes on beyond is left out, and it fades before.

    The fade in stays as it is, or a cross-fade that the end cuts would no longer keep its power.
    """
    frames = end_frame - event.start_frame
    if event.frames <= frames:
        return event
    fade = min(ms_to_frames(EVENT_FADE_MS, rate_hz), frames // 2)
    return event._replace(frames=frames, fade_out_frames=fade, rho_out=0.0)
