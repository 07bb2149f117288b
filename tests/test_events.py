"""The queue between the side that draws events and the side that plays them."""

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsp import playback
from engine.clips import CLIP_CAPACITY, ClipStore
from engine.errors import SoundError
from engine.events import (
    ALL_TRACKS,
    CUT,
    EVENT_FLOATS,
    EVENT_INTS,
    QUEUE_BYTES,
    QUEUE_CAPACITY,
    Event,
    EventQueue,
    cut,
)


def event(number: int) -> Event:
    """An event of which every value is another one."""
    *ints, entry = (number * 10 + i for i in range(EVENT_INTS))
    *floats, balance = (number + i / 4 for i in range(EVENT_FLOATS))
    return Event._make([*ints, *floats, entry, balance])


def read(queue: EventQueue) -> Event:
    """Take the oldest event as the players do."""
    row = int(queue.counters[1]) % QUEUE_CAPACITY
    *ints, entry = queue.ints[row].tolist()
    *floats, balance = queue.floats[row].tolist()
    got = Event._make([*ints, *floats, entry, balance])
    queue.counters[1] += 1
    return got


@settings(max_examples=15, deadline=None)
@given(turns=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=8))
def test_the_queue_loses_reorders_or_garbles_an_event(turns: list[tuple[int, int]]) -> None:
    """Over up to 24 000 pushes and reads, many times round 4096 rows, it equals a list of at most 4096."""
    queue, twin = EventQueue(), deque[Event]()
    number = 0
    for pushes, reads in turns:
        for _ in range(pushes):
            number += 1
            accepted = queue.push(event(number))
            assert accepted == (len(twin) < QUEUE_CAPACITY)
            if accepted:
                twin.append(event(number))
        for _ in range(min(reads, len(twin))):
            assert read(queue) == twin.popleft()
        assert queue.free == QUEUE_CAPACITY - len(twin)


def test_the_counters_overflow_on_a_long_night() -> None:
    """After 2^40 events, an odd number of rounds plus 4095, the next 4096 still come out in order."""
    queue = EventQueue()
    queue.counters[:] = 2**40 + 4095
    for number in range(QUEUE_CAPACITY):
        assert queue.push(event(number))
    assert not queue.push(event(0))
    assert [read(queue) for _ in range(QUEUE_CAPACITY)] == [event(n) for n in range(QUEUE_CAPACITY)]


def test_two_sides_over_one_memory_see_different_queues() -> None:
    """What one side pushes into the shared 393 232 bytes the other reads, and its place comes back."""
    memory = np.zeros(QUEUE_BYTES + 64, np.uint8)
    memory[QUEUE_BYTES:] = 77
    writer, reader = EventQueue(memory), EventQueue(memory)
    for number in range(QUEUE_CAPACITY):
        writer.push(event(number))
    assert [read(reader) for _ in range(3)] == [event(0), event(1), event(2)]
    assert writer.free == 3
    assert np.all(memory[QUEUE_BYTES:] == 77)
    assert QUEUE_BYTES == 393_232


def test_a_reader_elsewhere_sees_the_counter_before_the_event() -> None:
    """When the order is called for, the row holds event n and the counter still says n; once for each of 4096."""
    seen: list[tuple[int, int, float]] = []

    def order() -> None:
        written = int(queue.counters[0])
        seen.append(
            (written, queue.ints[written % QUEUE_CAPACITY, 0], queue.floats[written % QUEUE_CAPACITY, 0])
        )

    queue = EventQueue(order=order)
    for number in range(QUEUE_CAPACITY):
        queue.push(event(number))
    assert not queue.push(event(0))
    assert seen == [(number, 10 * number, number) for number in range(QUEUE_CAPACITY)]


def test_a_queue_that_is_cleared_keeps_or_loses_events() -> None:
    """After 5000 pushes and 4000 reads and a clear, nothing is read, and 4096 go in and come out again."""
    queue = EventQueue()
    for number in range(5000):
        assert queue.push(event(number))
        if number >= 1000:
            read(queue)
    queue.clear()
    assert queue.counters.tolist() == [0, 0]
    for number in range(QUEUE_CAPACITY):
        assert queue.push(event(number))
    assert not queue.push(event(0))
    assert [read(queue) for _ in range(QUEUE_CAPACITY)] == [event(n) for n in range(QUEUE_CAPACITY)]


def test_an_event_enters_later_than_it_starts_without_being_told_to() -> None:
    """The default entry is before frame -2^61, the first of all, and goes through the queue as it is."""
    queue = EventQueue()
    queue.push(Event(5, 1, 2, 0, 10, 0, 0))
    assert read(queue).entry_frame < -(2**61)


def test_a_cut_is_another_one_for_the_players() -> None:
    """The two sides have the same numbers for a cut and for all tracks, and it says them in their columns."""
    assert (CUT, ALL_TRACKS) == (playback.CUT, playback.ALL_TRACKS)
    queue = EventQueue()
    queue.push(cut(700, ALL_TRACKS, 480))
    row = queue.ints[0]
    assert row[[playback.START, playback.TRACK, playback.CLIP, playback.FRAMES]].tolist() == [
        700,
        -1,
        -1,
        480,
    ]


def test_a_bad_clip_is_taken_and_read_by_its_address() -> None:
    """Clips that are not contiguous float32 stereo, or out of the 4096 numbers, are refused and leave nothing."""
    store = ClipStore()
    stereo = np.zeros((10, 2), np.float32)
    strided = stereo[:, :1], stereo[::2], np.asfortranarray(stereo), stereo[:, 0]
    shapes: list[Any] = [stereo.astype(np.float64), *strided]
    for bad in shapes:
        with pytest.raises(ValueError, match="a clip"):
            store.add(0, bad)
    for number in (-1, CLIP_CAPACITY):
        with pytest.raises(SoundError, match="more than 4096 sounds"):
            store.add(number, stereo)
    assert len(store) == 0
    assert not store.frames.any()
    assert not store.addresses.any()


def test_a_clip_is_freed_while_it_is_addressed() -> None:
    """The store alone keeps a clip's memory alive, until it is removed; then it has 0 frames."""
    import gc
    import weakref

    store = ClipStore()
    samples = np.ones((10, 2), np.float32)
    alive = weakref.ref(samples)
    store.add(5, samples)
    assert store.addresses[5] == samples.ctypes.data
    del samples
    gc.collect()
    assert alive() is not None
    store.remove(5)
    gc.collect()
    assert alive() is None
    assert (store.frames[5], store.addresses[5], len(store)) == (0, 0, 0)
    store.remove(5)
