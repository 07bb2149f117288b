"""No sound reference reaches a file outside the scene's folder and the library folders."""

import os
import socket
from pathlib import Path

import pytest

from engine.errors import SceneError, SoundError
from engine.scene.load import load_scene
from engine.scene.sounds import (
    _COMMON,
    SUFFIXES,
    FileSound,
    InputSound,
    SynthSound,
    find_synth,
    resolve_sound,
    synth_names,
    track_sound,
)

ESCAPES = [
    "/etc/passwd",
    "/etc/passwd.wav",
    "//host/share/a.wav",
    "\\\\host\\share\\a.wav",
    "..\\secret.wav",
    "sounds\\car.wav",
    "C:\\secret.wav",
    "C:/secret.wav",
    "C:secret.wav",
    "c:secret.wav",
    "../secret.wav",
    "../../secret.wav",
    "sounds/../../secret.wav",
    "sounds/../car.wav",
    "./../secret.wav",
    "sounds/..",
    "..",
    ".",
    "~/secret.wav",
    "~root/secret.wav",
    "file:///etc/passwd.wav",
    "http://example.org/a.wav",
    "synth:../secret.wav",
    "synth:",
    "synth:Rain",
    "synth:rain.wav",
    "input:",
    "input:0",
    "input:../secret.wav",
    "input:1.wav",
    "input:1-2/a.wav",
    "INPUT:1",
    "SYNTH:rain",
    "",
    "   ",
    "car.wav\0",
    "car\0.wav",
    "car.wav\n",
    "car\u202evaw.exe.wav",
    "\ud800.wav",
    "car",
    "car.exe",
    "car.wav.exe",
    "car.wav/",
    ".wav",
    "sounds/.wav",
    "/dev/zero.wav",
    "/proc/self/environ.wav",
]
LINKS = [
    "file.wav",
    "folder/secret.wav",
    "chain.wav",
    "relative.wav",
    "loop.wav",
    "dev.wav",
    "sibling/secret.wav",
]
SPECIAL = ["pipe.wav", "socket.wav", "folder.wav"]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene folder with good sounds, links that lead outside, and things that are no regular files."""
    folder, outside = tmp_path / "scene", tmp_path / "scene-secret"
    (folder / "sounds").mkdir(parents=True)
    outside.mkdir()
    for path in (
        folder / "sounds/car.wav",
        folder / "Bird.FLAC",
        outside / "secret.wav",
        tmp_path / "secret.wav",
    ):
        path.write_bytes(b"RIFF")
    (folder / "file.wav").symlink_to(outside / "secret.wav")
    (folder / "folder").symlink_to(outside)
    (folder / "sibling").symlink_to("../scene-secret")
    (folder / "relative.wav").symlink_to("../secret.wav")
    (folder / "chain.wav").symlink_to("file.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "dev.wav").symlink_to("/dev/zero")
    (folder / "inside.wav").symlink_to("sounds/car.wav")
    (folder / "broken.wav").symlink_to("sounds/none.wav")
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    return folder


@pytest.mark.parametrize("reference", ESCAPES)
def test_a_reference_that_is_no_plain_relative_path_is_refused(reference: str, scene: Path) -> None:
    with pytest.raises(SoundError) as caught:
        resolve_sound(reference, scene, [scene.parent / "library"], field="objects[3].sound")
    assert caught.value.problems[0].field == "objects[3].sound"


def test_at_least_25_escapes_are_tried() -> None:
    """25 or more."""
    assert len({*ESCAPES, *LINKS, *SPECIAL}) >= 25


@pytest.mark.parametrize("reference", LINKS)
def test_a_symbolic_link_may_not_lead_outside(reference: str, scene: Path) -> None:
    with pytest.raises(SoundError):
        resolve_sound(reference, scene)


@pytest.mark.parametrize("reference", SPECIAL)
def test_pipes_sockets_and_folders_are_not_sounds(
    reference: str, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scene)  # a socket's address must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.wav")
        with pytest.raises(SoundError, match="not a regular file"):
            resolve_sound(reference, scene)


@pytest.mark.parametrize("reference", ["none.wav", "broken.wav", "sounds/car.wav/x.wav", "a" * 300 + ".wav"])
def test_a_missing_file_is_a_sound_error(reference: str, scene: Path) -> None:
    with pytest.raises(SoundError):
        resolve_sound(reference, scene)


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("sounds/car.wav", "sounds/car.wav"),
        ("./sounds//car.wav", "sounds/car.wav"),
        ("Bird.FLAC", "Bird.FLAC"),
        ("inside.wav", "sounds/car.wav"),
    ],
)
def test_files_below_the_scene_are_found(reference: str, target: str, scene: Path) -> None:
    assert resolve_sound(reference, scene) == FileSound(Path(os.path.realpath(scene / target)))


def test_the_scene_folder_comes_before_the_library_and_links_between_them_are_allowed(scene: Path) -> None:
    library = scene.parent / "scene-secret"
    (library / "Bird.FLAC").write_bytes(b"fLaC")
    assert resolve_sound("secret.wav", scene, [library]) == FileSound(
        Path(os.path.realpath(library / "secret.wav"))
    )
    assert resolve_sound("Bird.FLAC", scene, [library]) == FileSound(
        Path(os.path.realpath(scene / "Bird.FLAC"))
    )
    assert resolve_sound("file.wav", scene, [library]) == FileSound(
        Path(os.path.realpath(library / "secret.wav"))
    )


def test_a_folder_that_begins_with_the_same_letters_is_still_outside(scene: Path) -> None:
    with pytest.raises(SoundError, match="leads outside"):
        resolve_sound("sibling/secret.wav", scene)


def test_only_six_file_types_are_sounds(scene: Path) -> None:
    """6 types, in either case."""
    assert len(SUFFIXES) == 6
    for suffix in SUFFIXES:
        for name in (f"a.{suffix}", f"b.{suffix.upper()}"):
            (scene / name).write_bytes(b"x")
            assert isinstance(resolve_sound(name, scene), FileSound)


def test_an_error_never_quotes_what_a_file_holds(scene: Path) -> None:
    (scene / "notes.txt").write_text("the password")
    for reference in ("notes.txt", "file.wav", "none.wav"):
        with pytest.raises(SoundError) as caught:
            resolve_sound(reference, scene)
        assert "password" not in str(caught.value)


def test_an_unknown_procedural_sound_is_answered_with_the_nearest(scene: Path) -> None:
    assert resolve_sound("synth:rain", scene) == SynthSound("rain")
    with pytest.raises(SoundError, match="did you mean bell"):
        resolve_sound("synth:bel", scene)
    with pytest.raises(SoundError, match="known are gong, harp"):
        resolve_sound("synth:rain", scene, names={"harp", "gong"})


@pytest.mark.parametrize(
    ("reference", "channels"),
    [("input:1", (0,)), ("input:8", (7,)), ("input:1-2", (0, 1)), ("input:7-8", (6, 7))],
)
def test_an_input_is_another_channel_or_a_file(
    reference: str, channels: tuple[int, ...], scene: Path
) -> None:
    """Written from 1, counted from 0; a file of that name is never looked for."""
    (scene / reference).write_bytes(b"RIFF")
    assert resolve_sound(reference, scene) == InputSound(channels)
    assert track_sound("rain", reference, scene) == InputSound(channels)


def test_a_label_without_a_sound_must_be_known(scene: Path) -> None:
    def find(label: str) -> str | None:
        return "bird" if label == "sparrow" else None

    assert track_sound("sparrow", None, scene, find=find) == SynthSound("bird")
    assert track_sound("sparrow", "synth:car", scene, find=find) == SynthSound("car")
    with pytest.raises(SoundError, match=r'"brid" has no sound.*did you mean .*bird') as caught:
        track_sound("brid", None, scene, find=find, field="objects[0].label")
    assert caught.value.problems[0].field == "objects[0].label"


def test_names_known_without_the_library_are_in_the_library(scene: Path) -> None:
    """15 names are known before the library is imported."""
    assert len(_COMMON) == 15
    assert set(synth_names()) >= _COMMON
    for name in synth_names():
        assert resolve_sound(f"synth:{name}", scene) == SynthSound(name)
    assert find_synth("no such thing") is None
    assert {find_synth(f"{name}s ") for name in ("car", "bird")} == {"car", "bird"}


def test_sounds_that_are_not_there_are_told_with_their_lines(scene: Path) -> None:
    file = scene / "street.yaml"
    file.write_text(
        "atmo: {sound: synth:rian}\nobjects:\n  - {label: car, sound: sounds/car.wav}\n"
        "  - {label: car, sound: file.wav}\n  - {label: bird}\n"
        "  - {label: car, sound: pipe.wav, importance: 3}\n"
        "  - {label: car, sound: ../secret.wav}\n  - {sound: none.wav}\n"
    )
    with pytest.raises(SceneError) as caught:
        load_scene(file)
    assert [(problem.line, problem.field) for problem in caught.value.problems] == [
        (1, "atmo.sound"),
        (4, "objects[1].sound"),
        (6, "objects[3].sound"),
        (6, "objects[3].importance"),
        (7, "objects[4].sound"),
        (8, "objects[5].label"),
        (8, "objects[5].sound"),
    ]
    assert {problem.file for problem in caught.value.problems} == {str(file)}


def test_a_scene_file_that_is_a_pipe_is_refused_and_not_waited_for(scene: Path) -> None:
    with pytest.raises(SceneError, match="not a regular file"):
        load_scene(scene / "pipe.wav")
