"""A show on a true device that goes away, hangs, and comes back. In a JACK server's stead no other part is replaced."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.jack_server import JackServer
from benchmarks.soak_live import children, segments
from engine.control.bounce import bounce
from engine.control.show import Show
from engine.errors import HostError
from engine.host.protocol import DriverName
from engine.scene.composition import compose
from engine.scene.load import loads
from tests.scenes import small
from tests.test_show import kill, kinds, until

pytestmark = pytest.mark.live


@pytest.fixture
def server(mortal_jack_server: JackServer) -> JackServer:
    return mortal_jack_server


def heard(show: Show) -> bool:
    """Whether the device takes what is rendered."""
    return show.driver == "portaudio" and show.statistics().callbacks > 20


def test_a_killed_engine_is_replaced_on_the_device(jack_server: JackServer) -> None:
    before = segments()
    with Show(small(), driver="portaudio", log=None) as show:
        show.wait(1.0)
        for _ in range(2):
            kill(show)
            until(lambda: heard(show), show)
            show.wait(0.5)
        assert kinds(show) == ["engine-died", "engine-back"] * 2
        assert "system" in show.device
    assert segments() <= before


def test_a_killed_server_is_waited_for_and_the_recording_has_no_gap(
    server: JackServer, tmp_path: Path
) -> None:
    """Time goes on silently; when the server is back so is the sound; the dry recording is the render all along."""
    before, processes = segments(), set(children())
    take = tmp_path / "take.wav"
    settings = {"room.wet_level": 0.0, "unmask.amount": 0.0}
    with Show(small(), driver="auto", record=take, log=None, settings=settings) as show:
        show.wait(0.5)
        server.kill()
        until(lambda: show.statistics().device_lost, show)
        lost = show.frame
        show.wait(1.0)
        assert show.frame > lost + 24_000
        server.revive()
        until(lambda: heard(show) and "device-back" in kinds(show), show)
        frame = show.frame
        show.wait(0.5)
        assert kinds(show)[0] == "device-lost"
        lost_text = next(incident.text for incident in show.incidents.all if incident.kind == "device-lost")
        assert lost_text.endswith("is gone: playing on silently, until it is back")
    assert segments() <= before
    assert set(children()) <= {*processes, server.process.pid}
    samples = soundfile.read(take, dtype="float32")[0]
    rendered = bounce(small(), endless=True, duration_s=len(samples) / 48_000, settings=settings).samples
    assert rendered is not None
    np.testing.assert_array_equal(samples[: lost + 24_000], rendered[: lost + 24_000])
    assert np.abs(samples[frame:]).max() > 1e-3


def test_a_server_that_hangs_is_left_and_taken_up_again_when_it_answers(server: JackServer) -> None:
    with Show(small(), driver="auto", log=None) as show:
        show.wait(0.5)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            until(lambda: show.statistics().device_lost, show)
            frame = show.frame
            show.wait(1.5)
            assert show.frame > frame + 24_000
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        until(lambda: heard(show) and "device-back" in kinds(show), show, 40.0)


def test_an_engine_that_dies_while_its_device_is_gone_plays_on_silently(server: JackServer) -> None:
    with Show(small(), driver="auto", log=None) as show:
        show.wait(0.5)
        server.kill()
        until(lambda: show.statistics().device_lost, show)
        kill(show)
        assert show.driver == "null"
        server.revive()
        until(lambda: heard(show) and "device-back" in kinds(show), show, 40.0)
        time.sleep(0.2)
        assert show.statistics().alive


def ports(server: JackServer) -> set[str]:
    done = subprocess.run(
        ["jack_lsp", "-s", server.name], capture_output=True, text=True, check=True, timeout=10
    )
    return set(done.stdout.split())


def connect(server: JackServer, sources: set[str], sinks: set[str]) -> None:
    """Connect output to input ports, in order, in the place of the microphones."""
    for n, (source, sink) in enumerate(zip(sorted(sources), sorted(sinks), strict=True), 1):
        for command in (["jack_disconnect", f"system:capture_{n}", sink], ["jack_connect", source, sink]):
            subprocess.run([command[0], "-s", server.name, *command[1:]], check=True, timeout=10)


MICROPHONE = """
duration: 10
atmo: {sound: synth:wind, level_db: -60}
objects: [{label: mic, sound: input:1-2, importance: 1.0}]
"""


def likeness(server: JackServer, tmp_path: Path) -> float:
    """Have a show listen to another over two cables; return the correlation of the half second that is most alike."""
    settings = {"unmask.amount": 0.0, "trim.atmo.level_db": -90.0, "trim.mic.level_db": -23.0}
    microphone = compose(loads(MICROPHONE), rate_hz=48_000)
    before = ports(server)
    played, heard = tmp_path / "played.wav", tmp_path / "heard.wav"
    with Show(small(), driver="portaudio", safety_quanta=8, record=played, log=None, spare=False):
        sources = {port for port in ports(server) - before if "out_" in port}
        taken = ports(server)
        with Show(
            microphone,
            driver="portaudio",
            safety_quanta=8,
            record=heard,
            log=None,
            spare=False,
            settings=settings,
        ) as listener:
            connect(server, sources, {port for port in ports(server) - taken if "in_" in port})
            listener.wait(3.0)
            assert listener.meters.read("input", "short")[0] <= 2
            assert 0 < listener.meters.read("input", "lag")[0] < 4096
    source, copy = (soundfile.read(path)[0][:, 0] for path in (played, heard))
    found: list[float] = []
    for end in range(24_000, 120_000, 12_000):
        piece = copy[-end - 24_000 : -end]
        spectrum = np.fft.rfft(source, 2**19) * np.conj(np.fft.rfft(piece, 2**19))
        delay = int(np.fft.irfft(spectrum)[: len(source) - len(piece)].argmax())
        found.append(float(np.corrcoef(source[delay : delay + len(piece)], piece)[0, 1]))
        assert np.abs(piece).max() > 1e-3
    return max(found)


@pytest.mark.live
def test_what_another_program_plays_comes_in_as_a_sound_of_the_scene(
    server: JackServer, tmp_path: Path
) -> None:
    """The same sound, correlation above 0.99 over half a second, in one of three attempts.

    A server on a machine that stalls leaves out periods.
    """
    assert any(likeness(server, tmp_path) > 0.99 for _ in range(3))


@pytest.mark.parametrize("driver", ["auto", "portaudio"])
def test_a_server_that_hangs_from_the_beginning_does_not_hang_the_show(
    server: JackServer, monkeypatch: pytest.MonkeyPatch, driver: DriverName
) -> None:
    """It plays silently, or ends with the remedy where a device was demanded."""
    monkeypatch.setattr("engine.control.show.DEVICE_TIMEOUT_S", 8.0)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        show = Show(small(), driver=driver, log=None)
        if driver == "portaudio":
            with pytest.raises(HostError, match="does not answer: restart JACK"):
                show.start()
            return
        with show:
            show.wait(0.5)
            assert show.driver == "null"
            assert kinds(show) == ["driver-hung"]
            assert show.frame > 12_000
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert not segments()
