"""`roomtone label`: what it would do it only tells, what it does it can take back, and wrong use is answered."""

import hashlib
import json
from pathlib import Path

import pytest
import soundfile

from dsp.synth import synthesise
from engine.learn import renaming
from engine.learn.renaming import JOURNAL, begin, rename
from tests.command import as_json, run_here

RATE_HZ = 44_100


def write(path: Path, name: str) -> None:
    soundfile.write(path, synthesise(name, rate_hz=RATE_HZ, seed=5), RATE_HZ, subtype="PCM_16")


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """A folder of takes: a clock twice, one of them with a sidecar, thunder, a word, a file that is no sound."""
    folder = tmp_path / "takes"
    folder.mkdir()
    write(folder / "track1.wav", "clock")
    write(folder / "Track 10.wav", "clock")
    write(folder / "track2.wav", "thunder")
    write(folder / "lead.wav", "clock")
    (folder / "track1.yaml").write_text("licence: CC0\n")
    (folder / "track3.wav").write_text("no sound at all")
    (folder / "notes.txt").write_text("track1 is the best\n")
    return folder


def content(folder: Path) -> dict[str, str]:
    files = (file for file in folder.iterdir() if file.name != JOURNAL)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_without_apply_something_is_renamed(takes: Path) -> None:
    """Nothing changes in the folder; the table says what would, and every sound is either in it or left."""
    before = content(takes)
    done = run_here("label", "takes", cwd=takes.parent)
    assert done.returncode == 0, done.stderr
    assert "--apply does it" in done.stdout
    assert content(takes) == before
    assert not (takes / JOURNAL).exists()
    told = as_json(run_here("label", "takes", "--json", cwd=takes.parent))
    names = [r["from"] for r in told["renamed"]] + [left["file"] for left in told["left"]]
    assert sorted(names) == ["Track 10.wav", "lead.wav", "track1.wav", "track2.wav", "track3.wav"]
    left = {entry["file"]: entry["why"] for entry in told["left"]}
    assert "--all" in left["lead.wav"]
    assert "track3.wav" in left
    assert not told["applied"]


def test_what_was_applied_cannot_be_taken_back(takes: Path) -> None:
    """Two clocks are numbered by their old numbers, the sidecar goes along, and undo restores every byte."""
    before = content(takes)
    told = as_json(run_here("label", "takes", "--apply", "--json", cwd=takes.parent))
    after = content(takes)
    moves = {r["from"]: r["to"] for r in told["renamed"]}
    clock = told["renamed"][0]["taken_for"]
    assert (moves["track1.wav"], moves["Track 10.wav"]) == (f"{clock}-1.wav", f"{clock}-2.wav")
    assert told["renamed"][0]["with_it"] == [{"from": "track1.yaml", "to": f"{clock}-1.yaml"}]
    assert sorted(after.values()) == sorted(before.values())
    assert all(after[new] == before[old] for old, new in moves.items())
    done = run_here("label", "takes", "--undo", cwd=takes.parent)
    assert done.returncode == 0, done.stderr
    assert content(takes) == before
    again = run_here("label", "takes", "--undo", cwd=takes.parent)
    assert (again.returncode, "nothing to undo" in again.stderr) == (2, True)


def test_an_undo_that_is_not_whole_is_taken_for_one(takes: Path) -> None:
    """Of two files one has gone: the other gets its name back, the exit code is 1, and the journal knows the rest."""
    begin(takes, [("track1.wav", "a.wav"), ("track2.wav", "b.wav")])
    for old, new in [("track1.wav", "a.wav"), ("track2.wav", "b.wav")]:
        rename(takes, old, new)
    (takes / "a.wav").unlink()
    done = run_here("label", "takes", "--undo", "--json", cwd=takes.parent)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["undone"] == [{"from": "b.wav", "to": "track2.wav"}]
    assert [left["why"] for left in told["left"]] == ["is gone"]
    assert json.loads((takes / JOURNAL).read_text())["runs"] == [[["track1.wav", "a.wav"]]]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nowhere",), "no such folder"),
        (("takes/track1.wav",), "no such folder"),
        (("takes", "--apply", "--undo"), "one of the two"),
        (("takes", "--undo"), "nothing to undo"),
    ],
)
def test_wrong_use_ends_in_a_traceback(arguments: tuple[str, ...], part: str, takes: Path) -> None:
    done = run_here("label", *arguments, cwd=takes.parent)
    assert done.returncode == 2
    assert part in done.stderr
    assert done.stdout == ""


def test_an_interrupted_run_says_nothing_of_what_it_did(takes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C behind the first sound and its sidecar: exit code 130, how far it got, and how to take it back."""
    before = content(takes)
    calls: list[str] = []

    def interrupted(folder: Path, old: str, new: str) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(old)
        rename(folder, old, new)

    with monkeypatch.context() as patch:
        patch.setattr(renaming, "rename", interrupted)
        done = run_here("label", "takes", "--apply", cwd=takes.parent)
    assert done.returncode == 130
    assert "interrupted; 1 of" in done.stderr
    assert "roomtone label takes --undo" in done.stderr
    assert content(takes) != before
    assert run_here("label", "takes", "--undo", cwd=takes.parent).returncode == 0
    assert content(takes) == before
