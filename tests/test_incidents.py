"""Incidents are told once, logged as JSON, and never in the way of the show."""

import json
from pathlib import Path

import pytest

from engine.control import incidents
from engine.control.incidents import Incident, Incidents
from engine.errors import InputError


def test_every_incident_is_one_line_of_json_and_one_call(tmp_path: Path) -> None:
    heard: list[Incident] = []
    log = tmp_path / "deep" / "incidents.jsonl"
    told = Incidents(log, listener=heard.append)
    told.report("engine-died", "the engine ended by signal 9", 4800, signal=9)
    told.report("engine-back", "sound again after 0.2 s", 4928, seconds=0.2)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["engine-died", "engine-back"]
    assert (lines[0]["frame"], lines[0]["signal"], lines[0]["text"]) == (
        4800,
        9,
        "the engine ended by signal 9",
    )
    assert lines[0]["time"].endswith("Z")
    assert heard == told.all


def test_a_log_goes_on_where_the_last_show_left_off_until_it_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "incidents.jsonl"
    for _ in range(2):
        Incidents(log).report("notice", "one", 0)
    assert len(log.read_text().splitlines()) == 2
    monkeypatch.setattr(incidents, "LARGEST_LOG_BYTES", 50)
    Incidents(log).report("notice", "two", 0)
    assert len(log.read_text().splitlines()) == 1
    assert len((tmp_path / "incidents.jsonl.1").read_text().splitlines()) == 2


def test_a_log_that_was_asked_for_and_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/log\.jsonl: cannot be written \(.*\); a file for the log"):
        Incidents(tmp_path / "file" / "log.jsonl", demanded=True)


def test_the_default_log_is_done_without_where_it_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = Incidents(tmp_path / "file" / "log.jsonl")
    told.report("notice", "one", 0)
    assert len(told.all) == 1


def test_a_log_that_fails_later_does_not_disturb_the_show(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "incidents.jsonl"
    told = Incidents(log)
    log.unlink()
    log.parent.rmdir()
    told.report("notice", "one", 0)
    assert len(told.all) == 1


def test_no_log_is_no_file(tmp_path: Path) -> None:
    Incidents(None).report("notice", "one", 0)
    assert list(tmp_path.iterdir()) == []
