"""One cell of the comparison: a preparation and a model on one task, judged by songs or in the leaky way."""

import json
import time
import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.learn.study.data import Task
from engine.learn.study.folds import INNER, OUTER, Fold, grouped_folds, leaky_folds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

VERSION = 1
GROUPED, LEAKY = "grouped", "leaky"
UNIFORM = 1e-3
"""So much of the uniform distribution is mixed into every probability: what was not learned is not impossible."""


@dataclass(frozen=True)
class Spec:
    """Which cell."""

    task: str
    preparation: str
    model: str
    protocol: str

    @property
    def name(self) -> str:
        """What it is called while it is being made."""
        return f"{self.task}: {self.preparation}, {self.model}, {self.protocol}"


@dataclass(frozen=True)
class Cell:
    """What came of it, for rows that were not learned from.

    answers    of each row: the class, as its index; or all targets
    surprise   of each row of a classification: minus the logarithm of the probability of its class
    fold       of each row: in which it was judged
    inner      of each fold: what the inner folds thought of the chosen settings
    settings   of each fold
    trained    mean score on the rows that were learned from: accuracy or R²
    error      why there is nothing
    seconds    of computing time
    """

    spec: Spec
    answers: list[Any]
    surprise: list[float]
    fold: list[int]
    inner: list[float]
    settings: list[dict[str, Any]]
    trained: float
    error: str = ""
    seconds: float = 0.0

    def as_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @staticmethod
    def of_json(text: str) -> "Cell":
        """Return the cell in a text; raises ValueError, TypeError or KeyError for any other."""
        said = json.loads(text)
        return Cell(Spec(**said.pop("spec")), **said)


def run_cell(task: Task, spec: Spec, folds: int = OUTER) -> Cell:
    """Return one cell. What a model refuses to learn is told as its error."""
    from threadpoolctl import threadpool_limits

    from engine.learn.study.models import classifiers, regressors

    model = (classifiers if task.classifies else regressors)()[spec.model]
    begin_s = time.process_time()
    try:
        # Cells run side by side: each on one thread, or they wait for each other.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # Of classes that are rare, and of searches that end early.
            run = _grouped if spec.protocol == GROUPED else _leaky
            made = run(task, spec, model.estimator, model.grid, folds)
            return replace(made, seconds=round(time.process_time() - begin_s, 2))
    except (ValueError, np.linalg.LinAlgError) as error:
        return Cell(spec, [], [], [], [], [], float("nan"), str(error).splitlines()[0][:200])


def _scoring(task: Task) -> str:
    return "f1_weighted" if task.classifies else "r2"


def _wanted(task: Task) -> Any:
    return task.labels if task.classifies else task.y


def _grouped(task: Task, spec: Spec, estimator: Any, grid: dict[str, list[Any]], count: int) -> Cell:
    """Every fitted step and every choice of a setting sees the rows of the fold's songs alone."""
    from imblearn.pipeline import Pipeline
    from sklearn.model_selection import GridSearchCV

    from engine.learn.study.preparations import steps_of

    wanted = _wanted(task)
    made = _Answers(task)
    for number, (learn, judge) in enumerate(grouped_folds(task.labels, task.groups, count)):
        inner = grouped_folds(task.labels[learn], task.groups[learn], INNER)
        search = GridSearchCV(
            Pipeline([*steps_of(spec.preparation), ("model", estimator)]),
            {f"model__{name}": values for name, values in grid.items()},
            scoring=_scoring(task),
            cv=inner,
            error_score="raise",
        )
        search.fit(task.x[learn], wanted[learn])
        settings = {k.removeprefix("model__"): v for k, v in search.best_params_.items()}
        made.take(number, judge, search, task.x[judge], float(search.best_score_), settings)
        made.trained.append(float(search.best_estimator_.score(task.x[learn], wanted[learn])))
    return made.cell(spec)


def _leaky(task: Task, spec: Spec, estimator: Any, grid: dict[str, list[Any]], _: int) -> Cell:
    """The usual way: the whole set is prepared first, then parted row by row; settings are those that score best there.

    Rows that oversampling made up are on both sides too.
    """
    from sklearn.model_selection import GridSearchCV

    from engine.learn.study.preparations import steps_of

    x, wanted = task.x, _wanted(task)
    for _name, step in steps_of(spec.preparation):
        if hasattr(step, "fit_resample"):
            x, wanted = step.fit_resample(x, wanted)
        else:
            x = step.fit(x).transform(x)
    whole = Task(
        task.name,
        x,
        np.zeros(len(x), np.int64),
        wanted if task.classifies else np.zeros(len(x), np.int64),
        task.classes,
        task.y if task.classifies else wanted,
        task.targets,
    )
    folds = leaky_folds(whole)
    search = GridSearchCV(estimator, grid, scoring=_scoring(task), cv=folds, refit=False, error_score="raise")
    search.fit(x, wanted)
    made = _Answers(whole)
    for number, (learn, judge) in enumerate(folds):
        model = _clone(estimator, search.best_params_).fit(x[learn], wanted[learn])
        made.take(number, judge, model, x[judge], float(search.best_score_), dict(search.best_params_))
        made.trained.append(float(model.score(x[learn], wanted[learn])))
    return made.cell(spec)


def _clone(estimator: Any, settings: dict[str, Any]) -> Any:
    from sklearn.base import clone

    return clone(estimator).set_params(**settings)


class _Answers:
    """Answers to rows that were not learned from, fold after fold."""

    def __init__(self, task: Task) -> None:
        self._task = task
        rows = len(task.x)
        self._answers = np.zeros(rows if task.classifies else task.y.shape)
        self._surprise = np.zeros(rows)
        self._fold = np.zeros(rows, np.int64)
        self._inner: list[float] = []
        self._settings: list[dict[str, Any]] = []
        self.trained: list[float] = []

    def take(
        self, number: int, judge: Ints, model: Any, x: Floats, inner: float, settings: dict[str, Any]
    ) -> None:
        self._fold[judge] = number
        self._inner.append(round(inner, 6))
        self._settings.append(dict(settings))
        if not self._task.classifies:
            self._answers[judge] = model.predict(x)
            return
        found = np.full((len(judge), len(self._task.classes)), 0.0)
        found[:, model.classes_] = np.nan_to_num(model.predict_proba(x))
        self._answers[judge] = model.classes_[found[:, model.classes_].argmax(axis=1)]
        size = len(self._task.classes)
        own = found[np.arange(len(judge)), self._task.labels[judge]]
        self._surprise[judge] = -np.log((1.0 - UNIFORM) * own + UNIFORM / size)

    def cell(self, spec: Spec) -> Cell:
        task = self._task
        if task.classifies:
            answers: list[Any] = self._answers.astype(int).tolist()
            # A leaky set has more rows where some were made up: what they should have been goes along.
            if spec.protocol == LEAKY:
                answers = [[a, int(b)] for a, b in zip(answers, task.labels, strict=True)]
        else:
            answers = np.round(self._answers, 4).tolist()
        surprise = np.round(self._surprise, 5).tolist() if task.classifies else []
        trained = float(np.mean(self.trained))
        return Cell(
            spec, answers, surprise, self._fold.tolist(), self._inner, self._settings, round(trained, 4)
        )


def folds_of(task: Task, count: int = OUTER) -> list[Fold]:
    """Return the outer folds that all grouped cells of a task have in common."""
    return grouped_folds(task.labels, task.groups, count)
