"""Where sounds without a start go in the finite form, and what is done about those that hide each other.

Every free sound has its own seeded starts to choose from, drawn by its track's generator, so no other track changes
which they are. They are placed in the order of importance, then length, then number; the longest lies at 0.

`free` takes the start with the least overlap in time. `avoid` listens: it takes the start where least is hidden of the
sound and of all others (`engine.scene.clash`), and once all have a place, each is placed again between the others until
none finds a better one. What might as well lie at its first start goes back there, the rest was *moved*. What would be
too many at once is then *left out* (`engine.scene.polyphony`). What still clashes with something that is heard and at
least as important is *high- or low-passed*, where the clash lies at one end of its range and most of its loudness
remains, or *attenuated* by up to 6 dB. Events that are random or have a start are not moved, loops are left alone. The
endless form has no placement: there unmasking reacts.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from dsp.bark import EDGES_HZ
from dsp.perceived_loudness import LOUDNESS_BANDS, loudness_sone, main_bands
from dsp.units import amplitude_to_db, db_to_amplitude
from engine.events import Event
from engine.scene.clash import Bands, Clashes, Meeting, Sounding, concern_of, weight_of
from engine.scene.energy import ENERGY_LUFS
from engine.scene.material import Material
from engine.scene.pass_filter import PassFilter
from engine.scene.polyphony import capped, counting
from engine.scene.schedule import track_generator
from engine.scene.schedules import Loop, Once, Random
from engine.scene.timeline import Decision, Timeline, What, ended, in_order

if TYPE_CHECKING:
    from engine.scene.composition import Track

Placement = Literal["avoid", "free"]

STARTS = 32
"""How many places a free sound can choose from."""
WORTH_MOVING = 0.002
"""By so much less must be hidden, or a sound stays where it was drawn."""
ROUNDS = 6
"""How often each sound is placed again at most."""
LEAST_GAIN = 1e-3
"""By so much less must be hidden elsewhere, or a sound is not placed again."""
MOST_WORK = 4_000_000
"""Cells that are looked at to place sounds again, about: with a thousand sounds there is no second time."""
CLASHES, STRONGLY = 0.1, 0.2
"""From this clash on a free sound is turned down or filtered, and one that is random or has a start."""
WORTH_CHANGING = 0.02
"""By so much the clash must fall, or a sound is left as it is."""
MOST_ATTENUATION_DB = 6
KEPT_LOUDNESS = 0.6
"""A filter must leave this share of a sound's loudness."""
CONFLICT_SHARE = 0.3
"""Bands with this share of the worst band's clash belong to the conflict."""
MOST_TREATED = 20_000
"""Events after these are left as they are, so that a day of rain drops is placed in a minute."""


@dataclass(eq=False)
class _Placed:
    """An event with its track; `number` is that among the sounds that clash, -1 if its energy is not known.

    `places` are the events it can be instead, the one that was drawn first.
    """

    event: Event
    track: "Track"
    number: int = -1
    places: Sequence[Event] = ()


@dataclass(eq=False)
class Arranger:
    """Places the events of one finite form."""

    tracks: Sequence["Track"]
    materials: Sequence[Material]
    seed: int
    rate_hz: int
    end_frame: int
    placement: Placement
    max_events: int | None = None
    _placed: list[_Placed] = field(default_factory=list)
    _decisions: list[Decision] = field(default_factory=list)
    _filters: list[PassFilter] = field(default_factory=list)
    _owners: list["Track"] = field(default_factory=list)

    def timeline(self, events_of: Callable[["Track"], Iterable[Event]]) -> Timeline:
        """Return the finite form; `events_of` gives the events of a track that is not placed, up to the end."""
        free = [t for t in self.tracks if is_free(t)]
        fixed = {t.number: list(events_of(t)) for t in self.tracks if not is_free(t)}
        drawn = {t.number: next(iter(events_of(t))) for t in free}
        count = len(free) + sum(len(e) for e in fixed.values())
        self._clashes = Clashes(self.end_frame, self.rate_hz, count)
        self._overlap = np.zeros(self._clashes.cells)
        for track in self.tracks:
            if track.number in fixed:
                self._put_fixed(track, fixed[track.number])
        lengths = {t.number: _whole_frames(t, drawn[t.number]) for t in free}
        anchor = max(free, key=lambda t: lengths[t.number], default=None)
        by_rank = sorted(free, key=lambda t: (-t.importance, -lengths[t.number], t.number))
        for track in sorted(by_rank, key=lambda t: t is not anchor):
            event = drawn[track.number]
            self._place(track, event, [0] if track is anchor else self._starts(track, event))
        if self.placement == "avoid":
            self._place_again()
            self._tell_moved()
        self._leave_out()
        if self.placement == "avoid":
            self._treat()
        events = [p.event for p in self._placed]
        events += [e for t in self.tracks if isinstance(t.schedule, Loop) for e in fixed[t.number]]
        return Timeline(
            self.end_frame,
            in_order(events, [t.number for t in self.tracks]),
            tuple(self._decisions),
            len(self.materials),
            tuple(self._filters),
        )

    def _starts(self, track: "Track", event: Event) -> list[int]:
        room = max(0, self.end_frame - event.frames)
        places = track_generator(self.seed, track.name).random(STARTS)
        return list(dict.fromkeys(int(place * room) for place in places))

    def _bands(self, track: "Track", event: Event) -> Bands | None:
        """Return the energy of an event at its level; None where nothing is known of its sound."""
        material = self.materials[event.clip] if event.clip < len(self.materials) else None
        if material is None or material.energy is None:
            return None
        gain_db = amplitude_to_db(event.gain) + material.loudness_lufs - ENERGY_LUFS
        level_db = track.level_db - ENERGY_LUFS + gain_db
        bands: Bands = material.energy.mean * 10.0 ** (0.1 * level_db)
        return bands

    def _sounding(self, track: "Track", event: Event, part: float = 1.0) -> Sounding | None:
        """Return what sounds at an event; None where nothing is known of it."""
        bands = self._bands(track, event)
        if bands is None:
            return None
        powers, samples = self.materials[event.clip].powers, self.materials[event.clip].samples
        course = None if powers is None or not powers.any() else powers / powers.mean()
        weight = concern_of(track.importance)
        return Sounding(bands, weight, event.start_frame, event.frames, False, course, len(samples), part)

    def _put_fixed(self, track: "Track", events: Sequence[Event]) -> None:
        if not events:
            return
        if isinstance(track.schedule, Loop):
            bands = self._bands(track, events[0])
            if bands is not None and track is self.tracks[0]:
                self._clashes.bed(bands)
            elif bands is not None:
                self._add(track, [Sounding(bands, concern_of(track.importance), 0, self.end_frame, True)])
            return
        known = [(event, self._sounding(track, event, 1.0 / len(events))) for event in events]
        for event, sound in known:
            number = len(self._owners) if sound is not None else -1
            self._placed.append(_Placed(event, track, number))
            if sound is not None:
                self._owners.append(track)
            self._cover(track, event)
        self._clashes.add([sound for _, sound in known if sound is not None])

    def _add(self, track: "Track", sounds: Sequence[Sounding]) -> int:
        number = len(self._owners)
        self._owners += [track] * len(sounds)
        self._clashes.add(sounds)
        return number

    def _cover(self, track: "Track", event: Event) -> None:
        cells, cover = self._clashes.covered(event.start_frame, event.frames)
        self._overlap[cells] += weight_of(track.importance) * cover

    def _place(self, track: "Track", drawn: Event, starts: Sequence[int]) -> None:
        events = [ended(drawn._replace(start_frame=s), self.end_frame, self.rate_hz) for s in starts]
        sound = self._sounding(track, events[0])
        listens = self.placement == "avoid" and sound is not None
        if listens and sound is not None:
            costs = self._clashes.costs(sound, [(e.start_frame, e.frames) for e in events])
        else:
            costs = self._over(events, self._overlap)
        best = int(np.argmin(costs))
        event = events[best]
        if event.start_frame != events[0].start_frame and not listens:
            to_s = event.start_frame / self.rate_hz
            why = f"placed at {to_s:.1f} s, where it overlaps least"
            from_s = events[0].start_frame / self.rate_hz
            self._decide(track, event, "placed", from_s, float(costs[0]), float(costs[best]), why)
        number = -1
        if sound is not None:
            number = self._add(track, [_at(sound, event)])
        self._placed.append(_Placed(event, track, number, events if listens else ()))
        self._cover(track, event)

    def _place_again(self) -> None:
        """Place each sound again that can lie elsewhere, while all others stand, until none gains by it."""
        free = [p for p in self._placed if len(p.places) > 1]
        rounds = min(ROUNDS, MOST_WORK // max(1, len(free) * self._clashes.rows))
        still = 0
        for placed in free * rounds:
            if still == len(free):
                break
            sound = self._clashes.sound(placed.number)
            costs = self._clashes.costs(
                sound, [(e.start_frame, e.frames) for e in placed.places], placed.number
            )
            best = int(np.argmin(costs))
            if costs[best] < self._clashes.cost(sound, placed.number) - LEAST_GAIN:
                self._move(placed, placed.places[best])
                still = 0
            still += 1

    def _move(self, placed: _Placed, event: Event) -> None:
        placed.event = event
        self._clashes.move(placed.number, event.start_frame, event.frames)

    def _tell_moved(self) -> None:
        """Tell what was moved and why; what need not have been goes back."""
        for placed in self._placed:
            if not placed.places or placed.event.start_frame == placed.places[0].start_frame:
                continue
            first = _at(self._clashes.sound(placed.number), placed.places[0])
            before = self._clashes.cost(first, placed.number)
            after = self._clashes.cost(self._clashes.sound(placed.number), placed.number)
            if after > before - WORTH_MOVING:
                self._move(placed, placed.places[0])
                continue
            meeting = self._clashes.worst(first, placed.number)
            from_s, to_s = first.start_frame / self.rate_hz, placed.event.start_frame / self.rate_hz
            why = f"moved from {from_s:.1f} to {to_s:.1f} s{self._because(meeting)}"
            self._decide(placed.track, placed.event, "moved", from_s, before, after, why, meeting)

    def _over(self, events: Sequence[Event], by_cell: Bands) -> Bands:
        """Return for each event the mean of what is known cell by cell, over its length."""
        found = []
        for event in events:
            cells, cover = self._clashes.covered(event.start_frame, event.frames)
            found.append(float(cover @ by_cell[cells] / cover.sum()))
        return np.array(found)

    def _because(self, meeting: Meeting | None) -> str:
        if meeting is None:
            return ""
        low_hz, high_hz = _range_hz(meeting)
        return f" out of the way of {self._owners[meeting.other].name} in {low_hz:g}–{high_hz:g} Hz"

    def _decide(
        self,
        track: "Track",
        event: Event,
        what: What,
        from_s: float,
        before: float,
        after: float,
        why: str,
        meeting: Meeting | None = None,
        gain_db: float = 0.0,
        filter_hz: float | None = None,
    ) -> None:
        self._decisions.append(
            Decision(
                track.name,
                event.start_frame,
                what,
                round(from_s, 4),
                round(event.start_frame / self.rate_hz, 4),
                gain_db,
                filter_hz,
                round(before, 4),
                round(after, 4),
                "" if meeting is None else self._owners[meeting.other].name,
                None if meeting is None else _range_hz(meeting),
                why,
            )
        )

    def _leave_out(self) -> None:
        """Leave out what would be too many at once, before anything else is changed because of it."""
        importances, most = counting(self.tracks), self.max_events
        if most is None or len(importances) <= most:
            return
        streams: dict[int, list[Event]] = {}
        for placed in sorted(self._placed, key=lambda p: p.event.start_frame):
            streams.setdefault(placed.event.track, []).append(placed.event)
        decided = capped({number: iter(events) for number, events in streams.items()}, importances, most)
        rests = {(e.track, e.start_frame) for events in decided.values() for e in events if e.frames == 0}
        gone = [p for p in self._placed if (p.event.track, p.event.start_frame) in rests]
        if not gone:
            return
        self._placed = [p for p in self._placed if (p.event.track, p.event.start_frame) not in rests]
        silent = {(p.track.name, p.event.start_frame) for p in gone}
        self._decisions = [d for d in self._decisions if (d.track, d.start_frame) not in silent]
        why = f"left out: {most} that rank higher sound at once"
        for placed in gone:
            if placed.number >= 0:
                self._clashes.remove(placed.number)
            start_s = placed.event.start_frame / self.rate_hz
            self._decide(placed.track, placed.event, "left-out", start_s, 0.0, 0.0, why)

    def _treat(self) -> None:
        """Turn down or filter what clashes with something at least as important, the least important first."""
        known = [p for p in self._placed if p.number >= 0]
        known.sort(key=lambda p: (p.track.importance, -p.event.start_frame, -p.track.number))
        for placed in known[:MOST_TREATED]:
            clash = self._clashes.clash_of(placed.number)
            moved = is_free(placed.track)
            if clash <= (CLASHES if moved else STRONGLY):
                continue
            sound = self._clashes.sound(placed.number)
            meeting = self._clashes.worst(sound, placed.number)
            if meeting is None or self._owners[meeting.other].importance < placed.track.importance:
                continue
            if isinstance(placed.track.schedule, Random) or not self._filter(placed, clash, meeting):
                self._attenuate(placed, clash, meeting)

    def _filter(self, placed: _Placed, clash: float, meeting: Meeting) -> bool:
        bands = self._clashes.sound(placed.number).bands
        by = pass_filter(bands, meeting.bands, placed.event.clip)
        if by is None or by.corner_hz >= 0.45 * self.rate_hz:
            return False
        after = self._clashes.clash_of(placed.number, bands * by.bands)
        loudest = db_to_amplitude(-MOST_ATTENUATION_DB) ** 2
        if after > clash - WORTH_CHANGING or after > max(
            CLASHES, self._clashes.clash_of(placed.number, bands * loudest)
        ):
            return False
        if by not in self._filters:
            self._filters.append(by)
        self._clashes.replace(placed.number, bands * by.bands)
        placed.event = placed.event._replace(clip=len(self.materials) + self._filters.index(by))
        why = f"{by.kind} at {by.corner_hz:g} Hz{self._because(meeting)}"
        start_s = placed.event.start_frame / self.rate_hz
        self._decide(
            placed.track, placed.event, by.kind, start_s, clash, after, why, meeting, filter_hz=by.corner_hz
        )
        return True

    def _attenuate(self, placed: _Placed, clash: float, meeting: Meeting) -> None:
        bands = self._clashes.sound(placed.number).bands
        best_db, least = 0, clash
        for gain_db in range(-1, -MOST_ATTENUATION_DB - 1, -1):
            after = self._clashes.clash_of(placed.number, bands * 10.0 ** (0.1 * gain_db))
            if after < least:
                best_db, least = gain_db, after
            if least <= CLASHES:
                break
        if least > clash - WORTH_CHANGING:
            return
        self._clashes.replace(placed.number, bands * 10.0 ** (0.1 * best_db))
        placed.event = placed.event._replace(gain=placed.event.gain * db_to_amplitude(best_db))
        why = f"{-best_db} dB softer{self._because(meeting)}"
        start_s = placed.event.start_frame / self.rate_hz
        self._decide(
            placed.track, placed.event, "attenuated", start_s, clash, least, why, meeting, float(best_db)
        )


def is_free(track: "Track") -> bool:
    """Return whether a track's sound is heard once and has no start of its own."""
    return isinstance(track.schedule, Once) and track.schedule.at is None and bool(track.clips)


def _at(sound: Sounding, event: Event) -> Sounding:
    """Return a sound where an event lies."""
    return replace(sound, start_frame=event.start_frame, frames=event.frames)


def _whole_frames(track: "Track", event: Event) -> int:
    """Return the length of the clip of an event, of which the end may leave less."""
    return next(clip.frames for clip in track.clips if clip.number == event.clip)


def _conflict(bands: Bands) -> tuple[int, int]:
    """Return the first and the last band of a conflict."""
    found = np.flatnonzero(bands >= CONFLICT_SHARE * max(float(bands.max()), 1e-30))
    return (int(found[0]), int(found[-1])) if len(found) else (0, LOUDNESS_BANDS - 1)


def _range_hz(meeting: Meeting) -> tuple[float, float]:
    low, high = _conflict(meeting.bands)
    return float(EDGES_HZ[low]), float(EDGES_HZ[high + 1])


def pass_filter(bands: Bands, conflict: Bands, clip: int) -> PassFilter | None:
    """Return what takes a sound out of a conflict at one end of its main range; None if too little of it remains."""
    low, high = main_bands(bands)
    first, last = _conflict(conflict)
    middle = 0.5 * (low + high)
    if last < middle:
        by = PassFilter(clip, "high-passed", float(EDGES_HZ[last + 1]))
    elif first > middle:
        by = PassFilter(clip, "low-passed", float(EDGES_HZ[first]))
    else:
        return None
    kept = loudness_sone(bands * by.bands) / max(loudness_sone(bands), 1e-9)
    return by if kept >= KEPT_LOUDNESS else None


def mean_clash(
    timeline: Timeline, tracks: Sequence["Track"], materials: Sequence[Material], rate_hz: int
) -> float:
    """Return the mean clash of all events but loops with everything else that sounds; 0 without any.

    What the atmosphere and loops hide of a sound is left out as far as they did before it was turned down or filtered.
    """
    judge = Arranger(tracks, materials, 0, rate_hz, timeline.end_frame, "avoid")
    judge._clashes = Clashes(timeline.end_frame, rate_hz, len(timeline.events))
    judge._overlap = np.zeros(judge._clashes.cells)
    for track in tracks:
        judge._put_fixed(track, list(timeline.of_track(track.number)))
    turned_db = {(d.track, d.start_frame): d.gain_db for d in timeline.decisions if d.gain_db}
    found = []
    for placed in judge._placed:
        if placed.number < 0:
            continue
        event, sound = placed.event, judge._clashes.sound(placed.number)
        turned = turned_db.get((placed.track.name, event.start_frame), 0.0)
        if event.clip >= timeline.first_added:
            event = event._replace(clip=timeline.filters[event.clip - timeline.first_added].clip)
        whole = judge._bands(placed.track, event._replace(gain=event.gain * db_to_amplitude(-turned)))
        found.append(judge._clashes.clash(sound, placed.number, whole))
    return float(np.mean(found)) if found else 0.0
