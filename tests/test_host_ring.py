from typing import Any

import numpy as np
import pytest

from engine.host.callback import HEARTBEAT, READ, RING_FRAMES, WRITTEN
from engine.host.ring import RingTap, RingWriter
from engine.host.session import Session
from engine.spec import QUANTA_FRAMES


def numbered(first: int, frames: int) -> np.ndarray:
    """Frames that carry their own number, exact in float32 far beyond the ring."""
    return np.repeat(np.arange(first, first + frames, dtype=np.float32)[:, None], 2, 1)


@pytest.mark.parametrize("first_frame", [0, 3 * RING_FRAMES - 1000])
def test_recording_tap_misses_nothing_and_reads_nothing_twice_across_the_wrap(first_frame: int) -> None:
    random = np.random.default_rng(2)
    with Session.create(first_frame).segment as segment:
        session = Session(segment)
        writer, tap = RingWriter(session), RingTap(session, first_frame)
        pieces = []
        total = 0
        while total < 2 * RING_FRAMES:
            for _ in range(int(random.integers(0, 400))):
                writer.write(numbered(total, 128))
                total += 128
            pieces.append(tap.read())
        recorded = np.concatenate([*pieces, tap.read()])
        assert tap.lost_frames == 0
        np.testing.assert_array_equal(recorded, numbered(0, total))


def test_a_tap_that_lags_too_far_says_how_much_it_lost_and_goes_on() -> None:
    session = Session.create()
    writer, tap = RingWriter(session), RingTap(session, 0)
    total = 0
    while total < RING_FRAMES + 1280:
        writer.write(numbered(total, 128))
        total += 128
    recorded = tap.read()
    assert tap.lost_frames == total - len(recorded) == total + QUANTA_FRAMES[1] - RING_FRAMES
    np.testing.assert_array_equal(recorded, numbered(tap.lost_frames, len(recorded)))
    writer.write(numbered(total, 128))
    np.testing.assert_array_equal(tap.read(), numbered(total, 128))
    session.close()


def test_what_a_new_engine_skips_is_silence_to_a_recorder() -> None:
    session = Session.create()
    writer, tap = RingWriter(session), RingTap(session, 0)
    session.ring.fill(9.0)
    writer.write(np.ones((128, 2), np.float32))
    session.begin(1000)
    RingWriter(session).write(np.full((128, 2), 2.0, np.float32))
    recorded = tap.read()
    assert len(recorded) == 1128
    assert (recorded[:128] == 1.0).all()
    assert not recorded[128:1000].any()
    assert (recorded[1000:] == 2.0).all()
    session.close()


class Watched(np.ndarray):
    """Counters that note how far written and read stand after every store."""

    seen: list[tuple[int, int]]

    def __setitem__(self, at: Any, value: Any) -> None:
        super().__setitem__(at, value)
        self.seen.append((int(self[WRITTEN]), int(self[READ])))

    def fill(self, value: Any) -> None:
        self[:] = value


def test_a_reader_sees_the_beginning_of_all_while_a_new_engine_begins() -> None:
    """From 640 written, 512 read to 5000: each counter is either of its two values all the time, never 0."""
    session = Session.create(512)
    RingWriter(session).write(np.zeros((128, 2), np.float32))
    session.counters[HEARTBEAT] = 7
    counters = session.counters.view(Watched)
    counters.seen = []
    session.counters = counters
    session.begin(5000)
    assert {written for written, _ in counters.seen} == {640, 5000}
    assert {read for _, read in counters.seen} == {512, 5000}
    assert counters.seen[-1] == (5000, 5000)
    assert int(counters[HEARTBEAT]) == 0
    session.close()


def test_waiting_frames_follow_writer_and_reader() -> None:
    session = Session.create(640)
    writer = RingWriter(session)
    writer.write(np.zeros((128, 2), np.float32))
    writer.write(np.zeros((128, 2), np.float32))
    assert int(session.counters[WRITTEN]) == 896
    session.counters[READ] += 100
    assert writer.waiting_frames == 156
    session.close()
