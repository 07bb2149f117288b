"""The live measurements on a true device, a JACK server: what they say of it is what JACK says, or they say nothing."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.bench import contend, jack_ports, live, loopback, playing, python_callback, round_trip
from benchmarks.bench.jack_ports import Ports
from benchmarks.bench.live_setting import LiveSetting
from benchmarks.bench.playing import ROUNDS
from benchmarks.bench.round_trip import NoRoundTrip
from benchmarks.bench.trip import RoundTrip
from benchmarks.jack_server import JackServer
from benchmarks.soak_live import children
from engine.control.show import Show
from engine.errors import HostError, InputError
from engine.host.engine_handle import EngineHandle
from engine.messages import Started
from tests.command import handlers_kept
from tests.host_nodes import Sine
from tests.test_host_engine import SPEC, START_S, graph_of, load

ROOT = Path(__file__).parent.parent
TINY: dict[str, Any] = {"minutes": 0.01, "tracks": 4}
DEEP = LiveSetting(driver="portaudio", safety_quanta=8)
"""Eight quanta, because shared machines stall: how many are needed is what the benchmark is for."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have shows be measured at once, and sweeps last 0.3 s and come back within 0.3 s, in this process."""
    monkeypatch.setattr(playing, "WARM_S", 0.1)
    monkeypatch.setattr(round_trip, "MOST_ROUND_TRIP_S", 0.3)
    monkeypatch.setattr(round_trip, "sweep", partial(loopback.sweep, seconds=0.3))


def quiet(what: str, share: float) -> None:
    """Say nothing."""


def run(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"benchmarks.bench.{module}", "--minutes", "0.02", "--tracks", "4"]
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=120
    )


def run_here(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Run one of the commands in this process; return exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["bench", "--minutes", "0.01", "--tracks", "4", *arguments])
    with handlers_kept(), pytest.raises(SystemExit) as leaving:
        module.main()
    assert isinstance(leaving.value.code, int)
    told = capsys.readouterr()
    return leaving.value.code, told.out, told.err


def ring_goal_frames(device_frames: int, setting: LiveSetting) -> int:
    """How far ahead the engine works: see `--safety`."""
    quanta = math.ceil(device_frames / setting.quantum_frames) + setting.safety_quanta - 1
    return quanta * setting.quantum_frames


@pytest.mark.live
def test_the_round_trip_is_the_ring_and_the_period_that_jack_reports(jack_server: JackServer) -> None:
    """Over JACK's own connections the loop is one period, which JACK's graph has for a loop: to 0.05 frames.

    The ring is as deep as asked for to a quantum (it is filled a quantum at a time), or deeper by what the device took
    at one moment when it was held up. Two runs differ by the ring alone: 8 quanta against 16.
    """
    period_frames = jack_ports.ports().period_frames
    assert period_frames == 128
    trips: list[RoundTrip] = []
    loops: tuple[round_trip.Loop, ...] = ("auto", "jack")
    settings = [DEEP, LiveSetting(driver="portaudio", safety_quanta=16)]
    for setting, loop in zip(settings, loops, strict=True):
        trip = round_trip.measure(setting, loop, quiet, sweeps=2)
        trips.append(trip)
        assert (trip.path, trip.period_frames) == ("jack", period_frames)
        assert trip.loop_frames == pytest.approx([period_frames] * 2, abs=0.05)
        assert trip.clarity_db > 40.0
        assert trip.total_frames == pytest.approx(
            trip.algorithmic_frames + trip.ring_frames + period_frames, abs=0.05
        )
        low = ring_goal_frames(period_frames, setting) - setting.quantum_frames
        assert low <= trip.ring_frames <= ring_goal_frames(trip.device_frames, setting)
    first, second = trips
    assert first.algorithmic_frames == second.algorithmic_frames == 83
    assert second.total_frames - first.total_frames == pytest.approx(
        second.ring_frames - first.ring_frames, abs=0.05
    )
    json.dumps(first.as_json())


@pytest.mark.live
def test_a_period_larger_than_the_quantum_is_the_loop_too(own_jack_server: JackServer) -> None:
    """1024 frames at 44.1 kHz, rendered 64 at a time."""
    setting = LiveSetting(driver="portaudio", rate_hz=44_100, quantum_frames=64, safety_quanta=16)
    trip = round_trip.measure(setting, "jack", quiet, sweeps=2)
    assert trip.loop_frames == pytest.approx([1024.0] * 2, abs=0.05)
    assert trip.rest_frames == pytest.approx(0.0, abs=0.05)


def latency_frames(server: JackServer, port: str, kind: str) -> int:
    """What JACK says of one of its ports."""
    done = subprocess.run(
        ["jack_lsp", "-s", server.name, "-l", port], capture_output=True, text=True, timeout=10
    )
    line = next(line for line in done.stdout.splitlines() if f"{kind} latency" in line)
    return int(line.split("[")[1].split()[0])


@pytest.mark.live
def test_over_a_cable_what_the_device_reports_is_taken_off(
    jack_server: JackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cable is one that another program has put from the outputs to the inputs: one period long.

    PortAudio reports what JACK does, or by its older versions' count a period less.
    """
    before, take = jack_ports.ports(), round_trip._Bench.take

    def connected(bench: round_trip._Bench) -> Any:
        round_trip._connect_own(before)
        time.sleep(0.2)
        return take(bench)

    monkeypatch.setattr(round_trip._Bench, "take", connected)
    trip = round_trip.measure(DEEP, "cable", quiet, sweeps=1)
    assert (trip.path, trip.channel, trip.inverted) == ("cable", 1, False)
    output_frames = latency_frames(jack_server, "system:playback_1", "playback")
    input_frames = latency_frames(jack_server, "system:capture_1", "capture")
    assert round(48.0 * trip.output_ms) in (output_frames, output_frames - 128)
    assert round(48.0 * trip.input_ms) in (input_frames, input_frames - 128)
    assert trip.output_ms > 0.0
    assert trip.rest_frames == pytest.approx(128 - 48.0 * (trip.output_ms + trip.input_ms), abs=0.05)
    assert sum("as PortAudio reports" in line for line in trip.lines()) == 2


@pytest.mark.live
def test_where_nothing_is_connected_there_is_no_round_trip_and_it_says_why(
    jack_server: JackServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, errors = run_here(live, monkeypatch, capsys, "--loop", "cable", "--safety", "8")
    assert code == 1
    assert errors.splitlines()[-1].startswith(
        "roomtone: the input is silent: connect an output of the device"
    )
    assert "round trip              not measured: the input is silent" in out


@pytest.mark.live
def test_every_callback_but_the_first_ends_an_interval(jack_server: JackServer) -> None:
    """Or goes on with a buffer. Between the two numbers a callback may begin: of 200 looks most find none."""
    with EngineHandle(SPEC, driver="portaudio", safety_quanta=16, spare=False) as handle:
        load(handle, graph_of(Sine()))
        handle.start()
        handle.wait_for(Started, START_S)
        time.sleep(0.5)
        differences = []
        for _ in range(200):
            callbacks = handle.statistics().callbacks
            seen = handle.intervals()
            differences.append(int(seen.counts.sum()) + seen.pieces - (callbacks - 1))
            time.sleep(0.001)
        assert callbacks > 20
        assert min(differences) == np.median(differences) == 0
        assert 0 < seen.longest_ns < 10_000_000_000
        assert seen.frames % 128 == 0
        handle.end_engine()
        assert not handle.intervals().counts.any()


@pytest.mark.live
def test_live_has_every_part_for_people_and_for_programs(jack_server: JackServer) -> None:
    done = run("live", "--json", "--safety", "8", "--driver", "portaudio", "--loop", "jack")
    assert done.returncode == 0, done.stderr
    stored = json.loads(done.stdout)
    assert stored["round_trip"]["path"] == "jack"
    assert stored["round_trip_refused"] == ""
    assert stored["play"]["tracks"] == 4
    jitter = stored["jitter"]
    assert sum(jitter["counts"]) == jitter["intervals"] > 50
    assert jitter["expected_us"] == pytest.approx(2667, rel=0.1)
    assert jitter["p50_us"] <= jitter["p99_us"] <= jitter["p99_9_us"] <= jitter["longest_us"]


@pytest.mark.live
def test_a_busy_control_process_and_a_python_callback_are_measured_alike(jack_server: JackServer) -> None:
    """How they fare is for the benchmark: here, that both have played and every round is told."""
    found = contend.measure(DEEP, 2, quiet, callback=True, **TINY)
    assert found.played.threads == 2
    assert found.played.driver == "portaudio"
    assert found.callback is not None
    assert found.callback.device == found.played.device
    assert found.callback.total("blocks") > 0
    for numbers in (found.engine_late, found.engine_missing, found.callback_late, found.callback_missing):
        assert len(numbers) == ROUNDS
        assert all(0.0 <= number <= 3000.0 for number in numbers)
    stored = json.loads(json.dumps(found.as_json()))
    assert len(stored["python_callback"]["late_of_3000_asked_for"]) == ROUNDS
    assert any("2 busy threads" in name for name in found.figures)
    assert any("Python callback" in line for line in found.lines())


@pytest.mark.live
def test_a_device_that_is_not_there_ends_it_as_it_ends_play(
    jack_server: JackServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, more in ((live, []), (contend, ["2"])):
        code, _, errors = run_here(module, monkeypatch, capsys, "--device", "nix", *more)
        assert code == 1
        assert errors.splitlines()[-1].startswith("roomtone: there is no output device 'nix'; there is: ")


@pytest.mark.live
def test_an_input_that_is_not_there_is_no_round_trip(jack_server: JackServer) -> None:
    setting = LiveSetting(driver="portaudio", input_device="nix")
    with pytest.raises(NoRoundTrip, match=r"no live input: there is no .* input device 'nix'"):
        round_trip.measure(setting, "auto", quiet)


@pytest.mark.live
def test_a_connected_port_loses_what_it_had(mortal_jack_server: JackServer) -> None:
    for source in ("system:capture_1", "system:capture_2"):
        jack_ports.connect([source], ["system:playback_1"])
        done = subprocess.run(
            ["jack_lsp", "-s", mortal_jack_server.name, "-c", "system:playback_1"],
            capture_output=True,
            text=True,
            timeout=10,
        )
        assert done.stdout.split() == ["system:playback_1", source]
    with pytest.raises(HostError, match="JACK does not connect system:capture_1 to nix:in"):
        jack_ports.connect(["system:capture_1"], ["nix:in"])


@pytest.mark.live
def test_a_server_that_hangs_does_not_hang_who_asks_for_its_ports(
    mortal_jack_server: JackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jack_ports, "TIMEOUT_S", 2.0)
    mortal_jack_server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(HostError, match="did not answer within 2 s"):
            jack_ports.ports()
    finally:
        mortal_jack_server.process.send_signal(signal.SIGCONT)


@pytest.mark.live
def test_a_python_callback_that_hangs_is_killed(
    mortal_jack_server: JackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is stopped, so the child waits for ever; it is gone when the error is there."""
    monkeypatch.setattr(python_callback, "START_S", 3.0)
    before = set(children())
    mortal_jack_server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(HostError, match="the Python callback hangs"):
            python_callback.measure(LiveSetting(), threads=1, **TINY)
    finally:
        mortal_jack_server.process.send_signal(signal.SIGCONT)
    assert set(children()) <= before


def test_what_was_measured_while_the_engine_died_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two attempts: killed in the first it is measured in the second; killed in both there is nothing to tell."""
    monkeypatch.setattr(playing, "ATTEMPTS", 2)
    wait, killed, to_kill = Show.wait, set[Show](), 1

    def killing(show: Show, seconds: float) -> None:
        if show not in killed and len(killed) < to_kill:
            killed.add(show)
            os.kill(show._engine.pid, signal.SIGKILL)
            wait(show, 0.2)
        wait(show, seconds)

    monkeypatch.setattr(Show, "wait", killing)
    found = playing.play(LiveSetting(driver="null"), 0.01, 2, quiet)
    assert len(killed) == 1
    assert not any("takes over" in notice for notice in found.notices)
    to_kill += playing.ATTEMPTS
    with pytest.raises(HostError, match=r"by signal 9.*: the machine is too busy to be measured on, 2 times"):
        playing.play(LiveSetting(driver="null"), 0.01, 2, quiet)
    assert len(killed) == 3


def test_without_a_device_it_says_what_cannot_be_measured() -> None:
    found = live.measure(LiveSetting(driver="null"), quiet, **TINY)
    assert found.round_trip is None
    assert found.refusal == "it needs a device, and the null clock plays to nobody"
    assert found.played.jitter is None
    assert found.played.total("quanta") > 0
    assert found.as_json()["jitter"] is None
    assert "  callback period         not measured: the null clock has no callback" in found.lines()
    assert not any("callback" in name or "round trip" in name for name in found.figures)
    busy = contend.measure(LiveSetting(driver="null"), 1, quiet, callback=True, **TINY)
    assert busy.callback is None
    assert busy.refusal == "the null clock has no callback"


def test_a_python_callback_without_a_device_says_so(no_audio: None) -> None:
    with pytest.raises(HostError, match="no audio device found"):
        python_callback.measure(LiveSetting(), threads=1, **TINY)


def test_without_a_server_there_are_no_ports(no_audio: None) -> None:
    with pytest.raises(HostError, match=r"no JACK server answers|libjack\) is not installed"):
        jack_ports.ports()


@pytest.mark.parametrize(
    ("setting", "load", "problem"),
    [
        ({}, {"minutes": 0.0}, "minutes: 0 minutes; 0.01 to 1440"),
        ({}, {"tracks": 0}, "tracks: 0 tracks; 1 to 2048"),
        ({"safety_quanta": 65}, {}, "safety: 65 quanta; 1 to 64"),
        ({"quantum_frames": 7}, {}, "quantum: a quantum of 7 frames; must be 16 to 2048"),
        ({"rate_hz": 1}, {}, "rate: 1 Hz is not a usual rate"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_sounds(
    setting: dict[str, Any], load: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError) as refused:
        live.measure(LiveSetting(**setting), quiet, **{**TINY, **load})
    assert str(refused.value).startswith(problem)


def test_a_mistake_in_the_options_is_one_line_and_exit_code_2() -> None:
    done = run("live", "--quantum", "7")
    assert done.returncode == 2
    assert done.stderr.strip() == "roomtone: quantum: a quantum of 7 frames; must be 16 to 2048"
    assert not done.stdout


def test_no_threads_are_no_contention() -> None:
    with pytest.raises(InputError, match="contend: 0 threads; 1 to 64"):
        contend.measure(LiveSetting(driver="null"), 0, quiet)


def test_only_a_new_client_that_plays_and_records_is_taken_for_ours() -> None:
    before = Ports(("system:capture_1", "a:out_0"), ("system:playback_1", "a:in_0"), 128)
    after = Ports((*before.sources, "b:out_0", "b:out_1"), (*before.sinks, "b:in_0", "c:in_0"), 128)
    new = after.since(before)
    assert new.duplex_clients == ("b",)
    assert new.of("b") == Ports(("b:out_0", "b:out_1"), ("b:in_0",), 128)
