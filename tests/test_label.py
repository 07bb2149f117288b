"""Sounds are named by what they are taken for, nothing is ever overwritten, and all of it can be taken back."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError, Problem, SoundError
from engine.learn.bands import BANDS
from engine.learn.label import find_labels, is_generic, natural, slug
from engine.learn.mix_settings import UNKNOWN, Curve, Figure, MixSettings, Name
from engine.learn.renaming import JOURNAL, begin, rename, undo

NOTHING = Figure(0.0, 0.0, 0.0, 0.0, "none")
FLAT = Curve(np.zeros(BANDS), np.zeros(BANDS), np.zeros(BANDS), 0.0, "none")
NOBODY = Name(UNKNOWN, 0.0, "none")


def heard_as(
    instrument: str = UNKNOWN, confidence: float = 0.9, family: str = UNKNOWN, equipment: Name = NOBODY
) -> MixSettings:
    def name(word: str) -> Name:
        return NOBODY if word == UNKNOWN else Name(word, confidence, "model", ((word, confidence),))

    none = NOTHING
    return MixSettings(
        none, FLAT, none, none, none, none, none, none, name(family), name(instrument), equipment
    )


def make(folder: Path, *names: str) -> list[Path]:
    """Write files of different content; return those that are sounds."""
    for name in names:
        (folder / name).write_bytes(f"this is {name}".encode() * 50)
    return [folder / name for name in names if name.endswith((".wav", ".flac"))]


def content(folder: Path) -> dict[str, str]:
    files = (file for file in folder.iterdir() if file.name != JOURNAL)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def apply(folder: Path, moves: list[tuple[str, str]]) -> None:
    begin(folder, moves)
    rename_all(folder, moves)


def rename_all(folder: Path, moves: list[tuple[str, str]]) -> None:
    for old, new in moves:
        rename(folder, old, new)


GENERIC = [
    "track1",
    "Track 07",
    "AUDIO-3",
    "Audio 1-02",
    "untitled",
    "New Recording 4",
    "01",
    "channel_12",
    "take 3",
]
GENERIC += ["stem", "ZOOM0001", "DR0000_0001", "rec (2)", "input 3", "Track 1_L", "", "mono 2"]
SPEAKING = [
    "kick",
    "bass 2",
    "track 1 kick",
    "voice",
    "lead guitar",
    "rain",
    "02 snare",
    "trackside",
    "record player",
]


@pytest.mark.parametrize("stem", GENERIC)
def test_a_generic_name_is_known_as_such(stem: str) -> None:
    assert is_generic(stem)


@pytest.mark.parametrize("stem", SPEAKING)
def test_a_name_that_says_something_is_taken_for_generic(stem: str) -> None:
    assert not is_generic(stem)


def test_sounds_get_the_name_of_the_instrument_else_the_family(tmp_path: Path) -> None:
    """Equal names are numbered in the order of the old ones, track2 before track10; unsure ones are left."""
    told = {
        "track1.wav": heard_as("Bass Guitar", family="bass"),
        "track2.wav": heard_as("kick", equipment=Name("SM 57", 0.8, "model")),
        "track3.wav": heard_as(family="drums"),
        "track10.wav": heard_as(family="drums"),
        "track4.wav": heard_as("flute", 0.4),
        "track5.wav": heard_as(),
        "lead vox.wav": heard_as("voice"),
    }
    sounds = make(tmp_path, *told)

    labels = find_labels(tmp_path, sounds, lambda path: told[path.name])

    assert [(r.old, r.new) for r in labels.renamings] == [
        ("track1.wav", "bass_guitar.wav"),
        ("track2.wav", "kick_sm_57.wav"),
        ("track3.wav", "drums-1.wav"),
        ("track10.wav", "drums-2.wav"),
    ]
    left = dict(labels.left)
    assert left["track4.wav"] == "perhaps flute, at 40 %; 50 % are needed"
    assert left["track5.wav"] == "nothing is known of it"
    assert "--all" in left["lead vox.wav"]
    every = find_labels(tmp_path, sounds, lambda path: told[path.name], every_name=True)
    assert ("lead vox.wav", "voice.wav") in [(r.old, r.new) for r in every.renamings]


def test_a_name_that_is_taken_is_given_once_more(tmp_path: Path) -> None:
    """Neither a file of that name is overwritten, nor one that differs in case or ending only."""
    sounds = make(tmp_path, "track1.wav", "track2.wav", "Kick.flac", "kick-1.yaml")
    labels = find_labels(tmp_path, sounds, lambda path: heard_as("kick"))
    assert [r.new for r in labels.renamings] == ["kick-2.wav", "kick-3.wav"]
    single = find_labels(tmp_path, sounds[:1], lambda path: heard_as("kick"))
    assert [r.new for r in single.renamings] == ["kick-2.wav"]


def test_a_sound_named_before_is_named_again(tmp_path: Path) -> None:
    """With every name wanted, kick.wav and kick-2.wav stay what they are."""
    sounds = make(tmp_path, "kick.wav", "kick-2.wav")
    labels = find_labels(tmp_path, sounds, lambda path: heard_as("kick"), every_name=True)
    assert labels.renamings == []
    assert [why for _, why in labels.left] == ["is called so already"] * 2


def test_a_sidecar_stays_behind(tmp_path: Path) -> None:
    make(tmp_path, "track1.yaml", "track1.credit.txt", "track1.txt")
    sounds = make(tmp_path, "track1.wav")
    (found,) = find_labels(tmp_path, sounds, lambda path: heard_as("oboe")).renamings
    assert found.moves == (
        ("track1.wav", "oboe.wav"),
        ("track1.yaml", "oboe.yaml"),
        ("track1.credit.txt", "oboe.credit.txt"),
    )


def test_two_sounds_fight_for_one_sidecar(tmp_path: Path) -> None:
    sounds = make(tmp_path, "track1.wav", "track1.flac")
    labels = find_labels(tmp_path, sounds, lambda path: heard_as("oboe"))
    assert labels.renamings == []
    assert all("track1.flac and track1.wav" in why for _, why in labels.left)


def test_a_sound_that_cannot_be_read_ends_the_run(tmp_path: Path) -> None:
    sounds = make(tmp_path, "track1.wav", "track2.wav")
    os.symlink(tmp_path / "track1.wav", tmp_path / "track3.wav")

    def hear(path: Path) -> MixSettings:
        if path.name == "track1.wav":
            raise SoundError(Problem("is damaged"))
        return heard_as("oboe")

    labels = find_labels(tmp_path, [*sounds, tmp_path / "track3.wav"], hear)
    assert [r.old for r in labels.renamings] == ["track2.wav"]
    assert dict(labels.left) == {"track1.wav": "is damaged", "track3.wav": "is not a regular file"}


def test_undo_does_not_restore_every_byte(tmp_path: Path) -> None:
    """Two runs, taken back one by one: names and contents are what they were, and no journal is left."""
    make(tmp_path, "track1.wav", "track1.yaml", "other.txt")
    before = content(tmp_path)
    apply(tmp_path, [("track1.wav", "kick.wav"), ("track1.yaml", "kick.yaml")])
    between = content(tmp_path)
    apply(tmp_path, [("kick.wav", "drum.wav")])

    back: list[tuple[str, str]] = []
    assert undo(tmp_path, lambda new, old: back.append((new, old))) == []
    assert back == [("drum.wav", "kick.wav")]
    assert content(tmp_path) == between
    assert undo(tmp_path, lambda new, old: None) == []
    assert content(tmp_path) == before
    assert not (tmp_path / JOURNAL).exists()
    with pytest.raises(InputError, match="nothing to undo"):
        undo(tmp_path, lambda new, old: None)


@pytest.mark.parametrize("links", [True, False])
def test_renaming_overwrites_a_file(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that came to be under the new name is refused, with and without links of the file system."""
    make(tmp_path, "track1.wav", "kick.wav")
    before = content(tmp_path)

    def no_link(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    with pytest.raises(InputError, match=r"kick\.wav is there; it is not overwritten"):
        rename(tmp_path, "track1.wav", "kick.wav")
    assert content(tmp_path) == before
    rename(tmp_path, "track1.wav", "snare.wav")
    assert content(tmp_path) == {"kick.wav": before["kick.wav"], "snare.wav": before["track1.wav"]}


class Stopped(BaseException):
    """What a signal does to the program."""


@pytest.mark.parametrize("call", ["link", "unlink"])
@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_an_interrupted_run_cannot_be_undone(
    tmp_path: Path, call: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before the link or the unlink of any file, all is there under one of its names, and undo restores it."""
    moves = [
        ("track1.wav", "kick.wav"),
        ("track1.yaml", "kick.yaml"),
        ("track2.wav", "snare.wav"),
        ("a", "b"),
    ]
    make(tmp_path, *(old for old, _ in moves))
    before = content(tmp_path)
    real, calls = getattr(os, call), []

    def stopping(*args: object, **more: object) -> object:
        calls.append(args)
        if len(calls) > after:
            raise Stopped
        return real(*args, **more)

    with monkeypatch.context() as patch:
        begin(tmp_path, moves)
        patch.setattr(os, call, stopping)
        with pytest.raises(Stopped):
            rename_all(tmp_path, moves)
    assert set(before.values()) == set(content(tmp_path).values())
    assert undo(tmp_path, lambda new, old: None) == []
    assert content(tmp_path) == before


def test_undo_overwrites_what_came_after(tmp_path: Path) -> None:
    """A file that has the old name again stays, and is told of; the rest is taken back, and the journal keeps it."""
    make(tmp_path, "track1.wav", "track2.wav")
    apply(tmp_path, [("track1.wav", "kick.wav"), ("track2.wav", "snare.wav")])
    make(tmp_path, "track1.wav", "gone.wav")
    (tmp_path / "track1.wav").write_bytes(b"another")

    (problem,) = undo(tmp_path, lambda new, old: None)

    assert "track1.wav is there again" in problem.what
    assert set(content(tmp_path)) == {"track1.wav", "kick.wav", "track2.wav", "gone.wav"}
    (tmp_path / "track1.wav").unlink()
    assert undo(tmp_path, lambda new, old: None) == []
    assert set(content(tmp_path)) == {"track1.wav", "track2.wav", "gone.wav"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"roomtone_label": 2, "runs": []}',
        '{"roomtone_label": 1, "runs": [[["a"]]]}',
        '{"roomtone_label": 1, "runs": [[["../a", "b"]]]}',
        '{"roomtone_label": 1, "runs": [[["a", ".."]]]}',
        '{"roomtone_label": 1, "runs": 5}',
    ],
)
def test_a_journal_of_somebody_else_is_followed_or_overwritten(tmp_path: Path, text: str) -> None:
    (tmp_path / JOURNAL).write_text(text)
    for work in (lambda: begin(tmp_path, [("a", "b")]), lambda: undo(tmp_path, lambda new, old: None)):
        with pytest.raises(InputError, match="damaged, or not of this program"):
            work()
    assert (tmp_path / JOURNAL).read_text() == text


def test_the_journal_is_written_after_the_files(tmp_path: Path) -> None:
    """It names what will be renamed before anything is."""
    make(tmp_path, "track1.wav")
    begin(tmp_path, [("track1.wav", "kick.wav")])
    assert json.loads((tmp_path / JOURNAL).read_text())["runs"] == [[["track1.wav", "kick.wav"]]]
    assert set(content(tmp_path)) == {"track1.wav"}


@given(st.text(max_size=30))
def test_any_name_makes_a_file_name(text: str) -> None:
    """What is left are letters, digits and single underscores, none at the ends."""
    made = slug(text)
    assert not made or (made.replace("_", "a").isalnum() and made == made.strip("_").lower())
    assert "__" not in made
    natural(text)
