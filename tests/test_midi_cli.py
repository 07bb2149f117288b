"""`roomtone midi`: what it prints, what it saves, and what it says where there is no MIDI."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.jack_server import JackServer
from benchmarks.midi_device import MidiDevices
from engine.control.midi.maps import load_map
from tests.command import as_json, run, start

PATIENCE_S = 20.0


@pytest.fixture
def devices(jack_server: JackServer) -> Iterator[MidiDevices]:
    with MidiDevices() as devices:
        devices.plug("dev")
        yield devices


def finish(
    process: "subprocess.Popen[str]", meanwhile: Callable[[], object], interval_s: float = 0.2
) -> tuple[str, str]:
    """Do something again and again until the process ends; return what it printed."""
    until_s = time.monotonic() + PATIENCE_S
    try:
        while process.poll() is None:
            assert time.monotonic() < until_s
            meanwhile()
            time.sleep(interval_s)
        return process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()


@pytest.mark.live
def test_the_ports_are_listed(devices: MidiDevices, tmp_path: Path) -> None:
    listed: Any = as_json(run("midi", "list", "--api", "jack", "--json", cwd=tmp_path))
    assert listed == {"api": "jack", "inputs": ["dev:out"], "outputs": ["dev-01:in"], "problem": ""}
    shown = run("midi", "list", "--api", "jack", cwd=tmp_path)
    assert ["dev:out", "jack", "in"] in [line.split() for line in shown.stdout.splitlines()]


@pytest.mark.live
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_monitor_prints_what_comes_and_ends_by_itself(
    devices: MidiDevices, tmp_path: Path, options: list[str]
) -> None:
    process = start("midi", "monitor", "dev", "--api", "jack", "--duration", "2.5", *options, cwd=tmp_path)
    messages = [b"\xb2\x07\x40", b"\xe0\x00\x60", b"\xc1\x04", b"\x9f\x3c\x64", b"\xfa"]
    output, errors = finish(process, lambda: devices.send("dev", *messages), 0.3)
    assert process.returncode == 0, errors
    assert "dev:out: open" in errors
    if options:
        told = [json.loads(line) for line in output.splitlines()]
        assert {(one["port"], one["kind"], one["data1"], one["data2"], one["channel"]) for one in told} >= {
            ("dev:out", "CC", 7, 64, 3),
            ("dev:out", "program", 4, 0, 2),
        }
        assert all(one["time_s"] >= 0.0 for one in told)
    else:
        for text in ("CC 7 = 64  channel 3", "pitch bend = +4096", "program 5", "note on 60 = 100", "start"):
            assert f"dev:out  {text}" in output


@pytest.mark.live
def test_what_is_learned_is_told_and_saved_at_once(
    devices: MidiDevices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path))
    process = start("midi", "learn", "room.wet_level", "--port", "dev", "--api", "jack", cwd=tmp_path)
    value = 0

    def turn() -> None:
        nonlocal value
        value = (value + 5) % 128
        devices.send("dev", bytes((0xB3, 21, value)))

    output, errors = finish(process, turn, 0.05)
    assert process.returncode == 0, errors
    assert "CC 21, channel 4 of dev:out turns room.wet_level; saved in" in output
    (binding,) = load_map(tmp_path / "midi" / "learned.yaml").bindings
    assert (binding.cc, binding.channel, binding.parameter) == (21, 4, "room.wet_level")


def test_where_nothing_is_moved_nothing_is_saved(
    no_audio: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path))
    done = run("midi", "learn", "room.wet_level", "--api", "jack", "--timeout", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "nothing was learned" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_midi_it_says_so(no_audio: None, tmp_path: Path) -> None:
    assert "no MIDI" in run("midi", "list", "--api", "jack", cwd=tmp_path).stdout
    refused = run("midi", "monitor", "nano", "--api", "jack", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == ["roomtone: no MIDI: no JACK server"]
    assert run("midi", "list", "--api", "oss", cwd=tmp_path).returncode == 2


def test_maps_are_listed_shown_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path))
    listed: Any = as_json(run("midi", "map", "--json", cwd=tmp_path))
    assert "generic" in [one["name"] for one in listed]
    shown = run("midi", "map", "generic", cwd=tmp_path).stdout
    assert ["CC", "91", "room.wet_level"] in [line.split() for line in shown.splitlines()]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("title: T\nsource: s\nbindings:\n  - {cc: 200, parameter: room.wet_level}\n")
    for options in ([], ["--check"]):
        done = run("midi", "map", str(wrong), *options, cwd=tmp_path)
        assert done.returncode == 2
        assert f"{wrong}:4: bindings[0].cc" in done.stderr
    assert "fine" in run("midi", "map", "generic", "--check", cwd=tmp_path).stdout
