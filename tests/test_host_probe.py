import os
import signal
import subprocess
import time

import pytest

from benchmarks.jack_server import JackServer
from engine.host.devices import list_devices
from engine.host.probe import DeviceProbe
from tests.test_host_engine import START_S


def wait_until_found(probe: DeviceProbe, within_s: float) -> bool:
    until_s = time.monotonic() + within_s
    while not probe.found and time.monotonic() < until_s:
        time.sleep(0.02)
    return probe.found


@pytest.mark.live
@pytest.mark.parametrize("device", [None, "system", "sys jack"])
def test_a_probe_finds_a_device_that_is_there(jack_server: JackServer, device: str | None) -> None:
    probe = DeviceProbe()
    probe.start(device)
    try:
        assert wait_until_found(probe, START_S)
    finally:
        probe.stop()
    assert not probe.found


@pytest.mark.live
def test_a_probe_does_not_find_another_device_and_leaves_no_process(jack_server: JackServer) -> None:
    probe = DeviceProbe()
    probe.start("flute")
    assert not wait_until_found(probe, 2.0)
    probe.stop()
    assert not probes()


@pytest.mark.live
def test_a_probe_finds_a_server_that_comes_back(own_jack_server: JackServer) -> None:
    own_jack_server.kill()
    probe = DeviceProbe()
    probe.start("system")
    try:
        assert not wait_until_found(probe, 1.5)
        own_jack_server.revive()
        assert wait_until_found(probe, START_S)
    finally:
        probe.stop()


@pytest.mark.live
def test_a_probe_of_a_server_that_hangs_is_ended_and_tried_again(own_jack_server: JackServer) -> None:
    own_jack_server.process.send_signal(signal.SIGSTOP)
    probe = DeviceProbe()
    probe.start()
    try:
        assert not wait_until_found(probe, 3.5)
        assert len(probes()) <= 1
    finally:
        own_jack_server.process.send_signal(signal.SIGCONT)
    assert wait_until_found(probe, START_S)
    probe.stop()
    assert not probes()


def probes() -> list[str]:
    """Return the looks for devices that this process has started, zombies included."""
    done = subprocess.run(
        ["ps", "-o", "stat=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [line for line in done.stdout.splitlines() if "engine.host.probe" in line or line[0] == "Z"]


@pytest.mark.usefixtures("no_audio")
def test_a_probe_finds_nothing_where_there_is_nothing() -> None:
    if any(device.output_channels for device in list_devices()):
        pytest.skip("this machine has an audio device")
    probe = DeviceProbe()
    probe.start()
    assert not wait_until_found(probe, 2.0)
    probe.stop()
    assert not probes()


def test_a_probe_that_cannot_be_started_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []

    def refuse(*_: object, **__: object) -> None:
        tries.append(None)
        raise OSError("no processes left")

    monkeypatch.setattr("engine.host.probe.subprocess.Popen", refuse)
    monkeypatch.setattr("engine.host.probe.INTERVAL_S", 0.01)
    probe = DeviceProbe()
    probe.start()
    until_s = time.monotonic() + START_S
    while len(tries) < 3 and time.monotonic() < until_s:
        time.sleep(0.01)
    probe.stop()
    assert len(tries) >= 3
