"""The parser of MIDI bytes: what is lost, split, invented, or brings it to a halt."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.midi.messages import CLOCK, Message, MessageParser

TWO_BYTES = st.builds(
    Message,
    st.sampled_from([*range(0x80, 0xC0), *range(0xE0, 0xF0)]),
    st.integers(0, 127),
    st.integers(0, 127),
)
ONE_BYTE = st.builds(Message, st.integers(0xC0, 0xDF), st.integers(0, 127), st.just(0))


def as_bytes(message: Message) -> bytes:
    length = 2 if 0xC0 <= message.status < 0xE0 else 3
    return bytes(message[:length])


def parsed(*chunks: bytes) -> tuple[list[Message], int]:
    parser = MessageParser()
    found = [message for chunk in chunks for message in parser.feed(chunk)]
    return found, parser.malformed


@settings(max_examples=200, deadline=None)
@given(messages=st.lists(TWO_BYTES | ONE_BYTE, max_size=20), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_a_cut_between_bytes_loses_a_message(messages: list[Message], cuts: list[int]) -> None:
    """However a stream is cut into pieces, the messages are the same, in order, and none is malformed."""
    stream = b"".join(map(as_bytes, messages))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert parsed(*pieces) == (messages, 0)


@settings(max_examples=200, deadline=None)
@given(
    status=st.sampled_from([*range(0x80, 0xF0)]),
    pairs=st.lists(st.tuples(st.integers(0, 127), st.integers(0, 127)), min_size=1, max_size=9),
    noise=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from([0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF])), max_size=6
    ),
)
def test_running_status_is_broken_by_real_time_bytes(
    status: int, pairs: list[tuple[int, int]], noise: list[tuple[int, int]]
) -> None:
    """The status is sent once, real-time bytes stand anywhere: every message arrives, and every real-time byte."""
    one = 0xC0 <= status < 0xE0
    expected = [Message(status, a, 0 if one else b) for a, b in pairs]
    stream = [status, *(byte for a, b in pairs for byte in ((a,) if one else (a, b)))]
    for place, byte in noise:
        stream.insert(place, byte)
    found, malformed = parsed(bytes(stream))
    assert [m for m in found if m.status < CLOCK] == expected
    assert sorted(m.status for m in found if m.status >= CLOCK) == sorted(byte for _, byte in noise)
    assert malformed == 0


@pytest.mark.parametrize("end", [b"\xf7", b""], ids=["ended", "cut by the next status"])
@pytest.mark.parametrize("length", [0, 1, 8193, 1 << 20])
def test_system_exclusive_is_taken_for_something_else(length: int, end: bytes) -> None:
    """Of any length, in pieces, with a clock inside: only the clock and the message behind it are heard."""
    body = bytes(i % 128 for i in range(length))
    chunks = [b"\xf0", body[: length // 2], b"\xf8", body[length // 2 :], end, b"\xb0\x07\x40"]
    assert parsed(*chunks) == ([Message(0xF8), Message(0xB0, 7, 64)], 0)


def test_system_exclusive_leaves_a_running_status() -> None:
    """After it, data bytes belong to nothing: they are counted, not added to the message before."""
    assert parsed(b"\xb0\x07\x40\xf0\x01\xf7\x07\x41") == ([Message(0xB0, 7, 64)], 2)


@pytest.mark.parametrize(
    ("stream", "malformed"),
    [
        (b"\x40\x41", 2),
        (b"\xb0\xb0", 1),
        (b"\xb0\x07\xb0", 1),
        (b"\xf4\x01\xf5", 3),
        (b"\xf7", 1),
        (b"\xf9\xfd", 2),
        (b"\xf2\x01\xf6", 1),
        (b"\xf1\x01\x02", 1),
    ],
)
def test_garbage_is_not_counted_or_spoils_what_follows(stream: bytes, malformed: int) -> None:
    parser = MessageParser()
    parser.feed(stream)
    begun = stream[-1] == 0xB0
    assert parser.malformed == malformed
    assert parser.feed(b"\x91\x3c\x64") == [Message(0x91, 60, 100)]
    assert parser.malformed == malformed + begun


def test_a_million_random_bytes_stop_the_parser() -> None:
    """No exception, no state it cannot leave: after every thousand bytes a whole message is understood."""
    generator = random.Random(8)
    parser = MessageParser()
    for _ in range(1000):
        for message in parser.feed(generator.randbytes(1000)):
            assert message.data1 < 128
            assert message.data2 < 128
        assert parser.feed(b"\xb5\x4a\x11") == [Message(0xB5, 74, 17)]
    assert parser.malformed > 0


def test_a_long_piece_is_read_otherwise_than_its_bytes() -> None:
    """Random bytes with much System Exclusive, in pieces and one by one: the same messages, the same count."""
    generator = random.Random(9)
    whole, single = MessageParser(), MessageParser()
    for _ in range(300):
        piece = b"".join(
            generator.choice(
                (
                    b"\xf0",
                    b"\xf7",
                    b"\xf8",
                    b"\xb0\x07\x40",
                    generator.randbytes(3),
                    bytes(generator.randrange(90)),
                )
            )
            for _ in range(20)
        )
        assert whole.feed(piece) == [message for byte in piece for message in single.feed(bytes((byte,)))]
    assert whole.malformed == single.malformed


def test_channels_are_counted_from_nought() -> None:
    assert Message(0xB0, 7, 1).channel == 1
    assert Message(0xBF, 7, 1).channel == 16
    assert Message(0xFA).channel == 0
    assert Message(0xEF, 0, 64).kind == 0xE0
