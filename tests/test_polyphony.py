"""Too many events at once: more than allowed, the wrong ones left out, or tracks that change for no reason."""

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest

from engine.control.feeder import Feeder
from engine.events import Event, EventQueue
from engine.scene.composition import Composition, Track
from engine.scene.material import Material
from engine.scene.polyphony import capped
from engine.scene.schedule import Clip
from engine.scene.schema import Loop, Once, Random, Scene
from tests.test_stage import Rig

RATE_HZ = 48_000


def random_streams(rng: np.random.Generator) -> tuple[dict[int, list[Event]], dict[int, float]]:
    """Events of up to 8 tracks that never overlap themselves; importances are often the same."""
    streams, importances = {}, {}
    for number in range(rng.integers(1, 9)):
        events, start = [], 0
        for _ in range(rng.integers(0, 25)):
            start += int(rng.integers(1, 60))
            frames = int(rng.integers(1, 120))
            events.append(Event(start, number, 0, 0, frames, 0, 0))
            start += frames
        streams[number] = events
        importances[number] = float(rng.choice([0.2, 0.5, 0.5, 0.9, rng.random()]))
    return streams, importances


def left(streams: dict[int, list[Event]], importances: dict[int, float], most: int) -> dict[int, list[Event]]:
    made = capped({number: iter(events) for number, events in streams.items()}, importances, most)
    return {number: heard(events) for number, events in made.items()}


def heard(events: Iterable[Event]) -> list[Event]:
    """Without rests."""
    return [event for event in events if event.frames > 0]


def slowly(streams: dict[int, list[Event]], importances: dict[int, float], most: int) -> set[Event]:
    """All events by importance to the nearest 32nd, start, track: each that finds a place all its time is kept."""
    every = [event for events in streams.values() for event in events]
    taken = np.zeros(10_000, np.int64)
    kept = set()
    for event in sorted(every, key=lambda e: (-round(32 * importances[e.track]), e.start_frame, e.track)):
        at = slice(event.start_frame, event.start_frame + event.frames)
        if taken[at].max() < most:
            taken[at] += 1
            kept.add(event)
    return kept


def test_too_many_sound_or_one_that_matters_more_is_left_out() -> None:
    """On 1000 random schedules under caps of 1 to 5: never more at once, and what is kept is a slow twin's choice."""
    rng = np.random.default_rng(440)
    left_out = 0
    for _ in range(1000):
        streams, importances = random_streams(rng)
        most = int(rng.integers(1, 6))
        made = left(streams, importances, most)
        kept = {event for events in made.values() for event in events}
        assert kept == slowly(streams, importances, most)
        assert all(a.start_frame < b.start_frame for events in made.values() for a, b in pairwise(events))
        left_out += sum(map(len, streams.values())) - len(kept)
    assert left_out > 10_000


def test_what_is_read_first_changes_what_is_heard() -> None:
    """On 100 random schedules tracks that are read one by one, in turn, or two of them alone have the same events."""
    rng = np.random.default_rng(7)
    for _ in range(100):
        streams, importances = random_streams(rng)
        truth = left(streams, importances, 2)
        made = capped({number: iter(events) for number, events in streams.items()}, importances, 2)
        found: dict[int, list[Event]] = {number: [] for number in made}
        open_ones = list(made)
        while open_ones:
            number = int(rng.choice(open_ones))
            event = next(made[number], None)
            if event is None:
                open_ones.remove(number)
            elif event.frames > 0:
                found[number].append(event)
        assert found == truth
        alone = capped({number: iter(events) for number, events in streams.items()}, importances, 2)
        last = max(alone)
        assert heard(alone[last]) == truth[last]


def test_the_end_of_a_track_is_never_found_beside_one_of_its_importance_that_goes_on() -> None:
    """What is heard once ends, though another of its rank is drawn without end; what that has is not drawn far."""
    drawn = [0]

    def endless() -> Iterator[Event]:
        for start in range(0, 10**9, 50):
            drawn[0] = start
            yield Event(start, 1, 0, 0, 40, 0, 0)

    made = capped({0: iter([Event(500, 0, 0, 0, 60, 0, 0)]), 1: endless()}, {0: 0.5, 1: 0.5}, 1)
    assert [event.start_frame for event in made[0]] == [500]
    assert drawn[0] < 1000
    assert [event.start_frame for event in islice(made[1], 3)] == [0, 50, 100]


def test_few_tracks_are_looked_at() -> None:
    """As many tracks as may sound at once go through as they are, the very same iterators."""
    streams = {number: iter(()) for number in range(5)}
    made = capped(streams, {0: 0.5, 2: 0.5, 4: 0.1}, 3)
    assert all(made[number] is streams[number] for number in streams)


def test_an_end_is_never_found_where_nothing_has_a_place() -> None:
    """A track under one that leaves gaps of 1 frame is rests alone, each at the start of what was left out."""

    def steps(number: int, every: int, frames: int) -> Iterator[Event]:
        start = 0
        while True:
            yield Event(start, number, 0, 0, frames, 0, 0)
            start += every

    made = capped({0: steps(0, 100, 99), 1: steps(1, 50, 20)}, {0: 0.9, 1: 0.1}, 1)
    assert [(e.start_frame, e.frames) for e in islice(made[1], 300)] == [(50 * i, 0) for i in range(300)]
    assert [e.start_frame for e in islice(made[0], 2000)] == list(range(0, 200_000, 100))


def crowd(count: int, most: int, more: bool = False) -> Composition:
    """An atmo, a loop, and `count` tracks that come again and again, most of them sounding; perhaps one more."""
    schedules: list[Loop | Once | Random] = [Loop(kind="loop")] * 2
    schedules += [Random(kind="random", gap=(0.1, 0.5))] * count
    schedules += [Random(kind="random", gap=(0.1, 0.9))] * more
    tracks = [
        Track(
            i, f"t{i}", (i * 7 % 10) / 10, "normal", 0.0, -25.0, 0.0, True, schedule, (Clip(i, 60_000, 1.0),)
        )
        for i, schedule in enumerate(schedules)
    ]
    return Composition(Scene(max_events=most), 5, RATE_HZ, tuple(tracks), (), 0)


def before(composition: Composition, until: int, end: int | None = None) -> dict[int, list[Event]]:
    streams = composition.streams(end)
    return {n: heard(takewhile(lambda e: e.start_frame < until, events)) for n, events in streams.items()}


def test_a_scene_has_more_events_at_once_than_it_allows() -> None:
    """With `max_events: 4` of 12 tracks in 60 s never more than 4 sound beside atmo and loop, 4 for 40 %."""
    found = before(crowd(12, 4), 60 * RATE_HZ)
    load = np.zeros(62 * RATE_HZ, np.int8)
    for number, events in found.items():
        for event in events if number > 1 else ():
            load[event.start_frame : event.start_frame + event.frames] += 1
    assert load.max() == 4
    assert np.mean(load[RATE_HZ : 60 * RATE_HZ] == 4) > 0.4
    assert found[0] == before(crowd(12, 32), 60 * RATE_HZ)[0]


def test_one_more_track_changes_others_though_there_is_room() -> None:
    """Below the cap a further track changes none of 12; the default, 32, is room for it."""
    assert Scene().max_events == 32
    alone, beside = before(crowd(12, 32), 60 * RATE_HZ), before(crowd(12, 32, more=True), 60 * RATE_HZ)
    assert all(beside[number] == alone[number] for number in alone)
    assert beside.keys() - alone.keys() == {14}


@pytest.mark.parametrize("most", [3, 32])
def test_streams_made_anew_or_with_an_end_have_other_events(most: int) -> None:
    """Made twice they are the same; with an end at 60 s the same are heard of what is over by then less one event."""
    composition = crowd(12, most)
    until = 55 * RATE_HZ
    assert before(composition, until) == before(composition, until)
    assert before(composition, until, 60 * RATE_HZ) == before(composition, until)


def test_an_edit_is_not_counted_or_repeats_what_is_queued() -> None:
    """Fed 8 s ahead of 12 s, then renewed under a cap of 3: queued events stay, of all from 20 s on the cap decides."""
    queue = EventQueue()
    feeder = Feeder.of(crowd(12, 32).streams(), queue, RATE_HZ, keep_log=True)

    def feed(begin: int, end: int) -> None:
        for frame in range(begin * RATE_HZ, end * RATE_HZ, RATE_HZ):
            feeder.feed(frame)
            queue.counters[1] = queue.counters[0]

    feed(0, 12)
    until = feeder.log[-1].start_frame
    for number, events in crowd(12, 3).streams().items():
        feeder.renew(number, events, 0)
    feed(12, 40)
    free, full = before(crowd(12, 32), 47 * RATE_HZ), before(crowd(12, 3), 47 * RATE_HZ)
    for number, all_of_it in free.items():
        expected = [e for e in all_of_it if e.start_frame <= until]
        expected += [e for e in full[number] if e.start_frame > until]
        assert [e for e in feeder.log if e.track == number] == expected
    assert full != free


def test_an_edit_leaves_more_at_once_than_its_scene_allows() -> None:
    """Two tracks of noise play under a cap of 2; with a third that matters more, 12 s later at most 2 sound at once."""
    sound = np.random.default_rng(1).normal(0.0, 0.1, (20_000, 2)).astype(np.float32)
    material = Material("noise", "noise", sound, True, -23.0, "")

    def scene_of(count: int) -> Composition:
        tracks = tuple(
            Track(i, f"t{i}", i / 10, "never", 0.0, -30.0, -90.0, True, schedule, (Clip(0, 20_000, 1.0),))
            for i, schedule in enumerate([Random(kind="random", gap=(0.0, 0.2))] * count)
        )
        scene = Scene.model_validate({"max_events": 2, "loudness": None})
        return Composition(scene, 1, RATE_HZ, tracks, (material,), RATE_HZ)

    rig = Rig(scene_of(2))
    rig.render(0.5)
    rig.stage.edit(scene_of(3))
    rig.render(12.0)
    found = []
    for _ in range(1000):
        rig.render(128 / RATE_HZ)
        found.append(int(rig.stage.meters.read("tracks", "voices")[0]))
    assert max(found) == 2
