"""A scene made ready: its tracks with their levels, its clips, and the timeline of everything that sounds."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsp.units import db_to_amplitude, seconds_to_frames
from engine.errors import InputError, Problem, SoundError
from engine.events import Event
from engine.impulse import ImpulseResponse
from engine.scene.energy import Reduction, reduce, together
from engine.scene.impulse import load_impulse
from engine.scene.material import Material, Progress
from engine.scene.pass_filter import filtered
from engine.scene.placement import Arranger
from engine.scene.polyphony import capped, counting
from engine.scene.prediction import predicted_lufs
from engine.scene.schedule import Clip, crossfade_frames, own_rate, track_events, track_generator
from engine.scene.schema import Atmo, Loop, Once, Random, Scene, SceneObject, Yielding, track_names
from engine.scene.sends import Answer, has_answer, room_answer, track_send_db
from engine.scene.shelf import Filtered, Shelf, SoundKey
from engine.scene.sounds import Found, input_channels
from engine.scene.squeeze import Squeeze, kept_work, mean_gain_db, set_for
from engine.scene.strip import NO_STRIP, Strip, limited, strip_of
from engine.scene.timeline import Timeline, ended
from engine.scene.variation import Variation

REFERENCE_LUFS = -23.0
"""The loudness every event is brought to, and a live input is expected at; the track's level is set from there."""

MAX_EVENT_GAIN_DB = 40.0
"""No sound is brought up by more: beyond, it is mostly its noise floor."""

MIN_LOOP_S = 0.05
"""The shortest sound that may loop: below, it would be more events than sound."""

ENDLESS_WINDOW_S = 30.0
"""In the endless form, where a sound that is heard once finds its place."""


@dataclass(frozen=True)
class Track:
    """One lane pair of the bank: what it plays, how loud, where.

    `level_db` is what the scene asks for less the `reduction`, if there is one. A live input has `input_channels` (from
    0; one, or left and right) and neither clips nor events. `tempo_bpm` is the scene's for a loop with beats, None for
    all others. By `vary`, 0 to 1, its events differ from each other. Equaliser and high-pass of its `strip` are in
    its clips.
    """

    number: int
    name: str
    importance: float
    yields: Yielding
    panning: float
    level_db: float
    send_db: float
    mono: bool
    schedule: Once | Loop | Random
    clips: tuple[Clip, ...]
    input_channels: tuple[int, ...] = ()
    tempo_bpm: float | None = None
    reduction: Reduction | None = None
    vary: float = 0.0
    strip: Strip = NO_STRIP

    @property
    def squeeze(self) -> Squeeze | None:
        """Its compressor, as it is for events that have been brought to one loudness."""
        squeeze = self.strip.squeeze
        return squeeze and squeeze.shifted(mean_gain_db([clip.gain for clip in own_rate(self.clips)]))

    @property
    def beats(self) -> float | None:
        """After how many quarter notes it begins again; None if it follows no tempo."""
        beats = self.schedule.beats if isinstance(self.schedule, Loop) else None
        return None if self.tempo_bpm is None or self.input_channels else beats


@dataclass(frozen=True, eq=False)
class Composition:
    """A scene at one rate: tracks (the atmo first), clips by number, and the seed of all draws.

    `length_frames` is what the scene says, or the longest sound; None if it says nothing and only live inputs sound.
    `impulse` is that of its room, where the scene names one; `found` tells, by track, of sounds it does not name. One
    that is `arranged` is the finite form of that length, and has the clips that were filtered for it after all others.
    """

    scene: Scene
    seed: int
    rate_hz: int
    tracks: tuple[Track, ...]
    materials: tuple[Material, ...]
    length_frames: int | None
    impulse: ImpulseResponse | None = None
    found: Mapping[int, Found] = field(default_factory=dict)
    arranged: Timeline | None = None
    _finite: dict[int, "Composition"] = field(default_factory=dict, init=False, repr=False)

    @property
    def duration_frames(self) -> int:
        """The length of the finite form; raises SoundError where there is nothing to tell it from."""
        if self.length_frames is None:
            what = "there are only live inputs, which have no length"
            raise SoundError(Problem(what, "give the scene a `duration` in seconds", "duration"))
        return self.length_frames

    @cached_property
    def expected_lufs(self) -> float | None:
        """How loud it is predicted to be before the master, to 0.01 LU; None for silence."""
        expected = predicted_lufs(self, REFERENCE_LUFS)
        return None if expected is None else round(expected, 2)

    def spare(self, output: Path) -> None:
        """Raise SoundError if `output` is one of the sounds this scene is made from."""
        if output.exists() and any(m.path and m.path.samefile(output) for m in self.materials):
            raise SoundError(Problem("is a sound of this scene", "must be another file", file=str(output)))

    def finite(self, end_frame: int) -> "Composition":
        """Return this composition with its finite form up to `end_frame`, which is worked out once for each end."""
        if self.arranged is not None and self.arranged.end_frame == end_frame:
            return self
        if end_frame not in self._finite:
            self._finite[end_frame] = self._arrange(end_frame)
        return self._finite[end_frame]

    def _arrange(self, end_frame: int) -> "Composition":
        own = self.materials if self.arranged is None else self.materials[: self.arranged.first_added]
        how = self.scene.placement, self.scene.max_events
        arranger = Arranger(self.tracks, own, self.seed, self.rate_hz, end_frame, *how)
        return self.with_timeline(arranger.timeline(lambda track: self._until(track, end_frame)))

    def with_timeline(self, timeline: Timeline) -> "Composition":
        """Return this composition with `timeline` for its finite form, and with the clips that are filtered for it."""
        own = self.materials[: timeline.first_added]
        added = tuple(filtered(own[by.clip], by, self.rate_hz) for by in timeline.filters)
        return replace(self, materials=(*own, *added), arranged=timeline)

    def _until(self, track: Track, end_frame: int) -> Iterator[Event]:
        within = takewhile(lambda e: e.start_frame < end_frame, self._events(track, end_frame))
        return (ended(event, end_frame, self.rate_hz) for event in within)

    def timeline(self, end_frame: int | None = None) -> Iterator[Event]:
        """Yield every event in the order of its start: all `streams` in one, without rests."""
        if end_frame is not None:
            return iter(self._finite_form(end_frame).events)
        return (e for e in heapq.merge(*self.streams().values(), key=_start) if e.frames > 0)

    def streams(self, end_frame: int | None = None) -> dict[int, Iterator[Event]]:
        """Return the events of each track, by its number, in the order of their starts.

        Of those that are heard once or again and again, the scene's `max_events` at once at most: one without frames
        is a rest, of which nothing is heard. With `end_frame` the finite form: the longest sound starts at 0, those
        without a start are placed, and all is over at the end; its clips are those of `finite(end_frame)`. Without, the
        endless one.
        """
        if end_frame is None:
            window = seconds_to_frames(ENDLESS_WINDOW_S, self.rate_hz)
            streams = {track.number: self._events(track, window) for track in self.tracks}
            return capped(streams, counting(self.tracks), self.scene.max_events)
        timeline = self._finite_form(end_frame)
        return {track.number: timeline.of_track(track.number) for track in self.tracks}

    @property
    def crowded(self) -> bool:
        """Whether there may be more events at once than the scene allows, so that what sounds depends on all tracks."""
        return len(counting(self.tracks)) > self.scene.max_events

    def _finite_form(self, end_frame: int) -> Timeline:
        timeline = self.finite(end_frame).arranged
        assert timeline is not None
        return timeline

    def _events(self, track: Track, window_frames: int) -> Iterator[Event]:
        if track.input_channels:
            return iter(())
        generator = track_generator(self.seed, track.name)
        return track_events(
            track.schedule,
            track.number,
            track.clips,
            generator,
            window_frames,
            self.rate_hz,
            track.tempo_bpm,
            Variation(track.vary, track.panning, track.mono),
        )


def _start(event: Event) -> int:
    return event.start_frame


def importance_to_level_db(importance: float, levels_db: tuple[float, float] = (-30.0, -20.0)) -> float:
    """Return the level of a track in LUFS: linear between the levels of importance 0 and 1, by default -30 to -20."""
    lowest_db, highest_db = levels_db
    return lowest_db + (highest_db - lowest_db) * importance


def compose(
    scene: Scene,
    *,
    rate_hz: int,
    seed: int | None = None,
    progress: Progress | None = None,
    reuse: Iterable[Material] = (),
) -> Composition:
    """Load every sound of `scene` and set levels and schedules.

    `seed` replaces the scene's own; materials to `reuse`, of an earlier composition, are not made again. Raises
    SoundError with every sound that cannot be used.
    """
    seed = scene.seed if seed is None else seed
    items: list[Atmo | SceneObject] = [scene.atmo, *scene.objects]
    fields = ["atmo.sound", *(f"objects[{i}].sound" for i in range(len(scene.objects)))]
    names = track_names(item.label for item in items)
    shelf = Shelf(scene.folder, scene.library, rate_hz, seed, reuse, scene.predict)
    wants = [
        shelf.want(item, _schedule(item), field, has_answer(scene.room) and _send_is_open(item))
        for item, field in zip(items, fields, strict=True)
    ]
    shelf.fill(progress)
    impulse = load_impulse(scene, rate_hz)
    answer = room_answer(scene.room, impulse, rate_hz)
    strips = limited(
        [strip_of(shelf.settings(keys), i.settings, not keys) for i, keys in zip(items, wants, strict=True)]
    )
    ready = shelf.through(
        [Filtered(keys, s.tone, _vary(item)) for item, keys, s in zip(items, wants, strips, strict=True)]
    )
    tracks = [
        _track(number, name, item, shelf, keys, field, scene, answer, strip)
        for number, (name, item, keys, field, strip) in enumerate(
            zip(names, items, ready, fields, strips, strict=True)
        )
    ]
    duration: int | None
    if scene.duration == "auto":
        duration = max((_extent(track, rate_hz) for track in tracks if track.clips), default=None)
    else:
        duration = seconds_to_frames(scene.duration, rate_hz)
    found = {number: shelf.found[name] for number, name in enumerate(fields) if name in shelf.found}
    return Composition(scene, seed, rate_hz, tuple(tracks), shelf.materials, duration, impulse, found)


def made_ready(scene: Scene | Composition, before: Composition) -> Composition:
    """Return a scene composed at the rate of `before`, of whose sounds none is made again.

    Raises SoundError; InputError for a composition at another rate.
    """
    if isinstance(scene, Scene):
        return compose(scene, rate_hz=before.rate_hz, reuse=before.materials)
    if scene.rate_hz != before.rate_hz:
        raise InputError(Problem(f"{scene.rate_hz} Hz", f"this show runs at {before.rate_hz} Hz", "rate"))
    return scene


def _extent(track: Track, rate_hz: int) -> int:
    """Return the length of the track's longest sound, from 0 or from the start it is given."""
    at = track.schedule.at if isinstance(track.schedule, Once) else None
    return _longest_frames(track) + seconds_to_frames(at or 0.0, rate_hz)


def _longest_frames(track: Track) -> int:
    return max(clip.frames for clip in own_rate(track.clips))


def _schedule(item: Atmo | SceneObject) -> Once | Loop | Random:
    return Loop(kind="loop") if isinstance(item, Atmo) else item.schedule


def _send_is_open(item: Atmo | SceneObject) -> bool:
    """Whether the reverberation of its sounds decides what is sent to the room."""
    return isinstance(item, Atmo) or item.send_db is None


def _track(
    number: int,
    name: str,
    item: Atmo | SceneObject,
    shelf: Shelf,
    keys: tuple[SoundKey, ...],
    field: str,
    scene: Scene,
    answer: Answer | None,
    strip: Strip,
) -> Track:
    schedule = _schedule(item)
    tempo_bpm = scene.tempo_bpm if isinstance(schedule, Loop) and schedule.beats is not None else None
    vary = item.variation if isinstance(item, SceneObject) else 0.0
    clips = tuple(clip for key in keys for clip in _clips(shelf, key, schedule, (vary, len(keys)), field))
    channels = input_channels(item.sound) if isinstance(item.sound, str) else ()
    mono = len(channels) == 1 if channels else all(shelf[key].mono for key in keys)
    sound = mono, schedule, clips, channels
    send_db = track_send_db(item, map(shelf.reverberation, keys), answer)
    strip = _made_up(strip, [shelf[key] for key in keys], item, shelf.rate_hz)
    if isinstance(item, Atmo):
        level_db = item.level_db + strip.gain_db
        return Track(number, name, 0.0, item.yields, 0.0, level_db, send_db, *sound, strip=strip)
    reduction = _reduction([shelf[key] for key in keys], item.importance, scene.reduction_db)
    level_db = importance_to_level_db(item.importance, scene.levels_db) + item.gain_db + strip.gain_db
    level_db -= reduction.reduction_db if reduction is not None else 0.0
    heard = item.importance, item.yields, item.panning, level_db, send_db
    return Track(number, name, *heard, *sound, tempo_bpm, reduction, vary, strip)


def _made_up(strip: Strip, materials: Sequence[Material], item: Atmo | SceneObject, rate_hz: int) -> Strip:
    """Return the strip with its compressor's make-up, unless that is written, and what the compressor does."""
    if strip.squeeze is None or not materials:
        return strip
    works = [kept_work(strip.squeeze, material, rate_hz) for material in materials]
    squeeze, expected_db = set_for(strip.squeeze, works, item.settings.gain_db is None)
    return replace(strip, squeeze=squeeze, expected_db=expected_db)


def _vary(item: Atmo | SceneObject) -> float:
    """Return how much the rates of its events vary; only those that come again and again do."""
    return item.variation if isinstance(item, SceneObject) and isinstance(item.schedule, Random) else 0.0


def _reduction(materials: Sequence[Material], importance: float, most_db: float) -> Reduction | None:
    """Return what is taken off a track that plays `materials`; None where nothing is known of its sound."""
    energies = [m.energy for m in materials if m.energy is not None]
    return reduce(together(energies), importance, most_db) if energies else None


def _clips(
    shelf: Shelf, key: SoundKey, schedule: Once | Loop | Random, rated: tuple[float, int], field: str
) -> Iterator[Clip]:
    """Yield the clip of a sound, and those of it at other rates where it comes again and again."""
    own = _clip(shelf.number(key), shelf[key], isinstance(schedule, Loop), shelf.rate_hz, field)
    yield own
    for other in shelf.at_rates(key, *rated) if isinstance(schedule, Random) else ():
        yield Clip(shelf.number(other), len(shelf[other].samples), own.gain, base=own.number)


def _clip(number: int, material: Material, loops: bool, rate_hz: int, field: str) -> Clip:
    gain_db = min(MAX_EVENT_GAIN_DB, REFERENCE_LUFS - material.loudness_lufs)
    frames = len(material.samples)
    if loops and frames < seconds_to_frames(MIN_LOOP_S, rate_hz):
        raise SoundError(
            Problem(f"{material.source} is too short to loop", f"at least {MIN_LOOP_S:g} s", field)
        )
    rho = loop_correlation(material.samples, crossfade_frames(frames, rate_hz)) if loops else 0.0
    return Clip(number, frames, db_to_amplitude(gain_db), rho)


def loop_correlation(samples: NDArray[np.float32], cross_frames: int) -> float:
    """Return the correlation, 0 to 1, of the last `cross_frames` of a clip with its first; negative reads as 0."""
    if cross_frames < 1:
        return 0.0
    head = samples[:cross_frames].astype(np.float64)
    tail = samples[-cross_frames:].astype(np.float64)
    power = float(np.sqrt((head * head).sum() * (tail * tail).sum()))
    return min(1.0, max(0.0, float((head * tail).sum()) / power)) if power > 0.0 else 0.0
