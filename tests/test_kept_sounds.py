"""Sounds kept between starts: whatever becomes of the cache, the samples are those that are made."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.scene import kept_sounds
from engine.scene.kept_sounds import folder, kept, tidy
from engine.scene.material import from_synth
from engine.scene.sounds import SynthSound

Samples = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_sounds, "cache_root", lambda: tmp_path)


class Maker:
    """Makes a sound, and counts how often."""

    def __init__(self, channels: int = 1, frames: int = 1000) -> None:
        self.times = 0
        self.samples = np.random.default_rng(1).normal(size=(frames, channels)).astype(np.float32)

    def __call__(self) -> Samples:
        self.times += 1
        return self.samples


@pytest.mark.parametrize("channels", [1, 2])
def test_a_kept_sound_differs_in_a_bit_or_is_made_again(channels: int) -> None:
    maker = Maker(channels)
    first, second = kept(maker, "rain", 1, 48_000), kept(maker, "rain", 1, 48_000)
    assert maker.times == 1
    assert first.tobytes() == second.tobytes() == maker.samples.tobytes()
    assert second.shape == maker.samples.shape


@pytest.mark.parametrize("other", [("rain", 1, 44_100), ("rain", 2, 48_000), ("wind", 1, 48_000)])
def test_a_sound_is_taken_for_another(other: tuple[str | int, ...]) -> None:
    one, two = Maker(), Maker()
    kept(one, "rain", 1, 48_000)
    kept(two, *other)
    assert two.times == 1


def test_a_sound_of_another_build_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker()
    kept(maker, "rain")
    monkeypatch.setattr(kept_sounds, "fingerprint", lambda: "another")
    kept(maker, "rain")
    assert maker.times == 2


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


def without_its_crc(data: bytes) -> bytes:
    return data[:-4]


def with_a_wrong_bit(data: bytes) -> bytes:
    return data[:300] + bytes([data[300] ^ 1]) + data[301:]


def empty(data: bytes) -> bytes:
    return b""


def of_objects(data: bytes) -> bytes:
    return data.replace(b"'<f4'", b"'|O' ")


@pytest.mark.parametrize("damage", [truncated, without_its_crc, with_a_wrong_bit, empty, of_objects])
def test_a_damaged_file_is_heard_or_stays(damage: object) -> None:
    maker = Maker()
    kept(maker, "rain")
    (file,) = folder().iterdir()
    good = file.read_bytes()
    file.write_bytes(damage(good))  # type: ignore[operator]
    assert kept(maker, "rain").tobytes() == maker.samples.tobytes()
    assert maker.times == 2
    assert file.read_bytes() == good


def test_a_wrong_byte_in_the_head_of_a_file_stops_every_start() -> None:
    """Whatever byte of the first 140 is wrong, in whatever way, and whatever the file is instead."""
    maker = Maker(frames=4)
    kept(maker, "rain")
    (file,) = folder().iterdir()
    good = file.read_bytes()
    heads = [
        good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :] for at in range(140) for bit in (1, 4, 64, 128)
    ]
    for damaged in (*heads, b"PK\x03\x04", good.replace(b"(4, 1)", b"(4000000000000, 1)")):
        file.write_bytes(damaged)
        assert kept(maker, "rain").tobytes() == maker.samples.tobytes()


def test_a_folder_that_cannot_be_made_stops_the_scene(tmp_path: Path) -> None:
    (tmp_path / "sounds").write_text("in the way")
    assert kept(Maker(), "rain").shape == (1000, 1)
    tidy()
    assert (tmp_path / "sounds").read_text() == "in the way"


def test_the_cache_grows_without_end_or_loses_what_was_wanted_last() -> None:
    """Of four sounds of 4 kB, a limit of 10 kB leaves the two that were used last, reading being use."""
    import os

    for number in range(4):
        kept(Maker(), number)
        newest = max(folder().iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, ns=(number, number))
    again = Maker()
    kept(again, 0)
    tidy(10_000)
    assert len(list(folder().iterdir())) == 2
    for number in (0, 3):
        kept(again, number)
    assert again.times == 0


def test_a_procedural_sound_from_the_cache_is_another_one() -> None:
    made = from_synth(SynthSound("bird"), "synth:bird", 48_000, 7)
    assert len(list(folder().iterdir())) == 2  # the sound and its energy
    read = from_synth(SynthSound("bird"), "synth:bird", 48_000, 7)
    assert read.samples.tobytes() == made.samples.tobytes()
    assert (read.loudness_lufs, read.mono) == (made.loudness_lufs, made.mono)


def test_two_threads_read_the_head_of_a_file_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy parses it, and Python 3.11 may raise SystemError where two threads parse: one after the other."""
    maker = Maker()
    for number in range(4):
        kept(maker, number)
    load, inside, most = np.load, 0, 0

    def slow_load(*arguments: object, **options: object) -> object:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.02)
        inside -= 1
        return load(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(np, "load", slow_load)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: kept(maker, number), range(4)))
    assert maker.times == 4
    assert most == 1
