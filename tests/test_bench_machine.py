"""What a result was measured on, also where little can be told; and the yardstick that goes with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench import machine, yardstick
from benchmarks.bench.machine import describe

ROOT = Path(__file__).parent.parent


def test_this_machine_is_described_as_json_has_it() -> None:
    told = json.loads(json.dumps(describe(), allow_nan=False))
    assert set(told) == {"time", "cpu", "kernel", "memory_bytes", "load_average", "versions", "git"}
    assert told["cpu"]["processors"] >= 1
    assert told["cpu"]["simd_lanes"] in (4, 8, 16)
    assert told["versions"]["numpy"] == np.__version__
    assert set(told["versions"]) == {
        "roomtone",
        "python",
        "numpy",
        "numba",
        "llvmlite",
        "pedalboard",
        "portaudio",
    }


def test_a_system_that_tells_nothing_fails_nothing(tmp_path: Path) -> None:
    told = describe(root=tmp_path, system=tmp_path)
    assert told["git"] is None
    assert told["memory_bytes"] is None
    assert told["cpu"]["caches"] is None
    assert told["cpu"]["processors"] >= 1


def test_caches_are_those_of_the_first_processor(tmp_path: Path) -> None:
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K")]
    ):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{index}"
        folder.mkdir(parents=True)
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    caches = describe(root=tmp_path, system=tmp_path)["cpu"]["caches"]
    assert caches == {"L1d": "48K", "L1i": "32K", "L2": "2048K"}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "file").write_text("one\n")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


def test_a_checkout_tells_its_commit_and_whether_it_was_changed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "GIT_TIMEOUT_S", 10.0)
    commit = git(checkout, "rev-parse", "HEAD")
    assert describe(root=checkout)["git"] == {"commit": commit, "dirty": False}
    (checkout / "file").write_text("two\n")
    assert describe(root=checkout)["git"] == {"commit": commit, "dirty": True}


def test_a_folder_in_another_projects_checkout_has_no_commit(checkout: Path) -> None:
    """As an environment is that lies in the folder of who uses it."""
    (checkout / "site-packages").mkdir()
    assert describe(root=checkout / "site-packages")["git"] is None


def test_a_hook_of_another_repository_does_not_mislead(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "GIT_TIMEOUT_S", 10.0)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    told = describe(root=checkout)["git"]
    monkeypatch.delenv("GIT_DIR")
    assert told == {"commit": git(checkout, "rev-parse", "HEAD"), "dirty": False}


@pytest.mark.parametrize("tool", ["exit 128", "exec sleep 30", None])
def test_a_git_that_fails_or_hangs_or_is_missing_tells_nothing(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str | None
) -> None:
    """It is given up after 0.3 s, so that both questions take less than a second."""
    assert machine.GIT_TIMEOUT_S == 0.3
    (tmp_path / "bin").mkdir()
    if tool:
        (tmp_path / "bin" / "git").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{tool}\n")
        (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert describe(root=checkout)["git"] is None


def test_the_yardstick_is_none_of_this_programs_work() -> None:
    """Neither numba nor a kernel is loaded for it."""
    code = (
        "import sys; from benchmarks.bench.yardstick import Yardstick; Yardstick()\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('numba', 'dsp', 'engine', 'pedalboard')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_the_yardstick_does_the_same_work_however_often() -> None:
    """Not a value grows, fades away or becomes subnormal, which would change what it takes."""
    stick = yardstick.Yardstick()
    arrays = [*stick._small, *stick._large, *stick._memory]
    before = [array.copy() for array in arrays]
    for _ in range(50):
        stick.work()
    for array, was in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, was)
    assert stick.read_us() > 0.0


def test_the_yardsticks_figure_has_one_sample_a_round() -> None:
    figure = yardstick.figure([[400.0, 500.0, 900.0], [410.0], [300.0, 320.0]])
    assert figure.samples == (500.0, 410.0, 310.0)
    assert figure.value == 410.0
    assert (figure.unit, figure.better) == ("µs", "lower")
