"""When things sound: draws that others disturb, gaps out of range, loops that stop, ends that are cut off."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.events import Event
from engine.scene.composition import ENDLESS_WINDOW_S, Composition, Track
from engine.scene.schedule import Clip, track_events, track_generator
from engine.scene.schema import Loop, Once, Random, Scene
from engine.scene.timeline import ended

RATE_HZ = 48_000
WINDOW = 30 * RATE_HZ

Schedule = Once | Loop | Random

ATMO: tuple[str, Schedule, tuple[int, ...]] = ("atmo", Loop(kind="loop"), (400_000,))


def stream(
    schedule: Schedule,
    clips: list[Clip],
    name: str = "car",
    seed: int = 0,
    rate_hz: int = RATE_HZ,
    window: int = WINDOW,
) -> Iterator[Event]:
    return track_events(schedule, 0, clips, track_generator(seed, name), window, rate_hz)


def random_gap(shortest: float, longest: float) -> Random:
    return Random(kind="random", gap=(shortest, longest))


def scene(*rows: tuple[str, Schedule, tuple[int, ...]], seed: int = 5) -> Composition:
    """A composition of tracks (name, schedule, lengths of its clips); clip numbers go on from track to track."""
    tracks: list[Track] = []
    clip = 0
    for number, (name, schedule, lengths) in enumerate(rows):
        clips = tuple(Clip(clip + i, frames, 1.0) for i, frames in enumerate(lengths))
        clip += len(lengths)
        tracks.append(Track(number, name, 0.5, "normal", 0.0, -25.0, 0.0, True, schedule, clips))
    return Composition(Scene(), seed, RATE_HZ, tuple(tracks), (), 0)


def heard(composition: Composition, until: int, finite: bool) -> dict[str, list[Event]]:
    """Return the events of each track before `until`, with track and clip numbered within the track."""
    timeline = composition.timeline(until if finite else None)
    events: dict[str, list[Event]] = {track.name: [] for track in composition.tracks}
    for event in takewhile(lambda e: e.start_frame < until, timeline):
        track = composition.tracks[event.track]
        events[track.name].append(event._replace(track=0, clip=event.clip - track.clips[0].number))
    return events


def test_the_same_seed_and_name_draw_otherwise() -> None:
    """50 events of one seed and name are equal; another seed or another name gives others."""
    clips = [Clip(i, 1000 + i, 1.0) for i in range(3)]

    def first(name: str, seed: int) -> list[Event]:
        return list(islice(stream(random_gap(1.0, 9.0), clips, name, seed), 50))

    assert first("car", 1) == first("car", 1)
    assert first("car", 1) != first("car", 2)
    assert first("car", 1) != first("cat", 1)


OTHERS: list[tuple[str, Schedule, tuple[int, ...]]] = [
    ("car", random_gap(0.5, 4.0), (9000, 20_000, 7000)),
    ("bell", Once(at=3.0), (40_000,)),
    ("door", Once(), (30_000,)),
    ("rain", Loop(kind="loop"), (250_000,)),
    ("dog", random_gap(0.0, 2.0), (12_000,)),
    ("owl", Once(), (10_000,)),
]


@pytest.mark.parametrize("finite", [False, True])
@settings(max_examples=40, deadline=None)
@given(
    present=st.sets(st.integers(0, len(OTHERS) - 1)),
    renamed=st.integers(0, len(OTHERS) - 1),
    order=st.randoms(),
)
def test_a_track_is_disturbed_by_others_that_come_go_or_change_their_name(
    finite: bool, present: set[int], renamed: int, order: random.Random
) -> None:
    """In 60 s, endless or of fixed length, a track has the same events beside any others in any order.

    In the finite form that is not so of sounds without a start, which are placed beside the others.
    """
    until = 60 * RATE_HZ
    longest: tuple[str, Schedule, tuple[int, ...]] = ("train", Once(), (900_000,))
    truth = heard(scene(ATMO, *OTHERS, longest), until, finite)
    rows = [OTHERS[i] for i in sorted(present)]
    order.shuffle(rows)
    rows = [("new name", *row[1:]) if row is OTHERS[renamed] else row for row in rows]
    events = heard(scene(ATMO, longest, *rows), until, finite)
    placed = {"door", "owl"} if finite else set()
    for name in events.keys() - {"new name"} - placed:
        assert events[name] == truth[name]


def test_a_longer_sound_moves_more_than_the_one_it_replaces_at_the_start() -> None:
    """In 60 s a new longest once sound starts at 0; only the former longest and what is placed beside it have moved."""
    until = 60 * RATE_HZ
    before = heard(scene(ATMO, *OTHERS), until, True)
    after = heard(scene(ATMO, *OTHERS, ("train", Once(), (900_000,))), until, True)
    assert after.pop("train")[0].start_frame == 0
    assert before["door"][0].start_frame == 0
    assert {name for name in after if after[name] != before[name]} - {"owl"} == {"door"}


@settings(max_examples=60, deadline=None)
@given(
    gap=st.tuples(st.floats(0.0, 20.0), st.floats(0.001, 20.0)).map(sorted),
    lengths=st.lists(st.integers(1, 100_000), min_size=1, max_size=4),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_gap_is_shorter_or_longer_than_allowed(gap: list[float], lengths: list[int], seed: int) -> None:
    """Of 30 silences each is within a and a + 4 (b - a), to the nearest frame, at least 1; the first is below b."""
    shortest, longest = gap
    clips = [Clip(i, frames, 1.0) for i, frames in enumerate(lengths)]
    events = list(islice(stream(random_gap(shortest, longest), clips, seed=seed), 30))
    gaps = [b.start_frame - a.start_frame - a.frames for a, b in pairwise(events)]
    assert 0 <= events[0].start_frame <= round(longest * RATE_HZ)
    assert min(gaps) >= max(1, round(shortest * RATE_HZ))
    assert max(gaps) <= max(1, round((shortest + 4.0 * (longest - shortest)) * RATE_HZ))
    assert all((e.offset_frames, e.frames) == (0, lengths[e.clip]) for e in events)


def test_a_silence_remembers_how_long_it_has_lasted() -> None:
    """4000 gaps of [2, 6] s are 2 s + exponential with mean 2 s: Kolmogorov-Smirnov p above 0.01; their mean is 4 s."""
    events = list(islice(stream(random_gap(2.0, 6.0), [Clip(0, 100, 1.0)]), 4001))
    gaps_s = np.array([b.start_frame - a.start_frame - 100 for a, b in pairwise(events)]) / RATE_HZ
    assert gaps_s.mean() == pytest.approx(4.0, abs=0.1)
    assert stats.kstest(gaps_s, stats.expon(2.0, 2.0).cdf).pvalue > 0.01


def test_the_first_event_comes_as_if_the_scene_began_with_it() -> None:
    """Of 2000 names the first starts for [2, 6] s are exponential with mean 4 s, as far as below 6 s."""
    starts = [
        next(stream(random_gap(2.0, 6.0), [Clip(0, 100, 1.0)], f"n{i}")).start_frame for i in range(2000)
    ]
    starts_s = np.array(starts) / RATE_HZ
    assert stats.kstest(starts_s, stats.truncexpon(1.5, 0.0, 4.0).cdf).pvalue > 0.01
    assert starts_s.max() < 6.0


@pytest.mark.parametrize("variants", [2, 3, 7])
def test_an_alternative_comes_again_before_all_were_heard(variants: int) -> None:
    """Of 2100 events every n in a row from the first on are all alternatives, and none follows itself."""
    clips = [Clip(i, 100, 1.0) for i in range(variants)]
    which = [e.clip for e in islice(stream(random_gap(0.1, 1.0), clips), 2100)]
    assert all(a != b for a, b in pairwise(which))
    for bag in range(0, 2100, variants):
        assert sorted(which[bag : bag + variants]) == list(range(variants))


def test_alternatives_come_in_one_order() -> None:
    """In 1200 events of 3 alternatives each follows each other one in 50 % of its turns within 6 %."""
    clips = [Clip(i, 100, 1.0) for i in range(3)]
    which = [e.clip for e in islice(stream(random_gap(0.1, 1.0), clips), 1200)]
    pairs = Counter(pairwise(which))
    assert len(pairs) == 6
    assert all(count / 400 == pytest.approx(0.5, abs=0.06) for count in pairs.values())


def test_a_sound_heard_once_is_always_the_first_of_its_list() -> None:
    """Of 300 names each of 3 alternatives is heard by a third within 10 %, and one event is all there is."""
    clips = [Clip(i, 100, 1.0) for i in range(3)]
    which = []
    for i in range(300):
        (event,) = stream(Once(), clips, f"n{i}")
        which.append(event.clip)
    assert np.bincount(which, minlength=3) / 300 == pytest.approx(1 / 3, abs=0.1)


@settings(max_examples=80, deadline=None)
@given(frames=st.integers(2, 2_000_000), rho=st.floats(0.0, 1.0))
def test_a_loop_leaves_a_gap_or_overlaps_by_another_length(frames: int, rho: float) -> None:
    """Of 20 rounds each begins exactly one crossfade, 2 s or a quarter of the clip, before the last one ends."""
    cross = max(1, min(2 * RATE_HZ, frames // 4))
    events = list(islice(stream(Loop(kind="loop"), [Clip(0, frames, 0.7, rho)]), 20))
    assert events[0].start_frame == 0
    assert events[0].fade_in_frames == max(1, min(2400, frames - cross))
    for a, b in pairwise(events):
        assert a.start_frame + a.frames - b.start_frame == cross
        assert a.fade_out_frames == b.fade_in_frames == cross
        assert (a.rho_out, b.rho_in) == (rho, rho)
        assert a.fade_in_frames + a.fade_out_frames <= frames
    assert {(e.frames, e.offset_frames, e.gain) for e in events} == {(frames, 0, 0.7)}


def test_a_loop_of_one_frame_stands_still() -> None:
    """A loop of 1 frame starts on every frame; it does not hold up the tracks beside it."""
    tick: tuple[str, Schedule, tuple[int, ...]] = ("tick", Loop(kind="loop"), (1,))
    events = heard(scene(ATMO, tick, ("bell", Once(at=0.001), (40_000,))), 100, True)
    assert [e.start_frame for e in events["tick"]] == list(range(100))
    assert [e.start_frame for e in events["bell"]] == [48]


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("at", [0.0, 0.1, 1.0, 12.34567, 86_400.0])
def test_a_set_start_is_off(rate_hz: int, at: float) -> None:
    """`once` at t starts at the frame nearest to t, whatever seed and window, and never again."""
    for seed in (0, 9):
        events = list(stream(Once(at=at), [Clip(0, 5000, 1.0)], seed=seed, rate_hz=rate_hz, window=10))
        assert [e.start_frame for e in events] == [int(np.floor(at * rate_hz + 0.5))]


def test_a_sound_without_a_start_lies_outside_its_window_or_always_at_one_place() -> None:
    """200 names find places all over a window of 30 s, none ending after it; a longer clip starts at 0."""
    starts = [next(stream(Once(), [Clip(0, 240_000, 1.0)], f"n{i}")).start_frame for i in range(200)]
    room = WINDOW - 240_000
    assert 0 <= min(starts) < 0.05 * room
    assert 0.95 * room < max(starts) <= room
    assert next(stream(Once(), [Clip(0, WINDOW + 1, 1.0)])).start_frame == 0
    assert ENDLESS_WINDOW_S == 30.0


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 48_000, 192_000])
@pytest.mark.parametrize("schedule", [Once(), random_gap(0.1, 0.2)])
def test_an_event_clicks_at_an_end(rate_hz: int, schedule: Schedule) -> None:
    """Fades last 10 ms to the nearest frame, in clips under 20 ms half of the clip, and never overlap."""
    ten_ms = round(0.010 * rate_hz)
    for frames in (1, 2, 3, ten_ms, 2 * ten_ms - 1, 2 * ten_ms, 10 * ten_ms):
        event = next(stream(schedule, [Clip(0, frames, 1.0)], rate_hz=rate_hz))
        assert event.fade_in_frames == event.fade_out_frames == min(ten_ms, frames // 2)
        assert event.frames == frames


@pytest.mark.parametrize("schedule", [Once(), Once(at=2.5), Loop(kind="loop"), random_gap(0.5, 3.0)])
def test_times_do_not_follow_the_rate(schedule: Schedule) -> None:
    """At 96 kHz with clips twice as long all of 20 events start at twice the frame, to one frame for each before."""
    slow = list(islice(stream(schedule, [Clip(0, 400_000, 1.0)]), 20))
    fast = list(islice(stream(schedule, [Clip(0, 800_000, 1.0)], rate_hz=96_000, window=2 * WINDOW), 20))
    assert len(slow) == len(fast)
    for i, (a, b) in enumerate(zip(slow, fast, strict=True)):
        assert abs(b.start_frame - 2 * a.start_frame) <= i + 1
        assert abs(b.fade_in_frames - 2 * a.fade_in_frames) <= 1
        assert abs(b.fade_out_frames - 2 * a.fade_out_frames) <= 1


def test_the_endless_timeline_is_out_of_order_or_stops() -> None:
    """Of 5000 events none starts before its predecessor, and loops and random sounds are among the last 100."""
    composition = scene(ATMO, *OTHERS)
    events = list(islice(composition.timeline(), 5000))
    assert all(a.start_frame <= b.start_frame for a, b in pairwise(events))
    names = {composition.tracks[e.track].name for e in events[-100:]}
    assert names == {"atmo", "car", "rain", "dog"}
    assert [sum(e.track == t for e in events) for t in (2, 3, 6)] == [1, 1, 1]


@settings(max_examples=60, deadline=None)
@given(end=st.integers(1, 3_000_000), seed=st.integers(0, 1000))
def test_the_finite_form_starts_something_at_its_end_or_beyond(end: int, seed: int) -> None:
    """Every event starts before the end, in order; what would go on beyond it ends there, with a fade."""
    composition = scene(ATMO, *OTHERS, seed=seed)
    events = list(composition.timeline(end))
    assert all(a.start_frame <= b.start_frame for a, b in pairwise(events))
    lengths = {c.number: c.frames for t in composition.tracks for c in t.clips}
    assert all(0 <= e.start_frame < end for e in events)
    assert all(e.frames == min(lengths[e.clip], end - e.start_frame) for e in events)
    assert all(e.fade_out_frames >= min(480, e.frames // 2) for e in events)


def test_the_finite_form_is_another_piece_than_the_endless_one() -> None:
    """Within 20 s loops, random sounds and set starts are the endless events, but for the end of the last ones."""
    composition = scene(ATMO, *(row for row in OTHERS if row[1] != Once()))
    end = 20 * RATE_HZ
    endless = list(takewhile(lambda e: e.start_frame < end, composition.timeline()))
    assert len(endless) > 10
    finite = list(composition.timeline(end))
    assert [ended(e, end, RATE_HZ) for e in endless] == finite
    assert finite != endless
    assert max(e.start_frame + e.frames for e in finite) == end


def test_the_longest_once_sound_does_not_begin_the_finite_form() -> None:
    """Of all sounds heard once without a set start the longest begins at 0, whatever loops or has a start."""
    for seed in range(10):
        events = heard(scene(ATMO, *OTHERS, seed=seed), 8 * RATE_HZ, True)
        assert events["door"][0].start_frame == 0
        assert events["owl"][0].start_frame + events["owl"][0].frames <= 8 * RATE_HZ
        assert events["bell"][0].start_frame == 3 * RATE_HZ


@pytest.mark.parametrize("end", [1, 3 * RATE_HZ, None])
def test_a_stream_is_not_what_the_timeline_has_of_its_track(end: int | None) -> None:
    """Streams and timeline, finite and endless, have the same events of each track before 20 s."""
    composition = scene(ATMO, *OTHERS)
    until = 20 * RATE_HZ
    events = list(takewhile(lambda e: e.start_frame < until, composition.timeline(end)))
    streams = composition.streams(end)
    assert list(streams) == list(range(len(OTHERS) + 1))
    for number, own in streams.items():
        track_events = list(takewhile(lambda e: e.start_frame < until, own))
        assert track_events == [e for e in events if e.track == number]
