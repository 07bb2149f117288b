"""Files renamed so that it can be taken back, whatever happens in between: the journal is on the disk first.

The journal lies in the folder. It holds the runs that were begun, the last one last, each a list of (old, new) names.
Nothing is ever overwritten: a file is linked to its new name, which fails where there is one, and then unlinked from
its old one. Interrupted between the two it has both, which undoing understands.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import InputError, Problem

JOURNAL = ".roomtone-label.json"
MARK = "roomtone_label"
MAX_BYTES = 16 << 20
MAX_RUNS = 1000

Moves = Sequence[tuple[str, str]]
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def begin(folder: Path, moves: Moves) -> None:
    """Write into the journal what is about to be renamed; raises InputError if it cannot be kept."""
    runs = read_runs(folder)
    if len(runs) >= MAX_RUNS:
        raise InputError(Problem(f"holds {MAX_RUNS} runs", "undo some, or remove it", file=_shown(folder)))
    _write_runs(folder, [*runs, list(moves)])


def rename(folder: Path, old: str, new: str) -> None:
    """Rename one file; raises InputError if it is gone, cannot be renamed, or something has the new name."""
    source, target = folder / old, folder / new
    try:
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without links: the look and the leap are two steps.
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "there is such a file") from None
            os.rename(source, target)
            return
        os.unlink(source)
    except FileExistsError:
        raise InputError(Problem(f"{new} is there", "it is not overwritten", file=str(source))) from None
    except OSError as error:
        raise InputError(Problem(f"cannot be renamed ({error.strerror})", file=str(source))) from None


def undo(folder: Path, done: Callable[[str, str], None]) -> list[Problem]:
    """Take the last run back, telling `done` (new, old) of each file; return what could not be.

    What could not be stays in the journal; of a run without rest it forgets all, and there is no journal without runs.
    Raises InputError where there is nothing to take back.
    """
    runs = read_runs(folder)
    if not runs:
        raise InputError(Problem("there is nothing to undo", "no names were given here", file=str(folder)))
    left: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for old, new in reversed(runs[-1]):
        try:
            if _take_back(folder, old, new):
                done(new, old)
        except InputError as error:
            problems += error.problems
            left.insert(0, (old, new))
    _write_runs(folder, [*runs[:-1], left] if left else runs[:-1])
    return problems


def _take_back(folder: Path, old: str, new: str) -> bool:
    """Give a file its old name back; False if it has it. Raises InputError if it is gone, or the name is taken."""
    source, target = folder / new, folder / old
    is_new, is_old = os.path.lexists(source), os.path.lexists(target)
    if is_new and is_old and os.path.samefile(source, target):
        source.unlink()
        return True
    if is_new and is_old:
        raise InputError(Problem(f"{old} is there again", "move one of the two away", file=str(source)))
    if is_new:
        rename(folder, new, old)
        return True
    if not is_old:
        raise InputError(Problem("is gone", f"it was {old}", file=str(source)))
    return False


def read_runs(folder: Path) -> list[list[tuple[str, str]]]:
    """Return the runs in the journal, none without one; raises InputError for a file that is no journal."""
    file = folder / JOURNAL
    if not os.path.lexists(file):
        return []
    try:
        raw = file.read_bytes() if file.is_file() and file.stat().st_size <= MAX_BYTES else b""
        data = json.loads(raw)
        runs = [[(str(old), str(new)) for old, new in run] for run in data["runs"]]
        whole = data[MARK] == 1 and all(_is_name(name) for run in runs for move in run for name in move)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole, runs = False, []
    if not whole:
        allowed = "move it away; what it would undo has to be renamed by hand"
        raise InputError(Problem("is damaged, or not of this program", allowed, file=str(file)))
    return runs


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\\" not in name and "\0" not in name


def _write_runs(folder: Path, runs: Sequence[Moves]) -> None:
    """Have the journal hold these runs, whole and on the disk, or be as it was; without runs there is none."""
    file = folder / JOURNAL
    part = folder / f"{JOURNAL}.part-{os.getpid()}"
    try:
        if not runs:
            file.unlink(missing_ok=True)
            return
        with part.open("x", encoding="utf-8") as stream:
            json.dump({MARK: 1, "runs": runs}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
        _settle(folder)
    except OSError as error:
        raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(file))) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Have the folder itself on the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _shown(folder: Path) -> str:
    return str(folder / JOURNAL)
