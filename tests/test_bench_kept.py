"""`roomtone bench --save`, `--compare`, `--plots` and `--peers`, as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import yardstick
from tests.command import as_json, run, run_here

QUICK = ("bench", "--only", "quanta,latency", "--tracks", "2", "--quantum", "16", "--seconds", "0.05")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A user's data folder in which one result is kept."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_DATA_HOME", str(folder))
        kept = as_json(run(*QUICK, "--save", "before", "--json", cwd=folder))
        assert json.loads((folder / "roomtone/bench/before.json").read_text()) == kept
        yield folder


def test_a_result_does_not_say_what_it_was_measured_on(home: Path) -> None:
    kept = json.loads((home / "roomtone/bench/before.json").read_text())
    assert kept["machine"]["cpu"]["model"]
    assert set(kept["machine"]["versions"]) >= {"roomtone", "python", "numpy", "numba", "pedalboard"}
    assert kept["figures"][yardstick.NAME]["value"] > 0.0


def test_a_comparison_leaves_out_a_figure(home: Path) -> None:
    """Every figure of both runs is compared, and the latency, which is exact, has a ratio of 1."""
    again = as_json(run_here(*QUICK, "--compare", "before", "--json", cwd=home))
    compared = again["comparison"]
    assert compared["then"] == "before"
    assert set(compared["figures"]) >= set(again["figures"]) - {yardstick.NAME}
    table = run_here(*QUICK, "--compare", "before", cwd=home)
    assert table.returncode == 0
    assert "before → now" in table.stdout
    assert "2 tracks, 16 frames: p50" in table.stdout


def test_a_result_is_replaced_unasked_or_a_minute_is_lost_for_a_bad_name(home: Path) -> None:
    """A name that is taken, that is none or that nobody has: exit code 2, before anything is measured."""
    file = home / "roomtone/bench/before.json"
    text = file.read_text()
    for options, told in (
        (("--save", "before"), "--force"),
        (("--save", "../out"), "--save"),
        (("--compare", "nobody"), "there are before"),
        (("--compare", "nothing.json"), "no such file"),
    ):
        done = run_here("bench", *options, cwd=home)
        assert done.returncode == 2
        assert told in done.stderr
    assert file.read_text() == text
    assert run_here(*QUICK, "--save", "before", "--force", cwd=home).returncode == 0
    assert file.read_text() != text


def test_nothing_is_drawn(home: Path) -> None:
    done = run_here(*QUICK, "--plots", "pictures", cwd=home)
    assert done.returncode == 0, done.stderr
    assert {f.name for f in (home / "pictures").iterdir()} == {"latency.png", "latency.svg"}
    assert "drew latency.png" in done.stdout


def test_what_others_take_is_not_in_the_document(home: Path) -> None:
    """With --peers there is a comparison or the reason why not, for pedalboard, DawDreamer, scsynth and the C twin."""
    options = ("bench", "--only", "latency", "--tracks", "1", "--quantum", "128", "--peers", "--json")
    brief = "from benchmarks.bench import peers; peers.SECONDS = 0.01; from engine.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", brief, *options],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=400.0,
    )
    (found,) = as_json(done)["peers"]
    named = json.dumps(
        [row["time_of"] + row["over"] for row in found["comparisons"]] + list(found["skipped"])
    )
    for peer in ("pedalboard", "DawDreamer", "scsynth", "C twin"):
        assert peer.lower() in named.lower()
