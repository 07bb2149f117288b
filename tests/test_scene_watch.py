"""A scene's file edited while it plays: every good state is taken once, a bad one leaves the sound as it is."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.control.watch import SceneWatch
from engine.errors import SoundError
from engine.scene.schema import Scene

GOOD = "title: One\natmo: {sound: synth:wind}\n"


class Heard:
    def __init__(self) -> None:
        self.titles: list[str] = []
        self.reasons: list[str] = []
        self.failure: Exception | None = None

    def edit(self, scene: Scene) -> None:
        if self.failure:
            raise self.failure
        self.titles.append(scene.title)


def until(what: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10.0
    while not what():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def file(tmp_path: Path, heard: Heard) -> Iterator[Path]:
    path = tmp_path / "scene.yaml"
    path.write_text(GOOD)
    with SceneWatch(path, (), heard.edit, heard.reasons.append):
        yield path
    assert not [t for t in threading.enumerate() if t.name == "scene watch"]


def test_an_edit_is_taken_and_a_file_that_rests_is_not(file: Path, heard: Heard) -> None:
    time.sleep(0.7)
    assert heard.titles == []
    file.write_text(GOOD.replace("One", "Two"))
    until(lambda: heard.titles == ["Two"])
    time.sleep(0.7)
    assert heard.titles == ["Two"]


def test_a_file_that_is_replaced_as_editors_do_is_taken(file: Path, heard: Heard) -> None:
    new = file.with_name("scene.tmp")
    new.write_text(GOOD.replace("One", "Six"))
    file.unlink()
    time.sleep(0.4)
    os.replace(new, file)
    until(lambda: heard.titles == ["Six"])
    assert heard.reasons == []


def test_a_broken_edit_is_told_once_with_its_line_and_the_next_good_one_is_taken(
    file: Path, heard: Heard
) -> None:
    file.write_text(GOOD + "objects: [{label: car, importance: 7}]\n")
    until(lambda: len(heard.reasons) == 1)
    assert "scene.yaml:3: objects[0].importance" in heard.reasons[0]
    assert heard.reasons[0].startswith("the edit is not used, the sound stays as it is: ")
    time.sleep(0.7)
    assert len(heard.reasons) == 1
    file.write_text(GOOD.replace("One", "Three"))
    until(lambda: heard.titles == ["Three"])


def test_a_sound_that_cannot_be_used_is_told_as_well(file: Path, heard: Heard) -> None:
    heard.failure = SoundError("the bell is cracked")
    file.write_text(GOOD.replace("One", "Four"))
    until(lambda: bool(heard.reasons))
    assert "the bell is cracked" in heard.reasons[0]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_edit_that_breaks_is_told_with_its_type_and_the_next_one_is_taken(
    file: Path, heard: Heard, failure: Exception, told: str
) -> None:
    heard.failure = failure
    file.write_text(GOOD.replace("One", "Seven"))
    until(lambda: bool(heard.reasons))
    assert heard.reasons == [f"the edit is not used, the sound stays as it is: {told}"]
    heard.failure = None
    file.write_text(GOOD.replace("One", "Eight!"))
    until(lambda: heard.titles == ["Eight!"])


def test_the_end_does_not_wait_for_an_edit_under_way_and_tells_nothing_of_it(tmp_path: Path) -> None:
    """The watch is left while an edit stands still; that it fails later is not told."""
    path = tmp_path / "scene.yaml"
    path.write_text(GOOD)
    begun, go_on = threading.Event(), threading.Event()
    reasons: list[str] = []

    def edit(scene: Scene) -> None:
        begun.set()
        assert go_on.wait(10.0)
        raise SoundError("too late")

    with SceneWatch(path, (), edit, reasons.append):
        path.write_text(GOOD.replace("One", "Nine!"))
        assert begun.wait(10.0)
    assert [t for t in threading.enumerate() if t.name == "scene watch"]
    go_on.set()
    until(lambda: not [t for t in threading.enumerate() if t.name == "scene watch"])
    assert reasons == []
