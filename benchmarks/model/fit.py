"""Fits the classifier of families, and tells how it does on sounds from groups it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.model.clip import Floats
from engine.learn.classify import MOST_SPREADS, Classifier
from engine.learn.shape import shape

Ints = NDArray[np.int64]

FOLDS = 5
STRENGTHS = (0.03, 0.1, 0.3)
"""C of the regularisation: smaller is stronger."""
TEMPERATURES = np.geomspace(0.5, 4.0, 61)


@dataclass(frozen=True, eq=False)
class Table:
    """Features of sounds `[n, features]`, their families and groups; `plain` where a row is a sound as it is."""

    features: Floats
    families: tuple[str, ...]
    groups: tuple[str, ...]
    plain: NDArray[np.bool_]

    def __add__(self, other: "Table") -> "Table":
        return Table(
            np.concatenate([self.features, other.features]),
            self.families + other.families,
            self.groups + other.groups,
            np.concatenate([self.plain, other.plain]),
        )

    def rows(self, keep: NDArray[np.bool_]) -> "Table":
        """Return some of the rows."""
        at = np.flatnonzero(keep)
        return Table(
            self.features[at],
            tuple(self.families[i] for i in at),
            tuple(self.groups[i] for i in at),
            self.plain[at],
        )


def fitted(table: Table, strength: float, temperature: float = 1.0) -> Classifier:
    """Return a classifier that has learned a table: each family counts alike, and each group of a family."""
    from sklearn.linear_model import LogisticRegression

    x = shape(table.features)
    weights = _row_weights(table)
    mean = np.average(x, axis=0, weights=weights)
    spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights)) + 1e-3
    x = np.clip((x - mean) / spread, -MOST_SPREADS, MOST_SPREADS)
    model = LogisticRegression(C=strength, max_iter=500).fit(
        x, table.families, sample_weight=weights * len(x)
    )
    return Classifier(
        tuple(model.classes_.tolist()),
        mean,
        spread,
        model.coef_ / temperature,
        model.intercept_ / temperature,
    )


def _row_weights(table: Table) -> Floats:
    counts: dict[tuple[str, str], int] = {}
    for pair in zip(table.families, table.groups, strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    groups: dict[str, int] = {}
    for family, _ in counts:
        groups[family] = groups.get(family, 0) + 1
    made = np.array(
        [
            1.0 / (counts[f, g] * groups[f] * len(groups))
            for f, g in zip(table.families, table.groups, strict=True)
        ]
    )
    return np.asarray(made / made.sum())


def out_of_fold(train: Table, held: Table, strength: float, seed: int) -> tuple[Floats, tuple[str, ...]]:
    """Return the chances of each plain row of `held` from models that saw all of `train` and other groups of `held`."""
    from sklearn.model_selection import StratifiedGroupKFold

    families = tuple(sorted(set(train.families) | set(held.families)))
    made = np.full((len(held.families), len(families)), 1e-9)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for learn, test in folds.split(held.features, held.families, held.groups):
        keep = np.zeros(len(held.families), bool)
        keep[learn] = True
        model = fitted(train + held.rows(keep), strength)
        columns = [families.index(family) for family in model.families]
        made[np.ix_(test, columns)] = model.chances(held.features[test])
    return made, families


def cooled(chances: Floats, temperature: float) -> Floats:
    """Return the distributions at another temperature: above 1 they are less sure."""
    made = np.maximum(chances, 1e-12) ** (1.0 / temperature)
    return np.asarray(made / made.sum(axis=1, keepdims=True))


def best_temperature(chances: Floats, families: Sequence[str], truth: Sequence[str]) -> float:
    """Return the temperature with the least log-loss."""
    losses = [log_loss(cooled(chances, float(t)), families, truth) for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def log_loss(chances: Floats, families: Sequence[str], truth: Sequence[str]) -> float:
    """Return the mean of -ln of the chance the truth was given."""
    right = [families.index(name) for name in truth]
    return float(-np.log(np.maximum(chances[np.arange(len(truth)), right], 1e-12)).mean())


def top(chances: Floats, families: Sequence[str], truth: Sequence[str], count: int) -> NDArray[np.bool_]:
    """Return whether the truth is among the `count` likeliest, of each row."""
    ranks = np.argsort(-chances, axis=1)[:, :count]
    return np.array([families.index(t) in row for t, row in zip(truth, ranks, strict=True)])


def interval(values: Floats, groups: Sequence[str], seed: int, draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % interval of a mean by a bootstrap that draws whole groups."""
    names = sorted(set(groups))
    place = {name: i for i, name in enumerate(names)}
    at = np.array([place[group] for group in groups])
    sums = np.bincount(at, values, len(names))
    counts = np.bincount(at, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
