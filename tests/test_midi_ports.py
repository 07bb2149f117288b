"""MIDI ports: all that is sent arrives, whatever is unplugged, floods, hangs or dies meanwhile."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from benchmarks.jack_server import JackServer
from benchmarks.midi_device import MidiDevices
from engine.control.midi.ports import MidiPorts, list_ports
from engine.errors import HostError, InputError

PATIENCE_S = 15.0
POLL_S = 0.1


class Log:
    """Notes what the ports say."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.events: list[tuple[str, str]] = []
        self.flushed = 0
        self.threads: set[int] = set()

    def take(self, port: str, data: bytes, at_s: float) -> None:
        assert 0.0 <= time.monotonic() - at_s < PATIENCE_S
        self.threads.add(threading.get_ident())
        self.messages.append((port, data))

    def flush(self) -> None:
        self.threads.add(threading.get_ident())
        self.flushed += 1

    def note(self, what: str) -> Callable[[str], None]:
        return lambda text: self.events.append((what, text))

    def of(self, what: str) -> list[str]:
        return [text for kind, text in self.events if kind == what]

    def ports(self, name: str | None = None, *, virtual: bool = False, api: str = "jack") -> MidiPorts:
        return MidiPorts(
            self.take,
            self.flush,
            name=name,
            virtual=virtual,
            api=api,
            poll_s=POLL_S,
            on_appeared=self.note("appeared"),
            on_gone=self.note("gone"),
            on_notice=self.note("notice"),
        )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def devices(jack_server: JackServer) -> Iterator[MidiDevices]:
    with MidiDevices() as devices:
        yield devices


@pytest.fixture
def steady(steady_jack_server: JackServer) -> Iterator[MidiDevices]:
    """Devices of a server that loses nothing."""
    with MidiDevices() as devices:
        yield devices


@pytest.fixture
def fragile(mortal_jack_server: JackServer) -> Iterator[MidiDevices]:
    """Devices of a server for one test alone, which does not wait for clients that disappear."""
    with MidiDevices() as devices:
        yield devices


def wait(condition: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def numbered(count: int) -> list[bytes]:
    return [bytes((0xB0 | n % 16, n // 128 % 128, n % 128)) for n in range(count)]


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
def test_flushes_come_also_without_messages(log: Log, jack_server: JackServer) -> None:
    with log.ports():
        wait(lambda: log.flushed >= 30)
    assert log.messages == []


@pytest.mark.live
def test_what_is_sent_reaches_the_output_of_the_same_device_and_is_else_counted(
    devices: MidiDevices, log: Log
) -> None:
    for name in ("dev", "fader box"):
        devices.plug(name)
    with log.ports() as ports:
        wait(lambda: len(ports.ports) == 2)
        assert ports.send("dev:out", b"\xb0\x07\x05")
        assert ports.send("fader box:out", b"\xb0\x07\x06")
        wait(lambda: devices.received("dev") and devices.received("fader box"))
        assert devices.received("dev") == [b"\xb0\x07\x05"]
        assert devices.received("fader box") == [b"\xb0\x07\x06"]
        ports.send("nothing", b"\xb0\x07\x07")
        wait(lambda: ports.counters.unsent == 1)
        assert not ports.send("dev:out", bytes(1 << 20))
        assert ports.counters.unsent == 2
    assert not ports.send("dev:out", b"\xb0\x07\x05")


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
def test_two_devices_of_one_name_are_told_apart(devices: MidiDevices, log: Log) -> None:
    with MidiDevices() as others, log.ports() as ports:
        devices.plug("dev")
        wait(lambda: len(ports.ports) == 1)
        others.plug("dev")
        wait(lambda: len(ports.ports) == 2)
        assert len(set(ports.ports)) == 2
        devices.send("dev", b"\xb0\x01\x01")
        others.send("dev", b"\xb0\x01\x02")
        wait(lambda: len(log.messages) == 2)
        assert dict(log.messages) == dict(zip(ports.ports, (b"\xb0\x01\x01", b"\xb0\x01\x02"), strict=True))


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
def test_a_virtual_port_takes_what_others_send_and_no_port_of_ours_is_opened(
    devices: MidiDevices, log: Log
) -> None:
    other = Log()
    with log.ports(virtual=True) as virtual, other.ports() as every:
        assert virtual.ports == ("roomtone",)
        devices.plug("dev")
        wait(lambda: every.ports)
        time.sleep(3 * POLL_S)
        assert every.ports == ("dev:out",)
        assert virtual.ports == ("roomtone",)


@pytest.mark.live
def test_a_wish_that_no_port_meets_is_refused_with_the_ports_there_are(
    devices: MidiDevices, log: Log
) -> None:
    devices.plug("dev")
    with pytest.raises(HostError, match="there is no MIDI input 'nano kontrol'; there is: dev:out"):
        log.ports("nano kontrol").start()
    assert list_ports("jack").inputs == ("dev:out",)
    assert list_ports("jack").outputs == ("dev-01:in",)


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
        assert ports.counters.restarts == 1


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


def test_without_midi_it_starts_and_says_so_once_unless_a_port_was_asked_for(
    no_audio: None, log: Log
) -> None:
    with log.ports():
        wait(lambda: log.flushed > 20)
    assert log.of("notice") == ["no MIDI: no JACK server"]
    with pytest.raises(HostError, match="no MIDI"):
        log.ports("dev").start()
    with pytest.raises(HostError, match="no MIDI"):
        log.ports(virtual=True).start()
    assert "no MIDI" in list_ports("jack").problem


def test_an_unknown_api_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    with pytest.raises(InputError, match="api: 'oss'; one of auto, alsa, jack"):
        log.ports(api="oss")
    monkeypatch.setenv("ROOMTONE_MIDI_API", "oss")
    with pytest.raises(InputError, match="ROOMTONE_MIDI_API: 'oss'"):
        list_ports()


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
