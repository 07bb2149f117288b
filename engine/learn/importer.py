"""From recordings to a table: every pair of a raw and a mixed track is measured and its mix identified."""

import hashlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.bands import CENTRES_HZ, band_powers, to_db
from engine.learn.dataset import SETTINGS, Row, Table
from engine.learn.features import features
from engine.learn.match import Match, match_made
from engine.learn.pair import Pair, make_pair
from engine.learn.project_sound import ProjectTrack
from engine.media.decode import Decoded, decode_as_is

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
Save = Callable[[Table], None]

SAVE_S = 2.0
"""How long what was found may be unsaved."""
WORKERS = 4
LEAST_EQ_CONFIDENCE = 0.2
MOST_RESIDUAL_DB = 1.5
"""Levels that are further off than this were not moved by a compressor alone: saturation, automation, reverb."""


@dataclass(frozen=True)
class Task:
    """What makes one row: a raw recording or the track of a project, and the mixed recording if there is one."""

    group: str
    track: str
    raw: Path | ProjectTrack
    mixed: Path | None
    instrument: str = ""
    equipment: str = ""
    engineer: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What errors call the raw sound."""
        return str(self.raw)


@dataclass(frozen=True)
class Done:
    """What came of it: the table, how many rows are new and how many were there, and why others are not."""

    table: Table
    made: int
    kept: int
    refused: tuple[Problem, ...] = ()


class _Stopped(Exception):
    """Somebody wants the program to end."""


@dataclass
class _Run:
    """Rows by what they are of; those there were come first and stay where they are."""

    rows: dict[tuple[str, str], Row]
    save: Save
    saved_s: float = field(default_factory=time.monotonic)
    unsaved: bool = False

    def put(self, row: Row) -> None:
        self.rows[row.group, row.track] = row
        self.unsaved = True
        if time.monotonic() - self.saved_s > SAVE_S:
            self.keep()

    def keep(self) -> None:
        if self.unsaved:
            self.save(self.table())
            self.unsaved = False
            self.saved_s = time.monotonic()

    def table(self) -> Table:
        return Table(tuple(self.rows.values()))


def import_tracks(
    tasks: Sequence[Task],
    before: Table,
    save: Save,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Done:
    """Return the table `before` with a row for each task.

    A row whose files have not changed is kept and only given the labels of its task. `save` is called with the table
    every few seconds and at the end, also if a KeyboardInterrupt ends it early. What is refused is told in the result.
    """
    tell = progress or (lambda *_: None)
    run = _Run({(row.group, row.track): row for row in before.rows}, save)
    stop = threading.Event()
    refused: list[Problem] = []
    made = kept = 0
    count = workers or min(WORKERS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(count, "import")
    waiting: set[Future[Row | InputError]] = set()
    queue = iter(tasks)
    done = 0
    try:
        tell("pairs", 0, len(tasks))
        while True:
            for task in _some(queue, count - len(waiting)):
                old = run.rows.get((task.group, task.track))
                waiting.add(pool.submit(_measured, task, old, stop))
            if not waiting:
                break
            finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                done += 1
                found = future.result()
                if isinstance(found, InputError):
                    refused.extend(found.problems)
                    continue
                before_row = run.rows.get((found.group, found.track))
                same = before_row is not None and before_row.content == found.content
                kept, made = kept + same, made + (not same)
                run.put(found)
            tell("pairs", done, len(tasks))
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        run.keep()
    return Done(run.table(), made, kept, tuple(sorted(refused, key=lambda p: p.file)))


def _some(queue: Iterator[Task], most: int) -> Iterator[Task]:
    for _ in range(most):
        task = next(queue, None)
        if task is None:
            return
        yield task


def _measured(task: Task, old: Row | None, stop: threading.Event) -> Row | InputError:
    """Return the row of a task, the old one with its labels if nothing has changed, or why there is none."""
    try:
        content = content_of(task)
        if old is not None and old.content == content:
            return replace(old, instrument=task.instrument, equipment=task.equipment, engineer=task.engineer)
        return replace(row_of(task, lambda *_: _check(stop)), content=content)
    except InputError as error:
        return InputError([_placed(problem, task) for problem in error.problems])


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise _Stopped


def _placed(problem: Problem, task: Task) -> Problem:
    if problem.file:
        return problem
    if problem.field == "mixed":
        return Problem(problem.what, problem.allowed, "", str(task.mixed))
    return Problem(problem.what, problem.allowed, "" if problem.field == "raw" else problem.field, task.shown)


def content_of(task: Task) -> str:
    """Return the SHA-256 over all files of a task, in hexadecimal. Raises InputError."""
    whole = hashlib.sha256()
    raw = task.raw
    files = [raw] if isinstance(raw, Path) else [raw.project, *raw.files()]
    for path in [*files, *([task.mixed] if task.mixed else [])]:
        try:
            with path.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise InputError(Problem(f"cannot be read ({error.strerror})", file=str(path))) from None
    return whole.hexdigest()


def row_of(task: Task, progress: Progress | None = None) -> Row:
    """Return the row of one task. Raises InputError as `make_pair` does, and for what cannot be read."""
    raw = decode_as_is(task.raw) if isinstance(task.raw, Path) else task.raw.sound()
    if task.mixed is None:
        assert isinstance(task.raw, ProjectTrack)
        return _row_of_settings(task, task.raw, raw)
    mixed = decode_as_is(task.mixed)
    pair = make_pair(raw.samples, raw.rate_hz, mixed.samples, mixed.rate_hz)
    match = match_made(pair, progress)
    row = _row_of_pair(task, pair, match)
    return _with_project(row, task.raw) if isinstance(task.raw, ProjectTrack) else row


def _row_of_pair(task: Task, pair: Pair, match: Match) -> Row:
    """Return what was measured; behind a mix that no such chain makes, equaliser and gain are kept alone."""
    notes = [*task.notes, *match.notes]
    fits = match.measures["level_db"] <= MOST_RESIDUAL_DB
    if not fits:
        notes.insert(0, f"levels are {match.measures['level_db']:.1f} dB off: more than a compressor at work")
    found = {
        "reduction_db": match.reduction_db,
        "threshold_db": match.threshold_db,
        "ratio": match.ratio,
        "attack_ms": match.attack_ms,
        "release_ms": match.release_ms,
    }
    settings = {name: math.nan if value is None or not fits else value for name, value in found.items()}
    settings |= {
        "gain_db": match.gain_db,
        "left_db": match.gain_db + match.balance_db / 2.0,
        "right_db": match.gain_db - match.balance_db / 2.0,
        "residual": match.measures["stft_distance"],
    }
    return Row(
        task.group,
        task.track,
        features(pair.raw, pair.rate_hz),
        to_db(band_powers(pair.mixed, pair.rate_hz)) - to_db(band_powers(pair.raw, pair.rate_hz)),
        match.eq_db,
        settings,
        {
            "equaliser_known": match.confidence["eq_db"] >= LEAST_EQ_CONFIDENCE,
            "threshold_known": fits and match.threshold_db is not None,
            "dynamics_known": fits and match.ratio is not None,
        },
        task.instrument,
        task.equipment,
        task.engineer,
        "pair" if isinstance(task.raw, Path) else "project",
        notes=tuple(notes),
    )


def _with_project(row: Row, source: ProjectTrack) -> Row:
    """Return the row with the equaliser that the project names, exact where the one found is an estimate."""
    curve = source.curve_db(CENTRES_HZ)
    if curve is None:
        return row
    note = "the equaliser is that of the project"
    known = {**row.known, "equaliser_known": True}
    return replace(row, eq_db=curve - curve.mean(), known=known, notes=(note, *row.notes))


def _row_of_settings(task: Task, source: ProjectTrack, raw: Decoded) -> Row:
    """Return what a project says of a track without a mixed version of it.

    Band differences are known only if equaliser, volume and pan are all that changes the sound.
    """
    left_db, right_db = source.gains_db()
    settings = dict.fromkeys(SETTINGS, math.nan)
    settings |= {"left_db": left_db, "right_db": right_db}
    notes = [*source.flags, *task.notes]
    power = np.mean([10.0 ** (left_db / 10.0), 10.0 ** (right_db / 10.0)])
    level_db = float(10.0 * np.log10(max(float(power), 1e-15)))
    curve = source.curve_db(CENTRES_HZ)
    shape = np.zeros(len(CENTRES_HZ)) if curve is None else curve
    row = Row(
        task.group,
        task.track,
        features(raw.samples, raw.rate_hz),
        eq_db=shape - shape.mean(),
        settings=settings,
        known={"equaliser_known": source.equaliser_is_all},
        instrument=task.instrument,
        equipment=task.equipment,
        engineer=task.engineer,
        source="project",
        notes=tuple(notes),
    )
    if not source.is_linear:
        return replace(row, notes=("other effects: what they do is unknown", *row.notes))
    settings |= {"gain_db": level_db + float(shape.mean()), "reduction_db": 0.0, "residual": 0.0}
    made = source.equalised(raw)
    delta = to_db(band_powers(made, raw.rate_hz)) - to_db(band_powers(raw.samples, raw.rate_hz))
    return replace(row, delta_db=delta + level_db, settings=settings)
