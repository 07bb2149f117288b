"""`roomtone bench` as a whole: the command, its document and its text."""

import io
import json
import math
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.measure import Measurement

from benchmarks.bench import capacity, memory, offline, starts
from benchmarks.bench.figures import Figure
from benchmarks.bench.measurements import measurements
from benchmarks.bench.report import Report
from benchmarks.bench.report import run as run_bench
from benchmarks.bench.settings import PARTS, Settings
from engine.cli.common import progress
from engine.errors import InputError
from tests.command import as_json, run_here

SMALL = Settings(tracks=(2, 3), quanta_frames=(16, 32), seconds=0.05)


def nobody(what: str, share: float) -> None:
    """Is told of progress, and has better things to do."""


def numbers(found: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(found, dict | list):
        for key, value in found.items() if isinstance(found, dict) else enumerate(found):
            yield from numbers(value, f"{path}/{key}")
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield path, float(found)


def printed(report: Report, console: Console) -> str:
    with console.capture() as taken:
        console.print(*report.text(), sep="\n")
    return taken.get()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Everything but the cold start, of two tracks at the smallest quantum; of starts and sizes of memory one each."""
    options = ("--tracks", "2", "--quantum", "16", "--seconds", "0.05")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starts, "measure", partial(starts.measure, runs=1))
        patch.setattr(memory, "measure", partial(memory.measure, tracks=(8,)))
        patch.setattr(offline, "measure", partial(offline.measure, seconds=2.0))
        patch.setattr(capacity, "QUANTA", 200)
        return as_json(run_here("bench", *options, "--json", cwd=tmp_path_factory.mktemp("bench")))


def test_the_document_lacks_a_part(document: Any) -> None:
    head = ["roomtone_bench", "settings", "machine", "conditions"]
    assert list(document) == [*head, *PARTS, "figures"]
    assert document["roomtone_bench"] == 1
    assert all(document[part] for part in PARTS)
    assert document["settings"] == {
        "tracks": [2],
        "quanta_frames": [16],
        "rate_hz": 48_000,
        "seconds": 0.05,
        "cold": False,
        "peers": False,
        "live": False,
        "contend": None,
        "callback": False,
        "parts": list(PARTS),
    }
    assert document["starts"]["cold"] is None


def test_a_number_is_not_finite_or_a_time_not_positive(document: Any) -> None:
    found = dict(numbers(document))
    assert len(found) > 100
    assert all(math.isfinite(value) for value in found.values())
    times = {path: value for path, value in found.items() if re.search(r"_(us|ms|s|mib)(/|$)", path)}
    assert len(times) > 40
    assert min(times.values()) >= 0.0
    assert min(value for path, value in times.items() if re.search("p50|p999|max|total_s", path)) > 0.0
    assert document["allocations"]["in_kernels"] == 0


def test_figures_cannot_be_read_back_or_are_not_named_after_their_row(document: Any) -> None:
    figures = {name: Figure.from_json(stored) for name, stored in document["figures"].items()}
    assert {
        "2 tracks, 16 frames: p50",
        "2 tracks, 16 frames: p99.9 by processor time",
        "2 tracks, 16 frames: unmask",
        "tracks until overload, 16 frames",
        "render of 8 tracks",
        "warm start: to the first sound",
        "8 tracks: peak memory",
    } <= figures.keys()
    assert len(figures["2 tracks, 16 frames: p50"].samples) == 5
    assert figures["render of 8 tracks"].better == "higher"
    # On a machine that has other things to do, no bank may be in time at 16 frames.
    mostly = {
        name: figure for name, figure in figures.items() if "allocations" not in name and "until" not in name
    }
    assert min(figure.value for figure in mostly.values()) > 0.0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--tracks", "0"),
        ("--tracks", "8,x"),
        ("--tracks", ","),
        ("--quantum", "15"),
        ("--quantum", "128,4096"),
        ("--rate", "47999"),
        ("--seconds", "nan"),
        ("--seconds", "0"),
        ("--only", "quanta,capacities"),
    ],
)
def test_a_bad_value_is_not_refused_by_the_name_of_its_option(
    tmp_path: Path, option: str, value: str
) -> None:
    done = run_here("bench", option, value, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"roomtone: {option}: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(("tracks", "why"), [(3000, "slots"), (10**9, "track numbers")])
def test_a_bank_too_large_for_an_engine_fails_instead_of_being_refused(tracks: int, why: str) -> None:
    settings = replace(SMALL, tracks=(2, tracks), parts=("quanta",))
    with pytest.raises(InputError, match=f"--tracks: {tracks} tracks; .*{why}"):
        run_bench(settings, measurements(settings), nobody)


def test_a_table_is_wider_than_100_columns_or_a_column_has_no_unit() -> None:
    """Three-digit loads in every column of two quanta and five banks."""
    settings = replace(
        SMALL, tracks=(2, 3, 4, 5, 120), parts=("quanta", "nodes", "latency", "overhead"), seconds=0.02
    )
    report = run_bench(settings, measurements(settings), nobody)
    console = Console(width=200)
    *lines, _ = report.text()
    assert max(Measurement.get(console, console.options, line).maximum for line in lines) <= 100
    text = printed(report, console)
    heads = [line for line in text.splitlines() if line.split()[:1] in (["Tracks"], ["Step"], ["Frames"])]
    assert len(heads) == 1 + 4 + 1
    assert all(len(re.findall("µs|ms|%|frames", head)) >= 4 or "Step" in head for head in heads)
    assert "not measured" not in text
    assert "processor time" in text


def test_parts_that_are_not_asked_for_are_measured_all_the_same() -> None:
    settings = replace(SMALL, parts=("latency",))
    told: list[float] = []
    report = run_bench(settings, measurements(settings), lambda what, share: told.append(share))
    found = report.as_json(machine={"processor": "this one"})
    assert found["machine"] == {"processor": "this one"}
    assert found["latency"]
    assert "quanta" not in found
    assert sorted(told) == told
    assert 0.0 <= told[0] <= told[-1] <= 1.0


@pytest.mark.parametrize("threaded", [False, True])
def test_the_bar_is_drawn_by_a_thread_that_disturbs_what_is_measured(
    monkeypatch: pytest.MonkeyPatch, threaded: bool
) -> None:
    """On a terminal, after a second: no thread but where it was asked for."""
    moments = count(0.0, 10.0)
    monkeypatch.setattr("engine.cli.common.time", SimpleNamespace(monotonic=lambda: next(moments)))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    threads = threading.active_count()
    with progress("measuring", threaded=threaded) as advance:
        advance("a row", 400, 1000)
        assert threading.active_count() == threads + threaded
    assert "measuring a row" in terminal.getvalue()
    assert "40 %" in terminal.getvalue()


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from benchmarks.bench import timing
measure = timing.measure
def told(*arguments, **options):
    print("measuring", flush=True)
    return measure(*arguments, **options)
timing.measure = told
from engine.cli import main
main()
"""


def test_ctrl_c_ends_in_a_traceback_or_late(tmp_path: Path) -> None:
    """Ten minutes of sound to measure; one line and exit code 130 instead."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, "bench", "--tracks", "2", "--seconds", "600"],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert errors.splitlines()[-1] == "roomtone: interrupted; nothing was written"
    assert "Traceback" not in errors


def test_the_json_has_what_json_does_not_know(document: Any) -> None:
    assert json.loads(json.dumps(document, allow_nan=False)) == document
