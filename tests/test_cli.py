"""The command as a user meets it: exit codes, messages, files, JSON."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.cli.common import Interrupted, interruptible, print_table
from engine.control.offline import FaultLog
from engine.messages import Fault
from tests.command import COMMAND, TINY, as_json, interrupt, run, run_here, start


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY + "predict: false\n")
    return path


def test_help_shows_examples_for_every_verb(tmp_path: Path) -> None:
    top = run("--help", cwd=tmp_path)
    assert top.returncode == 0
    for verb in ("play", "render", "bench", "devices", "scene"):
        assert verb in top.stdout
        assert run_here(verb, "--help", cwd=tmp_path).returncode == 0
    for verb in ("play", "render", "bench", "devices"):
        assert f"roomtone {verb}" in run_here(verb, "--help", cwd=tmp_path).stdout


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
        run_here(
            *("render", "tiny.yaml", "--json", "--seed", "9", "--duration", "0.25"),
            *("--rate", "44100", "--quantum", "64"),
            cwd=scene.parent,
        )
    )
    assert (report["seed"], report["rate"], report["quantum"], report["frames"]) == (9, 44_100, 64, 11_025)


def test_without_a_scene_the_built_in_one_is_rendered_and_never_over_a_file(tmp_path: Path) -> None:
    first = run_here("render", "--duration", "0.1", cwd=tmp_path)
    assert first.returncode == 0
    assert (tmp_path / "rainy-street.wav").exists()
    second = run_here("render", "--duration", "0.1", cwd=tmp_path)
    assert second.returncode == 2
    assert "rainy-street.wav: exists already; name a file with -o" in second.stderr


BAD = [
    (("render", "nope.yaml"), "nope.yaml: no such scene file"),
    (("render", "tiny.yaml", "-o", "out.mp3"), "cannot write .mp3; .wav or .flac"),
    (("render", "tiny.yaml", "-o", "no/such/folder/o.wav"), "cannot be written"),
    (("render", "tiny.yaml", "--rate", "12345"), "rate: 12345 Hz is not a usual rate; one of 8000"),
    (("render", "tiny.yaml", "--quantum", "8"), "quantum: a quantum of 8 frames; must be 16 to 2048"),
    (("render", "tiny.yaml", "--quantum", "0"), "quantum: a quantum of 0 frames; must be 16 to 2048"),
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
    (("play", "tiny.yaml", "--record", "no/such/folder/o.wav", "--driver", "null"), "cannot be written"),
    (("play", "tiny.yaml", "--duration", "inf"), "duration: inf seconds; 0.1 to 86400"),
    (("play", "tiny.yaml", "--duration", "nan"), "duration: nan seconds; 0.1 to 86400"),
    (("play", "tiny.yaml", "--duration", "1e15"), "duration: 1e+15 seconds; 0.1 to 86400"),
    (("play", "tiny.yaml", "--duration", "0.01"), "duration: 0.01 seconds; 0.1 to 86400"),
    (("dance",), "No such command 'dance'"),
    (("render", "kitchn"), "kitchn: no such scene file; a scene file, or one of forest-morning"),
    (("render", "tiny.yaml", "--set", "unmask.amont=0"), "'unmask.amont'; did you mean unmask.amount"),
    (("render", "tiny.yaml", "--set", "unmask.amount=2"), "unmask.amount: 2.0 is refused; must be 0 to 1"),
    (("render", "tiny.yaml", "--set", "unmask.amount=nan"), "unmask.amount: nan is refused"),
    (("render", "tiny.yaml", "--set", "unmask.delta=loud"), "'loud' is refused; one of 0 (off), 1 (on)"),
    (("render", "tiny.yaml", "--set", "unmask.delta"), "--set: `unmask.delta`; NAME=VALUE, as in"),
    (("render", "tiny.yaml", "--set", "unmask.delta="), "--set: `unmask.delta=`; NAME=VALUE"),
    (
        ("play", "tiny.yaml", "--set", "mix.bel.panning=0", "--driver", "null"),
        "did you mean mix.bell.panning",
    ),
    (("play", "tiny.yaml", "--set", "unmask.delta=2", "--driver", "null"), "one of 0 (off), 1 (on)"),
]


@pytest.fixture
def folder(scene: Path) -> Path:
    """A good scene, one with a typo, and one whose sound is none."""
    folder = scene.parent
    (folder / "typo.yaml").write_text("title: T\nobjects:\n  - {label: car, importnce: 0.5}\n")
    (folder / "noise.yaml").write_text("objects:\n  - {label: x, sound: noise.wav}\n")
    (folder / "noise.wav").write_bytes(b"RIFF" + bytes(range(256)))
    return folder


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_exits_2_with_a_plain_message_and_leaves_nothing(
    arguments: tuple[str, ...], message: str, folder: Path
) -> None:
    before = sorted(p.name for p in folder.iterdir())
    done = run_here(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("render", "noise.yaml", "--json"),
        ("scene", "check", "typo.yaml", "nope.yaml"),
        ("play", "tiny.yaml", "--set", "unmask.delta=2", "--driver", "null"),
        ("dance",),
    ],
    ids=lambda a: a[0],
)
def test_bad_input_ends_a_process_as_it_ends_the_command(arguments: tuple[str, ...], folder: Path) -> None:
    """Exit code 2, no traceback, nothing left."""
    before = sorted(p.name for p in folder.iterdir())
    done = run(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert next(message for bad, message in BAD if bad == arguments) in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == before


def test_parameters_are_set_for_a_render_and_while_playing(scene: Path) -> None:
    """Without unmasking, and without a level, every track is the same after it as before; play takes the same words."""
    folder = scene.parent
    off = ("--set", "unmask.amount=0", "--set", "unmask.bell.yield=never")
    report = as_json(run_here("render", "tiny.yaml", "--stems", "stems", "--json", *off, cwd=folder))
    assert len(report["tracks"]) == 2
    for name in ("atmo.wav", "bell.wav"):
        pre, post = ((folder / "stems" / part / name).read_bytes() for part in ("pre", "post"))
        assert pre == post
    mute = ("--set", "trim.atmo.level_db=-90", "--set", "trim.bell.level_db=-90")
    options = ("--driver", "null", "--duration", "0.5", "--record", "take.wav", "--json")
    as_json(run("play", "tiny.yaml", *mute, *options, cwd=folder))
    assert not soundfile.read(folder / "take.wav")[0].any()


def test_a_folder_with_the_name_of_a_built_in_scene_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "kitchen").mkdir()
    report = as_json(run_here("render", "kitchen", "--duration", "0.1", "--json", cwd=tmp_path))
    assert report["scene"] == "Kitchen by the fire"


def test_an_interrupted_render_leaves_no_file(scene: Path) -> None:
    process = start("render", "tiny.yaml", "--duration", "3000", "-o", "long.wav", cwd=scene.parent)
    interrupt(process, scene.parent, ".long*")
    assert [p.name for p in scene.parent.iterdir()] == ["tiny.yaml"]


def test_the_schema_and_the_lists_are_json_for_programs(tmp_path: Path) -> None:
    assert as_json(run("scene", "schema", cwd=tmp_path))["title"] == "Scene"
    assert "rainy-street" in [
        row["name"] for row in as_json(run_here("scene", "list", "--json", cwd=tmp_path))
    ]
    assert "rain" in [row["name"] for row in as_json(run_here("scene", "sounds", "--json", cwd=tmp_path))]


def test_params_lists_what_can_be_turned_with_its_present_value(scene: Path) -> None:
    rows = {
        row["name"]: row
        for row in as_json(run_here("scene", "params", "tiny.yaml", "--json", cwd=scene.parent))
    }
    assert rows["mix.bell.panning"]["range"] == "-1 to 1"
    assert rows["trim.atmo.level_db"]["value"] == -32.0


def test_play_on_the_null_clock_keeps_the_pace_and_says_why(scene: Path, no_audio: None) -> None:
    """One second is played in at least one second, and the one notice carries the remedy."""
    begin_s = time.monotonic()
    done = run("play", "tiny.yaml", "--duration", "1", "--json", cwd=scene.parent)
    report = as_json(done)
    assert time.monotonic() - begin_s >= 1.0
    assert report["driver"] == "null"
    assert report["frames"] >= 48_000
    (notice,) = [i for i in report["incidents"] if i["kind"] == "notice"]
    assert "roomtone devices" in notice["text"] or "PortAudio library" in notice["text"]


def start_play(scene: Path, *options: str) -> "subprocess.Popen[str]":
    """Play and record."""
    return start("play", "tiny.yaml", "--driver", "null", "--record", "take.wav", *options, cwd=scene.parent)


def wait_for_recording(process: "subprocess.Popen[str]", folder: Path, seconds: float = 0.25) -> None:
    """Return when more than `seconds` are in the recording.

    The file that was opened to try the name goes away again at once.
    """
    until_s = time.monotonic() + 90.0
    written_bytes = 0
    while written_bytes < 8 * 48_000 * seconds + 1000:
        assert process.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.05)
        with contextlib.suppress(FileNotFoundError):
            written_bytes = max((part.stat().st_size for part in folder.glob(".take*")), default=0)


SIGNALS = {
    "one to end": (("SIGINT",), 0.0, "--spare"),
    "one from the system": (("SIGTERM",), 0.0, "--spare"),
    "a hang-up": (("SIGHUP",), 0.0, "--spare"),
    "two at once": (("SIGINT", "SIGINT"), 0.02, "--no-spare"),
    "two, the second in the fade": (("SIGINT", "SIGINT"), 0.06, "--no-spare"),
    "all three": (("SIGTERM", "SIGHUP", "SIGINT"), 0.04, "--no-spare"),
}


@pytest.mark.parametrize("which", SIGNALS)
def test_a_signal_stops_play_with_a_fade_and_keeps_the_recording(scene: Path, which: str) -> None:
    """Exit code 0, however many come; the recording ends below -80 dBFS and without a step above -60 dBFS in its
    last 50 ms.
    """
    names, gap_s, spare = SIGNALS[which]
    process = start_play(scene, spare)
    wait_for_recording(process, scene.parent)
    for name in names:
        process.send_signal(getattr(signal, name))
        time.sleep(gap_s)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "wrote take.wav" in output
    samples = soundfile.read(scene.parent / "take.wav")[0]
    assert len(samples) > 12_000
    assert np.abs(samples[-16:]).max() < 1e-4
    assert np.abs(np.diff(samples[-2400:], axis=0)).max() < 1e-3
    assert sorted(p.name for p in scene.parent.iterdir()) == ["take.wav", "take.wav.json", "tiny.yaml"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_before_it_plays_leaves_no_file(scene: Path, name: str) -> None:
    """From the start of the engine process until it has built its graph: exit code 130."""
    process = start_play(scene)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("the system does not tell which children a process has")
    until_s = time.monotonic() + 90.0
    while not children.read_text():
        assert process.poll() is None
        assert time.monotonic() < until_s
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert errors.strip().endswith("roomtone: interrupted; nothing was written")
    assert [p.name for p in scene.parent.iterdir()] == ["tiny.yaml"]


def test_an_engine_that_dies_is_told_in_two_lines_and_the_take_goes_on(scene: Path) -> None:
    """Exit code 0 after the interrupt; the sidecar tells of it as well."""
    process = start_play(scene)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for_recording(process, scene.parent, 1.0)
    if not children.exists():
        process.kill()
        pytest.skip("the system does not tell which children a process has")
    commands = {
        int(child): Path(f"/proc/{child}/cmdline").read_text() for child in children.read_text().split()
    }
    (engine,) = (pid for pid, text in commands.items() if "engine.host\0" in text and "--spare" not in text)
    os.kill(engine, signal.SIGKILL)
    assert process.stderr is not None
    # On a machine that stalls there are under-runs, and loading kernels takes as long as compiling some.
    told = (line for line in process.stderr if "under-run" not in line and "compiling" not in line)
    lines = [next(told), next(told)]
    assert lines[0] == "roomtone: the engine ended by signal 9: a new one takes over\n"
    assert lines[1].startswith("roomtone: sound again after ")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "wrote take.wav" in output
    sidecar = json.loads((scene.parent / "take.wav.json").read_text())
    kinds = [i["kind"] for i in sidecar["incidents"] if i["kind"] != "underrun"]
    assert kinds == ["engine-died", "engine-back"]
    assert sidecar["frames"] == soundfile.info(scene.parent / "take.wav").frames > 48_000


@pytest.mark.parametrize("arguments", [("scene", "schema"), ("scene", "sounds"), ("--help",)])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """As in `roomtone scene schema | head -1`: exit code 0 and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120.0,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("scene", "schema"), ("scene", "sounds"), ("--help",), ("--version",)])
def test_an_output_that_is_full_is_told_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], unbuffered: str
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parent.parent),
                "PYTHONUNBUFFERED": unbuffered,
            },
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120.0,
        )
    assert done.stderr == "roomtone: standard output: cannot be written (No space left on device)\n"
    assert done.returncode == 1


def test_a_table_in_a_pipe_keeps_its_names_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row of 150 characters, and a name of 300, take one line each."""
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, about in (("n" * 20, "word " * 26), ("n" * 300, "short")):
        print_table(("name", "about"), [(name, about)])
        lines = capsys.readouterr().out.split("\n")
        assert [line.split() for line in lines if "n" * 20 in line] == [[name, *about.split()]]
        assert len([line for line in lines if line.strip()]) == 3
    monkeypatch.setenv("COLUMNS", "60")
    print_table(("name", "about"), [("n" * 20, "word " * 26)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


def test_devices_are_listed_under_headings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inputs as well; brackets in a name are not taken for markup."""
    from engine.cli.devices import devices
    from engine.host.devices import DeviceInfo

    speakers = DeviceInfo("speakers [usb]", "ALSA", 2, 0, 48_000.0, 0.005, 0.02, True)
    microphone = DeviceInfo("microphone", "ALSA", 0, 1, 48_000.0, 0.005, 0.02, False)
    monkeypatch.setattr("engine.host.devices.list_devices", lambda: [microphone, speakers])
    monkeypatch.setenv("COLUMNS", "120")
    devices()
    table = capsys.readouterr().out
    assert "Latency (ms)" in table
    assert "speakers [usb]" in table
    assert "microphone" in table
    devices(as_json=True)
    assert [r["name"] for r in json.loads(capsys.readouterr().out)] == ["microphone", "speakers [usb]"]


def test_a_sound_with_a_number_sign_is_credited_by_its_whole_name(scene: Path) -> None:
    """Further soundings of one sound are one credit."""
    rng = np.random.default_rng(440)
    soundfile.write(scene.parent / "car#2.wav", 0.1 * rng.standard_normal(24_000), 48_000)
    bird = "{label: bird, sound: synth:bird, schedule: {kind: random, gap: [0, 1]}}"
    objects = f"[{{label: car, sound: car#2.wav}}, {bird}]"
    scene.write_text(f"duration: 0.5\natmo: {{sound: synth:wind}}\nobjects: {objects}\n")
    report = as_json(run_here("render", "tiny.yaml", "--json", cwd=scene.parent))
    assert [line.split(": ")[0] for line in report["credits"]] == ["car#2.wav", "synth:bird", "synth:wind"]


def test_params_finds_sounds_in_a_library(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    soundfile.write(tmp_path / "library" / "own.wav", np.full(24_000, 0.1), 48_000)
    scene.write_text("objects: [{label: mine, sound: own.wav}]\n")
    done = run_here("scene", "params", "tiny.yaml", "--library", "library", "--json", cwd=scene.parent)
    assert "mix.mine.panning" in [row["name"] for row in as_json(done)]


def test_of_many_faults_the_first_hundred_are_told() -> None:
    faults = FaultLog()
    for frame in range(250):
        faults.take(deque([Fault("room", frame, "non-finite output")]))
    told = faults.told()
    assert len(told) == 101
    assert told[99] == "room at frame 99: non-finite output"
    assert told[100] == "and 150 more"


def struck(what: str) -> None:
    """Be interrupted as a program is, in a library that does `what` with it."""
    with interruptible():
        if what == "fails before":
            raise ValueError
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5.0)
        except KeyboardInterrupt as error:
            if what == "makes an error of it":
                raise ValueError from error
            raise


@pytest.mark.parametrize("what", ["lets it pass", "makes an error of it", "fails before"])
def test_an_interrupt_is_lost_in_a_library(what: str) -> None:
    """An error that a library makes of it is an interrupt as well, exit code 130; one that came before it is not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(ValueError if what == "fails before" else Interrupted):
            struck(what)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert Interrupted.exit_code == 130
