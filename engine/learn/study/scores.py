"""What a cell is worth: accuracy, precision, recall, F1 and log-loss, or R² by target, with what songs do to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.learn.study.cells import GROUPED, LEAKY, Cell
from engine.learn.study.data import Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLED = 300
SEED = 21
CHOSEN = "chosen inside"
"""The preparation that inner folds thought best, in each fold its own."""


@dataclass(frozen=True)
class Score:
    """Of one cell. `main` is F1 weighted by class, or R² as the mean over targets; `low` and `high` bound 95 %."""

    main: float
    low: float
    high: float
    accuracy: float = float("nan")
    precision: float = float("nan")
    recall: float = float("nan")
    macro_f1: float = float("nan")
    log_loss: float = float("nan")
    r2: tuple[float, ...] = ()
    trained: float = float("nan")


def score(cell: Cell, task: Task) -> Score:
    """Return what a cell is worth; bounds by drawing songs, which a leaky cell has none of."""
    if cell.error:
        nan = float("nan")
        return Score(nan, nan, nan)
    if task.classifies:
        pairs = np.array(cell.answers, np.int64)
        answers, truth = (pairs, task.labels) if cell.spec.protocol == GROUPED else pairs.T
        made = _classes(answers, truth, np.array(cell.surprise), len(task.classes))

        def main(rows: Ints) -> float:
            return _f1(answers[rows], truth[rows], len(task.classes))[1]

    else:
        numbers = np.array(cell.answers, np.float64)
        each = r2(numbers, task.y)
        made = Score(float(each.mean()), 0.0, 0.0, r2=tuple(each))

        def main(rows: Ints) -> float:
            return float(r2(numbers[rows], task.y[rows]).mean())

    low, high = _bounds(main, task.groups) if cell.spec.protocol == GROUPED else (made.main, made.main)
    return replace(made, low=low, high=high, trained=cell.trained)


def r2(answers: Floats, truth: Floats) -> Floats:
    """Return R² of each target over all rows that were not learned from, float64 `[targets]`."""
    spread = np.square(truth - truth.mean(axis=0)).sum(axis=0)
    return np.asarray(1.0 - np.square(truth - answers).sum(axis=0) / np.maximum(spread, 1e-12))


def _classes(answers: Ints, truth: Ints, surprise: Floats, count: int) -> Score:
    each, weighted = _f1(answers, truth, count)
    confused = confusion(answers, truth, count)
    given, there, right = confused.sum(axis=0), confused.sum(axis=1), np.diag(confused)
    share = there / there.sum()
    return Score(
        weighted,
        0.0,
        0.0,
        float(np.mean(answers == truth)),
        float((share * right / np.maximum(given, 1)).sum()),
        float((share * right / np.maximum(there, 1)).sum()),
        float(each[there > 0].mean()),
        float(surprise.mean()),
    )


def _f1(answers: Ints, truth: Ints, count: int) -> tuple[Floats, float]:
    confused = confusion(answers, truth, count)
    there = confused.sum(axis=1)
    each = 2.0 * np.diag(confused) / np.maximum(confused.sum(axis=0) + there, 1)
    return each, float((each * there).sum() / max(there.sum(), 1))


def confusion(answers: Ints, truth: Ints, count: int) -> Ints:
    """Return int64 `[true class, answered class]`."""
    made = np.zeros((count, count), np.int64)
    np.add.at(made, (truth, answers), 1)
    return made


def _bounds(main: Callable[[Ints], float], groups: Ints) -> tuple[float, float]:
    """Return the 2.5 and the 97.5 percentile over draws of as many songs as there are, with replacement."""
    rng = np.random.default_rng(SEED)
    songs = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    drawn = [
        main(np.concatenate([songs[k] for k in rng.integers(len(songs), size=len(songs))]))
        for _ in range(RESAMPLED)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def chosen_inside(cells: Sequence[Cell]) -> Cell:
    """Return one cell out of those of one model or more: each fold by what its inner folds thought best.

    A best of many that is read off the folds it is judged by is too good; this is not.
    """
    usable = [cell for cell in cells if not cell.error and cell.spec.protocol == GROUPED]
    first = usable[0]
    best = [int(np.argmax([cell.inner[k] for cell in usable])) for k in range(len(first.inner))]
    pick = [usable[best[k]] for k in first.fold]
    rows = range(len(first.fold))
    return Cell(
        replace(first.spec, preparation=CHOSEN),
        [pick[r].answers[r] for r in rows],
        [pick[r].surprise[r] for r in rows] if first.surprise else [],
        first.fold,
        [usable[b].inner[k] for k, b in enumerate(best)],
        [
            {
                "preparation": usable[b].spec.preparation,
                "model": usable[b].spec.model,
                **usable[b].settings[k],
            }
            for k, b in enumerate(best)
        ],
        float(np.mean([usable[b].trained for b in best])),
    )


def luckiest(cells: Sequence[Cell], task: Task) -> tuple[Cell, Score] | None:
    """Return the best leaky cell, as one who tries everything on one test would report it."""
    made = [(cell, score(cell, task)) for cell in cells if cell.spec.protocol == LEAKY and not cell.error]
    return max(made, key=lambda pair: pair[1].main) if made else None
