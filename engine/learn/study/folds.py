"""How rows are parted: by songs, as is right, or without a look at them, as is usual and leaks."""

import warnings

import numpy as np
from numpy.typing import NDArray

from engine.learn.study.data import Task

Ints = NDArray[np.int64]
Fold = tuple[Ints, Ints]
"""Rows to learn from, rows to be judged by."""

OUTER, INNER = 5, 3
SEED = 11


def grouped_folds(labels: Ints, groups: Ints, count: int, seed: int = SEED) -> list[Fold]:
    """Return folds in which no song is on both sides and classes are spread as evenly as that allows."""
    from sklearn.model_selection import StratifiedGroupKFold

    parted = StratifiedGroupKFold(min(count, len(set(groups.tolist()))), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of classes with fewer rows than folds, which is what is studied.
        return list(parted.split(np.zeros((len(labels), 1)), labels, groups))


def leaky_folds(task: Task, seed: int = SEED) -> list[Fold]:
    """Return folds that know nothing of songs: the tracks of one are on both sides."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if task.classifies else KFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(kind(OUTER, shuffle=True, random_state=seed).split(task.x, task.labels))
