"""The table that is learned from: what goes in comes out, what is wrong is named, what is not ours stays."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.learn.bands import BANDS
from engine.learn.dataset import FLAGS, SETTINGS, Row, Table, columns, read_table, write_table
from engine.learn.demo.catalogue import PAIRS, plan
from engine.learn.demo.make import make_demo, make_song
from engine.learn.features import schema
from engine.learn.table_files import card_of

COUNT = len(schema())


def row(track: str = "kick", group: str = "song", value: float = -20.0) -> Row:
    return Row(
        group,
        track,
        np.full(COUNT, value),
        np.linspace(-3.0, 3.0, BANDS),
        np.linspace(-1.0, 1.0, BANDS),
        dict.fromkeys(SETTINGS, 2.0),
        dict.fromkeys(FLAGS, True),
        instrument="kick",
        equipment="dynamic",
        notes=("one", "two"),
    )


def written(folder: Path, *rows: Row) -> Path:
    path = folder / "table.csv"
    write_table(path, Table(rows or (row(), row("snare"))), "a test")
    return path


def changed(path: Path, line: int, column: str, cell: str) -> Path:
    lines = path.read_text("utf-8").splitlines()
    cells = lines[line - 1].split(",")
    cells[[c.name for c in columns()].index(column)] = cell
    lines[line - 1] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@settings(max_examples=30, deadline=None)
@given(
    value=st.floats(-300.0, 300.0),
    text=st.text(
        st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40
    ),
)
def test_a_row_comes_back_otherwise(
    tmp_path_factory: pytest.TempPathFactory, value: float, text: str
) -> None:
    """Numbers within 1e-6 of their size, text as it is, unknown settings unknown."""
    if not text.strip() or not text.isprintable():
        return
    one = replace(row(text, value=value), settings={"gain_db": value}, known={"equaliser_known": True})
    back = read_table(written(tmp_path_factory.mktemp("t"), one)).rows[0]
    assert (back.group, back.track, back.instrument, back.notes) == ("song", text, "kick", ("one", "two"))
    np.testing.assert_allclose(back.features, one.features, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(back.delta_db, one.delta_db, rtol=1e-6, atol=1e-9)
    assert back.settings["gain_db"] == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert math.isnan(back.settings["ratio"])
    assert back.known == {"equaliser_known": True, "threshold_known": False, "dynamics_known": False}


@pytest.mark.parametrize(
    ("column", "cell", "what"),
    [
        ("raw_rms", "loud", '"loud" is not a number'),
        ("raw_rms", "", "is empty"),
        ("raw_peak", "nan", "is not a number"),
        ("delta_1000_hz_db", "inf", "is not a number"),
        ("ratio", "0.5", "is 0.5; 1 to"),
        ("attack_ms", "-1", "is -1"),
        ("dynamics_known", "yes", "is no flag; 0 or 1"),
        ("group", "", "is empty; a name"),
        ("track", "kick", "is in line 2 already"),
    ],
)
def test_a_wrong_cell_is_taken_or_not_found(tmp_path: Path, column: str, cell: str, what: str) -> None:
    """The message holds file, line 3, column and what is allowed."""
    with pytest.raises(InputError) as caught:
        read_table(changed(written(tmp_path), 3, column, cell))
    assert f"table.csv:3: column {column}: " in str(caught.value)
    assert what in str(caught.value)


def test_other_damage_ends_in_a_traceback(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole, card = path.read_text("utf-8"), card_of(path).read_text("utf-8")
    for text, message in [
        (whole.replace("raw_rms", "rms", 1), 'is called "rms"; raw_rms'),
        (whole + "a,b\n", "has 2 cells"),
        ("", "is missing"),
        (whole + '"a\n', "is not a table"),
    ]:
        path.write_text(text, "utf-8")
        with pytest.raises(InputError, match=message):
            read_table(path)
    path.write_bytes(b"\xff" + whole.encode())
    with pytest.raises(InputError, match="UTF-8"):
        read_table(path)
    path.write_text(whole, "utf-8")
    for text, message in [
        (card.replace("features: ", "features: 0"), "not those of this version"),
        (card + "\n[", "is damaged"),
        ("mine", "holds something else"),
    ]:
        card_of(path).write_text(text, "utf-8")
        with pytest.raises(InputError, match=message):
            read_table(path)
    card_of(path).unlink()
    with pytest.raises(InputError, match="is missing"):
        read_table(path)


@pytest.mark.parametrize("name", ["table.csv", "table.csv.yaml"])
def test_a_foreign_file_is_lost(tmp_path: Path, name: str) -> None:
    foreign = tmp_path / name
    foreign.write_text("group,other,mine\n1,2,3\n", "utf-8")
    with pytest.raises(InputError, match="holds something else"):
        written(tmp_path)
    assert foreign.read_text("utf-8") == "group,other,mine\n1,2,3\n"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_failed_write_costs_the_table_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old table is there, byte for byte, and no other file."""
    path = written(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="No space left"):
        write_table(path, Table((row("tom"),)), "a test")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_the_demo_is_another_one_each_time_or_lacks_what_makes_it_hard(tmp_path: Path) -> None:
    """54 pairs of instrument and equipment over 24 songs, 257 tracks, some pairs only once; bit-equal for one seed."""
    assert len(PAIRS) == 54
    assert min(PAIRS.values()) == 1
    songs = plan(np.random.default_rng([1, 1]))
    found = [(r.instrument, r.equipment) for song in songs for r in song]
    assert {pair: found.count(pair) for pair in PAIRS} == PAIRS
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        write_table(tmp_path / str(number) / "demo.csv", make_demo(7, 1), "a test")
    assert (tmp_path / "1/demo.csv").read_bytes() == (tmp_path / "2/demo.csv").read_bytes()
    other = make_song(8, 0, songs[0][:1])[0].row.features
    assert not np.array_equal(other, make_song(7, 0, songs[0][:1])[0].row.features)
