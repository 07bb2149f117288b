"""`roomtone check` on this very machine, with an audio server, without one, and with one that hangs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.jack_server import JackServer
from engine.control import fitness
from engine.host.ask import ask
from engine.host.audio_servers import ask_pipewire
from engine.host.devices import list_devices
from engine.host.trial import NAPS, try_engine
from tests.command import as_json, run, run_here

POINTS = [
    *("Python", "libraries", "packages", "kernel cache", "processors", "frequency governor"),
    *("real-time priority", "locked memory", "memory", "shared memory", "wake-up"),
    *("PortAudio", "audio output", "sample rate", "JACK", "PipeWire", "MIDI"),
    *("disk, cache", "disk, log", "disk, recordings"),
]


def by_name(report: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {finding["name"]: finding for finding in report["findings"]}


@pytest.mark.usefixtures("no_audio")
def test_every_point_is_told_to_programs_and_a_warning_is_no_failure(tmp_path: Path) -> None:
    """Exit code 0; every point has name, state, text and remedy, and only what is not ok has a remedy."""
    if any(device.output_channels for device in list_devices()):
        pytest.skip("this machine has an audio device")
    report = as_json(run("check", "--json", cwd=tmp_path))
    assert (report["fit"], report["rate"]) == (True, 48_000)
    assert [finding["name"] for finding in report["findings"]] == POINTS
    for finding in report["findings"]:
        assert set(finding) == {"name", "state", "text", "remedy"}
        assert finding["state"] in ("ok", "warning")
        assert finding["text"]
        assert bool(finding["remedy"]) == (finding["state"] != "ok")
    assert "silently to the null clock" in by_name(report)["audio output"]["text"]
    assert str(tmp_path) in by_name(report)["disk, recordings"]["text"]


@pytest.mark.usefixtures("no_audio")
def test_every_point_is_a_line_in_a_pipe(tmp_path: Path) -> None:
    done = run("check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "warning "))]
    assert [name for name, line in zip(POINTS, told, strict=True) if name not in line] == []
    assert done.stdout.splitlines()[-1].startswith("this machine ")


def test_a_rate_that_is_none_is_bad_usage(tmp_path: Path) -> None:
    done = run_here("check", "--rate", "12345", cwd=tmp_path)
    assert done.returncode == 2
    assert "rate: 12345 Hz is not a usual rate" in done.stderr


def test_its_help_has_examples(tmp_path: Path) -> None:
    assert "roomtone check --rate 44100" in run_here("check", "--help", cwd=tmp_path).stdout


@pytest.mark.live
def test_a_jack_server_is_found_with_its_rate_and_buffer(jack_server: JackServer, tmp_path: Path) -> None:
    findings = by_name(as_json(run("check", "--json", cwd=tmp_path)))
    assert findings["audio output"]["state"] == findings["sample rate"]["state"] == "ok"
    assert "JACK server" in findings["sample rate"]["text"]
    assert findings["JACK"]["text"].startswith("runs at 48000 Hz with a buffer of 128 frames, 2.7 ms")


@pytest.mark.live
def test_a_server_at_another_rate_makes_playing_impossible_until_it_is_asked_for(
    own_jack_server: JackServer, tmp_path: Path
) -> None:
    """Exit code 1 at 48 kHz, as `roomtone play`; 0 at the server's 44.1 kHz."""
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert "→ play with `--rate 44100`" in done.stdout
    assert "this machine cannot play at 48000 Hz as it is: sample rate" in done.stdout
    findings = by_name(as_json(run("check", "--json", "--rate", "44100", cwd=tmp_path)))
    assert findings["sample rate"]["state"] == "ok"
    assert "44100 Hz with a buffer of 1024 frames" in findings["JACK"]["text"]


@pytest.mark.live
def test_a_server_that_hangs_is_told_and_does_not_hang_the_check(
    own_jack_server: JackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitness, "PORTAUDIO_TIMEOUT_S", 3.0)
    own_jack_server.process.send_signal(signal.SIGSTOP)
    try:
        findings = by_name(as_json(run_here("check", "--json", cwd=tmp_path)))
    finally:
        own_jack_server.process.send_signal(signal.SIGCONT)
    for name in ("PortAudio", "JACK"):
        assert findings[name]["state"] == "warning"
        assert "not answer" in findings[name]["text"]
        assert "restart" in findings[name]["remedy"]


@pytest.mark.usefixtures("no_audio")
def test_a_machine_without_portaudio_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide = "import ctypes.util\nctypes.util.find_library = lambda name: None\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    from engine.control.fitness import look

    (finding,) = [f for f in look() if f.name == "PortAudio"]
    assert finding.state == "warning"
    assert "the PortAudio library is missing" in finding.text
    assert "apt install libportaudio2" in finding.remedy


def test_a_cache_is_complete_when_numba_says_so(tmp_path: Path) -> None:
    """Of a fresh cache none is compiled; afterwards as many as numba has written an index for, and no more.

    It is the user's own, unless others can write to its parent.
    """
    code = (
        "import pathlib, sys; from dsp import kernel_cache; import dsp; packages = [pathlib.Path(dsp.__path__[0])]\n"
        "before = kernel_cache.look(packages)\n"
        "import dsp.blocks, dsp.denormals\n"
        "after = kernel_cache.look(packages)\n"
        "written = len(list(after.folder.rglob('*.nbi')))\n"
        "after.folder.parent.chmod(0o777)\n"
        "exposed = kernel_cache.look(packages)\n"
        "counts = (before.compiled, after.compiled, written, after.kernels)\n"
        "print(oct(exposed.mode), *counts, oct(after.mode), after.writable, after.owned)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    exposed, before, compiled, written, kernels, *rest = done.stdout.split()
    assert before == "0"
    assert compiled == written
    assert 4 <= int(compiled) < int(kernels)
    assert rest == ["0o700", "True", "True"]
    assert exposed == "0o722"


def test_a_cache_that_cannot_be_made_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = (
        "from dsp import kernel_cache; import dsp, pathlib\n"
        "state = kernel_cache.look([pathlib.Path(dsp.__path__[0])])\n"
        "print(state.folder, state.writable, state.compiled)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")}
    environment.pop("NUMBA_CACHE_DIR", None)
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["None", "False", "0"]


def stranger(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    """Return the name of a module that does `text` when it is imported."""
    (folder / "stranger.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return "stranger"


def test_a_library_that_kills_the_process_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a wheel built for newer processors does, with an illegal instruction."""
    name = stranger(tmp_path, monkeypatch, "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    trial = try_engine(("json", name), 1e-4)
    assert trial.failure == "the process ended loading stranger (signal 4)"


def test_a_library_that_is_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = stranger(tmp_path, monkeypatch, "raise ImportError('wrong ELF class')\n")
    trial = try_engine((name,), 1e-4)
    assert trial.failure == "stranger cannot be loaded (ImportError: wrong ELF class)"
    assert not trial.lateness_us


def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = stranger(tmp_path, monkeypatch, "import time\ntime.sleep(60)\n")
    assert try_engine((name,), 1e-4, timeout_s=1.0).failure == "no answer within 1 s"


def test_an_engine_like_process_tells_its_naps_and_libraries() -> None:
    trial = try_engine(("numpy",), 1e-4)
    assert list(trial.versions) == ["numpy"]
    assert not trial.failure
    assert len(trial.lateness_us) == NAPS
    assert min(trial.lateness_us) > -1.0  # a nap is never shorter than asked, but for the clock's rounding


def test_a_program_that_leaves_its_output_to_another_does_not_hold_up_who_asks() -> None:
    """An audio server that a library starts inherits what the child writes to, and lives on."""
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)"
    answer = ask([sys.executable, "-c", code], 30.0)
    other = int(answer.output)
    try:
        os.kill(other, 0)
    finally:
        os.kill(other, signal.SIGKILL)
    assert answer.code == 0


def test_a_program_that_does_not_end_is_killed() -> None:
    with pytest.raises(TimeoutError):
        ask(["sleep", "30"], 0.2)
    done = subprocess.run(["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    assert "sleep 30" not in done.stdout


def test_no_pipewire_is_found_where_none_listens(tmp_path: Path) -> None:
    """Neither without a socket, nor with one that a server left behind."""
    assert ask_pipewire({}) is None
    assert ask_pipewire({"XDG_RUNTIME_DIR": str(tmp_path)}) is None
    import socket

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "pipewire-0"))
    assert ask_pipewire({"XDG_RUNTIME_DIR": str(tmp_path)}) is None


def test_a_pipewire_that_listens_is_asked_by_its_own_tool(tmp_path: Path) -> None:
    """Without the tool it runs, and does not tell."""
    import socket

    variables = {"PIPEWIRE_RUNTIME_DIR": str(tmp_path), "PATH": str(tmp_path)}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "pipewire-0"))
        server.listen()
        silent = ask_pipewire(variables)
        assert silent is not None
        assert (silent.rate_hz, silent.buffer_frames) == (None, None)
        tool = tmp_path / "pw-metadata"
        tool.write_text("#!/bin/sh\necho \"update: id:0 key:'clock.rate' value:'44100' type:''\"\n")
        tool.chmod(0o755)
        told = ask_pipewire(variables)
        assert told is not None
        assert (told.rate_hz, told.buffer_frames) == (44_100, None)
