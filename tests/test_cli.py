"""The command as a user meets it: exit codes, messages, files, JSON."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

COMMAND = [sys.executable, "-c", "from engine.cli import main; main()"]
TINY = "title: Tiny\nduration: 0.5\natmo: {sound: synth:wind}\nobjects: [{label: bell}]\n"


def run(*arguments: str, cwd: Path, timeout_s: float = 120.0) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "COLUMNS": "120"}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s
    )


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def as_json(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_help_shows_examples_for_every_verb(tmp_path: Path) -> None:
    top = run("--help", cwd=tmp_path)
    assert top.returncode == 0
    for verb in ("play", "render", "devices", "scene"):
        assert verb in top.stdout
        assert run(verb, "--help", cwd=tmp_path).returncode == 0
    for verb in ("play", "render", "devices"):
        assert f"roomtone {verb}" in run(verb, "--help", cwd=tmp_path).stdout


def test_render_writes_the_file_it_names_and_reports_its_hash(scene: Path) -> None:
    report = as_json(run("render", "tiny.yaml", "-o", "out.wav", "--json", cwd=scene.parent))
    samples = soundfile.read(scene.parent / "out.wav", dtype="float32")[0]
    assert len(samples) == report["frames"] == 24_000
    import hashlib

    assert hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest() == report["sha256"]
    keys = (
        "scene seed rate quantum frames sha256 integrated_lufs true_peak_dbtp realtime_factor tracks credits"
    )
    assert set(keys.split()) <= set(report)
    assert report["tracks"][0]["events"][0] == {"start_frame": 0, "frames": 24_000, "source": "synth:wind"}


def test_options_override_the_scene(scene: Path) -> None:
    report = as_json(
        run(
            *("render", "tiny.yaml", "--json", "--seed", "9", "--duration", "0.25"),
            *("--rate", "44100", "--quantum", "64"),
            cwd=scene.parent,
        )
    )
    assert (report["seed"], report["rate"], report["quantum"], report["frames"]) == (9, 44_100, 64, 11_025)


def test_without_a_scene_the_built_in_one_is_rendered_and_never_over_a_file(tmp_path: Path) -> None:
    first = run("render", "--duration", "0.1", cwd=tmp_path)
    assert first.returncode == 0
    assert (tmp_path / "rainy-street.wav").exists()
    second = run("render", "--duration", "0.1", cwd=tmp_path)
    assert second.returncode == 2
    assert "rainy-street.wav: exists already; name a file with -o" in second.stderr


BAD = [
    (("render", "nope.yaml"), "nope.yaml: no such scene file"),
    (("render", "tiny.yaml", "-o", "out.mp3"), "cannot write .mp3; .wav or .flac"),
    (("render", "tiny.yaml", "-o", "no/such/folder/o.wav"), "cannot be written"),
    (("render", "tiny.yaml", "--rate", "12345"), "rate: 12345 Hz is not a usual rate; one of 8000"),
    (("render", "tiny.yaml", "--quantum", "8"), "quantum: a quantum of 8 frames; must be 16 to 2048"),
    (("render", "tiny.yaml", "--duration", "-1"), "duration: -1 seconds; more than 0"),
    (("render", "tiny.yaml", "--duration", "nan"), "duration: nan seconds"),
    (("render", "tiny.yaml", "--endless"), "give --duration SECONDS"),
    (("render", "tiny.yaml", "--seed", "-1"), "--seed"),
    (("render", "tiny.yaml", "--sed", "1"), "No such option: --sed"),
    (("render", "typo.yaml"), "typo.yaml:3: objects[0].importnce: unknown key `importnce`"),
    (("render", "noise.yaml", "--json"), "noise.yaml:2: objects[0].sound"),
    (("scene", "check", "typo.yaml", "nope.yaml"), "nope.yaml: no such scene file"),
    (("play", "typo.yaml"), "did you mean `importance`?"),
    (("play", "tiny.yaml", "--record", "take.xyz", "--driver", "null"), "cannot write .xyz"),
    (("dance",), "No such command 'dance'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_exits_2_with_a_plain_message_and_leaves_nothing(
    arguments: tuple[str, ...], message: str, scene: Path
) -> None:
    folder = scene.parent
    (folder / "typo.yaml").write_text("title: T\nobjects:\n  - {label: car, importnce: 0.5}\n")
    (folder / "noise.yaml").write_text("objects:\n  - {label: x, sound: noise.wav}\n")
    (folder / "noise.wav").write_bytes(b"RIFF" + bytes(range(256)))
    before = sorted(p.name for p in folder.iterdir())
    done = run(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == before


def test_an_interrupted_render_leaves_no_file(scene: Path) -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);" + COMMAND[-1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "render", "tiny.yaml", "--duration", "3000", "-o", "long.wav"],
        cwd=scene.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until_s = time.monotonic() + 90.0
    while not list(scene.parent.glob(".long*")):
        assert process.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().endswith("roomtone: interrupted; nothing was written")
    assert [p.name for p in scene.parent.iterdir()] == ["tiny.yaml"]


def test_the_schema_and_the_lists_are_json_for_programs(tmp_path: Path) -> None:
    assert as_json(run("scene", "schema", cwd=tmp_path))["title"] == "Scene"
    assert "rainy-street" in [row["name"] for row in as_json(run("scene", "list", "--json", cwd=tmp_path))]
    assert "rain" in [row["name"] for row in as_json(run("scene", "sounds", "--json", cwd=tmp_path))]


def test_params_lists_what_can_be_turned_with_its_present_value(scene: Path) -> None:
    rows = {
        row["name"]: row for row in as_json(run("scene", "params", "tiny.yaml", "--json", cwd=scene.parent))
    }
    assert rows["mix.bell.panning"]["range"] == "-1 to 1"
    assert rows["trim.bell.level_db"]["value"] == -25.0


def test_play_on_the_null_clock_keeps_the_pace_and_says_why(scene: Path, no_audio: None) -> None:
    """One second is played in at least one second, and the one notice carries the remedy."""
    begin_s = time.monotonic()
    done = run("play", "tiny.yaml", "--duration", "1", "--json", cwd=scene.parent)
    report = as_json(done)
    assert time.monotonic() - begin_s >= 1.0
    assert report["driver"] == "null"
    assert report["frames"] >= 48_000
    assert len(report["notices"]) == 1
    assert "roomtone devices" in report["notices"][0] or "PortAudio library" in report["notices"][0]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_play_with_a_fade_and_keeps_the_recording(scene: Path, name: str) -> None:
    """Exit code 0; the recording ends below -80 dBFS and without a step above -60 dBFS in its last 50 ms."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);" + COMMAND[-1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "play", "tiny.yaml", "--driver", "null", "--record", "take.wav"],
        cwd=scene.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    part = None
    until_s = time.monotonic() + 90.0
    while part is None or part.stat().st_size < 400_000:
        assert process.poll() is None
        assert time.monotonic() < until_s
        part = next(iter(scene.parent.glob(".take*")), None)
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "wrote take.wav" in output
    samples = soundfile.read(scene.parent / "take.wav")[0]
    assert len(samples) > 48_000
    assert np.abs(samples[-16:]).max() < 1e-4
    assert sorted(p.name for p in scene.parent.iterdir()) == ["take.wav", "tiny.yaml"]
