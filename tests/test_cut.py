"""Cuts: against a slow float64 twin, in any partition into quanta, in time and late, and with cuts that are no good."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.playback import DROPPED, LATE
from engine.events import ALL_TRACKS, CUT, Event, cut
from tests.test_playback import CLIPS, END, ENTRY_FRAMES, TRACKS, Bank, Samples, random_events, twin, whole

Arrival = tuple[int, Event]
"""A frame, and what reaches the players with the quantum that begins there."""


def cut_curve(now: NDArray[np.int64], at: int, frames: int) -> NDArray[np.float64]:
    """The raised cosine of a cut, 1 before it and 0 after."""
    place = np.clip((now - at + 0.5) / frames, 0.0, 1.0)
    return np.where(now < at, 1.0, 0.5 + 0.5 * np.cos(np.pi * place))


def cut_twin(arrivals: Sequence[Arrival], end: int = END) -> NDArray[np.float64]:
    """What the events in the order of their arrival sum to in float64, with at most two cuts for each of them."""
    total = np.zeros((end, 2 * TRACKS))
    for i, (arrival, event) in enumerate(arrivals):
        begin = max(event.start_frame, event.entry_frame)
        heard = max(begin, arrival)
        if event.clip == CUT or heard >= event.start_frame + event.frames:
            continue
        cuts = []
        silent = False
        for came, other in arrivals[i + 1 :]:
            if other.clip != CUT or other.track not in (ALL_TRACKS, event.track):
                continue
            at = other.start_frame
            if heard < came:
                at = max(at, came)
            else:
                silent = silent or begin >= at or at + other.frames <= came
            cuts.append((at + other.frames, at, other.frames))
        if silent:
            continue
        now = np.arange(end)
        gain = np.where(now < heard, 0.0, 1.0)
        if heard > event.start_frame:
            rise = np.clip((now - heard + 0.5) / ENTRY_FRAMES, 0.0, 1.0)
            gain *= 0.5 - 0.5 * np.cos(np.pi * rise)
        if cuts:
            (_, at, frames), *others = sorted(cuts)
            gain *= cut_curve(now, at, frames)
            for _, other_at, other_frames in others:
                assert len(others) == 1
                gain *= cut_curve(np.minimum(now, at - 1), other_at, other_frames)
        total += gain[:, None] * twin([event], end)
    return total


def arrived(pushes: Iterable[Arrival], edges: Sequence[int]) -> list[Arrival]:
    """Turn the frame of each push into that of the quantum it reaches: the one that holds it."""
    return [(max(edge for edge in edges if edge <= moment), event) for moment, event in pushes]


def run(arrivals: Sequence[Arrival], edges: Sequence[int], bank: Bank | None = None) -> Samples:
    bank = bank or Bank()
    blocks = []
    assert {came for came, _ in arrivals} <= set(edges)
    for frame, end in pairwise(edges):
        for came, event in arrivals:
            if came == frame:
                assert bank.queue.push(event)
        block = np.full((end - frame, 2 * TRACKS), np.nan, np.float32)
        bank.play(block, frame)
        blocks.append(block)
    return np.concatenate(blocks)


def pushes(seed: int, order: Random, in_time: bool) -> list[Arrival]:
    """Events that some of the time enter late, a cut for each track and one for all, in the order they are pushed."""
    events = [
        e._replace(entry_frame=e.start_frame + order.randint(-50, 400)) if order.random() < 0.3 else e
        for e in random_events(seed, 40)
    ]
    cuts = [
        cut(order.randint(0, END), track, order.choice([1, 2, 100, 480, 3000]))
        for track in (0, 1, ALL_TRACKS)
    ]
    pushed = []
    for event in [*events, *cuts]:
        due = max(event.start_frame, event.entry_frame)
        moment = max(0, due - order.choice([0, 1, 128, 1000, END]))
        if not in_time and order.random() < 0.3:
            moment = min(END - 1, due + order.randint(0, 600))
        pushed.append((min(moment, END - 1), event))
    return sorted(pushed, key=lambda push: push[0])


partitions = st.sets(st.integers(1, END - 1), max_size=40).map(lambda cuts: [0, *sorted(cuts), END])


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 50), order=st.randoms(use_true_random=False), edges=partitions)
def test_a_cut_sounds_different_from_the_float64_twin(seed: int, order: Random, edges: list[int]) -> None:
    """40 events and 3 cuts, in time or late, in any partition, equal the twin to 2e-6."""
    arrivals = arrived(pushes(seed, order, False), edges)
    heard = run(arrivals, edges)
    assert np.max(np.abs(heard - cut_twin(arrivals))) < 2e-6


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 50), order=st.randoms(use_true_random=False), edges=partitions)
def test_the_quantum_or_the_moment_of_arrival_changes_a_bit(
    seed: int, order: Random, edges: list[int]
) -> None:
    """40 events and 3 cuts, pushed in time by any lead, in any partition give the bytes of one quantum of 6000."""
    pushed = pushes(seed, order, True)
    heard = run(arrived(pushed, edges), edges)
    assert heard.tobytes() == run([(0, event) for _, event in pushed], [0, END]).tobytes()


def test_a_cut_has_a_kink_or_a_step() -> None:
    """Over 480 frames a constant falls in steps of at most π/960, which change by at most π²/(2 480²) each frame.

    It is 1 up to the cut, one half at its middle, never rises, and 0 afterwards.
    """
    ones = np.ones((4000, 2), np.float32)
    bank = Bank([ones])
    heard = run([(0, Event(0, 0, 0, 0, 4000, 0, 0)), (0, cut(1000, 0, 480))], whole_edges(128, 2000), bank)
    level = heard[:, 0].astype(np.float64)
    assert np.all(level[:1000] == 1.0)
    assert np.all(level[1480:] == 0.0)
    steps = np.diff(level)
    assert np.all(steps[999:1479] < 0.0)
    assert np.max(np.abs(steps)) < np.pi / 960 + 1e-6
    assert np.max(np.abs(np.diff(steps))) < np.pi**2 / (2 * 480**2) + 3e-7
    assert 0.5 * (level[1239] + level[1240]) == pytest.approx(0.5, abs=1e-6)


def whole_edges(quantum: int, end: int = END) -> list[int]:
    return [0, *np.cumsum(whole(quantum, end)).tolist()]


@pytest.mark.parametrize("quantum", [16, 100, 128, 1000])
def test_a_late_cut_jumps_to_where_it_would_be(quantum: int) -> None:
    """A cut for frame 500 that comes at 1000 or next after falls from there on as one for that frame does."""
    ones = np.ones((4000, 2), np.float32)
    event = Event(0, 0, 0, 0, 4000, 0, 0)
    edges = whole_edges(quantum, 2000)
    frame = min(edge for edge in edges if edge >= 1000)
    late = run([(0, event), (frame, cut(500, 0, 480))], edges, Bank([ones]))
    assert late.tobytes() == run([(0, event), (0, cut(frame, 0, 480))], edges, Bank([ones])).tobytes()
    assert np.all(late[:frame, 0] == 1.0)


def test_what_starts_with_a_cut_or_later_sounds() -> None:
    """Of events from frame 99, 100 and 101 cut at 100 the first alone is heard, whether it starts or enters there."""
    for late in (False, True):
        bank = Bank()
        for track, begin in enumerate((99, 100, 101)):
            bank.queue.push(Event(50 if late else begin, track, 4, 0, 2500, 0, 0, entry_frame=begin))
        bank.queue.push(cut(100, ALL_TRACKS, 50))
        heard = np.zeros((256, 2 * TRACKS), np.float32)
        bank.play(heard, 0)
        assert np.flatnonzero(heard[:, 0]).tolist() == list(range(99, 150))
        assert not heard[:, [1, 2]].any()
        assert bank.voices == 0


def test_what_was_queued_after_a_cut_is_cut() -> None:
    """Events pushed behind a cut, before, at and after its frame, have the bytes they have without it."""
    after = [Event(0, 0, 4, 0, 2500, 0, 0), Event(300, 1, 4, 0, 2500, 0, 0), Event(350, 0, 3, 0, 700, 0, 0)]
    ended = cut(300, ALL_TRACKS, 200)
    before = Event(0, 0, 4, 0, 2500, 0, 0)
    alone = run([(0, event) for event in after], whole_edges(128))
    assert run([(0, ended), *((0, event) for event in after)], whole_edges(128)).tobytes() == alone.tobytes()
    both = run([(0, before), (0, ended), *((0, event) for event in after)], whole_edges(128))
    assert both[500:].tobytes() == alone[500:].tobytes()


def test_a_track_without_a_lane_is_not_cut() -> None:
    """With a lane from 256 on, a track cut at 200 over 100, or all, is heard up to 299, and what was to come never."""
    for track in (2, ALL_TRACKS):
        bank = Bank()
        bank.lanes_of[2] = -1
        for event in (Event(0, 2, 4, 0, 2500, 0, 0), Event(1000, 2, 3, 0, 700, 0, 0), cut(200, track, 100)):
            bank.queue.push(event)
        out = np.zeros((256, 2 * TRACKS), np.float32)
        bank.play(out, 0)
        assert bank.voices == 1
        bank.lanes_of[2] = 2
        bank.play(out, 256)
        assert np.flatnonzero(out[:, 2]).tolist() == list(range(44))
        assert bank.voices == 0


def test_a_cut_takes_or_keeps_a_voice() -> None:
    """In a table of 4, full, a cut of one waiting track makes room in its own quantum for the event behind it."""
    bank = Bank(voices=4)
    for event in (
        *(Event(0, 0, 4, 0, 2500, 0, 0) for _ in range(2)),
        *(Event(5000, 1, 4, 0, 2500, 0, 0) for _ in range(2)),
        cut(600, 1, 10),
        *(Event(64, 2, 3, i, 600, 0, 0) for i in range(2)),
    ):
        bank.queue.push(event)
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 0)
    assert (bank.voices, bank.counts[DROPPED], bank.counts[LATE]) == (4, 0, 0)
    assert np.array_equal(out[64:, [2, TRACKS + 2]], CLIPS[3][:64] + CLIPS[3][1:65])


def test_a_cut_is_held_back_by_a_full_table() -> None:
    """A cut behind 10 events in a table of 10 acts at its frame, and the table is empty at its end."""
    bank = Bank(voices=10)
    for i in range(10):
        bank.queue.push(Event(i, i % TRACKS, 4, 0, 2500, 0, 0))
    bank.queue.push(cut(300, ALL_TRACKS, 84))
    out = np.zeros((384, 2 * TRACKS), np.float32)
    bank.play(out, 0)
    assert out[383].all()
    assert bank.voices == 0


NESTED = [cut(1000, 0, 4000), cut(1400, ALL_TRACKS, 2400), cut(2000, 0, 480)]


def test_of_two_cuts_the_later_end_wins_or_the_sound_comes_back() -> None:
    """A cut of 4000 frames is overtaken by one of 480 in its midst: it stands still there, and ends with that."""
    ones = np.ones((6000, 2), np.float32)
    event = Event(0, 0, 0, 0, 6000, 0, 0)
    slow, fast = NESTED[0], NESTED[2]
    for cuts in ((slow, fast), (fast, slow)):
        heard = run([(0, event), *((0, c) for c in cuts)], whole_edges(128), Bank([ones]))[:, 0]
        held = 0.5 + 0.5 * np.cos(np.pi * (2000 - 1000 - 0.5) / 4000)
        assert heard[1999] == pytest.approx(held, abs=1e-6)
        truth = held * (0.5 + 0.5 * np.cos(np.pi * (np.arange(480) + 0.5) / 480))
        assert np.max(np.abs(heard[2000:2480] - truth)) < 1e-6
        assert not heard[2480:].any()


def test_of_two_cuts_with_one_end_the_one_that_came_last_wins() -> None:
    """Of cuts at 1000 and at 2000 that both end at 2480 the first alone is heard, in whichever order they came."""
    event = Event(0, 0, 4, 0, 2500, 0, 0)
    first, second = cut(1000, 0, 1480), cut(2000, 0, 480)
    alone = run([(0, event), (0, first)], whole_edges(128)).tobytes()
    assert run([(0, event), (0, first), (0, second)], whole_edges(128)).tobytes() == alone
    assert run([(0, event), (0, second), (0, first)], whole_edges(128)).tobytes() == alone


def test_an_earlier_cut_is_undone_by_a_later_one() -> None:
    """A cut pushed behind one that ends sooner, or the same one again, changes no byte."""
    event = Event(0, 0, 4, 0, 2500, 0, 0)
    first = cut(500, 0, 480)
    alone = run([(0, event), (0, first)], whole_edges(128))
    for second in (cut(500, 0, 481), cut(700, ALL_TRACKS, 281), cut(2000, 0, 1), first):
        assert run([(0, event), (0, first), (128, second)], whole_edges(128)).tobytes() == alone.tobytes()


@pytest.mark.parametrize("arrival", [0, 896, 1920])
def test_a_third_cut_makes_the_sound_jump(arrival: int) -> None:
    """Of three nested cuts, known at once or one by one, no step exceeds the fastest one's π/960, and none rises."""
    ones = np.ones((6000, 2), np.float32)
    event = (0, Event(0, 0, 0, 0, 6000, 0, 0))
    came = [(min(c.start_frame // 128 * 128, arrival), c) for c in NESTED]
    heard = run([event, *came], whole_edges(128), Bank([ones]))[:, 0].astype(np.float64)
    assert np.all(np.diff(heard) <= 0.0)
    assert np.max(np.abs(np.diff(heard))) < np.pi / 960 + 1e-6
    assert not heard[2480:].any()
    assert heard[2479] > 0.0


BAD_CUTS = {
    "no frames": cut(300, 2, 0),
    "fewer than no frames": cut(300, 2, -50),
    "a track beyond the table": cut(300, 1 << 40, 100),
    "a negative track": cut(300, -2, 100),
    "before everything": cut(-(2**61), 2, 100),
}


@pytest.mark.parametrize("bad", BAD_CUTS.values(), ids=BAD_CUTS.keys())
def test_a_bad_cut_harms_another_track(bad: Event) -> None:
    """With the bad cut behind 60 events the other tracks have the bytes they have without it."""
    events = [event._replace(track=event.track % 2) for event in random_events(11)]
    more = [event._replace(track=2) for event in random_events(12)] if bad.track == 2 else []
    good = run([(0, event) for event in events], whole_edges(128))
    heard = run([*((0, event) for event in [*events, *more]), (128, bad)], whole_edges(128))
    assert heard[:, [0, 1, 3, 4]].tobytes() == good[:, [0, 1, 3, 4]].tobytes()
    assert np.isfinite(heard).all()
    assert not heard[301:, [2, 5]].any()


def test_the_order_is_lost_when_a_cut_empties_the_table() -> None:
    """Of 4000 events in random order each second one is cut; the others start on their own frames, none is lost."""
    ones = np.ones((1, 2), np.float32)
    bank = Bank([ones])
    starts = np.random.default_rng(3).permutation(4000)
    for start in starts.tolist():
        bank.queue.push(Event(start + 100, start % 2, 0, 0, 1, 0, 0, float(start + 1)))
    bank.queue.push(cut(50, 0, 10))
    heard = run([], whole_edges(128), bank)
    assert not heard[:, 0].any()
    assert np.array_equal(heard[101:4100:2, 1], np.arange(2, 4001, 2))
    assert bank.voices == 0
