"""A comparison must say what was measured, and go on without the peers that are missing or fail."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import comparison
from benchmarks.peers.contests import AgainstPeer
from benchmarks.peers.pedalboard_peer import PedalboardPeer
from benchmarks.peers.result import Comparison, Goal, PeersResult, Ratio, Row
from benchmarks.peers.task import Task
from dsp.denormals import SUPPORTED, denormals_flushed, flush_denormals

RATE_HZ, QUANTUM_FRAMES = 48_000, 128


class Given:
    """Takes the times it is given."""

    def __init__(self, *times_s: float) -> None:
        self.times_s = list(times_s)

    def run(self, quanta: int) -> float:
        return quanta * self.times_s.pop(0)

    def idle(self, quanta: int) -> float | None:
        return quanta * self.times_s.pop(0)

    def close(self) -> None:
        self.times_s.clear()


def test_a_ratio_is_theirs_over_ours_whoever_begins() -> None:
    """Ours takes 2 and 4, the peer 6 and 10, its idle turn 1 beside our 5: 3, 2.5 and 0.2, whoever begins."""
    ours: Any = Given(2.0, 4.0, 5.0)
    contest = AgainstPeer(ours, Given(6.0, 10.0, 1.0), quanta=3)
    assert contest.turn(0) == 3.0
    assert contest.turn(1) == 2.5
    assert contest.idle_turn() == 0.2


def test_an_interval_is_that_of_the_median() -> None:
    """Equal turns have no width; one outlier of eight leaves the median and the lower end where they are."""
    assert Ratio.of([3.0] * 8) == Ratio(3.0, 3.0, 3.0, (3.0,) * 8)
    ratio = Ratio.of([3.0] * 7 + [90.0])
    assert (ratio.value, ratio.low, ratio.high) == (3.0, 3.0, 3.0)
    spread = Ratio.of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    assert spread.value == 4.5
    assert 1.5 <= spread.low <= 3.5
    assert 5.5 <= spread.high <= 7.5


def result() -> PeersResult:
    faster = Comparison("peer", "ours", "higher", Goal(15.0, at_least=True), True, "peer 1.0: the same")
    twin = Comparison("ours", "C twin", "lower", Goal(1.3, at_least=False), True, "C twin: the same")
    rows = (
        Row(faster, 8, Ratio.of([4.0, 5.0, 6.0]), Ratio.of([0.25])),
        Row(faster, 128, Ratio.of([14.0, 15.0, 16.0]), None),
        Row(twin, 128, Ratio.of([1.2, 1.4, 1.5]), None),
    )
    return PeersResult(128, 48_000, rows, {"other": "is not installed"})


def test_a_goal_is_judged_at_its_number_of_tracks_and_on_the_right_side() -> None:
    """At 128 tracks only: 15 is at least 15, 1.4 is not at most 1.3."""
    assert [(goal["goal"], goal["reached"]) for goal in result().goals()] == [
        ("peer over ours, 128 tracks: at least 15", True),
        ("ours over C twin, 128 tracks: at most 1.3", False),
    ]


def test_figures_keep_their_turns() -> None:
    figures = result().figures()
    assert figures["peer over ours, 8 tracks"].samples == (4.0, 5.0, 6.0)
    assert figures["peer over ours, 8 tracks"].better == "higher"
    assert figures["ours over C twin, 128 tracks"].value == 1.4
    assert figures["ours over C twin, 128 tracks"].better == "lower"


def test_the_text_leaves_nothing_out() -> None:
    text = "\n".join(result().lines())
    assert "5.00 [4.00, 6.00]" in text
    assert "0.25" in text
    assert "peer 1.0: the same" in text
    assert "skipped other: is not installed" in text
    assert "NO   ours over C twin, 128 tracks: at most 1.3 (1.4)" in text
    json.dumps(result().as_json())


def test_a_missing_peer_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without scsynth, a compiler and DawDreamer all three are skipped with the reason; pedalboard is compared."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "dawdreamer", None)
    told: list[tuple[str, int, int]] = []
    found = comparison.measure(
        [1, 2], QUANTUM_FRAMES, RATE_HZ, 0.02, lambda text, done, steps: told.append((text, done, steps))
    )
    assert set(found.skipped) == {"DawDreamer/Faust", "scsynth", "C twin"}
    assert "apt install supercollider-server" in found.skipped["scsynth"]
    assert "roomtone[peers]" in found.skipped["DawDreamer/Faust"]
    assert "no C compiler" in found.skipped["C twin"]
    assert {(row.comparison.one, row.tracks) for row in found.rows} == {
        (name, tracks)
        for name in ("pedalboard (boards per track)", "pedalboard (one bank for all)", "whole stage")
        for tracks in (1, 2)
    }
    assert all(len(row.ratio.samples) == comparison.TURNS for row in found.rows)
    assert [done for _, done, _ in told] == list(range(told[0][2]))


def test_a_peer_that_fails_under_way_does_not_take_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is skipped with what it said; the rows of the others have all their turns."""

    class Failing:
        same_work, work, version = True, "", "failing 1.0"

        def start(self, task: Task, quanta: int) -> Given:
            return Given(1.0, 1.0)

    peers = (("failing", Failing, None), ("pedalboard", lambda: PedalboardPeer(one_bank=True), None))
    monkeypatch.setattr(comparison, "PEERS", peers)
    monkeypatch.setenv("PATH", "")
    found = comparison.measure([1], QUANTUM_FRAMES, RATE_HZ, 0.02, lambda *_: None)
    assert found.skipped["failing over ours, 1 tracks"] == "pop from empty list"
    assert [row.comparison.one for row in found.rows] == ["pedalboard", "whole stage"]


@pytest.mark.skipif(not SUPPORTED, reason="this machine has no flush-to-zero setting known here")
def test_peers_are_built_with_subnormals_and_run_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust's compiler aborts the process without them; while turns are timed they are flushed, as in the engine."""
    seen: list[tuple[str, bool]] = []

    def note(what: str) -> None:
        before = flush_denormals(False)
        flush_denormals(before)
        seen.append((what, before))

    class Watching(Given):
        same_work, work, version = True, "", "watching 1.0"

        def start(self, task: Task, quanta: int) -> "Watching":
            note("start")
            return self

        def run(self, quanta: int) -> float:
            note("run")
            return 1.0

        def idle(self, quanta: int) -> float | None:
            return None

    monkeypatch.setattr(comparison, "PEERS", (("watching", Watching, None),))
    monkeypatch.setenv("PATH", "")
    with denormals_flushed():
        comparison.measure([1], QUANTUM_FRAMES, RATE_HZ, 0.02, lambda *_: None)
        assert flush_denormals(True)
    assert set(seen) == {("start", False), ("run", True)}


def test_the_twin_is_skipped_where_it_would_read_beyond_its_control_period(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quantum of 512 frames is longer than its 256: it is skipped with the reason, where there is a compiler."""
    if shutil.which(os.environ.get("CC", "gcc")) is None:
        pytest.skip("there is no C compiler")
    monkeypatch.setattr(comparison, "PEERS", ())
    found = comparison.measure([1], 512, RATE_HZ, 0.02, lambda *_: None)
    assert found.skipped["ours over C twin, 1 tracks"] == "the twin takes quanta of at most 256 frames"


COMMAND = [sys.executable, "-m", "benchmarks.peers"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **more}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tracks", "0"], "--tracks: 0 tracks; 1 to 1024"),
        (["--seconds", "0"], "--seconds: 0 s; 0.1 to 600"),
        (["--quantum", "8"], "quantum: a quantum of 8 frames; must be 16 to 2048"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(arguments: list[str], said: str) -> None:
    """Exit code 2 and one line."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip() == said


def test_json_is_alone_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It can be read back, and every ratio lies in its interval."""
    peers = (("pedalboard", lambda: PedalboardPeer(one_bank=True), Goal(1.0, at_least=True, tracks=2)),)
    monkeypatch.setattr(comparison, "PEERS", peers)
    monkeypatch.setattr(sys, "argv", ["peers", "--tracks", "2", "3", "--seconds", "0.1", "--json"])
    command.main()
    report = json.loads(capsys.readouterr().out)
    assert [row["tracks"] for row in report["comparisons"] if row["time_of"] == "pedalboard"] == [2, 3]
    assert all(row["low"] <= row["ratio"] <= row["high"] for row in report["comparisons"])
    assert [goal["goal"] for goal in report["goals"]] == ["pedalboard over ours, 2 tracks: at least 1"]


def test_ctrl_c_leaves_no_files_behind(tmp_path: Path) -> None:
    """Interrupted among the turns: exit code 130, one word, and nothing left in the folder for temporary files."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [*COMMAND, "--tracks", "2", "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(scratch), CC="no-compiler"),
        start_new_session=True,
    )
    try:
        until_s = time.monotonic() + 120.0
        while not list(scratch.iterdir()) and process.poll() is None and time.monotonic() < until_s:
            time.sleep(0.05)
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60.0)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "interrupted"
    assert not list(scratch.iterdir())
