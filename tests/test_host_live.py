import os
import signal
import subprocess
import time

import numpy as np
import pytest

from benchmarks.jack_server import JackServer
from engine.errors import HostError
from engine.host.devices import list_devices
from engine.host.engine_handle import EngineHandle
from engine.inputs import INPUT_FRAMES
from engine.messages import DeviceLost, Notice, Started, Stopped, Swapped
from engine.spec import StreamSpec
from tests.host_nodes import Sine
from tests.test_host_engine import SPEC, START_S, graph_of, load

pytestmark = pytest.mark.live


def play(handle: EngineHandle) -> Started:
    load(handle, graph_of(Sine()))
    handle.start()
    started = handle.wait_for(Started, START_S)
    handle.wait_for(Swapped, START_S)
    return started


def test_five_seconds_on_a_device_without_an_underrun_at_the_right_pace(jack_server: JackServer) -> None:
    # Sixteen quanta, because shared machines stall for milliseconds: what two of them hold is for the benchmark.
    with EngineHandle(SPEC, driver="portaudio", safety_quanta=16) as handle:
        started = play(handle)
        assert started.driver == "portaudio"
        assert "system" in started.device
        assert 0.0 < started.latency_s < 0.1
        tap = handle.tap()
        recorded = 0
        began_s, first = time.monotonic(), handle.statistics().callbacks
        while time.monotonic() < began_s + 5.0:
            recorded += len(tap.read())
            time.sleep(0.1)
        statistics = handle.statistics()
        rate_hz = (statistics.callbacks - first) / (time.monotonic() - began_s)
        handle.stop(4800)
        stopped = handle.wait_for(Stopped, 5.0)
        recorded += len(tap.read())
        after = handle.statistics()
    assert rate_hz == pytest.approx(375, rel=0.25)
    assert after.underruns == 0
    assert recorded == stopped.frame == after.frame_heard
    assert tap.lost_frames == 0


def test_a_device_buffer_larger_than_the_ring_is_deep_gets_every_frame(own_jack_server: JackServer) -> None:
    with EngineHandle(StreamSpec(44_100, 64)) as handle:
        play(handle)
        time.sleep(1.5)
        statistics = handle.statistics()
        assert statistics.device_frames == 1024
        assert statistics.underruns == 0


def test_a_rate_that_the_server_does_not_have_is_named_with_the_option(own_jack_server: JackServer) -> None:
    with (
        EngineHandle(SPEC) as handle,
        pytest.raises(HostError, match=r"JACK server runs at 44100 Hz .*: start with `--rate 44100`"),
    ):
        play(handle)


def test_when_the_server_is_killed_time_goes_on_and_the_engine_still_ends(
    own_jack_server: JackServer,
) -> None:
    with EngineHandle(StreamSpec(44_100, 128)) as handle:
        play(handle)
        own_jack_server.kill()
        began_s = time.monotonic()
        lost = handle.wait_for(DeviceLost, 5.0)
        assert time.monotonic() - began_s < 1.0
        assert lost.device == "system (JACK Audio Connection Kit)"
        assert 0 < lost.frame <= handle.frame
        assert handle.statistics().device_lost
        before = handle.statistics().frame_heard
        time.sleep(0.5)
        frames = handle.statistics().frame_heard - before
        assert frames == pytest.approx(22_050, abs=6000)
        handle.stop(441)
        handle.wait_for(Stopped, 5.0)
        began_s = time.monotonic()
        handle.close()
        assert time.monotonic() - began_s < 3.0


def test_devices_are_listed_with_their_rate_and_latency(jack_server: JackServer) -> None:
    device = next(d for d in list_devices() if d.name == "system")
    assert "JACK" in device.host_api
    assert (device.output_channels, device.rate_hz) == (2, 48_000.0)
    assert 0.0 < device.low_latency_s <= device.high_latency_s < 0.1


def test_a_spare_takes_over_the_device(jack_server: JackServer) -> None:
    with EngineHandle(SPEC, driver="portaudio", safety_quanta=16) as handle:
        play(handle)
        handle.ready_spare(("tests.host_nodes",))
        until_s = time.monotonic() + START_S
        while not handle.spare_ready and time.monotonic() < until_s:
            time.sleep(0.01)
        waiting = handle.spare_pid
        os.kill(handle.pid, signal.SIGKILL)
        handle.end_engine()
        frame = handle.frame
        handle.revive()
        assert handle.pid == waiting
        assert handle.wait_for(Started, START_S).driver == "portaudio"
        time.sleep(0.2)
        statistics = handle.statistics()
        assert statistics.callbacks > 10
        assert statistics.frame_heard > frame


@pytest.mark.parametrize("when", ["before it is opened", "while it plays"])
def test_a_server_that_hangs_does_not_keep_the_engine_from_going_on_without_it(
    own_jack_server: JackServer, when: str
) -> None:
    """The server is stopped, so every call into it waits for ever; an engine for the null clock follows."""
    with EngineHandle(StreamSpec(44_100, 128)) as handle:
        if when == "while it plays":
            play(handle)
        load(handle, graph_of(Sine()))
        own_jack_server.process.send_signal(signal.SIGSTOP)
        try:
            if when == "while it plays":
                handle.wait_for(DeviceLost, 5.0)
                handle.end_engine()
                handle.revive(driver="portaudio")
            else:
                handle.start()
            with pytest.raises(HostError, match="a driver hangs"):
                handle.wait_for(Started, 2.0)
            hung = handle.pid
            handle.end_engine()
            assert not os.path.exists(f"/proc/{hung}")
            handle.revive(driver="null")
            assert handle.wait_for(Started, START_S).driver == "null"
        finally:
            own_jack_server.process.send_signal(signal.SIGCONT)


def jack(command: str, *ports: str) -> str:
    done = subprocess.run([command, *ports], capture_output=True, text=True, timeout=10)
    return done.stdout + done.stderr


def cable(server: JackServer) -> None:
    """Connect the engine's output ports to its input ports."""
    ports = jack("jack_lsp", "-s", server.name).split()
    sinks = sorted(port for port in ports if "in_" in port)
    sources = sorted(port for port in ports if "out_" in port)
    for n, (source, sink) in enumerate(zip(sources, sinks, strict=True), 1):
        jack("jack_disconnect", "-s", server.name, f"system:capture_{n}", sink)
        jack("jack_connect", "-s", server.name, source, sink)


def test_what_comes_in_is_what_went_out_when_the_cable_says_so(own_jack_server: JackServer) -> None:
    """Sample for sample, and as many frames later the second time as the first."""
    spec = StreamSpec(44_100, 128)
    with EngineHandle(spec, safety_quanta=16, input_channels=2, driver="portaudio") as handle:
        # Its period is so long that every piece of it is found in one place only.
        load(handle, graph_of(Sine(441.7)))
        handle.start()
        handle.wait_for(Started, START_S)
        assert handle.inputs.counters[1] == 2
        cable(own_jack_server)
        time.sleep(0.5)
        delays_frames = []
        for _ in range(2):
            first = handle.frame
            tap = handle.tap(first)
            time.sleep(1.0)
            begin = int(handle.inputs.counters[0]) - 8192
            heard = handle.inputs.samples[np.arange(begin, begin + 4096) % INPUT_FRAMES, :2].copy()
            played = tap.read()
            delays_frames += [
                begin - (first + int(at))
                for at in np.flatnonzero(played[: len(played) - len(heard), 0] == heard[0, 0])
                if np.array_equal(played[at : at + len(heard)], heard)
            ]
        assert not handle.inputs.samples[:, 2:].any()
        assert handle.statistics().underruns == 0
    assert len(delays_frames) == 2
    assert delays_frames[0] == delays_frames[1]


def test_more_inputs_than_the_device_has_are_none_and_it_says_so(jack_server: JackServer) -> None:
    with EngineHandle(SPEC, driver="portaudio", input_channels=8) as handle:
        play(handle)
        notice = handle.wait_for(Notice, START_S)
        assert notice.text == "no live input: system has 2 of 8 input channels"
        assert handle.inputs.counters.tolist() == [0, 0]
        assert handle.statistics().callbacks >= 0
