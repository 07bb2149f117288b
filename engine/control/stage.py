"""The stage: the scenes that play, and every change of them while the sound goes on.

A change is a new graph, and often sound events that may come only once it is there. So it goes in steps: what is taken
away fades out, the graph is swapped, then what is new begins. `tick` and `take` carry a change from step to step.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from dsp.units import ms_to_frames
from engine.control.beat_follower import Clock
from engine.control.clip_library import ClipHolder, ClipLibrary
from engine.control.deck import PlayingDeck
from engine.control.edit import Edit, plan_edit
from engine.control.patch import Deck, stage_graph
from engine.errors import InputError, RoomtoneError
from engine.events import Event, EventQueue
from engine.messages import Built, Refused, Swapped, ToControl
from engine.meters import MeterTable
from engine.nodes.fader import NEVER, UP, Fade
from engine.params import ParamTable
from engine.rendering import Graph
from engine.scene.composition import Composition, Track
from engine.slots import SlotMap, Slots

SHORTEST_FADE_MS = 20.0
"""The shortest cross-fade of two scenes: a cut that does not click."""

LEAD_MS = 40.0
"""How far ahead of the frame that is rendered a change is put, so that it arrives in time."""


class StageEngine(ClipHolder, Protocol):
    """The engine as the stage sees it: a process, or a renderer in this one."""

    @property
    def params(self) -> Slots:
        """Memory of the parameters."""
        ...

    @property
    def meters(self) -> Slots:
        """Memory of the meters."""
        ...

    @property
    def queues(self) -> tuple[EventQueue, ...]:
        """The queues of sound events."""
        ...

    @property
    def frame(self) -> int:
        """The absolute frame that is rendered next."""
        ...

    def swap(self, graph: Any, param_map: SlotMap, meter_map: SlotMap) -> int:
        """Have `graph` built and played; `Built` or `Refused`, then `Swapped` answer with the number returned."""
        ...


class Stage:
    """All decks of a show, the newest last. Safe to call from any thread.

    `told` is called with (kind, text) when a change that was begun cannot be made.
    """

    def __init__(self, engine: StageEngine, rate_hz: int, told: Callable[[str, str], None]) -> None:
        self._engine = engine
        self._told = told
        self._lead_frames = ms_to_frames(LEAD_MS, rate_hz)
        self._shortest_frames = ms_to_frames(SHORTEST_FADE_MS, rate_hz)
        self._clips = ClipLibrary(engine)
        self.lock = threading.RLock()
        """Held while anything changes; whoever holds it finds everything still."""
        self._decks: list[PlayingDeck] = []
        self._generation = 0
        self._number = 0
        self._waiting: dict[int, PlayingDeck] = {}
        self._edit: Edit | None = None
        self._next_edit: tuple[PlayingDeck, Composition] | None = None
        self._leaving: list[tuple[int, tuple[int, ...]]] = []
        self._busy_queues: set[int] = set()
        self._leaving_queues: list[tuple[int, int]] = []
        self._insisting = False
        self._alone = False
        self._paused = False
        self.params = ParamTable.of([], memory=engine.params)
        self.meters = MeterTable.of([], memory=engine.meters)
        self.graph = Graph()
        self.latency_frames = 0

    # what there is ------------------------------------------------------------------------------------------------

    @property
    def newest(self) -> PlayingDeck:
        """The scene that came last."""
        return self._decks[-1]

    def moment(self) -> tuple[Composition, ParamTable, MeterTable]:
        """Return the newest scene with the tables that belong to it, all of one moment."""
        with self.lock:
            return self.newest.composition, self.params, self.meters

    @property
    def paused(self) -> bool:
        """Whether all scenes stand still."""
        return self._paused

    @property
    def scenes(self) -> int:
        """How many scenes are there: more than one while they cross-fade."""
        return len(self._decks)

    @property
    def changing(self) -> bool:
        """Whether a change is still on its way."""
        with self.lock:
            return bool(
                self._waiting or self._edit or self._next_edit or self._leaving or len(self._decks) > 1
            )

    # what to do ---------------------------------------------------------------------------------------------------

    def open(self, composition: Composition, settings: Mapping[str, float | str] | None = None) -> None:
        """Put up the first scene, to be heard from frame 0 of the engine on; raises ParamError for a setting."""
        with self.lock:
            playing = self._new_deck(composition, 1)
            self._decks.append(playing)
            self._set_tables()
            for name, value in (settings or {}).items():
                self.params.set(name, value)
            playing.begin(self._engine.frame)
            self.feed()
            self._swap()

    def go(self, composition: Composition, fade_frames: int) -> None:
        """Cross over to another scene with equal power, as soon as it is built, over `fade_frames` but 20 ms at least.

        Raises InputError while more scenes are fading than the engine has queues for, GraphError where they are too
        large together, HostError without memory; then nothing has changed.
        """
        with self.lock:
            playing = self._new_deck(composition, max(self._shortest_frames, fade_frames), rise=NEVER)
            self._decks.append(playing)
            try:
                self._waiting[self._swap()] = playing
            except RoomtoneError:
                self._give_up(playing)
                raise

    def edit(self, composition: Composition) -> None:
        """Make the newest scene into `composition`: tracks that are the same in both go on undisturbed.

        A parameter whose value in the scene has changed takes the new one, all others stay as they were turned. While
        an edit is under way the newest waits. Raises GraphError for a scene that is too large, HostError without
        memory; then nothing has changed.
        """
        with self.lock:
            self._next_edit = self.newest, composition
            self._begin_edit()

    def set(self, name: str, value: float | str) -> None:
        """Set a parameter; raises ParamError."""
        with self.lock:
            self.params.set(name, value)

    def trigger(self, track: str | int, lead_frames: int) -> Event:
        """Have the next sound of a track of the newest scene that plays begin `lead_frames` after what is rendered now.

        Returns its event, on the engine's clock. Raises InputError.
        """
        with self.lock:
            begun = [playing for playing in self._decks if playing.begun] or self._decks
            return begun[-1].trigger(track, self._engine.frame + lead_frames)

    def pause(self) -> int:
        """Fade all sounds out and have all scenes stand still; tails ring out. Returns the engine's frame of that.

        A scene that comes meanwhile stands at its beginning.
        """
        with self.lock:
            self._paused = True
            at_frame = self._soon()
            for playing in self._decks:
                playing.pause(at_frame)
            return at_frame

    def play(self) -> int:
        """Go on from where `pause` stopped; returns the engine's frame of that."""
        with self.lock:
            self._paused = False
            at_frame = self._soon()
            for playing in self._decks:
                playing.go_on(at_frame)
            self.feed()
            return at_frame

    def seek(self, position_frames: int) -> int:
        """Have the newest scene go on, or stand, at its frame `position_frames`; returns the engine's frame of that."""
        with self.lock:
            at_frame = self._soon()
            self.newest.move_to(position_frames, at_frame)
            self.feed()
            return at_frame

    def follow(self, clock: Clock) -> bool:
        """Bring the loops with beats of scenes that follow a clock to `clock`; return whether any was moved."""
        with self.lock:
            moved = [playing.follow(clock, self._soon()) for playing in self._decks]
            self.feed()
            return any(moved)

    # what goes on -------------------------------------------------------------------------------------------------

    def feed(self) -> None:
        """Queue what is to be heard soon; to be called several times a second."""
        with self.lock:
            frame = self._engine.frame
            for playing in self._decks:
                playing.feeder.feed(frame)

    def tick(self) -> None:
        """Carry on what time brings: edits whose cuts are over, scenes that have faded out. Then `feed`."""
        with self.lock:
            frame = self._engine.frame
            if self._edit and not self._edit.number and frame >= self._edit.silent_frame:
                self._swap_edit(self._edit)
            over = [p for p in self._decks if frame > p.deck.fall.start_frame + p.deck.fall.frames]
            if over:
                self._decks = [p for p in self._decks if p not in over]
                number = self._swap()
                for playing in over:
                    self._leaving.append((number, playing.clip_numbers))
                    self._leaving_queues.append((number, playing.deck.queue))
            self.feed()

    def take(self, message: ToControl) -> None:
        """Carry on what the engine's answer to a swap allows."""
        with self.lock:
            match message:
                case Built(number, latency_frames):
                    self._insisting = False
                    self.latency_frames = latency_frames
                    self._built(number)
                case Refused(number, what):
                    self._refused(number, what)
                case Swapped(number):
                    self._swapped(number)
                case _:
                    pass

    def rewind(self, frame: int) -> None:
        """Queue again what a new engine that begins at `frame` has to play; only while none runs."""
        with self.lock:
            for playing in self._decks:
                playing.feeder.rewind(frame)

    # steps --------------------------------------------------------------------------------------------------------

    def _soon(self) -> int:
        return self._engine.frame + self._lead_frames

    def _new_deck(self, composition: Composition, fade_frames: int, rise: Fade = UP) -> PlayingDeck:
        queue = next((q for q in range(len(self._engine.queues)) if q not in self._busy_queues), None)
        if queue is None:
            raise InputError("too many scenes are still fading out: wait until they are silent")
        clip_numbers = self._clips.take(composition.materials)
        self._busy_queues.add(queue)
        self._generation += 1
        deck = Deck(composition, self._generation, queue, rise=rise)
        return PlayingDeck(deck, clip_numbers, self._engine.queues[queue], fade_frames)

    def _set_tables(self) -> None:
        self.graph = graph = stage_graph([p.deck for p in self._decks])
        self.params = ParamTable.of(graph.params(), previous=self.params)
        self.meters = MeterTable.of(graph.meters(), previous=self.meters, owners=graph.nodes)

    def _try_tables(self, playing: PlayingDeck, deck: Deck) -> None:
        """Raise GraphError if there is no room for `deck` in the place of that of `playing`."""
        graph = stage_graph([deck if p is playing else p.deck for p in self._decks])
        ParamTable.of(graph.params(), previous=self.params)
        MeterTable.of(graph.meters(), previous=self.meters, owners=graph.nodes)

    def _swap(self) -> int:
        self._set_tables()
        self._number = self._engine.swap(self.graph, self.params.slot_map, self.meters.slot_map)
        self._alone = False
        return self._number

    def _built(self, number: int) -> None:
        # An engine that took over builds the newest graph only, and what came before is part of it.
        there = [playing for waits, playing in sorted(self._waiting.items()) if waits <= number]
        self._waiting = {waits: playing for waits, playing in self._waiting.items() if waits > number}
        for playing in there:
            at_frame = self._soon()
            if self._paused:
                playing.begun = True
            else:
                playing.begin(at_frame)
            fade = Fade(at_frame, playing.fade_frames)
            playing.deck = replace(playing.deck, rise=fade)
            for other in self._decks[: self._decks.index(playing)]:
                if other.deck.fall == NEVER:
                    other.deck = replace(other.deck, fall=fade)
        if there:
            self.feed()
            self._swap()
        if self._edit and 0 < self._edit.number <= number:
            self._finish_edit(self._edit)

    def _refused(self, number: int, what: str) -> None:
        playing = self._waiting.pop(number, None)
        if playing is not None:
            self._give_up(playing)
        edit = self._edit if self._edit and self._edit.number == number else None
        if edit:
            self._leaving.remove((number, edit.clips_before))
            self._restore(edit)
            self._set_tables()
        if playing is None and edit is None and number == self._number and not self._insisting:
            # A step of a change that had begun, and that an engine died over by chance: it cannot be left out.
            self._insisting = True
            self._swap()
        else:
            self._told("scene-refused", f"the change was refused, what plays goes on: {what}")
        self._next()

    def _swapped(self, number: int) -> None:
        gone = [numbers for last, numbers in self._leaving if last <= number]
        self._leaving = [(last, numbers) for last, numbers in self._leaving if last > number]
        for numbers in gone:
            self._clips.give_back(numbers)
        for last, queue in list(self._leaving_queues):
            if last <= number:
                self._engine.queues[queue].clear()  # of what was still to come; nobody reads it any more
                self._busy_queues.discard(queue)
                self._leaving_queues.remove((last, queue))
        self._alone = number == self._number
        if self._alone:
            self._settle()

    def _begin_edit(self) -> None:
        """Begin the newest edit that waits, unless one is under way: take away what goes."""
        if self._edit or self._next_edit is None:
            return
        (playing, composition), self._next_edit = self._next_edit, None
        if playing not in self._decks:
            return
        clip_numbers = self._clips.take(composition.materials)
        edit = plan_edit(playing, composition, clip_numbers)
        try:
            self._try_tables(playing, replace(playing.deck, composition=composition, numbers=edit.numbers))
        except RoomtoneError:
            self._clips.give_back(clip_numbers)
            raise
        playing.resting = edit.gone
        if edit.gone:
            at_frame = self._soon()
            edit.silent_frame = at_frame + playing.cut_frames
            for number in edit.gone:
                playing.feeder.drop(number, at_frame, playing.cut_frames)
        self._edit = edit
        if not edit.gone:
            self._swap_edit(edit)

    def _swap_edit(self, edit: Edit) -> None:
        playing = edit.deck
        if playing not in self._decks:
            self._edit = None
            self._clips.give_back(edit.clip_numbers)
            self._next()
            return
        values = {row.name: row.default for row in self.params}
        playing.deck = replace(playing.deck, composition=edit.composition, numbers=edit.numbers)
        playing.clip_numbers = edit.clip_numbers
        playing.resting = frozenset(number for _, number in edit.fresh)
        try:
            edit.number = self._swap()
        except RoomtoneError as error:
            self._restore(edit)
            self._set_tables()
            self._told("scene-refused", f"the edit is not used, the sound stays as it is: {error}")
            self._next()
            return
        self._leaving.append((edit.number, edit.clips_before))
        if playing is self.newest:
            for row in self.params:
                if row.name in values and values[row.name] != row.default:
                    self.params.set(row.name, row.default)

    def _finish_edit(self, edit: Edit) -> None:
        self._edit = None
        edit.deck.recount(edit.before.composition)
        self._start_tracks(edit.deck, edit.fresh)
        self._next()

    def _next(self) -> None:
        """Begin the edit that waits, if there is one and nothing is in its way."""
        try:
            self._begin_edit()
        except RoomtoneError as error:
            self._told("scene-refused", f"the edit is not used, the sound stays as it is: {error}")

    def _give_up(self, playing: PlayingDeck) -> None:
        """Take away a scene that could not begin, with an edit of it that may be under way."""
        edit = self._edit
        if edit and edit.deck is playing:
            self._edit = None
            if edit.number:
                self._leaving.remove((edit.number, edit.clips_before))
                self._clips.give_back(edit.clips_before)
            else:
                self._clips.give_back(edit.clip_numbers)
        if self._next_edit and self._next_edit[0] is playing:
            self._next_edit = None
        self._decks.remove(playing)
        self._busy_queues.discard(playing.deck.queue)
        self._clips.give_back(playing.clip_numbers)
        self._set_tables()
        if self._alone:
            self._settle()

    def _settle(self) -> None:
        self.params.settle()
        self.meters.settle()

    def _restore(self, edit: Edit) -> None:
        """Put the scene back that an edit could not replace; tracks that were taken away begin anew."""
        self._edit = None
        self._clips.give_back(edit.clip_numbers)
        playing = edit.deck
        # Its fades may have been set since.
        before = edit.before
        playing.deck = replace(playing.deck, composition=before.composition, numbers=before.numbers)
        playing.clip_numbers = edit.clips_before
        pairs = zip(playing.composition.tracks, playing.deck.track_numbers, strict=True)
        self._start_tracks(playing, tuple((t, n) for t, n in pairs if n not in edit.numbers))

    def _start_tracks(self, playing: PlayingDeck, tracks: tuple[tuple[Track, int], ...]) -> None:
        playing.resting = frozenset()
        if playing.begun and playing.paused_at is None:
            streams = playing.streams(tracks)
            at_frame = self._soon()
            for number, events in streams.items():
                playing.feeder.add(number, events, playing.offset_frame, at_frame)
            self.feed()
