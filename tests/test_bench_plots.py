"""The pictures of a result: there, not blank, and labelled."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bench.plots import draw
from engine.errors import InputError, RoomtoneError

PARTS = ("tracks", "trim", "unmask", "mix", "room", "fader", "glue", "limiter", "meter", "guards", "renderer")


def quanta(frames: int, tracks: tuple[int, ...]) -> list[dict[str, Any]]:
    return [
        {
            "tracks": t,
            "quantum_frames": frames,
            "budget_us": 1e6 * frames / 48_000,
            "wall_us": {
                "p50": 100.0 + 5 * t,
                "p99": 150.0 + 6 * t,
                "p999": 200.0 + 7 * t,
                "max": 300.0 + 9 * t,
            },
        }
        for t in tracks
    ]


def nodes(frames: int, tracks: tuple[int, ...]) -> list[dict[str, Any]]:
    rows = []
    for t in tracks:
        parts = {name: {"mean_us": float(n + 1) * (1 + t / 100)} for n, name in enumerate(PARTS)}
        whole = sum(times["mean_us"] for times in parts.values())
        rows.append({"tracks": t, "quantum_frames": frames, "parts": parts, "whole": {"mean_us": whole}})
    return rows


JITTER = {"edges_us": [2600.0, 2650.0, 2700.0, 9000.0], "counts": [10, 900, 3], "expected_us": 2666.7}
DOCUMENT: dict[str, Any] = {
    "settings": {"rate_hz": 48_000},
    "machine": {
        "cpu": {"model": "Some CPU", "processors": 4},
        "versions": {"roomtone": "1.2"},
        "time": "2030-01-01",
    },
    "quanta": quanta(64, (8, 32, 128)) + quanta(128, (8, 32, 128)),
    "nodes": nodes(128, (8, 32, 128)),
    "live": {"jitter": JITTER},
}


def texts(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>\s*([^<]*?)\s*<", svg.read_text("utf-8"))


def coloured_share(png: Path) -> float:
    """Return how much of a picture is neither white nor grey."""
    from matplotlib.image import imread

    pixels = np.asarray(imread(png))[..., :3]
    return float(np.mean(pixels.max(axis=2) - pixels.min(axis=2) > 0.1))


def test_every_picture_is_there_twice_and_not_blank(tmp_path: Path) -> None:
    """A line drawing is coloured in more than 0.3 % of its pixels, bars in more than a tenth."""
    files = draw(DOCUMENT, tmp_path / "new" / "folder")
    names = [f"{name}.{suffix}" for name in ("latency", "nodes", "jitter") for suffix in ("png", "svg")]
    assert [file.name for file in files] == names
    assert sorted(names) == sorted(p.name for p in (tmp_path / "new" / "folder").iterdir())
    least = {"latency": 0.003, "nodes": 0.1, "jitter": 0.003}
    for file in files:
        if file.suffix == ".png":
            assert coloured_share(file) > least[file.stem], file.name


def test_pictures_say_what_they_show_in_text(tmp_path: Path) -> None:
    draw(DOCUMENT, tmp_path)
    latency = texts(tmp_path / "latency.svg")
    for text in (
        "What a quantum takes, all tracks sounding",
        *("64 frames, budget 1333 µs", "128 frames, budget 2667 µs"),
        *(
            "p50",
            "p99",
            "p99.9",
            "max",
            "budget",
            "80 % of it",
            "tracks",
            "one quantum, µs",
            "8",
            "32",
            "128",
        ),
        "Some CPU, 4 processors   ·   roomtone 1.2   ·   2030-01-01",
    ):
        assert text in latency, text
    found = texts(tmp_path / "nodes.svg")
    for text in (
        "Where the time of a quantum goes, all tracks sounding",
        *("mean of a quantum, µs", "share of the quantum, %", "budget", "tracks"),
        *("renderer", "guards", "meter", "limiter", "glue", "fader", "room", "other"),
    ):
        assert text in found, text
    jitter = texts(tmp_path / "jitter.svg")
    for text in (
        "How evenly the device asks: 913 intervals",
        "3 of them beyond the right edge, up to 9000 µs",
        *("2667 µs expected", "from buffer to buffer, µs", "how often", "10", "100"),
    ):
        assert text in jitter, text
    assert not [text for text in latency + found + jitter if "$" in text]


def test_the_same_result_is_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw(DOCUMENT, tmp_path / name)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_only_what_was_measured_is_drawn(tmp_path: Path) -> None:
    """A part that was not asked for is None; of a single load there is a picture as well."""
    one = {"settings": {"rate_hz": 48_000}, "quanta": quanta(128, (8,)), "nodes": None, "live": None}
    assert [file.name for file in draw(one, tmp_path)] == ["latency.png", "latency.svg"]
    alone = {"settings": {"rate_hz": 48_000}, "nodes": nodes(16, (1,)), "live": {"jitter": None}}
    assert [file.name for file in draw(alone, tmp_path)] == ["nodes.png", "nodes.svg"]
    many = {
        "settings": {"rate_hz": 48_000},
        "quanta": [row for n in range(4, 11) for row in quanta(2**n, (8, 64))],
    }
    assert "1024 frames, budget 21333 µs" in texts(draw(many, tmp_path)[1])


def test_nothing_to_draw_is_told_and_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--plots: there is nothing to draw; measure quanta"):
        draw({"quanta": None, "nodes": [], "live": {"jitter": None}}, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: --plots: cannot be made .*; a folder for pictures"):
        draw(DOCUMENT, tmp_path / "file")
    (tmp_path / "latency.png").mkdir()
    with pytest.raises(RoomtoneError, match=r"latency.png: cannot be written"):
        draw(DOCUMENT, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "latency.png"]
