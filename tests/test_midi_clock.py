"""The tempo of a MIDI clock that jitters, loses ticks, stops, or changes."""

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
