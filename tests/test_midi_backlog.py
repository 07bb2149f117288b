"""MIDI messages that wait: memory is bounded, and who takes in what is left ends up the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.control.midi.backlog import Backlog, Message, thinned

PORTS = st.sampled_from(["a", "b"])
VALUES = st.integers(0, 2)
CONTROLS = st.builds(
    lambda channel, control, value: bytes((0xB0 | channel, control, value)),
    st.integers(0, 1),
    st.sampled_from([0, 1, 32, 6, 38, 98, 99, 100, 101]),
    VALUES,
)
OTHERS = st.one_of(
    st.builds(
        lambda status, key, value: bytes((status, key, value)),
        st.sampled_from([0x80, 0x90, 0x91, 0xA0, 0xE0]),
        VALUES,
        VALUES,
    ),
    st.builds(lambda value: bytes((0xC0, value)), VALUES),
    st.sampled_from([b"\xf8", b"\xfa", b"\xfb", b"\xfc", b"\xf0\x01\xf7", b""]),
)
MESSAGES = st.lists(st.tuples(PORTS, st.one_of(CONTROLS, OTHERS), st.just(0.0)), max_size=60)


def outcome(messages: list[Message]) -> dict[object, Any]:
    """What a receiver knows in the end: each control, each numbered parameter, which keys are down, what runs."""
    state: dict[object, Any] = {}
    for port, data, _ in messages:
        status = data[0] if data else 0
        if status & 0xF0 == 0xB0 and data[1] in (98, 99, 100, 101):
            kind = 98 if data[1] < 100 else 100
            before = state.get((port, status, "address"))
            state_of: Any = dict(before) if isinstance(before, dict) and before[0] == kind else {0: kind}
            state[port, status, "address"] = {**state_of, data[1]: data[2]}
        elif status & 0xF0 == 0xB0 and data[1] in (6, 38):
            address = state.get((port, status, "address"))
            state[
                port, status, data[1], str(sorted(address.items())) if isinstance(address, dict) else ""
            ] = data[2]
        elif status & 0xF0 in (0x80, 0x90):
            state[port, status & 0x0F, "key", data[1]] = status & 0xF0 == 0x90 and data[2] > 0
        elif status in (0xFA, 0xFB, 0xFC):
            state[port, "transport"] = data
        elif status & 0xF0 in (0xA0, 0xB0):
            state[port, status, data[1]] = data
        else:
            state[port, status] = data
    return state


@given(MESSAGES)
def test_who_takes_in_the_thinned_messages_ends_up_the_same(messages: list[Message]) -> None:
    kept = thinned(messages)
    assert outcome(kept) == outcome(messages)
    assert thinned(kept) == kept


@given(MESSAGES, MESSAGES)
def test_it_ends_up_the_same_too_where_only_the_first_part_was_thinned(
    first: list[Message], second: list[Message]
) -> None:
    assert outcome(thinned(first) + second) == outcome(first + second)


def cc(value: int, control: int = 7) -> bytes:
    return bytes((0xB0, control, value))


def test_news_stay_in_their_place_among_messages_that_are_thinned() -> None:
    backlog = Backlog(most=10)
    for value in range(8):
        backlog.add("a", cc(value), 0.0)
    backlog.tell("gone")
    for value in range(8, 16):
        backlog.add("a", cc(value), 0.0)
    parts = [([data[2] for _, data, _ in messages], news) for messages, news in backlog.take()]
    assert parts[0] == ([7], "gone")
    assert parts[1][0][-1] == 15
    assert parts[1][1] is None
    assert backlog.received == {"a": 16}
    assert backlog.thinned["a"] == 16 - sum(len(values) for values, _ in parts)
    assert backlog.take(0.0) == []


def test_memory_stays_bounded_whatever_comes() -> None:
    """Each of 40 000 messages is the last of its kind, and of those that are dropped the oldest go first."""
    backlog = Backlog(most=100, capacity=1000)
    for n in range(40_000):
        backlog.add(f"port {n // 2048}", bytes((0xB0 | n // 128 % 16, n % 98, n % 128)), 0.0)
    ((messages, _),) = backlog.take()
    assert len(messages) <= 2000
    assert messages[-1][1][2] == 39_999 % 128
    assert sum(backlog.thinned.values()) == 40_000 - len(messages)
