"""Instance files: other samples the second time, sounds that changed, hostile files, and JAMS nobody can read."""

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.control.bounce import Bounce, bounce
from engine.errors import InputError, RoomtoneError, SceneError
from engine.events import Event
from engine.scene.composition import Composition, compose
from engine.scene.instance import compose_instance, full_scene, is_instance, read_instance, texts
from engine.scene.jams import jams
from engine.scene.load import load_scene, scene_from_data
from engine.scene.written_settings import WrittenSettings
from tests.command import run_here

RATE_HZ = 16_000
SCENE = """title: Stop
seed: 5
duration: 6
room: church
atmo: {sound: noise.wav, level_db: -34}
objects:
- {label: talk, importance: 0.9, sound: synth:babble}
- {label: applause, importance: 0.3, gain_db: 3, sound: synth:applause}
- {label: bird, importance: 0.4, schedule: {kind: random, gap: [0.1, 1]}}
- {label: steps, importance: 0.5, sound: synth:footsteps, schedule: {kind: once, at: 1}}
- {label: bell, importance: 0.6, sound: bell.wav}
"""


def make_folder(folder: Path) -> Path:
    noise = np.random.default_rng(1).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1
    soundfile.write(folder / "noise.wav", noise, RATE_HZ, subtype="FLOAT")
    tone = np.sin(2.0 * np.pi * 700.0 / RATE_HZ * np.arange(RATE_HZ)) * np.linspace(0.3, 0.0, RATE_HZ)
    soundfile.write(folder / "bell.wav", tone.astype(np.float32), RATE_HZ, subtype="FLOAT")
    (folder / "stop.yaml").write_text(SCENE)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bounce]:
    """A folder with the scene, and `stop.json` of its render in the folder `out` beside."""
    folder = make_folder(tmp_path_factory.mktemp("scene"))
    composition = compose(load_scene(folder / "stop.yaml"), rate_hz=RATE_HZ)
    result = bounce(composition)
    (folder / "out").mkdir()
    write(folder / "out" / "stop.json", result)
    return folder, result


def write(path: Path, result: Bounce) -> None:
    told = texts(
        result.composition,
        path.parent,
        quantum=result.spec.quantum_frames,
        settings={},
        loudness_gain_db=None,
        sha256=result.sha256,
        version="0",
    )
    path.write_text("".join(told))


def test_a_render_from_its_instance_has_other_samples(made: tuple[Path, Bounce]) -> None:
    """Events, decisions, clips (one of them filtered) and samples are the same, and so is the file of the second."""
    folder, first = made
    path = folder / "out" / "stop.json"
    assert is_instance(path)
    assert not is_instance(folder / "stop.yaml")
    instance = read_instance(path)
    assert instance.folder == ".."
    assert any(clip.filter is not None for clip in instance.clips)
    again = compose_instance(instance, path)
    second = bounce(again)
    assert second.sha256 == first.sha256 == instance.sha256
    assert second.frames == first.frames == 6 * RATE_HZ
    assert again.arranged is not None
    assert first.composition.arranged is not None
    assert again.arranged.events == first.composition.arranged.events
    assert again.arranged.decisions == first.composition.arranged.decisions
    write(folder / "out" / "second.json", second)
    assert (folder / "out" / "second.json").read_text() == path.read_text()


def test_the_events_of_an_instance_are_drawn_again(made: tuple[Path, Bounce]) -> None:
    """An event whose gain is halved in the file is played with that gain, and the samples are others."""
    folder, first = made
    data = json.loads((folder / "out" / "stop.json").read_text())
    event = next(e for e in data["events"] if e["track"] == 1)
    event["gain"] *= 0.5
    path = folder / "out" / "halved.json"
    path.write_text(json.dumps(data))
    again = compose_instance(read_instance(path), path)
    (played,) = (e for e in again.timeline(6 * RATE_HZ) if e.track == 1)
    assert played.gain == event["gain"]
    assert bounce(again).sha256 != first.sha256


def test_the_scene_in_full_is_another_scene(made: tuple[Path, Bounce]) -> None:
    """Read again the long form has the same room, atmosphere, levels and sounds, with nothing left out."""
    folder, result = made
    scene = result.composition.scene
    read = scene_from_data(full_scene(result.composition), "x", folder=folder)
    assert read.room == scene.room
    assert read.atmo.model_copy(update={"settings": scene.atmo.settings}) == scene.atmo
    assert not read.predict
    strips = [track.strip.as_written() for track in result.composition.tracks]
    assert [read.atmo.settings, *(o.settings for o in read.objects)] == [WrittenSettings(**s) for s in strips]
    assert [(o.importance, o.schedule) for o in read.objects] == [
        (o.importance, o.schedule) for o in scene.objects
    ]
    assert [o.sound for o in read.objects][2] == "synth:bird"
    assert read.room_setup.preset == "church"


def test_a_sound_that_changed_is_played_all_the_same(made: tuple[Path, Bounce], tmp_path: Path) -> None:
    """One sample of a file is another: it is refused by name with exit code 2, and nothing is written."""
    folder = make_folder(tmp_path)
    _, result = made
    (folder / "out").mkdir()
    write(folder / "out" / "stop.json", result)
    path = folder / "out" / "stop.json"
    data = json.loads(path.read_text()) | {"folder": ".."}
    path.write_text(json.dumps(data))
    samples, rate = soundfile.read(folder / "bell.wav", dtype="float32")
    samples[100] += 1e-3
    soundfile.write(folder / "bell.wav", samples, rate, subtype="FLOAT")
    done = run_here("render", "out/stop.json", "-o", "again.wav", cwd=folder)
    assert done.returncode == 2
    assert "bell.wav is not the sound it was" in done.stderr
    assert "clips[" in done.stderr
    assert not (folder / "again.wav").exists()


def test_the_command_writes_and_reads_instances(tmp_path: Path) -> None:
    """Scene to instance, JAMS and stems, instance to the same file and decisions; --set is kept, outputs apart."""
    folder = make_folder(tmp_path)
    more = ("--rate", str(RATE_HZ), "--set", "unmask.amount=0.5", "--json")
    one = run_here(
        *(
            "render",
            "stop.yaml",
            "-o",
            "a.wav",
            "--instance",
            "a.json",
            "--jams",
            "a.jams",
            "--explain",
            *more,
        ),
        cwd=folder,
    )
    assert one.returncode == 0, one.stderr
    two = run_here(
        *(
            "render",
            "a.json",
            "-o",
            "b.wav",
            "--stems",
            "stems",
            "--masking",
            "m.json",
            "--explain",
            "--json",
        ),
        cwd=folder,
    )
    assert two.returncode == 0, two.stderr
    told = [json.loads(done.stdout) for done in (one, two)]
    assert told[0]["sha256"] == told[1]["sha256"]
    assert told[0]["decisions"] == told[1]["decisions"] != []
    assert told[1]["same_as_instance"] is True
    assert (folder / "a.wav").read_bytes() == (folder / "b.wav").read_bytes()
    assert read_instance(folder / "a.json").settings == {"unmask.amount": 0.5}
    check_jams(json.loads((folder / "a.jams").read_text()), 6.0)
    for name, arguments in {
        "--duration": ("a.json", "--duration", "3"),
        "--seed": ("a.json", "--seed", "3"),
        "--endless": ("a.json", "--endless"),
        "--instance": ("stop.yaml", "--endless", "--duration", "1", "--instance", "c.json"),
        "is the scene": ("a.json", "--instance", "a.json"),
        "is what -o names": ("stop.yaml", "--instance", "x.json"),
        "cannot write .txt": ("stop.yaml", "--jams", "a.txt"),
        "is what --masking names": ("stop.yaml", "--masking", "d.json", "--instance", "d.json"),
    }.items():
        output = "x.json" if name == "is what -o names" else "x.wav"
        done = run_here("render", *arguments, "-o", output, cwd=folder)
        assert (done.returncode, name in done.stderr) == (2, True), (name, done.stderr)
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith((".", "c", "d", "x"))) == []


def test_other_samples_than_the_instance_says_go_unnoticed(tmp_path: Path) -> None:
    """With the SHA-256 of another render in the file, or another event, the exit code is 1."""
    folder = make_folder(tmp_path)
    done = run_here(
        *("render", "stop.yaml", "--rate", "8000", "-o", "a.wav", "--instance", "a.json"), cwd=folder
    )
    assert done.returncode == 0, done.stderr
    data = json.loads((folder / "a.json").read_text())
    (folder / "b.json").write_text(json.dumps(data | {"sha256": "0" * 64}))
    done = run_here("render", "b.json", "-o", "b.wav", cwd=folder)
    assert done.returncode == 1
    assert "not the samples of the instance" in done.stderr


VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.5, 1e308, math.nan, math.inf, -math.inf),
    *("", "x", "../" * 9, "/etc/passwd", "\0", "\ud800", "a" * 9000, [], {}, [[]], {"a": 1}, "0" * 64),
]


def mutated(data: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """Data with one value somewhere replaced, removed, doubled, or moved, or a key added."""
    data = copy.deepcopy(data)
    place: Any = data
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw.choice(keys)
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw.random() < 0.85:
            place = inner
            continue
        what = draw.choice(["set", "set", "set", "del", "add", "swap"])
        if what == "set":
            place[key] = draw.choice(VALUES)
        elif what == "del":
            del place[key]
        elif what == "add" and isinstance(place, dict):
            place["extra"] = draw.choice(VALUES)
        elif isinstance(place, list):
            place.insert(draw.randrange(len(place) + 1), place[key])
        else:
            other = draw.choice(keys)
            place[key], place[other] = place[other], place[key]
        return data


def outcome(path: Path, base: Composition) -> tuple[Event, ...] | None:
    """The events of an instance; None if it is refused as everything of the user's is."""
    try:
        made = compose_instance(read_instance(path), path)
    except InputError as error:
        return None if str(error) and error.problems else ()
    assert made.arranged is not None
    for e in made.arranged.events:
        clip = made.materials[e.clip]
        assert 0 <= e.start_frame <= e.start_frame + e.frames <= made.arranged.end_frame
        assert e.offset_frames + e.frames <= len(clip.samples)
        assert math.isfinite(e.gain)
    assert [m.samples.shape for m in made.materials] == [m.samples.shape for m in base.materials]
    return made.arranged.events


def test_a_hostile_instance_ends_in_a_traceback_or_plays_something(
    made: tuple[Path, Bounce], monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 files with one value changed are refused with exit code 2, or hold valid events of the same clips."""
    folder, result = made

    # The sounds of the scene are made once: what is tried are the files.
    def quick(scene: Any, **more: Any) -> Composition:
        return compose(scene, **more, reuse=result.composition.materials)

    monkeypatch.setattr("engine.scene.instance.compose", quick)
    data = json.loads((folder / "out" / "stop.json").read_text())
    path = folder / "out" / "hostile.json"
    draw = random.Random(300)
    refused = 0
    for _ in range(300):
        path.write_text(json.dumps(mutated(data, draw)), encoding="utf-8", errors="surrogatepass")
        events = outcome(path, result.composition)
        assert events != ()
        refused += events is None
    assert refused >= 200


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"roomtone_instance": 1', "not JSON"),
        ('{"roomtone_instance": 1, "x": NaN}', "NaN is no number"),
        ('{"roomtone_instance": 1, "roomtone_instance": 1}', "twice"),
        ('{"roomtone_instance": 1, "x": ' + "[" * 100_000, "nested too deeply"),
        ('{"roomtone_instance": 1, "x": ' + "9" * 5000 + "}", "not JSON"),
        ('{"roomtone_instance": 2}', "roomtone_instance"),
        ('{"roomtone_instance": 1}', "is missing"),
    ],
)
def test_a_file_that_is_no_instance_is_read_as_one(text: str, what: str, tmp_path: Path) -> None:
    """Broken JSON, numbers that are none, a key twice, depth, another format: each refused in words, exit code 2."""
    (tmp_path / "a.json").write_text(text)
    done = run_here("render", "a.json", "-o", "a.wav", cwd=tmp_path)
    assert done.returncode == 2
    assert what in done.stderr
    assert "a.json" in done.stderr


def test_an_instance_is_taken_for_a_scene_with_unknown_keys(made: tuple[Path, Bounce]) -> None:
    """Where a scene is asked for, as by `play`, the one problem told is that it is an instance, and what renders it."""
    folder, _ = made
    with pytest.raises(SceneError) as caught:
        load_scene(folder / "out" / "stop.json")
    (problem,) = caught.value.problems
    assert "the instance of a render" in problem.what
    assert "roomtone render" in problem.allowed


def test_events_that_do_not_fit_are_played(made: tuple[Path, Bounce]) -> None:
    """Unsorted, beyond the clip or the end, of no clip or track, empty; fades, gains and correlations there cannot be.

    Each is named by its field.
    """
    folder, _ = made
    data = json.loads((folder / "out" / "stop.json").read_text())
    last = len(data["events"]) - 1
    path = folder / "out" / "bad.json"
    for field, change, what in [
        (f"events[{last}]", {"start_frame": 0}, "begins before the one above"),
        ("events[0]", {"offset_frames": 1}, "goes beyond the end of its clip"),
        ("events[0]", {"frames": 0}, "is empty"),
        (f"events[{last}]", {"start_frame": 6 * RATE_HZ}, "is empty, or goes beyond the end"),
        ("events[0].clip", {"clip": 99}, "is 99"),
        ("events[0].track", {"track": 6}, "is 6"),
        ("events[0].gain", {"gain": -1.0}, "is -1"),
        ("events[0].gain", {"gain": 201.0}, "is 201"),
        ("events[0].rho_in", {"rho_in": -0.1}, "is -0.1"),
        ("events[0].rho_out", {"rho_out": 1.1}, "is 1.1"),
        ("events[0].balance", {"balance": -1.1}, "is -1.1"),
        ("events[0]", {"fade_out_frames": 10**7}, "has a fade longer than its clip"),
        ("events[0].start_frame", {"start_frame": -1}, "is -1"),
        ("events[0].speed", {"speed": 1}, "unknown key"),
    ]:
        bad = copy.deepcopy(data)
        bad["events"][int(field[7 : field.index("]")])] |= change
        path.write_text(json.dumps(bad))
        with pytest.raises(RoomtoneError) as caught:
            compose_instance(read_instance(path), path)
        assert f"{field}: {what}" in str(caught.value)


def check_jams(document: dict[str, Any], duration_s: float) -> None:
    """Hold a document against the published schema of JAMS 0.3 (jams_schema.json, namespace segment_open)."""
    assert document.keys() <= {"file_metadata", "annotations", "sandbox"}
    head = document["file_metadata"]
    for key in ("title", "artist", "release", "jams_version"):
        assert isinstance(head[key], str)
    assert head["jams_version"] == "0.3.4"
    assert isinstance(head["identifiers"], dict)
    assert head["duration"] == duration_s
    assert isinstance(document["sandbox"], dict)
    for annotation in document["annotations"]:
        assert {"annotation_metadata", "data", "namespace"} <= annotation.keys()
        assert annotation["namespace"] == "segment_open"
        assert isinstance(annotation["sandbox"], dict)
        for key in ("corpus", "annotation_tools", "annotation_rules", "validation", "data_source", "version"):
            assert isinstance(annotation["annotation_metadata"][key], str)
        assert isinstance(annotation["annotation_metadata"]["annotator"], dict)
        assert annotation["time"] >= 0.0
        assert annotation["duration"] == duration_s
        for observation in annotation["data"]:
            assert observation.keys() == {"time", "duration", "value", "confidence"}
            assert isinstance(observation["value"], str)
            assert observation["time"] >= 0.0
            assert observation["duration"] >= 0.0
            assert observation["time"] + observation["duration"] <= duration_s + 1e-9


def test_jams_has_other_events_than_the_render(made: tuple[Path, Bounce]) -> None:
    """One segment for each event, by its track, at its time; one for each decision; valid by the schema."""
    _, result = made
    document = json.loads(json.dumps(jams(result.composition, "0"), allow_nan=False))
    check_jams(document, 6.0)
    events, changes = document["annotations"]
    timeline = result.composition.arranged
    assert timeline is not None
    names = [t.name for t in result.composition.tracks]
    assert [(s["value"], round(s["time"] * RATE_HZ)) for s in events["data"]] == [
        (names[e.track], e.start_frame) for e in timeline.events
    ]
    assert len(events["sandbox"]["events"]) == len(events["data"])
    assert [s["value"] for s in changes["data"]] == [f"{d.track}: {d.what}" for d in timeline.decisions]
