"""Sounds are named by what they are taken for, nothing is ever overwritten, and all of it can be taken back."""

import hashlib
import json
import os
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError, Problem, SoundError
from engine.learn import renaming
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
    return MixSettings(none, FLAT, *(none,) * 7, name(family), name(instrument), equipment)


def make(folder: Path, *names: str) -> list[Path]:
    """Write files of different content; return those that are sounds."""
    for name in names:
        (folder / name).write_bytes(os.fsencode(f"this is {name}") * 50)
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
GENERIC += ["01-Audio", "02 Track 2", "3_untitled", "Track 02", "audio_3"]
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


FOLDERS = st.sets(
    st.sampled_from(
        [f"{stem}{end}" for stem in ("track1", "Track 2", "07", "a\\b", "lead", "kick", "kick-1", "Kick-2")
         for end in (".wav", ".WAV", ".flac", ".yaml", ".credit.txt")]
        + ["KICK.txt", "drums.wav", "k\u0131ck.wav", "\udcff1.wav", "\u0663.wav"]
    ),
    min_size=8,
    max_size=20,
)  # fmt: skip
HEARD = st.sampled_from(
    [heard_as("kick"), heard_as("Kick!"), heard_as(family="drums"), heard_as("lead", 0.4)]
)


@settings(max_examples=60, deadline=None)
@given(FOLDERS, st.randoms(use_true_random=False), st.lists(HEARD, min_size=4, max_size=4), st.booleans())
def test_a_set_of_names_loses_a_file_or_a_name(
    names: set[str], order: Random, heard: list[MixSettings], every_name: bool
) -> None:
    """Stopped behind any number of renames, each content is there once; no name is there twice but for its case and
    undo makes the folder what it was. New names are those of no file that was there, in any case."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        sounds = make(folder, *sorted(names))
        order.shuffle(sounds)
        before = content(folder)
        labels = find_labels(folder, sounds, lambda path: heard[len(path.name) % 4], every_name=every_name)
        moves = [move for renaming in labels.renamings for move in renaming.moves]

        told = [r.old for r in labels.renamings] + [name for name, _ in labels.left]
        assert sorted(told) == sorted(path.name for path in sounds)
        new = [name.casefold() for _, name in moves]
        assert len(set(new)) == len(new)
        assert not set(new) & {name.casefold() for name in before}
        for done in range(1, len(moves) + 1):
            begin(folder, moves)
            rename_all(folder, moves[:done])
            assert sorted(content(folder).values()) == sorted(before.values())
            assert undo(folder, lambda new, old: None) == []
            assert content(folder) == before
            assert not (folder / JOURNAL).exists()


@pytest.mark.parametrize("target", ["kick.wav", "nowhere"])
def test_undo_removes_the_sound_that_a_link_leads_to(tmp_path: Path, target: str) -> None:
    """A link under the old name, to the new one or to nothing, is in the way like any file: both stay."""
    make(tmp_path, "track1.wav")
    apply(tmp_path, [("track1.wav", "kick.wav")])
    (tmp_path / "track1.wav").symlink_to(target)
    (problem,) = undo(tmp_path, lambda new, old: None)
    assert "track1.wav is there again" in problem.what
    assert (tmp_path / "kick.wav").read_bytes() == b"this is track1.wav" * 50
    (tmp_path / "track1.wav").unlink()
    assert undo(tmp_path, lambda new, old: None) == []
    assert set(content(tmp_path)) == {"track1.wav"}


def test_a_sidecar_that_is_a_link_is_followed(tmp_path: Path) -> None:
    """It is renamed itself, also one that leads nowhere, and undo brings it back as the link it was."""
    (tmp_path / "track1.yaml").symlink_to("shared.yaml")
    sounds = make(tmp_path, "track1.wav")
    (found,) = find_labels(tmp_path, sounds, lambda path: heard_as("oboe")).renamings
    apply(tmp_path, list(found.moves))
    assert os.readlink(tmp_path / "oboe.yaml") == "shared.yaml"
    assert undo(tmp_path, lambda new, old: None) == []
    assert os.readlink(tmp_path / "track1.yaml") == "shared.yaml"


def test_a_journal_is_longer_than_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 bytes: refused before anything is renamed, and the one that was there is whole."""
    moves = [(f"track{number}.wav", f"kick-{number}.wav") for number in range(20)]
    monkeypatch.setattr(renaming, "MAX_BYTES", 300)
    begin(tmp_path, moves[:1])
    with pytest.raises(InputError, match="at most 300 bytes"):
        begin(tmp_path, moves)
    assert renaming.read_runs(tmp_path) == [moves[:1]]


def test_a_sound_that_went_away_ends_the_run(tmp_path: Path) -> None:
    labels = find_labels(tmp_path, [tmp_path / "track1.wav"], lambda path: heard_as("oboe"))
    assert labels.left == [("track1.wav", "cannot be read (No such file or directory)")]


def test_undo_refuses_a_name_that_apply_took(tmp_path: Path) -> None:
    """A backslash, a quote, a line break and bytes that are no UTF-8 come back as they were."""
    before = make(tmp_path, "a\\b.wav", 'a"b.wav', "a\nb.wav", "a\udcffb.wav")
    labels = find_labels(tmp_path, before, lambda path: heard_as("kick"), every_name=True)
    assert len(labels.renamings) == 4
    apply(tmp_path, [move for renaming in labels.renamings for move in renaming.moves])
    assert undo(tmp_path, lambda new, old: None) == []
    assert set(tmp_path.iterdir()) == set(before)
