"""A table as the study sees it: numbers to learn from, songs that stay together, and what is to be told."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.bands import NOMINAL_HZ
from engine.learn.dataset import Table
from engine.learn.features import schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_SONGS, LEAST_ROWS = 5, 30
"""With fewer there is nothing to hold a model against."""
CLASSES = ("instrument", "equipment")
LOGARITHMIC = ("ratio", "attack_ms", "release_ms")
MIX = ("gain_db", "reduction_db")
COMPRESSOR = ("threshold_db", *LOGARITHMIC)


@dataclass(frozen=True)
class Task:
    """One question to the rows that can answer it.

    name      instrument, equipment, mix (31 bands, gain, gain reduction) or compressor
    x         float64 `[rows, features]`
    groups    int64 `[rows]`, the song
    labels    int64 `[rows]` into `classes`; of a regression all 0
    y         float64 `[rows, targets]`, ratio and times as natural logarithms; of a classification `[rows, 0]`
    """

    name: str
    x: Floats
    groups: Ints
    labels: Ints
    classes: tuple[str, ...]
    y: Floats
    targets: tuple[str, ...]

    @property
    def classifies(self) -> bool:
        """Whether classes are asked for, and not numbers."""
        return bool(self.classes)

    def fingerprint(self) -> str:
        """Return what changes whenever an answer could."""
        whole = hashlib.sha256(repr((self.name, self.classes, self.targets)).encode())
        for array in (self.x, self.groups, self.labels, self.y):
            whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()


def feature_names() -> list[str]:
    """Return what the columns of `Task.x` are called."""
    return [f.name for f in schema()]


def make_tasks(table: Table, file: str) -> list[Task]:
    """Return the questions that a table can answer. Raises InputError if there is none, or too few songs."""
    songs = table.labels("group")
    if len(set(songs)) < LEAST_SONGS or len(table) < LEAST_ROWS:
        what = f"has {len(table)} rows of {len(set(songs))} songs"
        raise InputError(Problem(what, f"at least {LEAST_ROWS} rows of {LEAST_SONGS} songs", file=file))
    x, groups = table.features(), _coded(songs)[0]
    made = []
    for name in CLASSES:
        texts = table.labels(name)
        known: NDArray[np.bool_] = np.array([bool(text) for text in texts])
        labels, classes = _coded([text for text in texts if text])
        if len(classes) > 1 and _enough(groups[known]):
            none = np.zeros((int(known.sum()), 0))
            made.append(Task(name, x[known], groups[known], labels, classes, none, ()))
    bands = tuple(f"{hz:g} Hz" for hz in NOMINAL_HZ)
    mix = np.column_stack([table.deltas(), *(table.setting(name) for name in MIX)])
    compressor = np.column_stack([_scaled(table, name) for name in COMPRESSOR])
    for name, y, targets in (("mix", mix, (*bands, *MIX)), ("compressor", compressor, COMPRESSOR)):
        known = np.asarray(np.isfinite(y).all(axis=1))
        if _enough(groups[known]):
            zeros = np.zeros(int(known.sum()), np.int64)
            made.append(Task(name, x[known], groups[known], zeros, (), y[known], targets))
    if not made:
        what = "holds neither labels nor mixes of enough rows"
        raise InputError(Problem(what, f"at least {LEAST_ROWS} rows of {LEAST_SONGS} songs", file=file))
    return made


def _scaled(table: Table, name: str) -> Floats:
    values = table.setting(name)
    return np.log(np.maximum(values, 1e-3)) if name in LOGARITHMIC else values


def _enough(groups: Ints) -> bool:
    return len(groups) >= LEAST_ROWS and len(set(groups.tolist())) >= LEAST_SONGS


def _coded(texts: list[str]) -> tuple[Ints, tuple[str, ...]]:
    names = tuple(sorted(set(texts)))
    places = {name: k for k, name in enumerate(names)}
    return np.array([places[text] for text in texts], np.int64), names
