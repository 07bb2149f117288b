"""What was measured of a file must be found again by its content, and never stand in the way."""

import multiprocessing
import shutil
from pathlib import Path

import pytest

from engine.scene.feature_store import FeatureStore, content_hash


def test_a_copy_is_measured_again_or_a_changed_file_is_not(tmp_path: Path) -> None:
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    one.write_bytes(b"RIFF" * 1000)
    shutil.copy(one, two)
    store = FeatureStore(tmp_path / "cache" / "features.sqlite")
    store.put(content_hash(one), "level", 1, {"lufs": -23.0})
    assert FeatureStore(store.file).get(content_hash(two), "level", 1) == {"lufs": -23.0}
    two.write_bytes(b"RIFF" * 1000 + b"x")
    assert store.get(content_hash(two), "level", 1) is None


def test_measures_of_another_kind_or_version_are_taken_for_these(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "features.sqlite")
    store.put("a", "level", 1, {"lufs": -23.0})
    assert store.get("a", "level", 2) is None
    assert store.get("a", "decay", 1) is None
    store.put("a", "level", 2, {"lufs": -20.0})
    assert store.get("a", "level", 1) is None
    assert store.get("a", "level", 2) == {"lufs": -20.0}


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 5000, b"nonsense" * 1000])
def test_a_damaged_store_stays_damaged_or_raises(tmp_path: Path, content: bytes) -> None:
    """At the second use at the latest it keeps things again."""
    file = tmp_path / "features.sqlite"
    file.write_bytes(content)
    store = FeatureStore(file)
    assert store.get("a", "level", 1) is None
    for _ in range(2):
        store.put("a", "level", 1, {"lufs": -23.0})
    assert store.get("a", "level", 1) == {"lufs": -23.0}


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FeatureStore(tmp_path / "file" / "features.sqlite")
    store.put("a", "level", 1, {})
    assert store.get("a", "level", 1) is None


def _write(file: Path, process: int) -> None:
    store = FeatureStore(file)
    for i in range(50):
        store.put(f"{process}-{i}", "level", 1, {"i": i})


def test_processes_that_write_at_once_lose_measures(tmp_path: Path) -> None:
    file = tmp_path / "features.sqlite"
    writers = [multiprocessing.get_context("spawn").Process(target=_write, args=(file, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store = FeatureStore(file)
    assert all(store.get(f"{n}-{i}", "level", 1) == {"i": i} for n in range(3) for i in range(50))
