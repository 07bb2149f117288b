"""MIDI ports while devices, servers, the library and handlers fail: what comes back is heard again."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.jack_server import JackServer
from benchmarks.midi_device import MidiDevices
from engine.control.midi.ports import MidiPorts
from tests.midi_log import PATIENCE_S, Log, numbered, wait


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def devices(jack_server: JackServer) -> Iterator[MidiDevices]:
    with MidiDevices() as devices:
        yield devices


@pytest.fixture
def fragile(mortal_jack_server: JackServer) -> Iterator[MidiDevices]:
    """Devices of a server for one test alone, which does not wait for clients that disappear."""
    with MidiDevices() as devices:
        yield devices


@pytest.mark.live
def test_a_device_that_is_plugged_in_again_fifty_times_is_heard_each_time(
    devices: MidiDevices, log: Log
) -> None:
    """Also where it is gone for so short that no look at the ports can miss it."""
    with log.ports() as ports:
        devices.plug("stays")
        wait(lambda: ports.ports)
        for n in range(50):
            devices.plug("dev")
            wait(lambda: len(log.of("appeared")) == n + 2)  # noqa: B023
            until_s = time.monotonic() + PATIENCE_S
            while log.messages[-1:] != [("dev:out", bytes((0xB0, 1, n)))]:
                assert time.monotonic() < until_s
                devices.send("dev", bytes((0xB0, 1, n)))  # again, for a busy server may lose one
                time.sleep(0.02)
            devices.unplug("dev")
            if n % 2:
                wait(lambda: len(log.of("gone")) == n + 1)  # noqa: B023
        wait(lambda: len(log.of("gone")) == 50)
        assert ports.ports == ("stays:out",)
        assert list(dict.fromkeys(data[2] for _, data in log.messages)) == list(range(50))
        assert set(log.of("appeared")) == {"dev:out", "stays:out"}
        assert ports.counters.restarts == 0


@pytest.mark.live
def test_what_a_handler_raises_is_told_once_and_the_next_message_comes(
    devices: MidiDevices, log: Log
) -> None:
    devices.plug("dev")

    def take(port: str, data: bytes, at_s: float) -> None:
        log.messages.append((port, data))
        raise RuntimeError("broken map")

    def flush() -> None:
        raise ValueError("broken feedback")

    with MidiPorts(take, flush, name="dev", api="jack", on_notice=log.note("notice")):
        devices.send("dev", *numbered(3))
        wait(lambda: len(log.messages) == 3 and len(log.of("notice")) == 2)
        time.sleep(0.2)
    assert sorted(log.of("notice")) == [
        "MIDI flush: ValueError: broken feedback",
        "MIDI message: RuntimeError: broken map",
    ]


@pytest.mark.live
def test_it_comes_back_with_the_server_and_closes_while_there_is_none(
    mortal_jack_server: JackServer, log: Log
) -> None:
    with MidiDevices() as devices:
        devices.plug("dev")
        ports = log.ports("dev").start()
        mortal_jack_server.kill()
        wait(lambda: log.of("gone") == ["dev:out"])
    assert ports.ports == ()
    assert any("JACK server has gone" in text for text in log.of("notice"))
    mortal_jack_server.revive()
    with MidiDevices() as devices:
        assert mortal_jack_server.wait_until_ready() == ""
        devices.plug("dev")
        wait(lambda: ports.ports == ("dev:out",))
        devices.send("dev", b"\xb0\x01\x01")
        wait(lambda: log.messages == [("dev:out", b"\xb0\x01\x01")])
        mortal_jack_server.kill()
        child = ports.process_id
        ports.close()
    assert ports.ports == ()
    assert child is None or not alive(child)


@pytest.mark.live
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_of_the_library_that_dies_or_hangs_is_replaced(
    fragile: MidiDevices, log: Log, blow: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    if blow == signal.SIGSTOP:
        monkeypatch.setattr("engine.control.midi.ports.SILENCE_S", 2.5)
    fragile.plug("dev")
    with log.ports("dev") as ports:
        assert ports.process_id is not None
        os.kill(ports.process_id, blow)
        wait(lambda: log.of("appeared") == ["dev:out"] * 2)
        fragile.send("dev", b"\xb0\x01\x01")
        wait(lambda: log.messages == [("dev:out", b"\xb0\x01\x01")])
        assert log.of("gone") == ["dev:out"]
        assert len(log.of("notice")) == 1
        # A new process that takes long to start, on a busy machine, may be replaced as well.
        assert 1 <= ports.counters.restarts <= 4


@pytest.mark.live
def test_closing_does_not_wait_for_a_hung_library_or_a_handler_that_stands(
    fragile: MidiDevices, log: Log
) -> None:
    fragile.plug("dev")
    ports = log.ports("dev").start()
    child = ports.process_id
    assert child is not None
    os.kill(child, signal.SIGSTOP)
    ports.close()
    assert not alive(child)
    stands, go_on = threading.Event(), threading.Event()

    def take(port: str, data: bytes, at_s: float) -> None:
        stands.set()
        go_on.wait(PATIENCE_S)

    ports = MidiPorts(take, name="dev", api="jack").start()
    child = ports.process_id
    assert child is not None
    fragile.send("dev", b"\xb0\x01\x01")
    assert stands.wait(PATIENCE_S)
    ports.close()
    assert not go_on.is_set()
    assert not alive(child)
    go_on.set()


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.live
def test_ctrl_c_in_the_terminal_reaches_the_process_of_the_ports(fragile: MidiDevices, log: Log) -> None:
    with log.ports() as ports:
        assert ports.process_id is not None
        assert os.getsid(ports.process_id) != os.getsid(0)
