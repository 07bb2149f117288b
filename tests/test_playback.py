"""Playing clips: against a slow float64 twin, over any partition into quanta, and with events that are no good."""

import tracemalloc
from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.playback import (
    ARRIVAL,
    CLIP,
    DROPPED,
    FREE,
    HEARD,
    LATE,
    PLAYING,
    SOUNDING,
    START,
    TRACK,
    WAITING,
    VoiceTable,
    play,
)
from engine.clips import ClipStore
from engine.events import QUEUE_CAPACITY, Event, EventQueue
from engine.inputs import InputRing
from engine.meters import MeterTable
from engine.node import BuildContext, Processor
from engine.nodes.players import Players
from engine.params import ParamTable
from engine.spec import StreamSpec

Samples = NDArray[np.float32]

TRACKS = 3
CLIP_FRAMES = (1, 2, 37, 700, 2500)
END = 6000
ENTRY_FRAMES = 240


def noise(frames: int, seed: int = 440, level: float = 0.1) -> Samples:
    return (level * np.random.default_rng(seed).standard_normal((frames, 2))).astype(np.float32)


CLIPS = tuple(noise(frames, seed) for seed, frames in enumerate(CLIP_FRAMES))


class Bank:
    """The players without the node around them: lanes 0 to `tracks` - 1 for the tracks of the same numbers."""

    def __init__(self, clips: Sequence[Samples] = CLIPS, tracks: int = TRACKS, voices: int = 4096) -> None:
        self.store = ClipStore()
        for number, samples in enumerate(clips):
            self.store.add(number, samples)
        self.queue = EventQueue()
        self.lanes_of = np.full(16, -1, np.int64)
        self.lanes_of[:tracks] = np.arange(tracks)
        self.table = VoiceTable(voices)
        self.counts = self.table.counts
        self.tracks = tracks

    @property
    def voices(self) -> int:
        """How many events sound or wait."""
        return int(self.counts[PLAYING] + self.counts[WAITING])

    def column(self, column: int) -> list[int]:
        """Return a column of the table, in the order in which voices are summed, those to come behind."""
        order, key = self.table.order, [START, TRACK, ARRIVAL]
        waiting = order[WAITING, : self.counts[WAITING]].tolist()
        waiting.sort(key=lambda row: self.table.ints[row, key].tolist())
        rows = [*order[PLAYING, : self.counts[PLAYING]].tolist(), *waiting]
        return [int(self.table.ints[row, column]) for row in rows]

    def play(self, out: Samples, frame: int) -> None:
        queue, table, store = self.queue, self.table, self.store
        play(
            out,
            frame,
            ENTRY_FRAMES,
            self.lanes_of,
            queue.counters,
            queue.ints,
            queue.floats,
            table.ints,
            table.floats,
            table.order,
            table.counts,
            store.addresses,
            store.frames,
        )

    def run(self, events: Iterable[Event], quanta: Iterable[int], ahead: int | None = None) -> Samples:
        """Return all that sounds in `quanta`; events are pushed `ahead` frames early, or all at once."""
        waiting = list(events)
        blocks = []
        frame = 0
        for quantum in quanta:
            while waiting and (ahead is None or waiting[0].start_frame < frame + quantum + ahead):
                assert self.queue.push(waiting.pop(0))
            block = np.full((quantum, 2 * self.tracks), np.nan, np.float32)
            self.play(block, frame)
            blocks.append(block)
            frame += quantum
        return np.concatenate(blocks)


def fade_twin(frames: int, rho: float) -> NDArray[np.float64]:
    """The rising side of a fade, sin / sqrt(sin² + cos² + 2 sin cos rho)."""
    angle = 0.5 * np.pi * (np.arange(frames) + 0.5) / frames
    a, b = np.sin(angle), np.cos(angle)
    return np.asarray(a / np.sqrt(a * a + b * b + 2.0 * a * b * rho))


def twin(events: Iterable[Event], frames: int, clips: Sequence[Samples] = CLIPS) -> NDArray[np.float64]:
    """What the events sum to in float64, whole events at a time, clipped to `frames`."""
    out = np.zeros((frames + 100_000, 2 * TRACKS))
    for e in events:
        gain = np.full(e.frames, e.gain)
        n = min(e.fade_in_frames, e.frames)
        gain[:n] *= fade_twin(e.fade_in_frames, e.rho_in)[:n] if n else 1.0
        n = min(e.fade_out_frames, e.frames)
        if n:
            gain[-n:] *= fade_twin(e.fade_out_frames, e.rho_out)[:n][::-1]
        sound = clips[e.clip][e.offset_frames : e.offset_frames + e.frames].astype(np.float64)
        at = slice(e.start_frame, e.start_frame + e.frames)
        out[at, e.track] += gain * sound[:, 0]
        out[at, TRACKS + e.track] += gain * sound[:, 1]
    return out[:frames]


def random_events(seed: int, count: int = 60, end: int = END) -> list[Event]:
    """Events in the order of their starts: overlaps, fades longer than the half, any rho, parts of clips."""
    rng = np.random.default_rng(seed)
    events = []
    for start in sorted(rng.integers(0, end, count).tolist()):
        clip = int(rng.integers(len(CLIPS)))
        frames = int(rng.integers(1, CLIP_FRAMES[clip] + 1))
        offset = int(rng.integers(0, CLIP_FRAMES[clip] - frames + 1))
        fade_in, fade_out = (rng.integers(0, frames + 3, 2) * rng.integers(0, 2, 2)).tolist()
        gain, rho_in, rho_out = rng.uniform(0.0, 1.0, 3).tolist()
        track = int(rng.integers(TRACKS))
        event = Event(start, track, clip, offset, frames, fade_in, fade_out, 2.0 * gain, rho_in, rho_out)
        events.append(event)
    return events


def whole(quantum: int, end: int = END) -> list[int]:
    """Quanta that cover 0 to `end` exactly, the last one shorter."""
    return [quantum] * (end // quantum) + ([end % quantum] if end % quantum else [])


@pytest.mark.parametrize("seed", range(6))
def test_random_events_sound_different_from_the_float64_twin(seed: int) -> None:
    """60 overlapping events with fades equal the twin to 1e-6."""
    events = random_events(seed)
    heard = Bank().run(events, whole(128))
    assert np.max(np.abs(heard)) > 0.1
    assert np.max(np.abs(heard - twin(events, END))) < 1e-6


@pytest.mark.parametrize("quantum", [16, 17, 64, 100, 128, 333, 1024, 2048])
def test_the_quantum_changes_a_bit(quantum: int) -> None:
    """Any quantum from 16 to 2048 gives the bytes of one single quantum of 6000."""
    events = random_events(7)
    assert Bank().run(events, whole(quantum)).tobytes() == Bank().run(events, [END]).tobytes()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 50),
    cuts=st.sets(st.integers(1, END - 1), max_size=30),
    ahead=st.sampled_from([None, 0, 1, 500]),
)
def test_a_partition_or_the_moment_of_pushing_changes_a_bit(
    seed: int, cuts: set[int], ahead: int | None
) -> None:
    """Events pushed all at once or 0, 1 or 500 frames ahead, in any partition, give the same bytes."""
    edges = [0, *sorted(cuts), END]
    quanta = np.diff(edges).tolist()
    events = random_events(seed, 25)
    assert Bank().run(events, quanta, ahead).tobytes() == Bank().run(events, [END]).tobytes()


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_a_fade_is_longer_or_shorter_than_it_says(rho: float) -> None:
    """A constant clip rises over exactly 100 and falls over exactly 50 of its 400 frames, and is flat between."""
    ones = np.ones((400, 2), np.float32)
    heard = Bank([ones]).run([Event(10, 0, 0, 0, 400, 100, 50, 1.0, rho, rho)], whole(128, 512))[:, 0]
    assert np.all(np.diff(heard[10:110]) > 0)
    assert np.all(heard[110:360] == 1.0)
    assert np.all(np.diff(heard[360:410]) < 0)
    assert heard[109] < 1.0
    assert heard[360] < 1.0
    assert np.all(heard[:10] == 0.0)
    assert np.all(heard[410:] == 0.0)


def crossfade(clip: Samples, cross: int, rho: float) -> Samples:
    frames = len(clip) // 2
    events = [
        Event(0, 0, 0, 0, frames, 0, cross, 1.0, 0.0, rho),
        Event(frames - cross, 0, 0, frames, frames, cross, 0, 1.0, rho, 0.0),
    ]
    return Bank([clip]).run(events, whole(128, 2 * frames - cross))[:, 0]


def test_a_crossfade_of_the_same_signal_swells_or_dips() -> None:
    """At rho 1 the sum of two identical signals is constant within 1e-6."""
    heard = crossfade(np.full((8000, 2), 0.5, np.float32), 1500, 1.0)
    assert np.max(np.abs(heard - 0.5)) < 1e-6


def test_a_crossfade_of_noise_swells_or_dips() -> None:
    """At rho 0 the power of unrelated noises keeps within 0.15 dB in every tenth of the crossfade."""
    frames, cross = 240_000, 200_000
    heard = crossfade(noise(2 * frames, 5, 1.0), cross, 0.0)[frames - cross : frames].astype(np.float64)
    power_db = 10.0 * np.log10(np.mean(heard.reshape(10, -1) ** 2, axis=1))
    assert np.max(np.abs(power_db)) < 0.15


@settings(max_examples=60, deadline=None)
@given(rho=st.floats(0.0, 1.0), cross=st.integers(1, 600))
def test_both_sides_of_a_crossfade_lose_power(rho: float, cross: int) -> None:
    """a² + b² + 2 a b rho is 1 within 1e-5 at every frame of a crossfade of any length and rho."""
    ones = np.ones((cross, 2), np.float32)
    rising = Bank([ones]).run([Event(0, 0, 0, 0, cross, cross, 0, 1.0, rho, 0.0)], [cross])[:, 0]
    falling = Bank([ones]).run([Event(0, 0, 0, 0, cross, 0, cross, 1.0, 0.0, rho)], [cross])[:, 0]
    a, b = rising.astype(np.float64), falling.astype(np.float64)
    assert np.max(np.abs(a * a + b * b + 2.0 * a * b * rho - 1.0)) < 1e-5


BAD_EVENTS = {
    "a clip that was never loaded": Event(300, 0, 99, 0, 100, 0, 0),
    "a negative clip": Event(300, 0, -2, 0, 100, 0, 0),
    "a clip beyond the table": Event(300, 0, 1 << 40, 0, 100, 0, 0),
    "a negative offset": Event(300, 0, 3, -1, 100, 0, 0),
    "one frame more than the clip has": Event(300, 0, 3, 0, 701, 0, 0),
    "an offset that leaves too little": Event(300, 0, 3, 650, 51, 0, 0),
    "a track that is not in the bank": Event(300, TRACKS, 3, 0, 700, 0, 0),
    "a negative track": Event(300, -1, 3, 0, 700, 0, 0),
    "a track beyond the table": Event(300, 1 << 40, 3, 0, 700, 0, 0),
    "no frames": Event(300, 0, 3, 0, 0, 0, 0),
    "fewer than no frames": Event(300, 0, 3, 0, -50, 0, 0),
}


@pytest.mark.parametrize("bad", BAD_EVENTS.values(), ids=BAD_EVENTS.keys())
def test_a_bad_event_sounds_or_harms_another(bad: Event) -> None:
    """With the bad event among 60 good ones every byte is as without it, and it is gone at the end."""
    good = random_events(11)
    bank = Bank()
    among = sorted([*good, bad], key=lambda e: e.start_frame)
    assert bank.run(among, whole(128)).tobytes() == Bank().run(good, whole(128)).tobytes()
    bank.play(np.zeros((100_000, 2 * TRACKS), np.float32), END)
    assert bank.voices == 0
    assert bank.counts[DROPPED] == 0


def test_a_track_that_leaves_the_bank_goes_on_sounding() -> None:
    """Once a voice's track has no lane its frames are 0, and the other track's are untouched."""
    bank = Bank()
    events = [Event(0, 0, 4, 0, 2500, 0, 0), Event(0, 1, 4, 0, 2500, 0, 0)]
    bank.run(events, [128])
    bank.lanes_of[0] = -1
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 128)
    assert np.all(out[:, [0, TRACKS]] == 0.0)
    assert np.array_equal(out[:, [1, TRACKS + 1]], CLIPS[4][128:256])


def test_a_late_event_starts_over_or_is_not_counted() -> None:
    """Two of three events came late: from 240 frames after their entry on they are as in time; `late` is 2."""
    events = [
        Event(0, 0, 4, 0, 2500, 600, 0),
        Event(255, 1, 3, 0, 700, 0, 100),
        Event(256, 2, 3, 0, 700, 0, 0),
    ]
    bank = Bank()
    assert np.all(bank.run([], [128, 128]) == 0.0)
    for event in events:
        bank.queue.push(event)
    out = np.zeros((1024, 2 * TRACKS), np.float32)
    bank.play(out, 256)
    assert bank.counts[LATE] == 2
    in_time = Bank().run(events, [1280])[256:]
    assert out[ENTRY_FRAMES:].tobytes() == in_time[ENTRY_FRAMES:].tobytes()
    assert np.array_equal(out[:, [2, TRACKS + 2]], in_time[:, [2, TRACKS + 2]])
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ENTRY_FRAMES) + 0.5)[:, None] / ENTRY_FRAMES)
    assert np.max(np.abs(out[:ENTRY_FRAMES, :2] - rise * in_time[:ENTRY_FRAMES, :2])) < 1e-7


@pytest.mark.parametrize("quantum", [16, 100, 128, 1000])
def test_a_late_event_clicks_or_its_rise_hangs_on_the_quantum(quantum: int) -> None:
    """A constant clip entered 1000 frames late never steps by more than 1/152, in any quantum, and is full after."""
    ones = np.ones((5000, 2), np.float32)
    bank = Bank([ones])
    bank.queue.push(Event(0, 0, 0, 0, 5000, 0, 0))
    blocks = []
    for frame in range(1000, 2000, quantum):
        out = np.zeros((quantum, 2 * TRACKS), np.float32)
        bank.play(out, frame)
        blocks.append(out)
    heard = np.concatenate(blocks)[:, 0].astype(np.float64)
    assert np.max(np.diff(heard, prepend=0.0)) < 1.001 * np.pi / 2.0 / ENTRY_FRAMES
    assert np.all(np.diff(heard[:ENTRY_FRAMES]) > 0.0)
    assert np.all(heard[ENTRY_FRAMES:] == 1.0)


def test_a_late_event_with_little_left_is_cut_off_or_too_loud() -> None:
    """100 frames before its end, inside its own fade out, an event is the product of rise and fade."""
    event = Event(0, 0, 3, 0, 700, 0, 300)
    bank = Bank()
    bank.queue.push(event)
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 600)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(100) + 0.5) / ENTRY_FRAMES)
    assert np.max(np.abs(out[:100, 0] - rise * twin([event], 700)[600:, 0])) < 1e-7
    assert not out[100:].any()
    assert bank.voices == 0


def test_an_event_that_came_after_its_end_sounds() -> None:
    """An event that ended 1 frame before the quantum is silent, counted late, and holds no voice."""
    bank = Bank()
    bank.queue.push(Event(0, 0, 3, 0, 700, 0, 0))
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 700)
    assert np.all(out == 0.0)
    assert (bank.voices, bank.counts[SOUNDING], bank.counts[LATE]) == (0, 0, 1)


def test_a_full_voice_table_overflows_or_mutes_those_that_sound() -> None:
    """Of 10 events at once 4 voices play the first 4 and 6 are counted; a freed voice serves the next event."""
    events = [Event(5, i % TRACKS, 3, i, 600, 50, 50, 0.1 * i) for i in range(10)]
    bank = Bank(voices=4)
    heard = bank.run(events, [128])
    assert (bank.voices, bank.counts[DROPPED]) == (4, 6)
    assert heard.tobytes() == Bank().run(events[:4], [128]).tobytes()
    bank.play(np.zeros((1024, 2 * TRACKS), np.float32), 128)
    assert bank.voices == 0
    bank.queue.push(Event(1152, 1, 3, 0, 100, 0, 0))
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 1152)
    assert np.array_equal(out[:100, [1, TRACKS + 1]], CLIPS[3][:100])
    assert bank.counts[DROPPED] == 6


def test_a_full_table_loses_what_is_not_due_or_blocks_what_is() -> None:
    """With 2 voices taken until frame 300, one event waits in the queue and is heard, one is due and is dropped."""
    bank = Bank(voices=2)
    lasting = [Event(0, 0, 4, 0, 300, 0, 0), Event(0, 1, 4, 0, 300, 0, 0)]
    due, later = Event(130, 2, 3, 0, 100, 0, 0), Event(400, 2, 3, 0, 100, 0, 0)
    bank.run(lasting, [128])
    bank.queue.push(due)
    bank.queue.push(later)
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 128)
    assert bank.queue.counters.tolist() == [4, 3]
    assert (bank.voices, bank.counts[DROPPED]) == (2, 1)
    heard = [out.copy()]
    for frame in (256, 384):
        bank.play(out, frame)
        heard.append(out.copy())
    assert bank.queue.counters.tolist() == [4, 4]
    assert bank.counts[DROPPED] == 1
    assert bank.counts[LATE] == 0
    alone = Bank().run([*lasting, later], [128] * 4)[128:]
    assert np.concatenate(heard).tobytes() == alone.tobytes()


def test_an_event_that_is_over_takes_a_voice_from_another() -> None:
    """In a table of 1, full, an event that came after its end is late and not dropped."""
    bank = Bank(voices=1)
    bank.run([Event(0, 0, 4, 0, 2500, 0, 0)], [1024])
    bank.queue.push(Event(0, 1, 3, 0, 700, 0, 0))
    bank.play(np.zeros((128, 2 * TRACKS), np.float32), 1024)
    assert (bank.voices, bank.counts[DROPPED], bank.counts[LATE]) == (1, 0, 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 50),
    cuts=st.sets(st.integers(1, END - 1), max_size=20),
    order=st.randoms(use_true_random=False),
    lead=st.sampled_from([0, 1, 300, END]),
)
def test_the_order_of_arrival_changes_a_bit(seed: int, cuts: set[int], order: Random, lead: int) -> None:
    """Events shuffled, in time by any lead, in any partition into quanta, give the bytes of one sorted quantum."""
    # Only events of one track at one frame keep to the order in which they came.
    events = list({(e.start_frame, e.track): e for e in random_events(seed, 40)}.values())
    arrivals = list(events)
    order.shuffle(arrivals)
    moments = [order.randint(0, max(0, e.start_frame - lead)) for e in arrivals]
    edges = [0, *sorted(cuts), END]
    bank = Bank()
    blocks = []
    for begin, end in pairwise(edges):
        for event, moment in zip(arrivals, moments, strict=True):
            # Pushed before the quantum that holds the moment, so never late.
            if begin <= moment < end:
                assert bank.queue.push(event)
        block = np.zeros((end - begin, 2 * TRACKS), np.float32)
        bank.play(block, begin)
        blocks.append(block)
        table = list(zip(bank.column(START), bank.column(TRACK), strict=True))
        assert table == sorted(table)
    assert bank.counts[LATE] == 0
    assert np.concatenate(blocks).tobytes() == Bank().run(events, [END]).tobytes()


def test_events_alike_in_start_and_track_leave_the_order_of_arrival() -> None:
    """Of 5 with the same start and track, pushed among others, the table has the clips 0 to 4 in this order."""
    bank = Bank()
    for clip in range(5):
        bank.queue.push(Event(5000 - clip, 0, 0, 0, 1, 0, 0))
        bank.queue.push(Event(3000, 1, clip, 0, 1, 0, 0))
        bank.queue.push(Event(3000, clip % 2 * 2, 0, 0, 1, 0, 0))
    bank.play(np.zeros((128, 2 * TRACKS), np.float32), 0)
    bank.play(np.zeros((128, 2 * TRACKS), np.float32), 0)
    rows = list(zip(bank.column(START), bank.column(TRACK), bank.column(CLIP), strict=True))
    assert [clip for start, track, clip in rows if (start, track) == (3000, 1)] == [0, 1, 2, 3, 4]
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)


def test_an_event_behind_one_far_away_is_lost() -> None:
    """Pushed behind one for frame 96 000, one for frame 4800 is heard from frame 4800 on, and the first in its turn."""
    bank = Bank()
    first, second = Event(96_000, 0, 3, 0, 700, 0, 0), Event(4800, 1, 3, 0, 700, 0, 0)
    heard = bank.run([first, second], [128] * 800)
    assert np.flatnonzero(heard[:, 1]).tolist() == list(range(4800, 5500))
    assert np.flatnonzero(heard[:, 0]).tolist() == list(range(96_000, 96_700))
    assert (bank.counts[LATE], bank.counts[DROPPED]) == (0, 0)


def test_a_track_that_comes_later_has_lost_its_events() -> None:
    """An event of a track without a lane is silent; from the quantum with the lane on it is heard, in phase."""
    bank = Bank()
    bank.lanes_of[2] = -1
    assert not bank.run([Event(0, 2, 4, 0, 2500, 0, 0), Event(300, 2, 3, 0, 700, 0, 0)], [128]).any()
    assert (bank.voices, bank.counts[SOUNDING]) == (2, 1)
    bank.lanes_of[2] = 2
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 128)
    assert np.array_equal(out[:, [2, TRACKS + 2]], CLIPS[4][128:256])
    bank.play(out, 256)
    assert np.array_equal(out[44:, [2, TRACKS + 2]], CLIPS[4][300:384] + CLIPS[3][:84])
    assert bank.counts[LATE] == 0


def test_a_warm_up_takes_events_or_writes_the_counters() -> None:
    """A run at frame -2^62, takes nothing from the queue, not even what starts in it."""
    bank = Bank()
    never = -(2**62)
    bank.queue.push(Event(0, 0, 3, 0, 700, 0, 0))
    bank.queue.push(Event(never, 0, 3, 0, 700, 0, 0))
    bank.play(np.zeros((128, 2 * TRACKS), np.float32), never)
    assert bank.queue.counters.tolist() == [2, 0]
    assert bank.voices == bank.counts[LATE] == bank.counts[DROPPED] == 0


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(-500, 900),
    entry=st.integers(-600, 1500),
    lead=st.integers(1, 2000),
    cuts=st.sets(st.integers(-999, 1999), max_size=20),
)
def test_an_event_that_enters_in_its_middle_starts_over_or_is_late(
    start: int, entry: int, lead: int, cuts: set[int]
) -> None:
    """Heard from its entry on, where that is after its start with a rise of 240 frames; `late` is 0 if it came before.

    Pushed 1 to 2000 frames before it is to be heard, it has the bytes of one quantum in any partition.
    """
    event = Event(start, 1, 3, 0, 700, 90, 120, 0.8, 0.3, 0.6, entry)
    begin = max(start, entry)
    heard = []
    for partition in ([-1000, 2000], [-1000, *sorted(cuts), 2000]):
        bank = Bank()
        blocks = []
        pushed = False
        for frame, end in pairwise(partition):
            if not pushed and end > begin - lead:
                bank.queue.push(event)
                pushed = True
            out = np.zeros((end - frame, 2 * TRACKS), np.float32)
            bank.play(out, frame)
            blocks.append(out)
        heard.append(np.concatenate(blocks))
        assert bank.counts[LATE] == 0
        assert bank.voices == 0
    assert heard[0].tobytes() == heard[1].tobytes()
    truth = np.zeros((3000, 2 * TRACKS))
    truth[start + 1000 : start + 1700] = twin([event._replace(start_frame=0)], 700)
    truth[: begin + 1000] = 0.0
    if entry > start:
        rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ENTRY_FRAMES) + 0.5)[:, None] / ENTRY_FRAMES)
        truth[begin + 1000 : begin + 1000 + ENTRY_FRAMES] *= rise
    assert np.max(np.abs(heard[0] - truth)) < 1e-6


def test_an_event_that_came_after_its_entry_is_in_time() -> None:
    """Of entries at 255, 256 and 257 in the quantum from 256 on the first alone is late, and all rise."""
    ones = np.ones((5000, 2), np.float32)
    bank = Bank([ones])
    for track in range(TRACKS):
        bank.queue.push(Event(100, track, 0, 0, 5000, 0, 0, entry_frame=255 + track))
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 256)
    assert bank.counts[LATE] == 1
    assert bank.column(HEARD) == [256, 256, 257]
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(128) + 0.5) / ENTRY_FRAMES)
    assert np.max(np.abs(out[:, 1] - rise)) < 1e-6
    assert np.array_equal(out[:, 0], out[:, 1])
    assert np.array_equal(out[1:, 2], out[:-1, 1])
    assert out[0, 2] == 0.0


def test_an_event_that_waits_for_its_entry_is_counted_as_heard() -> None:
    """Started at 0 with entry 300, an event holds a voice in all quanta of 128 and sounds from the third on."""
    bank = Bank()
    bank.queue.push(Event(0, 1, 4, 0, 2500, 0, 0, entry_frame=300))
    sounding = []
    for frame in range(0, 512, 128):
        bank.play(np.zeros((128, 2 * TRACKS), np.float32), frame)
        sounding.append((int(bank.counts[SOUNDING]), bank.voices))
    assert sounding == [(0, 1), (0, 1), (1, 1), (1, 1)]


def test_an_event_that_may_wait_for_its_entry_is_dropped_from_a_full_table() -> None:
    """In a table of 1, full until 400, one that has started but enters at 600 waits in the queue, and is not late."""
    bank = Bank(voices=1)
    events = [Event(0, 0, 4, 0, 400, 0, 0), Event(0, 1, 4, 0, 2500, 0, 0, entry_frame=600)]
    heard = bank.run(events, whole(128))
    assert (bank.counts[LATE], bank.counts[DROPPED]) == (0, 0)
    assert np.flatnonzero(heard[:, 1]).tolist() == list(range(600, 2500))


def test_an_event_in_time_rises_where_it_enters() -> None:
    """The frame of entry is the start for an event in time, and the frame of the quantum for a late one."""
    bank = Bank()
    for start in (1023, 1024, 1100, 9000):
        bank.queue.push(Event(start, 0, 4, 0, 2500, 0, 0))
    bank.play(np.zeros((128, 2 * TRACKS), np.float32), 1024)
    assert bank.column(HEARD) == [1024, 1024, 1100, 9000]


def test_a_full_queue_loses_events() -> None:
    """4096 events go in, the next is refused; after they are played it goes in, and each has sounded once."""
    ones = np.ones((1, 2), np.float32)
    bank = Bank([ones])
    for i in range(QUEUE_CAPACITY):
        assert bank.queue.push(Event(i, 0, 0, 0, 1, 0, 0))
    assert bank.queue.free == 0
    assert not bank.queue.push(Event(QUEUE_CAPACITY, 0, 0, 0, 1, 0, 0))
    out = np.zeros((QUEUE_CAPACITY, 2 * TRACKS), np.float32)
    bank.play(out, 0)
    assert np.all(out[:, [0, TRACKS]] == 1.0)
    assert bank.queue.push(Event(QUEUE_CAPACITY, 0, 0, 0, 1, 0, 0))
    bank.play(out[:16], QUEUE_CAPACITY)
    assert out[0, 0] == 1.0
    assert np.all(out[1:16] == 0.0)


def test_the_queue_forgets_or_repeats_events_where_it_wraps() -> None:
    """10 001 events, more than twice round the queue of 4096, each sound on their own frame with their own gain."""
    count = 10_001
    ones = np.ones((1, 2), np.float32)
    events = (Event(3 * i, 0, 0, 0, 1, 0, 0, float(i + 1)) for i in range(count))
    heard = Bank([ones]).run(events, [600] * (3 * count // 600 + 1), ahead=9000)[:, 0]
    assert np.array_equal(heard[: 3 * count : 3], np.arange(1, count + 1))
    assert np.count_nonzero(heard) == count


def test_an_event_starts_in_the_wrong_quantum() -> None:
    """Events at frames 127 and 128 start there, on either side of a border; one at 2^40 waits in the table."""
    events = [Event(127, 0, 3, 0, 10, 0, 0), Event(128, 1, 3, 0, 10, 0, 0), Event(1 << 40, 2, 3, 0, 10, 0, 0)]
    bank = Bank()
    first = bank.run(events, [128])
    assert np.flatnonzero(first[:, 0]).tolist() == [127]
    assert bank.queue.counters.tolist() == [3, 3]
    assert (bank.voices, bank.counts[SOUNDING]) == (3, 1)
    second = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(second, 128)
    assert np.flatnonzero(second[:, 0]).tolist() == list(range(9))
    assert np.flatnonzero(second[:, 1]).tolist() == list(range(10))
    assert (bank.voices, bank.counts[SOUNDING]) == (1, 2)
    bank.play(second, 256)
    assert (bank.voices, bank.counts[SOUNDING]) == (1, 0)


def test_a_voice_is_held_beyond_its_last_frame() -> None:
    """An event of 700 frames holds its voice until the quantum that plays frame 699 is over, and no longer."""
    bank = Bank()
    bank.run([Event(0, 0, 3, 0, 700, 0, 0)], [699])
    assert bank.voices == 1
    bank.play(np.zeros((1, 2 * TRACKS), np.float32), 699)
    assert bank.voices == 0


def test_frames_run_out_after_years() -> None:
    """At frame 2^40 the events of frame 0 sound bit for bit the same."""
    late = 1 << 40
    events = random_events(3, 20, 1000)
    bank = Bank()
    for event in events:
        bank.queue.push(event._replace(start_frame=event.start_frame + late))
    out = np.zeros((4096, 2 * TRACKS), np.float32)
    bank.play(out, late)
    assert out.tobytes() == Bank().run(events, [4096]).tobytes()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 50), at=st.integers(0, 40), more=st.integers(0, 30))
def test_a_table_that_is_taken_over_loses_voices_or_its_places(seed: int, at: int, more: int) -> None:
    """Taken over by one of 0 to 30 places more amid 40 events, the bytes go on; the places are each there once."""
    events = random_events(seed, 40)
    bank = Bank(voices=40)
    for event in events:
        bank.queue.push(event)
    blocks = []
    for i, frame in enumerate(range(0, 6000, 150)):
        if i == at:
            bank.table, old = VoiceTable(40 + more), bank.table
            bank.table.take_over(old)
            bank.counts = bank.table.counts
        block = np.zeros((150, 2 * TRACKS), np.float32)
        bank.play(block, frame)
        blocks.append(block)
        table = bank.table
        rows = [row for i in (PLAYING, WAITING, FREE) for row in table.order[i, : table.counts[i]].tolist()]
        assert sorted(rows) == list(range(len(table)))
    assert np.concatenate(blocks).tobytes() == Bank().run(events, [END]).tobytes()
    table.clear()
    assert sorted(table.order[FREE].tolist()) == list(range(len(table)))
    assert table.counts.tolist() == [0, 0, len(table), 0, 0, 0, 0]


def players(node: Players, queues: tuple[EventQueue, ...], store: ClipStore) -> Processor:
    params, meters = ParamTable.of([("node", node.params)]), MeterTable.of([("node", node.meters)])
    maps = params.slot_map, params.memory, meters.slot_map, meters.memory
    return node.build(BuildContext("node", StreamSpec(48_000, 128), store, queues, InputRing(), *maps))


def test_players_read_the_queue_of_another_deck_or_adopt_its_voices() -> None:
    """Those of queue 1 play what is in it, go on with tracks added, and refuse those of queue 0 or of fewer voices."""
    store = ClipStore()
    store.add(0, CLIPS[3])
    queues = EventQueue(), EventQueue()
    event = Event(0, 1, 0, 0, 700, 0, 0)
    queues[1].push(event)
    out, more = np.zeros((128, 4), np.float32), np.zeros((128, 6), np.float32)
    mute, heard = (players(Players((0, 1), queue), queues, store) for queue in (0, 1))
    mute.process((), (out,), 0)
    assert not out.any()
    heard.process((), (out,), 0)
    assert np.array_equal(out[:, [1, 3]], CLIPS[3][:128])
    heard.heal(0, np.array([False, True, False, True]))
    new = players(Players((0, 1, 2), 1), queues, store)
    assert new.can_adopt(heard)
    assert not new.can_adopt(mute)
    assert not players(Players((0, 1), 1, voices=64), queues, store).can_adopt(heard)
    assert not new.may_run_twice
    new.adopt(heard)
    new.process((), (more,), 128)
    assert np.array_equal(more[:, [1, 4]], CLIPS[3][128:256])


def test_playing_allocates() -> None:
    """200 quanta with starts, ends and fades leave a peak below one block's 3072 bytes."""
    bank = Bank()
    for event in random_events(5, 200, 200 * 128):
        bank.queue.push(event)
    out = np.zeros((128, 2 * TRACKS), np.float32)
    bank.play(out, 0)
    tracemalloc.start()
    try:
        for frame in range(128, 200 * 128, 128):
            bank.play(out, frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out.nbytes == 3072
    assert peak < out.nbytes
