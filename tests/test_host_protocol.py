import os

import numpy as np
import pytest

from engine.host.framing import Decoder, Inbox, write_all
from engine.host.protocol import Open, decode, encode
from engine.messages import Load, Quit, Start, Stop
from engine.spec import StreamSpec

MESSAGES = [Open("memory", StreamSpec()), Load(()), Start(), Stop(480, 12_800), Quit()]


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 100_000])
def test_messages_survive_whatever_pieces_the_pipe_cuts_them_into(piece_bytes: int) -> None:
    stream = b"".join(map(encode, MESSAGES))
    decoder = Decoder()
    received = []
    for begin in range(0, len(stream), piece_bytes):
        received += [decode(body) for body in decoder.feed(stream[begin : begin + piece_bytes])]
    assert received == MESSAGES


def test_a_message_that_cannot_be_read_does_not_take_the_next_one_with_it() -> None:
    broken = b"\x04" + bytes(7) + b"\xff\xff\xff\xff"
    bodies = Decoder().feed(broken + encode(Quit()))
    with pytest.raises(Exception, match="invalid load key"):
        decode(bodies[0])
    assert decode(bodies[1]) == Quit()


def test_an_inbox_is_closed_when_its_writer_is_gone_and_wakes_when_asked() -> None:
    source, target = os.pipe()
    inbox = Inbox(source)
    samples = np.arange(1000)
    write_all(target, encode(samples))
    np.testing.assert_array_equal(decode(inbox.wait(1.0)[0]), samples)
    inbox.wake()
    assert inbox.wait(None) == []
    assert inbox.wait(0.01) == []
    assert not inbox.closed
    os.close(target)
    assert inbox.wait(None) == []
    assert inbox.closed
    os.close(source)
