"""`roomtone library` as a user meets it, and what `render` and `scene check` tell of sounds that were found."""

import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from engine.scene import library_features
from engine.scene.library_features import measure
from tests.command import as_json, run_here

SAMPLES = Path("/usr/share/sonic-pi/samples")
SCENE = "title: Woods\nseed: 3\nduration: 0.5\nobjects: [crow, tiger, maple, bell]\n"


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.scene.feature_store.cache_root", lambda: tmp_path / "cache")
    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("ROOMTONE_LIBRARY", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sounds, one of them with a sidecar, and one that is none."""
    made = tmp_path / "sounds"
    made.mkdir()
    shutil.copy(SAMPLES / "misc_crow.flac", made / "crow-1.flac")
    (made / "crow-1.yaml").write_text(
        "licence: CC0\ncredit: A. Recordist\nrt60_s: 0.4\nsynonyms: [jackdaw call]\n"
    )
    shutil.copy(SAMPLES / "elec_bell.flac", made / "big_cat.flac")
    (made / "broken.wav").write_bytes(b"RIFF")
    return made


def test_real_recordings_are_not_scanned(tmp_path: Path) -> None:
    """All 165, once; then none, under another name none either."""
    copy = tmp_path / "samples"
    shutil.copytree(SAMPLES, copy)
    first = as_json(run_here("library", "scan", str(copy), "--json", cwd=tmp_path))
    assert (first["files"], first["measured"], first["left_out"]) == (165, 165, [])
    again = as_json(run_here("library", "scan", str(copy), "--json", cwd=tmp_path))
    assert (again["measured"], again["unchanged"]) == (0, 165)
    copy.rename(tmp_path / "renamed")
    moved = as_json(run_here("library", "scan", str(tmp_path / "renamed"), "--json", cwd=tmp_path))
    assert (moved["measured"], moved["recognised"]) == (0, 165)
    rows = as_json(run_here("library", "list", "--library", "renamed", "--json", cwd=tmp_path))
    assert {row["file"]: row["duration_s"] for row in rows}["ambi_choir.flac"] == 1.5715
    assert all(-70.0 < row["loudness_lufs"] < 0.0 for row in rows)


def test_a_folder_is_forgotten_or_kept_against_the_will(folder: Path, tmp_path: Path) -> None:
    assert run_here("library", "remove", "sounds", cwd=tmp_path).returncode == 2
    done = run_here("library", "add", "sounds", cwd=tmp_path)
    assert done.stdout == f"{folder}\n"
    assert run_here("library", "add", "sounds", str(folder), cwd=tmp_path).stdout == done.stdout
    assert as_json(run_here("library", "find", "crow", "--json", cwd=tmp_path))["chosen"] == "crow-1.flac"
    assert run_here("scene", "check", "scene.yaml", cwd=tmp_path).returncode == 2
    shutil.rmtree(folder)
    assert run_here("library", "list", cwd=tmp_path).stderr == f"left out: {folder}: no such folder\n"
    assert run_here("library", "remove", "sounds", cwd=tmp_path).stdout == "no library folders\n"
    assert "there is no library folder" in run_here("library", "list", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("folders: sounds\n", 1),
        ("folders:\n  - /a\n  - b\n", 3),
        ("folder: [/a]\n", 1),
        ("folders: &a [/a]\n", 1),
    ],
)
def test_a_bad_list_of_folders_is_a_traceback(text: str, line: int, tmp_path: Path) -> None:
    file = tmp_path / "config" / "library.yaml"
    file.parent.mkdir()
    file.write_text(text)
    done = run_here("scene", "check", "kitchen", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"roomtone: {file}:{line}: ")


def test_the_list_leaves_out_what_is_known_or_what_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    (folder / "owl.yaml").write_text("label: owl\nrating: 9\n")
    (folder / "owl.wav").write_bytes(b"")
    done = run_here("library", "scan", "sounds", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == "3 sounds: 2 measured, 0 recognised by their content, 0 unchanged; 2 left out\n"
    assert f"left out: {folder}/owl.yaml:2: rating: is 9; must be 0 to 5" in done.stderr
    assert f"left out: {folder}/broken.wav: " in done.stderr
    shutil.copy(folder / "big_cat.flac", folder / "new.flac")
    table = run_here("library", "list", "--library", "sounds", cwd=tmp_path)
    for word in ("crow", "crow-1.flac", "CC0", "0.40", "big cat", "1 are not measured yet"):
        assert word in table.stdout
    assert f"left out: {folder}/broken.wav: is not a sound" in table.stderr
    rows = as_json(run_here("library", "list", "--library", "sounds", "--json", cwd=tmp_path))
    assert [row["label"] for row in rows] == ["big cat", "broken", "crow", ""]
    assert rows[2]["credit"] == "A. Recordist"
    assert rows[1]["duration_s"] is None
    assert rows[1]["fault"].startswith("is not a sound")


def test_find_tells_another_sound_than_a_scene_takes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "woods.yaml").write_text(SCENE)
    told = {
        label: as_json(
            run_here("library", "find", label, "--library", "sounds", "--seed", "3", "--json", cwd=tmp_path)
        )
        for label in ("crow", "tiger", "maple", "bell")
    }
    done = run_here("render", "woods.yaml", "--library", "sounds", "--json", cwd=tmp_path)
    tracks = {track["label"]: track for track in as_json(done)["tracks"]}
    assert {label: row["chosen"] for label, row in told.items()} == {
        label: tracks[label]["source"] for label in told
    }
    assert tracks["tiger"]["source"] == "big_cat.flac"
    assert tracks["tiger"]["retrieval"]["way"] == told["tiger"]["way"] == ["tiger", "big cat"]
    assert tracks["maple"]["retrieval"]["place"] == "synth:leaves"
    assert tracks["bell"]["retrieval"] is None
    assert tracks["atmo"]["source"] == "synth:wind"
    assert "crow-1.flac: A. Recordist, CC0" in json.loads(done.stdout)["credits"]
    assert told["crow"]["gap_s"] == [6, 30]
    check = run_here("scene", "check", "woods.yaml", "--library", "sounds", cwd=tmp_path).stdout.splitlines()
    assert check[0] == "woods.yaml: Woods: 4 objects, fine"
    assert check[1].startswith("  crow: crow-1.flac (the same label")
    assert check[2].startswith("  tiger -> big cat: big_cat.flac (1 up, 0 down")
    assert check[3].startswith("  maple -> broadleaf -> tree: synth:leaves (score 0.6)")


def test_find_shows_no_way_and_no_reason(folder: Path, tmp_path: Path) -> None:
    run_here("library", "scan", "sounds", cwd=tmp_path)
    table = run_here("library", "find", "lion", "--library", "sounds", cwd=tmp_path).stdout
    assert table.startswith("lion -> big cat: big_cat.flac\n")
    for word in ("Score", "Way", "Why", "1 up, 0 down, 0.3 s"):
        assert word in table


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("scan",), "roomtone: there is no library folder; give a folder, or `roomtone library add FOLDER`"),
        (("scan", "none"), "roomtone: none: no such folder; a folder of sounds"),
        (("add", "none"), "roomtone: none: no such folder; a folder of sounds"),
        (("list", "--library", "none"), "roomtone: none: no such folder; a folder of sounds"),
        (("find", "?!"), 'roomtone: LABEL: "?!"; a label of 1 to 64 characters'),
        (("find", "a\x1b[31mb"), 'roomtone: LABEL: "a\\u001b[31mb"; a label of 1 to 64'),
        (("find", "x" * 65), 'roomtone: LABEL: "xxx'),
        (
            ("find", "brid"),
            'roomtone: "brid" has no sound, and no procedural sound has that name; did you mean',
        ),
        (
            ("find", "tiger"),
            'roomtone: "tiger" has no sound, and no procedural sound has that name, nor is there one',
        ),
    ],
)
def test_a_mistake_ends_in_a_traceback_or_without_a_word(
    arguments: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    done = run_here("library", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stdout == ""


def test_a_scene_of_an_unknown_label_is_told_without_its_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text(
        "objects:\n  - {label: crow}\n  - {label: bg cat}\n  - {label: big catt}\n"
    )
    done = run_here("scene", "check", "scene.yaml", "--library", "sounds", cwd=tmp_path)
    assert done.returncode == 2
    assert 'scene.yaml:4: objects[2].label: "big catt" has no sound' in done.stderr
    assert "did you mean big cat" in done.stderr


def test_the_help_has_no_examples(tmp_path: Path) -> None:
    assert "roomtone library find tiger" in run_here("library", "--help", cwd=tmp_path).stdout
    for verb in ("add", "remove", "scan", "list", "find"):
        assert f"roomtone library {verb}" in run_here("library", verb, "--help", cwd=tmp_path).stdout


def test_an_interrupted_scan_ends_in_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130 and one line, and the next scan goes on with what is left."""
    copy = tmp_path / "sounds"
    copy.mkdir()
    for file in SAMPLES.glob("elec_*.flac"):
        shutil.copy(file, copy)
    calls = itertools.count()

    def interrupted(path: Path) -> dict[str, object]:
        if next(calls) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return measure(path)

    with monkeypatch.context() as patch:
        patch.setattr(library_features, "measure", interrupted)
        done = run_here("library", "scan", "sounds", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "roomtone: interrupted; what was measured until then is kept\n"
    rest = as_json(run_here("library", "scan", "sounds", "--json", cwd=tmp_path))
    assert rest["unchanged"] >= 4
    assert rest["unchanged"] + rest["measured"] == rest["files"] == 25
