"""`roomtone room` as a user meets it: table, JSON, list, mistakes."""

import json
from pathlib import Path

import pytest

import presets
from tests.command import run_here


def test_a_room_is_shown_without_what_it_achieves(tmp_path: Path) -> None:
    done = run_here("room", "church", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("church: size 0.85", "freeverb at 48000 Hz", "RT60 4000 Hz", "T_mid", "DRR", "Correlation"):
        assert word in done.stdout
    assert "nearest" not in done.stdout


def test_the_json_of_a_room_lacks_a_figure_or_holds_one_that_is_off(tmp_path: Path) -> None:
    """Seven octaves; T_mid within 4 %, DRR within 0.6 dB, correlation within 0.1 of the target."""
    done = run_here(
        "room", "--size", "0.5", "--damping", "0.4", "--wet", "0.5", "--width", "0.7", "--json", cwd=tmp_path
    )
    found = json.loads(done.stdout)
    assert [row["hz"] for row in found["octaves"]] == [125, 250, 500, 1000, 2000, 4000, 8000]
    assert all(row["achieved_s"] > 0.2 for row in found["octaves"])
    assert [row["hz"] for row in found["octaves"] if row["target_s"]] == [500, 1000, 4000]
    target, achieved = found["target"], found["achieved"]
    assert target == {"mid_rt60_s": 1.225, "treble_ratio": 0.758, "drr_db": 6.02, "correlation": 0.3}
    assert achieved["mid_rt60_s"] == pytest.approx(1.225, rel=0.04)
    assert achieved["drr_db"] == pytest.approx(6.02, abs=0.6)
    assert achieved["correlation"] == pytest.approx(0.3, abs=0.1)
    assert found["preset"] is None
    assert found["nearest"] in presets.room_names()


def test_options_do_not_override_the_room(tmp_path: Path) -> None:
    found = json.loads(run_here("room", "church", "--size", "0.2", "--json", cwd=tmp_path).stdout)
    assert found["parameters"]["size"] == 0.2
    assert found["parameters"]["wet_level"] == 0.6
    assert found["octaves"][2]["preset_s"] == pytest.approx(4.06)


def test_a_wet_level_of_zero_or_a_low_rate_breaks_the_report(tmp_path: Path) -> None:
    """No return has no decay: null in the JSON, a dash in the table; nor has an octave above the rate."""
    silent = json.loads(run_here("room", "--wet", "0", "--json", cwd=tmp_path).stdout)
    assert silent["target"]["drr_db"] is silent["achieved"]["drr_db"] is None
    assert all(row["achieved_s"] is None for row in silent["octaves"])
    assert "infinite" in run_here("room", "--wet", "0", cwd=tmp_path).stdout
    low = json.loads(run_here("room", "--rate", "8000", "--json", cwd=tmp_path).stdout)
    assert [row["achieved_s"] is None for row in low["octaves"]] == [False] * 5 + [True] * 2


def test_outdoors_something_is_measured(tmp_path: Path) -> None:
    assert "no tail, no echo" in run_here("room", "forest", cwd=tmp_path).stdout
    assert "one echo after 70 ms" in run_here("room", "courtyard", cwd=tmp_path).stdout
    assert json.loads(run_here("room", "courtyard", "--json", cwd=tmp_path).stdout)["enclosed"] is False


def test_the_list_leaves_a_room_out(tmp_path: Path) -> None:
    text = run_here("room", "list", cwd=tmp_path).stdout
    found = json.loads(run_here("room", "list", "--json", cwd=tmp_path).stdout)
    assert [room["name"] for room in found] == presets.room_names()
    assert all(name in text for name in presets.room_names())
    assert all(room["source"] for room in found)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("chruch",), 'roomtone: no room is called "chruch"; did you mean church?'),
        (("--size", "1.5"), "roomtone: --size: 1.5 is refused; must be 0 to 1"),
        (("--damping", "nan"), "roomtone: --damping: nan is refused; must be 0 to 1"),
        (("--engine", "spring"), "roomtone: --engine: there is no engine spring; must be freeverb or fdn"),
        (("--rate", "100"), "roomtone: rate: 100 Hz is not a usual rate; one of"),
    ],
)
def test_a_mistake_ends_in_a_traceback_or_without_a_word(
    arguments: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    done = run_here("room", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stdout == ""


def test_the_help_has_no_examples(tmp_path: Path) -> None:
    assert "roomtone room church" in run_here("room", "--help", cwd=tmp_path).stdout
