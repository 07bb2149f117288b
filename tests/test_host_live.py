import time
from collections.abc import Iterator

import pytest

from engine.errors import HostError
from engine.host.devices import list_devices
from engine.host.engine_handle import EngineHandle
from engine.messages import Notice, Started, Stopped, Swapped
from engine.spec import StreamSpec
from tests.conftest import JackServer
from tests.host_nodes import Sine
from tests.test_host_engine import SPEC, START_S, graph_of, load

pytestmark = pytest.mark.live


def play(handle: EngineHandle) -> Started:
    load(handle, graph_of(Sine()))
    handle.start()
    handle.wait_for(Swapped, START_S)
    return handle.wait_for(Started, START_S)


@pytest.fixture
def own_jack_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    """A server for this test alone, with a period larger than the ring is deep."""
    server = JackServer(rate_hz=44_100, period_frames=1024)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    try:
        reason = server.wait_until_ready()
        if reason:
            pytest.skip(f"no JACK server: {reason}")
        yield server
    finally:
        server.close()


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
        notice = handle.wait_for(Notice, 5.0)
        assert (
            notice.text == "system (JACK Audio Connection Kit) is gone: playing on silently to the null clock"
        )
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
