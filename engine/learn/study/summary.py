"""What a study found, as numbers: of every model what it is worth honestly, and what the usual way would have said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.learn.study.cells import GROUPED, LEAKY, Cell
from engine.learn.study.data import Task
from engine.learn.study.models import BASELINE
from engine.learn.study.scores import Score, chosen_inside, luckiest, score

ANY = "any of them"
PLAIN = "none"


@dataclass(frozen=True)
class Line:
    """One model on one task.

    honest    the preparation chosen inside, judged by songs; `cell` is that one
    plain     without preparation, judged by songs; `leaky` the same in the usual way
    lucky     the best leaky score of any preparation, and which
    """

    model: str
    cell: Cell
    honest: Score
    plain: Score | None
    leaky: Score | None
    lucky: Score | None
    lucky_preparation: str


@dataclass(frozen=True)
class Summary:
    """One task: a line for each model, and for the choice among all of them; every single cell; what ADASYN said."""

    task: Task
    lines: tuple[Line, ...]
    cells: tuple[tuple[Cell, Score], ...]
    adasyn: str

    def line(self, model: str) -> Line | None:
        """Return the line of a model."""
        return next((line for line in self.lines if line.model == model), None)


def summarise(task: Task, cells: Sequence[Cell]) -> Summary:
    """Return what was found on one task."""
    from engine.learn.study.preparations import adasyn_fails

    own = [cell for cell in cells if cell.spec.task == task.name]
    names = list(dict.fromkeys(cell.spec.model for cell in own))
    order = sorted(names, key=lambda name: name != BASELINE)
    lines = [_line(name, [c for c in own if c.spec.model == name], task) for name in order]
    others = [c for c in own if c.spec.model != BASELINE]
    lines.append(_line(ANY, others, task))
    adasyn = adasyn_fails(task.x, task.labels) if task.classifies else ""
    return Summary(
        task, tuple(line for line in lines if line), tuple((cell, score(cell, task)) for cell in own), adasyn
    )


def _line(name: str, cells: Sequence[Cell], task: Task) -> Line | None:
    if not any(c.spec.protocol == GROUPED and not c.error for c in cells):
        return None
    chosen = chosen_inside(cells)
    lucky = luckiest(cells, task)
    plain = {c.spec.protocol: score(c, task) for c in cells if c.spec.preparation == PLAIN}
    where = ""
    if lucky is not None:
        where = lucky[0].spec.preparation
        where = f"{lucky[0].spec.model}, {where}" if name == ANY else where
    return Line(
        name,
        chosen,
        score(chosen, task),
        None if name == ANY else plain.get(GROUPED),
        None if name == ANY else plain.get(LEAKY),
        None if lucky is None else lucky[1],
        where,
    )


def as_data(summaries: Sequence[Summary]) -> dict[str, Any]:
    """Return everything as plain numbers, for JSON: nothing that is not a number is in it."""
    return {
        s.task.name: {
            "rows": len(s.task.x),
            "songs": len(set(s.task.groups.tolist())),
            "classes": list(s.task.classes),
            "targets": list(s.task.targets),
            "adasyn": s.adasyn,
            "models": {
                line.model: {
                    "honest": _numbers(line.honest),
                    "plain": _numbers(line.plain),
                    "plain_leaky": _numbers(line.leaky),
                    "best_leaky": _numbers(line.lucky),
                    "best_leaky_preparation": line.lucky_preparation,
                    "chosen": line.cell.settings,
                }
                for line in s.lines
            },
            "cells": [
                {
                    "preparation": cell.spec.preparation,
                    "model": cell.spec.model,
                    "protocol": cell.spec.protocol,
                    "error": cell.error,
                    "seconds": cell.seconds,
                    **(_numbers(made) or {}),
                }
                for cell, made in s.cells
            ],
        }
        for s in summaries
    }


def _numbers(made: Score | None) -> dict[str, Any] | None:
    if made is None or math.isnan(made.main):
        return None
    names = ("main", "low", "high", "accuracy", "precision", "recall", "macro_f1", "log_loss", "trained")
    found = {name: round(getattr(made, name), 4) for name in names if not math.isnan(getattr(made, name))}
    return {**found, "r2": [round(v, 4) for v in made.r2]} if made.r2 else found
