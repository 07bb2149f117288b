"""MIDI ports: what is there is opened, what is meant is told apart, what is wrong is said."""

import time
from collections.abc import Iterator

import pytest

from benchmarks.jack_server import JackServer
from benchmarks.midi_device import MidiDevices
from engine.control.midi.ports import list_ports
from engine.errors import HostError, InputError
from tests.midi_log import POLL_S, Log, wait


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def devices(jack_server: JackServer) -> Iterator[MidiDevices]:
    with MidiDevices() as devices:
        yield devices


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
