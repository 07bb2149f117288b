"""One scene that plays: its place in the graph, its sounds in the engine, its timeline on the engine's clock."""

from collections.abc import Iterable, Iterator

from engine.control.beat_follower import BeatFollower, Clock
from engine.control.feeder import Feeder
from engine.control.patch import Deck
from engine.errors import InputError, Problem
from engine.events import Event, EventQueue
from engine.nodes.players import TRACK_NUMBERS
from engine.scene.beats import RELEASE_MS, Grid, period_frames, repetitions
from engine.scene.composition import Composition, Track
from engine.scene.schedule import one_shot, own_rate
from engine.scene.schema import Loop

CUT_FADE_MS = 20.0
"""How fast a track that is taken away, or all of them at a pause, fade out."""


class PlayingDeck:
    """A deck with its feeder, which keeps a log if it is told to.

    The scene's frame 0 is the engine's frame `offset_frame`, unless it is paused. `paused_at` is the scene's frame at
    which it stands, None while it runs; before `begin` it stands at 0. `resting` are the numbers of tracks that an edit
    takes away or has not brought yet.
    """

    def __init__(
        self,
        deck: Deck,
        clip_numbers: tuple[int, ...],
        queue: EventQueue,
        fade_frames: int,
        *,
        keep_log: bool = False,
    ) -> None:
        self.deck = deck
        self.clip_numbers = clip_numbers
        self.fade_frames = fade_frames
        self.feeder = Feeder(queue, deck.composition.rate_hz, keep_log=keep_log)
        self.begun = False
        self.offset_frame = 0
        self.paused_at: int | None = 0
        self.resting: frozenset[int] = frozenset()
        self._beats = BeatFollower(deck.composition.rate_hz)
        self._next_number = len(deck.composition.tracks)
        self._turns: dict[str, int] = {}

    @property
    def composition(self) -> Composition:
        """The scene."""
        return self.deck.composition

    def position_frames(self, frame: int) -> int:
        """Return the frame of the scene that is rendered at the engine's `frame`."""
        return frame - self.offset_frame if self.paused_at is None else self.paused_at

    def begin(self, at_frame: int) -> None:
        """Have the scene heard from the engine's `at_frame` on, from the frame at which it stands."""
        self.begun = True
        self.seek(self.paused_at or 0, at_frame)

    def seek(self, position_frames: int, at_frame: int) -> None:
        """Have the scene's frame `position_frames` heard at the engine's `at_frame`; what sounds before ends there."""
        self.offset_frame = at_frame - position_frames
        self.paused_at = None
        pairs = zip(self.composition.tracks, self.deck.track_numbers, strict=True)
        streams = self.streams([(t, number) for t, number in pairs if number not in self.resting])
        self.feeder.seek(streams, self.offset_frame, at_frame, self.cut_frames)

    def go_on(self, at_frame: int) -> None:
        """Go on after `pause` at the engine's `at_frame`, from the frame at which it stands."""
        if self.begun and self.paused_at is not None:
            self.seek(self.paused_at, at_frame)

    def move_to(self, position_frames: int, at_frame: int) -> None:
        """Have the scene go on at its frame `position_frames` from the engine's `at_frame` on; or stand there."""
        if self.paused_at is None:
            self.seek(position_frames, at_frame)
        else:
            self.paused_at = position_frames

    def pause(self, at_frame: int) -> None:
        """Fade all sounds out from `at_frame` on, and stand still there."""
        if self.paused_at is None:
            self.paused_at = at_frame - self.offset_frame
            self.feeder.pause(at_frame, self.cut_frames)

    def trigger(self, track: str | int, at_frame: int) -> Event:
        """Have the next sound of a track (its name, or its number from 1) begin at the engine's `at_frame`.

        Returns the event. Raises InputError if there is no such track, or none with sounds of its own.
        """
        tracks = self.composition.tracks
        names = [t.name for t in tracks]
        if isinstance(track, str) and track in names:
            place = names.index(track)
        elif isinstance(track, int) and 1 <= track <= len(tracks):
            place = track - 1
        else:
            raise InputError(
                Problem(f"there is no track {track!r}", f"{', '.join(names)}, or 1 to {len(names)}")
            )
        found = tracks[place]
        if not found.clips:
            raise InputError(Problem(f"{found.name} is a live input", "a track with sounds of its own"))
        turn = self._turns.get(found.name, 0)
        self._turns[found.name] = turn + 1
        clips = own_rate(found.clips)
        clip = clips[turn % len(clips)]
        event = one_shot(at_frame, self.deck.track_numbers[place], clip, self.composition.rate_hz)
        event = event._replace(clip=self.clip_numbers[clip.number])
        self.feeder.trigger(event)
        return event

    @property
    def cut_frames(self) -> int:
        """How long a cut's fade is."""
        return max(1, round(CUT_FADE_MS * 1e-3 * self.composition.rate_hz))

    def fresh_numbers(self, count: int) -> list[int]:
        """Return track numbers that no track of this deck has, nor had lately."""
        numbers: list[int] = []
        while len(numbers) < count:
            number = self._next_number % TRACK_NUMBERS
            self._next_number += 1
            if number not in self.deck.track_numbers and number not in numbers:
                numbers.append(number)
        return numbers

    def streams(self, tracks: Iterable[tuple[Track, int]]) -> dict[int, Iterator[Event]]:
        """Return the events of `tracks`, by their numbers, in scene time and with the engine's numbers for clips."""
        events = self.composition.streams()
        return {
            number: self._renumbered(
                track,
                events[track.number] if track.beats is None else self._in_time(track, track.beats, number),
            )
            for track, number in tracks
        }

    def recount(self, before: Composition) -> None:
        """After an edit of the scene `before`: have the cap on events count all tracks that are there now.

        What is queued, up to 8 s, goes on, so for that long there may be more events than are allowed.
        """
        if before.crowded or self.composition.crowded:
            pairs = zip(self.composition.tracks, self.deck.track_numbers, strict=True)
            stays = [(t, n) for t, n in pairs if n not in self.resting and not isinstance(t.schedule, Loop)]
            for number, events in self.streams(stays).items():
                self.feeder.renew(number, events, self.offset_frame)

    def follow(self, clock: Clock, soon_frame: int) -> bool:
        """Bring loops with beats to those of `clock`, where they are off, without a change before `soon_frame`.

        Returns whether any of them was moved. Nothing is where the scene does not ask for a MIDI clock.
        """
        if self.composition.scene.clock != "midi":
            return False
        jumps = self._beats.tell(clock)
        if not self.begun or self.paused_at is not None:
            return False
        moved = False
        fade_frames = max(1, round(RELEASE_MS * 1e-3 * self.composition.rate_hz))
        for track, number in zip(self.composition.tracks, self.deck.track_numbers, strict=True):
            if number in self.resting:
                continue
            if restart := self._beats.restart(number, track, soon_frame, jumps):
                self.feeder.drop(number, restart.cut_frame, fade_frames)
                events = self._renumbered(track, self._repetitions(track, restart.grid, restart.cut_frame))
                self.feeder.add(number, events, 0, restart.cut_frame)
                moved = True
        return moved

    def _in_time(self, track: Track, beats: float, number: int) -> Iterator[Event]:
        """Return the events of a loop with beats in scene time: on the scene's tempo, or on the clock it follows."""
        own = Grid(0.0, period_frames(beats, track.tempo_bpm or 0.0, self.composition.rate_hz))
        if self.composition.scene.clock != "midi":
            return self._repetitions(track, own, 0.0)
        placed = self._beats.place(number, track, own.moved(self.offset_frame))
        if self._beats.clock is None:
            return self._repetitions(track, own, 0.0)
        from_frame = self._beats.clock.frame - self.offset_frame
        return self._repetitions(track, placed.moved(-self.offset_frame), from_frame)

    def _repetitions(self, track: Track, grid: Grid, from_frame: float) -> Iterator[Event]:
        """Return the repetitions of a loop on `grid` from the one on that sounds at `from_frame`."""
        clip = track.clips[0]
        following = grid.number_at(from_frame)
        first = following if grid.start(following) == from_frame else following - 1
        return repetitions(
            track.number, clip.number, clip.frames, clip.gain, grid, self.composition.rate_hz, first
        )

    def _renumbered(self, track: Track, events: Iterator[Event]) -> Iterator[Event]:
        numbers = {clip.number: self.clip_numbers[clip.number] for clip in track.clips}
        if all(mine == theirs for mine, theirs in numbers.items()):
            return events
        return (event._replace(clip=numbers[event.clip]) for event in events)
