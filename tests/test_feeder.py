"""Feeding a queue: events that are lost, late or out of order, and sounds that a seek or a new engine changes."""

from collections.abc import Iterator
from itertools import islice, pairwise, takewhile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp.playback import DROPPED, LATE
from engine.control.feeder import HORIZON_S, MOST_EVENTS, Feeder
from engine.events import ALL_TRACKS, CUT, QUEUE_CAPACITY, Event, EventQueue
from engine.scene.composition import Composition
from engine.scene.schema import Loop, Random
from tests.test_playback import ENTRY_FRAMES, TRACKS, Bank, Samples, noise
from tests.test_schedule import RATE_HZ, scene

LENGTHS = (3000, 700, 1500, 9000, 400, 20_000)
SOUNDS = tuple(noise(frames, seed) for seed, frames in enumerate(LENGTHS))
HORIZON = round(HORIZON_S * RATE_HZ)
FADE = 480
END = 60_000


def gaps(longest: float) -> Random:
    return Random(kind="random", gap=(0.0, longest))


def composition(seed: int = 5) -> Composition:
    """A loop, three clips at random and two more, in 3 tracks."""
    return scene(
        ("atmo", Loop(kind="loop"), LENGTHS[:1]),
        ("car", gaps(0.1), LENGTHS[1:4]),
        ("bell", gaps(0.05), LENGTHS[4:]),
        seed=seed,
    )


class Engine:
    """A feeder and the players it feeds, from frame 0 on."""

    def __init__(self, quantum: int = 128) -> None:
        self.bank = Bank(SOUNDS)
        self.feeder = Feeder(self.bank.queue, RATE_HZ)
        self.quantum = quantum
        self.frame = 0
        self._blocks: list[Samples] = []

    def play(self, until: int) -> None:
        """Play whole quanta until `until` is rendered."""
        while self.frame < until:
            self.feeder.feed(self.frame)
            block = np.full((self.quantum, 2 * TRACKS), np.nan, np.float32)
            self.bank.play(block, self.frame)
            self._blocks.append(block)
            self.frame += self.quantum

    def crash(self) -> None:
        """Lose all that was taken from the queue, and begin anew at the same frame."""
        queue = self.bank.queue
        self.bank = Bank(SOUNDS)
        self.bank.queue = queue
        self.feeder.rewind(self.frame)

    @property
    def heard(self) -> Samples:
        return np.concatenate(self._blocks)


def offline(end: int, seed: int = 5) -> Samples:
    """All that sounds before `end`, in one quantum and without a feeder."""
    bank = Bank(SOUNDS)
    return bank.run(before(composition(seed), end), [end])


def before(piece: Composition, end: int) -> list[Event]:
    """The events of the endless timeline that start before `end`."""
    return list(takewhile(lambda e: e.start_frame < end, piece.timeline()))


def ticks(count: int, step: int = 1, track: int = 0) -> Iterator[Event]:
    """Events of one frame, each with a gain of its own."""
    return (Event(step * i, track, 0, 0, 1, 0, 0, float(i + 1)) for i in range(count))


def pushed(queue: EventQueue) -> list[tuple[int, int, int]]:
    """What is in the queue: start, track and clip of each event."""
    rows = queue.ints[np.arange(queue.counters[1], queue.counters[0]) % QUEUE_CAPACITY, :3]
    return [(int(start), int(track), int(clip)) for start, track, clip in rows]


def test_tracks_are_queued_out_of_order_or_beyond_the_horizon() -> None:
    """At frames 0, 1 and 48 000 the queue holds what the timeline has before 8 s from there, in its order."""
    queue = EventQueue()
    feeder = Feeder.of(composition().streams(), queue, RATE_HZ, keep_log=True)
    for frame in (0, 1, RATE_HZ):
        feeder.feed(frame)
        truth = before(composition(), frame + HORIZON)
        assert len(truth) > 200
        assert feeder.log == truth
        assert pushed(queue) == [event[:3] for event in truth]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 20), quantum=st.sampled_from([16, 128, 1000, 2048]))
def test_what_is_fed_live_is_another_piece_than_offline(seed: int, quantum: int) -> None:
    """Fed quantum by quantum the sound has the bytes of all events at once in one quantum."""
    engine = Engine(quantum)
    for number, events in composition(seed).streams().items():
        engine.feeder.add(number, events)
    engine.play(END)
    assert engine.heard[:END].tobytes() == offline(END, seed).tobytes()


def test_a_full_queue_loses_repeats_or_delays_events() -> None:
    """Of 10 001 events in a tenth of the horizon, more than fit the queue, each sounds once, on its own frame."""
    ones = np.ones((1, 2), np.float32)
    bank = Bank([ones])
    feeder = Feeder.of({0: ticks(10_001, 3)}, bank.queue, RATE_HZ)
    heard = np.zeros((30_080, 2 * TRACKS), np.float32)
    for frame in range(0, len(heard), 128):
        feeder.feed(frame)
        bank.play(heard[frame : frame + 128], frame)
    assert np.array_equal(heard[:30_003:3, 0], np.arange(1, 10_002))
    assert np.count_nonzero(heard[:, 0]) == 10_001
    assert (bank.counts[LATE], bank.counts[DROPPED]) == (0, 0)


def test_a_pause_waits_behind_a_full_queue() -> None:
    """With 10 000 events due in a moment a pause for frame 1000 is obeyed there, and the queue is not full."""
    ones = np.ones((1, 2), np.float32)
    bank = Bank([ones])
    feeder = Feeder.of({0: ticks(10_000, 3)}, bank.queue, RATE_HZ)
    feeder.feed(0)
    assert QUEUE_CAPACITY - bank.queue.free == MOST_EVENTS
    feeder.pause(1000, FADE)
    heard = bank.run([], [128] * 100)[:, 0]
    assert np.flatnonzero(heard).tolist() == list(range(0, 1000, 3))
    assert bank.voices == 0


def test_what_an_engine_that_hangs_does_not_take_is_lost() -> None:
    """While nothing is taken 20 seeks overfill the queue; once it is, the sound is that of the last seek alone."""
    bank = Bank(SOUNDS)
    feeder = Feeder(bank.queue, RATE_HZ)
    feeder.feed(0)
    for i in range(20):
        feeder.seek(composition().streams(), 640 - 1000 * i, 640, FADE)
        feeder.feed(0)
    assert bank.queue.free == 0
    blocks = []
    for frame in range(0, 20_480, 128):
        feeder.feed(frame)
        block = np.zeros((128, 2 * TRACKS), np.float32)
        bank.play(block, frame)
        blocks.append(block)
    heard = np.concatenate(blocks)
    begin = 640 + ENTRY_FRAMES
    assert not heard[:640].any()
    truth = offline(40_000)[19_000 + ENTRY_FRAMES :]
    assert heard[begin:].tobytes() == truth[: len(heard) - begin].tobytes()


@settings(max_examples=40, deadline=None)
@given(
    position=st.integers(0, 200_000),
    at=st.integers(5000, 30_000),
    lead=st.integers(0, 5000),
    quantum=st.sampled_from([16, 128, 1000]),
    paused=st.one_of(st.none(), st.integers(0, 20_000)),
)
def test_a_seek_leads_to_another_sound_than_the_scene_has_there(
    position: int, at: int, lead: int, quantum: int, paused: int | None
) -> None:
    """From 240 frames after a seek, at once or from a pause, the bytes are those of the scene from its position on.

    Up to the frame of the seek or the pause they are those of its beginning; nothing comes late.
    """
    engine = Engine(quantum)
    for number, events in composition().streams().items():
        engine.feeder.add(number, events)
    engine.play(at - lead)
    # Asked for ahead of the frame that is rendered next, as it always is.
    at = max(at, engine.frame)
    stop = at
    if paused is not None:
        engine.feeder.pause(at, FADE)
        engine.play(at + FADE + paused)
        at = engine.frame + lead
        assert not engine.heard[stop + FADE :].any()
    engine.feeder.seek(composition().streams(), at - position, at, FADE)
    engine.play(at + 20_000)
    heard = engine.heard
    assert heard[:stop].tobytes() == offline(stop + 1)[:stop].tobytes()
    # What faded out is behind: it lasts longer than the rise.
    begin = at + (ENTRY_FRAMES if paused is not None else FADE)
    truth = offline(position + len(heard) - at)[position + begin - at :]
    assert heard[begin:].tobytes() == truth.tobytes()
    assert (engine.bank.counts[LATE], engine.bank.counts[DROPPED]) == (0, 0)


def test_a_seek_jumps() -> None:
    """Around a seek inside a constant the old falls and the new rises: no step exceeds that of both together."""
    ones = np.ones((100_000, 2), np.float32)
    bank = Bank([ones])
    feeder = Feeder(bank.queue, RATE_HZ)
    event = Event(0, 0, 0, 0, 100_000, 0, 0)
    feeder.add(0, iter([event]))
    feeder.feed(0)
    feeder.seek({0: iter([event])}, -30_000, 1000, FADE)
    feeder.feed(0)
    heard = bank.run([], [128] * 20)[:, 0].astype(np.float64)
    assert np.max(np.abs(np.diff(heard))) < np.pi / (2 * FADE) + 1.0 / ENTRY_FRAMES
    assert np.all(heard[:1000] == 1.0)
    assert np.all(heard[1000 + FADE :] == 1.0)


def test_a_seek_by_hours_misses_what_sounds_there() -> None:
    """At 5 h of an endless scene the queue has every event that sounds there or starts within 8 s, and no other."""
    position = 5 * 3600 * RATE_HZ
    slow = scene(
        ("atmo", Loop(kind="loop"), (400_000,)), ("car", Random(kind="random", gap=(0.5, 4.0)), (9000,))
    )
    truth = [
        (e.start_frame - position + 700, e.track, e.clip)
        for e in before(slow, position + HORIZON - 700)
        if e.start_frame + e.frames > position
    ]
    queue = EventQueue()
    feeder = Feeder(queue, RATE_HZ)
    feeder.seek(slow.streams(), 700 - position, 700, FADE)
    feeder.feed(0)
    assert [row for row in pushed(queue) if row[2] != CUT] == truth
    assert len({track for _, track, _ in truth}) == 2
    entries = queue.ints[1 : len(truth) + 1, 7]
    assert all((entry == 700) == (start < 700) for entry, (start, *_) in zip(entries, truth, strict=True))


def test_a_track_that_is_dropped_sounds_on_or_takes_others_with_it() -> None:
    """Dropped at 20 000 over 480, track 1 is as ever before, silent after; the others never change a byte."""
    engine = Engine()
    for number, events in composition().streams().items():
        engine.feeder.add(number, events)
    engine.play(19_000)
    engine.feeder.drop(1, 20_000, FADE)
    engine.play(END)
    truth = offline(len(engine.heard))
    others = [0, 2, TRACKS, TRACKS + 2]
    assert engine.heard[:, others].tobytes() == truth[:, others].tobytes()
    lane = engine.heard[:, 1]
    assert np.array_equal(lane[:20_000], truth[:20_000, 1])
    assert not lane[20_000 + FADE :].any()
    assert truth[20_000 + FADE :, 1].any()


def test_a_drop_far_ahead_ends_the_track_at_the_horizon() -> None:
    """Dropped now at 10 s, 2 s beyond what is queued, a track sounds as ever until then."""
    at = 10 * RATE_HZ
    engine = Engine(1024)
    for number, events in composition().streams().items():
        engine.feeder.add(number, events)
    engine.play(1024)
    engine.feeder.drop(1, at, FADE)
    engine.play(at + 4096)
    truth = offline(len(engine.heard))
    assert engine.heard[:at].tobytes() == truth[:at].tobytes()
    assert not engine.heard[at + FADE :, 1].any()
    assert engine.heard[:, 0].tobytes() == truth[:, 0].tobytes()


def test_a_track_that_comes_later_is_out_of_step() -> None:
    """Added at 20 000 with the scene's offset, a track is in phase from 240 frames on, and silent before."""
    streams = composition().streams()
    engine = Engine()
    for number in (0, 2):
        engine.feeder.add(number, streams[number])
    engine.play(19_000)
    engine.feeder.add(1, streams[1], 0, 20_000)
    engine.play(END)
    truth = offline(len(engine.heard))
    assert not engine.heard[:20_000, 1].any()
    assert engine.heard[20_000 + ENTRY_FRAMES :].tobytes() == truth[20_000 + ENTRY_FRAMES :].tobytes()
    assert engine.bank.counts[LATE] == 0


def test_a_track_that_is_replaced_is_fed_twice() -> None:
    """Dropped and added under its number with other events at 20 000, it has the new ones alone after the fade."""
    engine = Engine()
    for number, events in composition().streams().items():
        engine.feeder.add(number, events)
    engine.play(19_000)
    engine.feeder.drop(1, 20_000, FADE)
    engine.feeder.add(1, composition(77).streams()[1], 0, 20_000)
    engine.play(END)
    truth = offline(len(engine.heard), 77)
    assert np.array_equal(engine.heard[20_000 + FADE :, 1], truth[20_000 + FADE :, 1])
    assert not np.array_equal(truth[:, 1], offline(len(truth))[:, 1])


def test_a_track_that_is_added_again_is_fed_twice() -> None:
    """Added again before anything was queued, a track has the new events alone, beside those of the others."""
    queue = EventQueue()
    feeder = Feeder(queue, RATE_HZ)
    feeder.add(0, ticks(20, 5))
    feeder.add(1, ticks(20, 5, 1))
    feeder.add(0, ticks(3, 7))
    feeder.feed(0)
    rows = pushed(queue)
    assert [row[0] for row in rows if row[1] == 0] == [0, 7, 14]
    assert [row[0] for row in rows if row[1] == 1] == list(range(0, 100, 5))


def test_a_new_engine_is_given_what_is_over() -> None:
    """Rewound to frame 50, of one-frame events at 0, 10, … 90 those from 50 on are queued, and the cut until 51."""
    queue = EventQueue()
    feeder = Feeder.of({0: ticks(10, 10)}, queue, RATE_HZ)
    feeder.feed(0)
    feeder.drop(1, 20, 30)
    feeder.drop(2, 20, 31)
    feeder.rewind(50)
    assert pushed(queue) == [*((start, 0, 0) for start in range(50, 100, 10)), (20, 2, CUT)]


def test_a_track_keeps_the_number_of_its_scene() -> None:
    """Fed under another number, all events have that one; what is dropped by it is silent."""
    bank = Bank(SOUNDS)
    feeder = Feeder(bank.queue, RATE_HZ)
    feeder.add(2, composition().streams()[0], 100)
    feeder.feed(0)
    assert {row[:2] for row in pushed(bank.queue)[:1]} == {(100, 2)}
    assert {track for _, track, _ in pushed(bank.queue)} == {2}
    feeder.drop(2, 50, FADE)
    assert not bank.run([], [4096]).any()
    assert bank.voices == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 20),
    crash=st.integers(0, 40_000),
    quantum=st.sampled_from([16, 128, 1000]),
    change=st.sampled_from(["none", "pause", "drop", "seek"]),
    lead=st.integers(-3000, 6000),
    untaken=st.booleans(),
)
def test_a_new_engine_plays_another_piece(
    seed: int, crash: int, quantum: int, change: str, lead: int, untaken: bool
) -> None:
    """From 240 frames after a crash on the bytes are those of an engine that never failed.

    Also when a pause, a drop or a seek is asked for around it, or what was queued last was never taken.
    """
    heard = []
    for crashes in (False, True):
        engine = Engine(quantum)
        for number, events in composition(seed).streams().items():
            engine.feeder.add(number, events)
        engine.play(max(0, crash - 6500))
        at = max(engine.frame, crash + lead)
        match change:
            case "pause":
                engine.feeder.pause(at, FADE)
            case "drop":
                engine.feeder.drop(1, at, 2000)
            case "seek":
                engine.feeder.seek(composition(seed).streams(), at - 50_000, at, FADE)
        engine.play(crash)
        if untaken:
            engine.feeder.feed(engine.frame + 5000)
        if crashes:
            engine.crash()
        died = engine.frame
        engine.play(crash + 20_000)
        heard.append(engine.heard)
        assert engine.bank.counts[DROPPED] == 0
    begin = died + ENTRY_FRAMES
    assert heard[0][:died].tobytes() == heard[1][:died].tobytes()
    # What is begun by the seek rises while what was before falls; a crash between makes it rise anew.
    assert heard[0][begin:].tobytes() == heard[1][begin:].tobytes()


def test_a_second_crash_or_hours_of_feeding_forget_or_pile_up_events() -> None:
    """Of 100 000 events, with 30 crashes on the way, each is heard once, and few are ever in the table."""
    ones = np.ones((1, 2), np.float32)
    bank = Bank([ones])
    feeder = Feeder.of({0: ticks(100_000, 400)}, bank.queue, RATE_HZ)
    total = 0
    for number, frame in enumerate(range(0, 400 * 100_000, 10_000)):
        feeder.feed(frame)
        if number % 130 == 129:
            queue = bank.queue
            bank = Bank([ones])
            bank.queue = queue
            feeder.rewind(frame)
        block = np.zeros((10_000, 2 * TRACKS), np.float32)
        bank.play(block, frame)
        assert np.array_equal(block[::400, 0], np.arange(frame // 400 + 1, frame // 400 + 26))
        total += int(np.count_nonzero(block[:, 0]))
        assert bank.voices < 2 * HORIZON // 400
    assert total == 100_000


def test_a_rewind_with_a_queue_that_cannot_hold_all_loses_some() -> None:
    """6000 events that were forced into the queue by a drop far ahead survive a crash, each on its frame."""
    ones = np.ones((1, 2), np.float32)
    bank = Bank([ones])
    feeder = Feeder.of({0: ticks(6000, 3), 1: ticks(10_000, 3, 1)}, bank.queue, RATE_HZ)
    feeder.drop(1, 18_000, 1)
    feeder.rewind(0)
    heard = np.zeros((18_048, 2 * TRACKS), np.float32)
    for frame in range(0, len(heard), 128):
        feeder.feed(frame)
        bank.play(heard[frame : frame + 128], frame)
    for lane in (0, 1):
        assert np.array_equal(heard[:18_000:3, lane], np.arange(1, 6001))
        assert np.count_nonzero(heard[:, lane]) == 6000


def test_the_log_has_cuts_or_misses_events() -> None:
    """The log is the timeline up to the horizon, whatever is cut."""
    queue = EventQueue()
    feeder = Feeder.of(composition().streams(), queue, RATE_HZ, keep_log=True)
    feeder.feed(0)
    feeder.pause(100, FADE)
    assert feeder.log == list(islice(composition().timeline(), len(feeder.log)))
    assert pushed(queue)[-1] == (100, ALL_TRACKS, CUT)
    assert Feeder.of(composition().streams(), EventQueue(), RATE_HZ).log == []


def test_the_end_of_a_stream_ends_the_others() -> None:
    """A track that has no event, and one whose only event is over, leave those of the third in order."""
    queue = EventQueue()
    feeder = Feeder(queue, RATE_HZ)
    feeder.add(0, iter(()))
    feeder.add(1, iter([Event(0, 1, 0, 0, 10, 0, 0)]), 0, 10)
    feeder.add(2, ticks(50, 7, 2), 0, 10)
    feeder.feed(0)
    rows = pushed(queue)
    assert rows == [(start, 2, 0) for start in range(14, 350, 7)]
    assert all(a[0] < b[0] for a, b in pairwise(rows))
