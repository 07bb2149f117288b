"""The tempo of a MIDI clock that jitters, loses ticks, stops, or changes."""

import math
import random

import pytest

from engine.control.midi.clock import TICKS_PER_BEAT, TIMEOUT_S, ClockFollower
from engine.control.midi.messages import CLOCK, CONTINUE, START, STOP

JITTER_S = 0.002


class Clock:
    """Sends ticks to a follower, each up to `jitter_s` early or late."""

    def __init__(self, seed: int = 0, jitter_s: float = JITTER_S) -> None:
        self.follower, self.now_s = ClockFollower(), 50.0
        self.jitter_s, self.generator = jitter_s, random.Random(seed)

    def beats(self, bpm: float, beats: float, lose: float = 0.0) -> None:
        for _ in range(round(beats * TICKS_PER_BEAT)):
            self.now_s += 60.0 / bpm / TICKS_PER_BEAT
            late_s = self.generator.uniform(-self.jitter_s, self.jitter_s)
            if self.generator.random() >= lose:
                self.follower.take(CLOCK, self.now_s + late_s)

    @property
    def bpm(self) -> float:
        found = self.follower.tempo_bpm(self.now_s)
        assert found is not None
        return found


@pytest.mark.parametrize("bpm", [30.0, 60.0, 97.3, 120.0, 180.0, 240.0, 300.0])
@pytest.mark.parametrize(("beats", "percent"), [(2, 0.2), (4, 0.08), (16, 0.08)])
def test_jitter_bends_the_tempo(bpm: float, beats: int, percent: float) -> None:
    """Ticks up to 2 ms early or late: at 120 BPM within 0.2 % after two beats and 0.08 % after four."""
    for seed in range(40):
        clock = Clock(seed)
        clock.beats(bpm, beats)
        assert clock.bpm == pytest.approx(bpm, rel=percent / 100 * max(1.0, bpm / 120))


def test_a_steady_clock_is_not_exact() -> None:
    clock = Clock(jitter_s=0.0)
    clock.beats(120.0, 2)
    assert clock.bpm == pytest.approx(120.0, rel=1e-9)


@pytest.mark.parametrize("bpm", [60.0, 120.0, 240.0])
def test_lost_ticks_slow_the_tempo(bpm: float) -> None:
    """Every twentieth tick is lost: as exact as before, and the beats are still counted."""
    for seed in range(20):
        clock = Clock(seed)
        clock.follower.take(START, clock.now_s)
        clock.beats(bpm, 1)
        clock.beats(bpm, 15, lose=0.05)
        clock.beats(bpm, 1)
        assert clock.bpm == pytest.approx(bpm, rel=0.002 * max(1.0, bpm / 120))
        assert clock.follower.ticks == 17 * TICKS_PER_BEAT


@pytest.mark.parametrize(("before", "after"), [(120, 60), (60, 120), (120, 124), (120, 240), (140, 33)])
def test_a_change_of_tempo_is_not_followed(before: float, after: float) -> None:
    """A beat and a half after a jump the new tempo is met within 3 %, after five beats as exactly as any."""
    for seed in range(20):
        clock = Clock(seed)
        clock.beats(before, 6)
        clock.beats(after, 1.5)
        assert clock.bpm == pytest.approx(after, rel=0.03 * max(1.0, after / 120))
        clock.beats(after, 3.5)
        assert clock.bpm == pytest.approx(after, rel=0.002 * max(1.0, after / 120))


def test_a_clock_that_dropped_out_still_has_a_tempo() -> None:
    """None after half a second; when it comes back, the pause is not part of the tempo."""
    clock = Clock(jitter_s=0.0)
    assert clock.follower.tempo_bpm(clock.now_s) is None
    clock.beats(120.0, 3)
    assert clock.follower.tempo_bpm(clock.now_s + TIMEOUT_S * 0.9) == pytest.approx(120.0)
    assert clock.follower.tempo_bpm(clock.now_s + TIMEOUT_S * 1.1) is None
    clock.now_s += 7.0
    clock.beats(90.0, 1)
    assert clock.bpm == pytest.approx(90.0, rel=1e-9)


def test_one_tick_or_a_burst_makes_a_tempo() -> None:
    """A few ticks give none, nor do a hundred at one moment; a real clock afterwards does."""
    clock = Clock(jitter_s=0.0)
    clock.beats(120.0, 5 / 24)
    assert clock.follower.tempo_bpm(clock.now_s) is None
    clock = Clock(jitter_s=0.0)
    for _ in range(100):
        clock.follower.take(CLOCK, clock.now_s)
    assert clock.follower.tempo_bpm(clock.now_s) is None
    clock.beats(120.0, 6)
    assert clock.bpm == pytest.approx(120.0, rel=0.001)


def test_start_and_continue_count_from_the_same_place() -> None:
    clock = Clock()
    clock.beats(120.0, 1)
    assert (clock.follower.running, clock.follower.ticks) == (False, 0)
    clock.follower.take(START, clock.now_s)
    clock.beats(120.0, 2)
    clock.follower.take(STOP, clock.now_s)
    clock.beats(120.0, 1)
    assert (clock.follower.running, clock.follower.ticks) == (False, 48)
    clock.follower.take(CONTINUE, clock.now_s)
    clock.beats(120.0, 1)
    assert (clock.follower.running, clock.follower.ticks) == (True, 72)
    clock.follower.take(START, clock.now_s)
    assert clock.follower.ticks == 0


def test_random_statuses_and_times_raise() -> None:
    generator = random.Random(5)
    follower, now_s = ClockFollower(), 0.0
    for _ in range(20_000):
        now_s += generator.choice((0.0, 1e-9, 0.001, 0.02, 0.4, 3.0))
        follower.take(generator.randrange(256) if generator.random() < 0.2 else CLOCK, now_s)
        tempo = follower.tempo_bpm(now_s)
        assert tempo is None or tempo > 0.0


@pytest.mark.parametrize("bpm", [60.0, 97.3, 120.0, 180.0, 240.0])
def test_jitter_moves_the_place(bpm: float) -> None:
    """Ticks up to 2 ms early or late: after one beat the place is met within 1.2 ms at any moment between ticks."""
    worst_s = 0.0
    for seed in range(20):
        clock = Clock(seed)
        clock.beats(bpm, 1)
        clock.follower.take(START, clock.now_s + 0.004)
        first_s = clock.now_s + 60.0 / bpm / TICKS_PER_BEAT
        for _ in range(10 * TICKS_PER_BEAT):
            clock.beats(bpm, 1 / TICKS_PER_BEAT)
            now_s = clock.now_s + clock.generator.uniform(0.003, 0.008)
            place = clock.follower.place(now_s)
            assert place is not None
            worst_s = max(worst_s, abs(place[1] * 60.0 / bpm - (now_s - first_s)))
    assert worst_s < 0.0012


@pytest.mark.parametrize(("before", "after"), [(120.0, 126.0), (126.0, 120.0), (120.0, 122.0), (90.0, 180.0)])
def test_the_place_is_lost_when_the_tempo_changes(before: float, after: float) -> None:
    """Within 10 ms while it changes by a few BPM, 35 ms where it doubles, and 1 ms from five beats later on."""
    for seed in range(20):
        clock = Clock(seed)
        clock.follower.take(START, clock.now_s)
        first_s = clock.now_s + 60.0 / before / TICKS_PER_BEAT
        clock.beats(before, 8)
        turn_s = clock.now_s - first_s
        for tick in range(12 * TICKS_PER_BEAT):
            clock.beats(after, 1 / TICKS_PER_BEAT)
            place = clock.follower.place(clock.now_s + 0.003)
            assert place is not None
            wanted = turn_s * before / 60.0 + (clock.now_s + 0.003 - first_s - turn_s) * after / 60.0
            changing_s = 0.035 if after == 2.0 * before else 0.010
            limit_s = 0.001 if tick > 5 * TICKS_PER_BEAT else changing_s
            assert abs(place[1] - wanted) * 60.0 / after < limit_s


def test_the_first_tick_after_a_start_is_not_the_beginning() -> None:
    """It is place 0 with a clock that runs all the time, and with one that begins to send then, sooner or later."""
    for gap_s in (0.0, 0.3, 4.0):
        clock = Clock(jitter_s=0.0)
        clock.beats(120.0, 4)
        clock.now_s += gap_s
        clock.follower.take(START, clock.now_s)
        early = clock.follower.place(clock.now_s)
        assert early is None or -0.05 < early[1] <= 0.0
        clock.beats(120.0, 1 / TICKS_PER_BEAT)
        place = clock.follower.place(clock.now_s)
        assert place == pytest.approx((120.0, 0.0), abs=1e-6)
        clock.beats(120.0, 2)
        place = clock.follower.place(clock.now_s)
        assert place == pytest.approx((120.0, 2.0), abs=1e-6)


def test_a_clock_that_does_not_run_has_a_place() -> None:
    """None before a start, after a stop and half a second after the last tick; a song position is where it goes on."""
    clock = Clock(jitter_s=0.0)
    clock.beats(120.0, 4)
    assert clock.follower.place(clock.now_s) is None
    clock.follower.take(START, clock.now_s)
    clock.beats(120.0, 1)
    assert clock.follower.place(clock.now_s) is not None
    assert clock.follower.place(clock.now_s + TIMEOUT_S * 1.1) is None
    clock.follower.locate(99)
    clock.follower.take(STOP, clock.now_s)
    assert clock.follower.place(clock.now_s) is None
    clock.follower.locate(16)
    clock.follower.take(CONTINUE, clock.now_s)
    clock.beats(120.0, 1)
    assert clock.follower.place(clock.now_s) == pytest.approx((120.0, 4 + 23 / 24), abs=1e-6)


def test_random_messages_break_the_place() -> None:
    generator = random.Random(6)
    follower, now_s = ClockFollower(), 0.0
    for _ in range(20_000):
        now_s += generator.choice((0.0, 1e-9, 0.001, 0.02, 0.4, 3.0))
        follower.take(generator.choice((CLOCK, CLOCK, CLOCK, CLOCK, START, STOP, CONTINUE)), now_s)
        place = follower.place(now_s)
        assert place is None or (place[0] > 0.0 and math.isfinite(place[1]))
