"""Starts in processes of their own."""

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import child, starts
from benchmarks.bench.starts import STAGES, Start
from engine.errors import RoomtoneError

TOLD = {
    "at_s": {"interpreter": 10.1, "imports": 11.1, "scene": 11.4, "graph": 11.5, "sound": 11.75},
    "kernels": 47,
    "kernels_s": 0.5,
}


def test_stages_do_not_add_up_to_the_start() -> None:
    start = Start.of(10.0, TOLD)
    assert list(start.stages_s) == list(STAGES)
    assert list(start.stages_s.values()) == pytest.approx([0.1, 1.0, 0.3, 0.1, 0.25])
    assert start.total_s == pytest.approx(1.75)


@pytest.mark.parametrize("cold", [False, True])
def test_a_cold_start_finds_kernels_or_leaves_some_behind(
    monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    """Two warm starts in the user's own cache; the cold one in a folder that is empty before and gone afterwards."""
    seen: list[Path | None] = []

    def run(module: str, *arguments: str, environment: Any = None) -> Any:
        if environment is None:
            seen.append(None)
        else:
            folder = Path(environment["XDG_CACHE_HOME"])
            assert os.listdir(folder) == []
            assert environment["NUMBA_CACHE_DIR"] is None
            (folder / "kernel").touch()
            seen.append(folder)
        return TOLD

    monkeypatch.setattr(child, "run", run)
    found = starts.measure(48_000, lambda what, share: None, cold=cold, runs=2)
    assert seen[:2] == [None, None]
    assert len(seen) == 2 + cold
    assert (found.cold is not None) == (found.as_json()["cold"] is not None) == cold
    if cold:
        assert seen[2] is not None
        assert not seen[2].exists()
        assert found.as_json()["cold"]["kernels"] == 47


def test_a_child_that_fails_is_a_traceback() -> None:
    """One line, with the child's last word."""
    with pytest.raises(RoomtoneError, match=r"first_sound: failed \(exit 2\): .*invalid int value") as raised:
        child.run(starts.MODULE, "--tracks", "many")
    assert len(str(raised.value).splitlines()) == 1


def test_variables_of_a_child_stay_or_do_not_get_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed, one taken away, the others as they were; of what is printed, only the last line is read."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/nowhere")
    told: dict[str, Any] = {}

    def spy(command: list[str], **options: Any) -> Any:
        told.update(options["env"])
        return type("Done", (), {"returncode": 0, "stdout": "chatter\n{}\n", "stderr": ""})

    monkeypatch.setattr("subprocess.run", spy)
    assert child.run("any", environment={"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": "/here"}) == {}
    assert "NUMBA_CACHE_DIR" not in told
    assert told["XDG_CACHE_HOME"] == "/here"
    assert told["PATH"] == os.environ["PATH"]
