"""Own mixes that teach chance, that are forgotten, or whose model is taken for what it is not."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from dsp.synth import synthesise
from engine.errors import InputError
from engine.learn.array_file import pack
from engine.learn.bands import BANDS
from engine.learn.dataset import FLAGS, Row, Table, write_table
from engine.learn.features import features, schema
from engine.learn.own_file import check_target, load_own_model, parse, write_own_model
from engine.learn.own_fit import Verdict, fit_table
from engine.learn.own_model import COMPRESSOR, OwnModel
from engine.learn.predict import predict
from tests.command import as_json, run_here

RATE_HZ = 44_100
SOUNDS = {"bell": "dynamic", "bird": "condenser", "wind": "condenser"}
CURVES_DB = {"bell": 4.0, "bird": -3.0, "wind": 0.0}
REDUCTIONS_DB = {"bell": 9.0, "bird": 2.0, "wind": 0.5}


def row(song: int, name: str, mixed: bool = True) -> Row:
    rng = np.random.default_rng([song, len(name), 7])
    x = synthesise(name, rate_hz=RATE_HZ, seed=song)[: 3 * RATE_HZ]
    x = (x * 10.0 ** rng.uniform(-0.5, 0.5)).astype(np.float32)
    curve = np.zeros(BANDS)
    curve[20:26] = CURVES_DB[name] + rng.normal(0.0, 0.3)
    settings = dict(
        zip(COMPRESSOR, (REDUCTIONS_DB[name] + rng.normal(0.0, 0.2), 3.0, 40.0, 900.0), strict=True)
    )
    return Row(
        group=f"song {song}",
        track=name,
        features=features(x, RATE_HZ),
        eq_db=curve - curve.mean() if mixed else np.full(BANDS, math.nan),
        settings=settings if mixed else {},
        known=dict.fromkeys(FLAGS, mixed),
        instrument=name,
        equipment=SOUNDS[name],
    )


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(tuple(row(song, name) for song in range(6) for name in SOUNDS))


@pytest.fixture(scope="module")
def fitted(table: Table) -> tuple[OwnModel, list[Verdict]]:
    return fit_table(table)


@pytest.fixture(scope="module")
def model(fitted: tuple[OwnModel, list[Verdict]]) -> OwnModel:
    return fitted[0]


@pytest.fixture(scope="module")
def verdicts(fitted: tuple[OwnModel, list[Verdict]]) -> list[Verdict]:
    return fitted[1]


def test_what_all_songs_agree_on_is_not_learned(model: OwnModel, verdicts: list[Verdict]) -> None:
    """Names, curves of +4 and -3 dB, reductions of 9 and 2 dB in six songs: told of a seventh within 1 and 2 dB."""
    assert [v.what for v in verdicts if v.learned] == ["instrument", "equipment", "equaliser", "compressor"]
    for name, equipment in SOUNDS.items():
        x = synthesise(name, rate_hz=RATE_HZ, seed=99)[: 3 * RATE_HZ]
        told = predict(x, RATE_HZ, own=model)
        assert told.instrument.value == name
        assert told.equipment.value == equipment
        assert told.eq_db.source == "model"
        assert np.ptp(told.eq_db.value) == pytest.approx(abs(CURVES_DB[name]), abs=1.0)
    squeezed = predict(synthesise("bell", rate_hz=RATE_HZ, seed=98)[: 3 * RATE_HZ], RATE_HZ, own=model)
    assert squeezed.reduction_db.value == pytest.approx(9.0, abs=2.0)
    assert squeezed.ratio.source == "model"


def test_labels_that_mean_nothing_are_learned(table: Table) -> None:
    """Instruments and equipment shuffled over all rows: nothing is told."""
    rng = np.random.default_rng(4)
    order = rng.permutation(len(table))
    rows = tuple(
        replace(r, instrument=table.rows[k].instrument, equipment=table.rows[k].equipment)
        for r, k in zip(table.rows, order, strict=True)
    )
    shuffled, told = fit_table(Table(rows))
    assert not shuffled.names
    assert not any(v.learned for v in told)


def test_too_few_songs_teach_something(table: Table) -> None:
    """Three songs, or rows whose mixes are unknown: the names need four songs, the settings need mixes."""
    three = Table(tuple(r for r in table.rows if r.group <= "song 2"))
    model, verdicts = fit_table(three)
    assert not model.names
    assert all("songs" in v.why for v in verdicts)
    raw = Table(tuple(row(song, name, mixed=False) for song in range(6) for name in SOUNDS))
    model, verdicts = fit_table(raw)
    assert set(model.names) == {"instrument", "equipment"}
    assert model.eq_db is None
    assert model.compressor is None


def test_a_file_loses_what_was_learned(tmp_path: Path, model: OwnModel, verdicts: list[Verdict]) -> None:
    """Written and read: the same answers within 1e-9, and again the same bytes."""
    path = tmp_path / "own.npz"
    write_own_model(path, model, verdicts, "mixes.csv")
    again = load_own_model(path)
    x = features(synthesise("bird", rate_hz=RATE_HZ, seed=50)[:RATE_HZ], RATE_HZ)
    one, two = model.told(x), again.told(x)
    for name in ("instrument", "equipment"):
        before, after = one.names[name].candidates, two.names[name].candidates
        assert [label for label, _ in before] == [label for label, _ in after]
        np.testing.assert_allclose([p for _, p in before], [p for _, p in after], rtol=0.0, atol=1e-9)
    assert one.eq_db is not None
    assert two.eq_db is not None
    np.testing.assert_allclose(one.eq_db.value, two.eq_db.value, rtol=0.0, atol=1e-9)
    assert one.compressor is not None
    assert two.compressor is not None
    for name, figure in one.compressor.items():
        assert two.compressor[name].value == pytest.approx(figure.value, abs=1e-9)
    first = path.read_bytes()
    write_own_model(path, again, verdicts, "mixes.csv")
    assert path.read_bytes() == first


def arrays(model: OwnModel) -> "dict[str, np.ndarray]":
    assert model.eq_db is not None
    assert model.compressor is not None
    made = {"eq_db": model.eq_db, "nearer": np.array([model.nearer]), "compressor": model.compressor}
    for name, of in model.names.items():
        made |= {f"{name}_{part}": getattr(of, part) for part in ("mean", "spread", "weights", "bias")}
    return made


def test_a_damaged_file_crashes_or_answers_absurdly(model: OwnModel) -> None:
    """2000 files with bytes changed, cut out or doubled: refused, or curves within 6 dB and settings in their range."""
    whole, rng = pack(arrays(model)), np.random.default_rng(8)
    labels = {name: of.families for name, of in model.names.items()}
    x = rng.standard_normal(len(schema())) * 40.0
    refused = 0
    for _ in range(2_000):
        data = bytearray(whole)
        at = int(rng.integers(0, len(data)))
        kind = rng.integers(3)
        if kind == 0:
            data[at] = int(rng.integers(0, 256))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 400))]
        else:
            data[at:at] = rng.integers(0, 256, 40, np.uint8).tobytes()
        try:
            made = parse(Path("m.npz"), bytes(data), labels, ["equaliser", "compressor"])
        except InputError:
            refused += 1
            continue
        told = made.told(x)
        assert told.eq_db is not None
        assert np.abs(told.eq_db.value).max() <= 6.0 + 1e-9
        assert told.compressor is not None
        assert 1.0 <= told.compressor["ratio"].value <= 20.0
    assert refused > 1_500


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "0" * 64),
        ("features_sha256", "0" * 64),
        ("format", 9),
        ("labels", {"instrument": ["a"]}),
        ("labels", {"colour": ["a", "b"]}),
        ("labels", ["a"]),
        ("learned", ["reverb"]),
        ("learned", "equaliser"),
    ],
)
def test_a_card_of_something_else_is_taken(
    tmp_path: Path, model: OwnModel, verdicts: list[Verdict], field: str, value: object
) -> None:
    path = tmp_path / "own.npz"
    write_own_model(path, model, verdicts, "mixes.csv")
    card = yaml.safe_load(path.with_suffix(".yaml").read_text("utf-8"))
    path.with_suffix(".yaml").write_text(yaml.safe_dump(card | {field: value}), "utf-8")
    with pytest.raises(InputError, match=field):
        load_own_model(path)


def test_something_else_is_overwritten(tmp_path: Path) -> None:
    """A note, an array of somebody's, a folder, another ending: refused, and all as it was."""
    for name in ("own.yaml", "theirs.npz"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "folder.npz").mkdir()
    for name in ("own.npz", "theirs.npz", "folder.npz", "own.csv", "no/where.npz"):
        with pytest.raises(InputError, match="--out"):
            check_target(tmp_path / name)
    assert (tmp_path / "own.yaml").read_text() == "mine"
    assert (tmp_path / "theirs.npz").read_text() == "mine"


def test_the_commands_do_not_use_it(tmp_path: Path, table: Table) -> None:
    """`learn fit`, then `predict --model` and `label --model`: a bell is named so, with its equipment."""
    path = tmp_path / "mixes.csv"
    write_table(path, table, "a test")
    done = run_here("learn", "fit", str(path), "--json", cwd=tmp_path)
    told = as_json(done)
    assert [v["learned"] for v in told["tried"]] == [True] * 4
    takes = tmp_path / "takes"
    takes.mkdir()
    soundfile.write(
        takes / "track1.wav", synthesise("bell", rate_hz=RATE_HZ, seed=77)[: 3 * RATE_HZ], RATE_HZ
    )
    done = run_here("predict", str(takes / "track1.wav"), "--model", told["model"], "--json", cwd=tmp_path)
    assert as_json(done)[0]["instrument"]["value"] == "bell"
    done = run_here("label", str(takes), "--model", told["model"], "--apply", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [f.name for f in takes.glob("*.wav")] == ["bell_dynamic.wav"]


def test_a_table_that_teaches_nothing_is_no_error(tmp_path: Path, table: Table) -> None:
    """Two songs: exit code 2, a line that says so, no file."""
    path = tmp_path / "few.csv"
    write_table(path, Table(table.rows[:6]), "a test")
    done = run_here("learn", "fit", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "teaches nothing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not path.with_suffix(".npz").exists()


def test_a_model_that_is_not_there_is_a_traceback(tmp_path: Path) -> None:
    """`predict --model` and `label --model` without the file: exit code 2, its name, what is wanted."""
    sound = tmp_path / "track1.wav"
    soundfile.write(sound, np.full(RATE_HZ, 0.1), RATE_HZ)
    for command in (("predict", str(sound)), ("label", str(tmp_path))):
        done = run_here(*command, "--model", "no.npz", cwd=tmp_path)
        assert done.returncode == 2
        assert "no.npz: no such model" in done.stderr
        assert "learn fit" in done.stderr
