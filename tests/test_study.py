"""The study: nothing fitted sees the songs it is judged by, leaks are seen as such, and a report comes of it."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError
from engine.learn.study.extra import NEEDED, require_extra
from tests.command import as_json, run_here

if any(importlib.util.find_spec(name) is None for name in NEEDED):
    pytest.skip("needs the extra `study`", allow_module_level=True)

import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_score, r2_score, recall_score

from engine.learn.dataset import Row, Table, write_table
from engine.learn.features import schema
from engine.learn.study.cells import GROUPED, LEAKY, Cell, Spec, run_cell
from engine.learn.study.data import Task, make_tasks
from engine.learn.study.folds import grouped_folds, leaky_folds
from engine.learn.study.preparations import Clusters, Smote, adasyn_fails, steps_of
from engine.learn.study.run import Scope, run_study, specs_of
from engine.learn.study.scores import chosen_inside, r2, score

SONGS, TRACKS = 12, 8
CLASSES = ("kick", "snare", "tom", "vocal")


def table(seed: int = 1) -> Table:
    """Rows whose song says more than their class: what is alike is so above all in one song."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0.0, 1.0, (len(CLASSES), len(schema())))
    rows = []
    for song in range(SONGS):
        own = rng.normal(0.0, 2.0, (len(CLASSES), len(schema())))
        for track in range(TRACKS):
            kind = track % len(CLASSES)
            x = means[kind] + own[kind] + rng.normal(0.0, 0.2, len(schema()))
            settings = {
                "gain_db": float(x[0] + 3.0),
                "reduction_db": float(abs(x[1])),
                "threshold_db": float(x[2] - 20.0),
                "ratio": float(np.exp(0.3 * x[3]) + 1.0),
                "attack_ms": float(np.exp(x[4])),
                "release_ms": float(np.exp(x[5]) * 50.0),
            }
            rows.append(
                Row(
                    f"song {song}",
                    f"track {track}",
                    x,
                    x[:31] + own[kind][:31],
                    settings=settings,
                    instrument=CLASSES[kind],
                    equipment=("dynamic", "DI")[kind % 2],
                )
            )
    return Table(tuple(rows))


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {task.name: task for task in make_tasks(table(), "a test")}


def test_a_song_is_in_two_folds(tasks: dict[str, Task]) -> None:
    """Each row is judged once; no song is on both sides. Without a look at songs nearly all are."""
    for task in tasks.values():
        folds = grouped_folds(task.labels, task.groups, 5)
        judged = np.concatenate([judge for _, judge in folds])
        assert sorted(judged) == list(range(len(task.x)))
        for learn, judge in folds:
            assert not set(task.groups[learn]) & set(task.groups[judge])
        for learn, judge in leaky_folds(task):
            assert len(set(task.groups[learn]) & set(task.groups[judge])) > SONGS // 2


@pytest.mark.parametrize(("name", "model"), [("instrument", "naive Bayes"), ("mix", "k-NN (CBR)")])
def test_a_leak_is_not_seen_as_one(tasks: dict[str, Task], name: str, model: str) -> None:
    """Where songs say more than classes the usual way promises at least 0.1 more; inside songs it does not hold."""
    honest = score(run_cell(tasks[name], Spec(name, "none", model, GROUPED)), tasks[name])
    leaky = score(run_cell(tasks[name], Spec(name, "none", model, LEAKY)), tasks[name])
    assert leaky.main >= honest.main + 0.1
    assert honest.low <= honest.main <= honest.high


@pytest.mark.parametrize("preparation", ["none", "PCA + agglomerative 27", "SMOTE"])
def test_labels_by_lot_are_told_from_the_features(tasks: dict[str, Task], preparation: str) -> None:
    """With permuted labels of 4 classes the accuracy is at most that of guessing, 0.25, and 0.13 for chance."""
    task = tasks["instrument"]
    lots = replace(task, labels=np.random.default_rng(9).permutation(task.labels))
    found = score(run_cell(lots, Spec("instrument", preparation, "logistic regression", GROUPED)), lots)
    assert found.accuracy <= 0.25 + 0.13


def test_a_preparation_sees_what_it_is_judged_by(tasks: dict[str, Task]) -> None:
    """The answers for a song do not change when another song that is judged in the same fold becomes noise."""
    task = tasks["instrument"]
    fold = grouped_folds(task.labels, task.groups, 5)[0][1]
    songs = sorted(set(task.groups[fold]))
    changed = task.x.copy()
    changed[task.groups == songs[0]] += 100.0
    others = [r for r in fold if task.groups[r] != songs[0]]
    for preparation in ("agglomerative 13", "PCA + SMOTE"):
        spec = Spec("instrument", preparation, "naive Bayes", GROUPED)
        a, b = run_cell(task, spec), run_cell(replace(task, x=changed), spec)
        assert [a.answers[r] for r in others] == [b.answers[r] for r in others]


def test_scores_are_not_those_of_scikit_learn(tasks: dict[str, Task]) -> None:
    """Accuracy, weighted precision, recall, F1, macro F1 and R² within 1e-9."""
    task = tasks["instrument"]
    cell = run_cell(task, Spec("instrument", "none", "decision tree", GROUPED))
    made, truth = score(cell, task), task.labels
    assert made.accuracy == pytest.approx(accuracy_score(truth, cell.answers))
    weighted = {"average": "weighted", "zero_division": 0.0}
    assert made.precision == pytest.approx(precision_score(truth, cell.answers, **weighted))
    assert made.recall == pytest.approx(recall_score(truth, cell.answers, **weighted))
    assert made.main == pytest.approx(f1_score(truth, cell.answers, **weighted))
    assert made.macro_f1 == pytest.approx(f1_score(truth, cell.answers, average="macro"))
    y = tasks["mix"].y
    guess = y + np.random.default_rng(2).normal(0.0, 1.0, y.shape)
    np.testing.assert_allclose(r2(guess, y), r2_score(y, guess, multioutput="raw_values"), atol=1e-9)


def test_the_choice_of_a_preparation_is_read_off_what_it_is_judged_by() -> None:
    """In each fold the cell that its inner folds thought best is taken, though the other one is right there."""
    a = Cell(Spec("t", "a", "m", GROUPED), [0, 0, 1, 1], [0.1] * 4, [0, 0, 1, 1], [0.9, 0.1], [{}, {}], 1.0)
    b = Cell(Spec("t", "b", "m", GROUPED), [7, 7, 8, 8], [0.2] * 4, [0, 0, 1, 1], [0.1, 0.9], [{}, {}], 1.0)
    chosen = chosen_inside([a, b])
    assert chosen.answers == [0, 0, 8, 8]
    assert [s["preparation"] for s in chosen.settings] == ["a", "b"]


def test_smote_or_adasyn_do_otherwise_with_rare_classes() -> None:
    """SMOTE evens out classes of 30, 4 and 2 rows and leaves a single one alone; ADASYN says why it does not."""
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1, 2, 3], [30, 4, 2, 1])
    x = rng.normal(0.0, 1.0, (len(y), 5)) + 3.0 * y[:, None]
    made, labels = Smote().fit_resample(x, y)
    assert np.bincount(labels).tolist() == [30, 30, 30, 1]
    np.testing.assert_array_equal(made[: len(x)], x)
    assert "n_neighbors" in adasyn_fails(x, y)


def test_clusters_of_new_rows_are_others() -> None:
    """Rows at the centre of a cluster go to it: one column of ones for each of three groups of rows."""
    rng = np.random.default_rng(6)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = np.repeat(centres, 20, axis=0) + rng.normal(0.0, 0.1, (60, 2))
    for k in (3, 0):
        columns = Clusters(k).fit(x).transform(centres)[:, 2:]
        assert sorted(columns.argmax(axis=1)) == [0, 1, 2]
        np.testing.assert_array_equal(columns.sum(axis=1), 1.0)
    assert [name for name, _ in steps_of("PCA + SMOTE")] == ["scale", "pca", "smote"]


def test_the_quick_score_is_not_that_of_pgmpy() -> None:
    """AIC of a Gaussian network within 1e-6 of the library's own."""
    from pgmpy.structure_score import AICGauss

    from engine.learn.study.networks import QuickAic

    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])
    frame["c"] += 2.0 * frame["a"]
    for parents in ((), ("a",), ("a", "b")):
        wanted = AICGauss(frame).local_score("c", parents)
        assert QuickAic(frame).local_score("c", parents) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("name", ["instrument", "mix"])
def test_a_network_finds_nothing(tasks: dict[str, Task], name: str) -> None:
    """A discrete and a Gaussian network tell more than the baseline of what depends on three variables."""
    from engine.learn.study.networks import DiscreteNetwork, GaussianNetwork

    rng = np.random.default_rng(3)
    x = rng.normal(size=(160, 4))
    if name == "instrument":
        y = (x[:, 0] > 0).astype(int) + 2 * (x[:, 1] > 0)
        fitted = DiscreteNetwork("k2").fit(x[:120], y[:120])
        found = fitted.predict_proba(x[120:])
        np.testing.assert_allclose(found.sum(axis=1), 1.0)
        assert np.mean(fitted.predict(x[120:]) == y[120:]) > 0.6
        assert fitted.predict(x[120:] * 50.0).shape == (40,)
    else:
        targets = x @ rng.normal(size=(4, 3)) + 0.1 * rng.normal(size=(160, 3))
        found = GaussianNetwork().fit(x[:120], targets[:120]).predict(x[120:])
        assert r2(found, targets[120:]).min() > 0.9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study")
    write_table(made / "t.csv", table(), "a test")
    return made


TINY = (
    "--task",
    "equipment",
    "--task",
    "compressor",
    "--model",
    "baseline",
    "--model",
    "decision tree",
    "--preparation",
    "none",
    "--preparation",
    "PCA",
)


def test_a_report_lacks_a_figure_or_a_picture(folder: Path) -> None:
    """Two tasks with two models; every picture the report names is there; the numbers are those of the JSON."""
    found = as_json(run_here("learn", "study", "t.csv", *TINY, "--workers", "1", "--json", cwd=folder))
    assert list(found) == ["equipment", "compressor"]
    for task in found.values():
        assert list(task["models"]) == ["baseline", "decision tree", "any of them"]
        assert len(task["cells"]) == 6
    out = folder / "t-study"
    markdown, page = (out / "report.md").read_text("utf-8"), (out / "report.html").read_text("utf-8")
    pictures = {path.name for path in out.glob("*.png")}
    assert len(pictures) == 7
    for name in pictures:
        assert f"({name})" in markdown
        assert f'src="{name}"' in page
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    main = found["equipment"]["models"]["decision tree"]["honest"]["main"]
    assert f"| decision tree | {main:.2f} [" in markdown
    assert json.loads((out / "results.json").read_text("utf-8")) == found


def test_finished_cells_are_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run makes none; one cell that is damaged is made anew, and all cells are as before."""
    from engine.learn.study import run

    task = next(t for t in make_tasks(table(), "t") if t.name == "equipment")
    scope = Scope(models=("decision tree",), preparations=("none",))
    (folder / "again" / "cells").mkdir(parents=True)
    first = run_study([task], folder / "again", scope, workers=1)
    kept = sorted((folder / "again" / "cells").iterdir())
    assert len(kept) == len(specs_of(task, scope)) == 2
    kept[0].write_text("{")
    made: list[Spec] = []

    def counted(which: Task, spec: Spec) -> Cell:
        made.append(spec)
        return run_cell(which, spec)

    monkeypatch.setattr(run, "run_cell", counted)
    again = run_study([task], folder / "again", scope, workers=1)
    assert len(made) == 1
    assert [replace(c, seconds=0.0) for c in again] == [replace(c, seconds=0.0) for c in first]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.csv",), "no such table"),
        (("few.csv",), "at least 30 rows of 5 songs"),
        (("t.csv", "--model", "oracle"), "`oracle` is not there; "),
        (("t.csv", "--model", "naive Bayes", "--task", "mix"), "nothing is left"),
        (("t.csv", "--out", "."), "holds something else"),
        (("t.csv", "--out", "no/where"), "cannot be written"),
    ],
)
def test_a_mistake_ends_in_a_traceback(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    write_table(folder / "few.csv", Table(table().rows[:20]), "a test")
    done = run_here("learn", "study", *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_missing_extra_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.learn.study.extra.find_spec", lambda name: None if name == "pgmpy" else 1)
    with pytest.raises(InputError, match=r"needs pgmpy; pip install 'roomtone\[study\]'"):
        require_extra()
