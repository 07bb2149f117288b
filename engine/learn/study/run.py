"""All cells of a study, in parallel; a finished one is kept and not made again."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from engine.errors import InputError, Problem, RoomtoneError
from engine.learn.study.cells import GROUPED, LEAKY, VERSION, Cell, Spec, run_cell
from engine.learn.study.data import Task
from engine.learn.table_files import replace_text

Progress = Callable[[str, int, int], None]

MARK = "study.txt"
FIRST_LINE = "What `roomtone learn study` wrote; it may be deleted, and finished cells with it.\n"
LIBRARIES = ("scikit-learn", "imbalanced-learn", "pgmpy", "kneed", "numpy")
BATCH = 4


@dataclass(frozen=True)
class Scope:
    """How much is compared; empty is all there is."""

    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    preparations: tuple[str, ...] = ()


def specs_of(task: Task, scope: Scope) -> list[Spec]:
    """Return the cells of a task, those that take longest first."""
    from engine.learn.study.models import classifiers, regressors
    from engine.learn.study.preparations import PREPARATIONS

    made = []
    for name, model in (classifiers() if task.classifies else regressors()).items():
        if scope.models and name not in scope.models:
            continue
        for preparation in model.only or PREPARATIONS:
            if scope.preparations and preparation not in scope.preparations:
                continue
            if not task.classifies and "SMOTE" in preparation:
                continue
            made += [Spec(task.name, preparation, name, protocol) for protocol in (GROUPED, LEAKY)]
    return sorted(
        made, key=lambda s: (s.protocol == LEAKY, not ("network" in s.model or "forest" in s.model))
    )


def check_folder(folder: Path) -> None:
    """Make the folder of a study. Raises InputError if it holds something else."""
    try:
        folder.mkdir(exist_ok=True)
        mark = folder / MARK
        ours = mark.is_file() and mark.read_text("utf-8", errors="replace").startswith(FIRST_LINE)
        if not ours and any(folder.iterdir()):
            raise InputError(
                Problem("holds something else", "a new folder, or that of a study", file=str(folder))
            )
        if not ours:
            replace_text(mark, FIRST_LINE)
        (folder / "cells").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(folder))) from None


def run_study(
    tasks: Sequence[Task],
    folder: Path,
    scope: Scope = Scope(),
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[Cell]:
    """Return all cells, in the order of `specs_of`; finished ones are in `folder/cells` and outlast an interrupt."""
    by_name = {task.name: task for task in tasks}
    specs = [spec for task in tasks for spec in specs_of(task, scope)]
    prints = {task.name: task.fingerprint() for task in tasks}
    paths = {spec: folder / "cells" / f"{_key(spec, prints[spec.task])}.json" for spec in specs}
    cells = {spec: cell for spec in specs if (cell := _kept(paths[spec], spec)) is not None}
    missing = [spec for spec in specs if spec not in cells]
    if progress is not None:
        progress("cells", len(cells), len(specs))
    for cell in _made(missing, by_name, workers or os.cpu_count() or 1):
        cells[cell.spec] = cell
        replace_text(paths[cell.spec], cell.as_json())
        if progress is not None:
            progress(cell.spec.name, len(cells), len(specs))
    return [cells[spec] for spec in specs]


def _made(specs: Sequence[Spec], tasks: dict[str, Task], workers: int) -> Iterator[Cell]:
    if workers == 1 or len(specs) < BATCH:
        for spec in specs:
            yield run_cell(tasks[spec.task], spec)
        return
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        with parallel_config("loky", n_jobs=workers, inner_max_num_threads=1):
            jobs = (delayed(run_cell)(tasks[spec.task], spec) for spec in specs)
            yield from Parallel(return_as="generator_unordered", batch_size=1)(jobs)
    except TerminatedWorkerError:
        raise RoomtoneError(
            "a worker was killed, as the system does when memory is short; "
            "the same command goes on where it was, with --workers 1 in less memory"
        ) from None


def _key(spec: Spec, fingerprint: str) -> str:
    facts = [VERSION, asdict(spec), fingerprint, [version(name) for name in LIBRARIES]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _kept(path: Path, spec: Spec) -> Cell | None:
    try:
        cell = Cell.of_json(path.read_text("utf-8"))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return cell if cell.spec == spec else None
