"""Floods of MIDI: all arrives in order while it can be taken, and the last values always do."""

import threading
from collections.abc import Iterator

import pytest

from benchmarks.jack_server import JackServer
from benchmarks.midi_device import MidiDevices
from engine.control.midi.ports import MidiPorts
from tests.midi_log import PATIENCE_S, POLL_S, Log, numbered, wait


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def steady(steady_jack_server: JackServer) -> Iterator[MidiDevices]:
    """Devices of a server that loses nothing."""
    with MidiDevices() as devices:
        yield devices


@pytest.mark.live
def test_all_that_is_sent_arrives_in_order_on_one_thread(steady: MidiDevices, log: Log) -> None:
    """1000 messages of three bytes at once, then those of other lengths; one of 2 kB is left out and counted."""
    steady.plug("dev")
    with log.ports("dev") as ports:
        assert ports.ports == ("dev:out",)
        steady.send("dev", *numbered(1000))
        wait(lambda: len(log.messages) == 1000)
        assert log.messages == [("dev:out", message) for message in numbered(1000)]
        others = [b"\xc0\x05", b"\xf8", b"\xe3\x01\x7f", b"\xf0\x7f\x01\x06\x02\xf7", b"\x90\x40\x00"]
        steady.send("dev", b"\xf0" + bytes(2000) + b"\xf7", *others)
        wait(lambda: len(log.messages) == 1005)
        assert [data for _, data in log.messages[1000:]] == others
        assert ports.counters.messages == {"dev:out": 1005}
        wait(lambda: ports.counters.thinned == {"dev:out": 1})
        assert len(log.threads) == 1


@pytest.mark.live
def test_a_flood_from_16_ports_loses_no_last_value(steady: MidiDevices, log: Log) -> None:
    """25 000 messages a second in all for 2 s."""
    names = [f"dev{n:02d}" for n in range(16)]
    for name in names:
        steady.plug(name)
    with log.ports() as ports:
        wait(lambda: len(ports.ports) == 16)
        last = steady.flood(names, 25_000, 2.0)
        expected = {(f"{name}:out", c): v for name, values in last.items() for c, v in values.items()}

        def values() -> dict[tuple[str, int], int]:
            return {(port, data[1]): data[2] for port, data in log.messages}

        wait(lambda: values() == expected)


@pytest.mark.live
def test_a_flood_that_nobody_takes_is_thinned_out_and_ends_in_the_last_values(
    steady: MidiDevices, log: Log
) -> None:
    """The handler stands still for all of 40 000 messages, of which 16 384 wait at most (and what pipes hold)."""
    steady.plug("dev")
    go_on, stands = threading.Event(), threading.Event()

    def take(port: str, data: bytes, at_s: float) -> None:
        stands.set()
        go_on.wait(PATIENCE_S)
        log.messages.append((port, data))

    with MidiPorts(take, name="dev", api="jack", poll_s=POLL_S) as ports:
        last = steady.flood(["dev"], 8000, 5.0)["dev"]
        assert stands.is_set()
        go_on.set()
        wait(lambda: {data[1]: data[2] for _, data in log.messages} == last)
        wait(lambda: ports.counters.thinned)
        counters = ports.counters
        assert len(log.messages) < 30_000
        assert counters.messages["dev:out"] + counters.thinned["dev:out"] > 30_000
