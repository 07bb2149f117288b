"""Incidents are told once, logged as JSON, and never in the way of the show."""

import json
import threading
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


def test_half_a_surrogate_pair_is_logged_as_its_escape(tmp_path: Path) -> None:
    """A file name that is not UTF-8 reads back from the log as it was told."""
    log = tmp_path / "incidents.jsonl"
    told = Incidents(log)
    told.report("scene-refused", "caf\udce9.yaml is not used", 0)
    told.report("notice", "è", 0)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["caf\udce9.yaml is not used", "è"]


def test_a_detail_that_json_does_not_know_costs_its_line_and_not_the_log(tmp_path: Path) -> None:
    log = tmp_path / "incidents.jsonl"
    told = Incidents(log)
    around: list[object] = []
    around.append(around)
    told.report("fault", "a set", 0, nodes={1, 2})
    told.report("fault", "a circle", 0, nodes=around)
    told.report("notice", "after", 0)
    assert [json.loads(line)["text"] for line in log.read_text().splitlines()] == ["after"]
    assert [incident.text for incident in told.all] == ["a set", "a circle", "after"]


def test_a_listener_that_raises_does_not_end_the_show(tmp_path: Path) -> None:
    def listener(incident: Incident) -> None:
        raise KeyError(incident.kind)

    told = Incidents(tmp_path / "incidents.jsonl", listener=listener)
    told.report("notice", "one", 0)
    assert told.report("notice", "two", 0) == told.all[1]


def test_after_weeks_the_newest_are_kept_and_all_are_counted() -> None:
    """Of 2500 incidents 1000 stay: the last ones, in order."""
    told = Incidents(None)
    for number in range(2500):
        told.report("underrun", str(number), number)
    assert [incident.frame for incident in told.all] == list(range(1500, 2500))
    assert told.count == 2500


def test_who_asks_now_and_then_is_told_each_incident_once_also_while_old_ones_go() -> None:
    """Asked every 300 of 2400: all of them; asked for the first time after 2400: the newest 1000."""
    told = Incidents(None)
    heard: list[int] = []
    said = 0
    for number in range(2400):
        told.report("underrun", "", number)
        if number % 300 == 299:
            newest, said = told.since(said)
            heard += [incident.frame for incident in newest]
    assert heard == list(range(2400))
    assert told.since(said) == ([], 2400)
    assert [incident.frame for incident in told.since(0)[0]] == list(range(1400, 2400))


def test_no_incident_is_lost_between_threads() -> None:
    """8 threads with 100 each: 800 are kept and counted."""
    told = Incidents(None)

    def report(thread: int) -> None:
        for number in range(100):
            told.report("notice", "", 100 * thread + number)

    threads = [threading.Thread(target=report, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count == 800
    assert sorted(incident.frame for incident in told.all) == list(range(800))


def test_no_log_is_no_file(tmp_path: Path) -> None:
    Incidents(None).report("notice", "one", 0)
    assert list(tmp_path.iterdir()) == []
