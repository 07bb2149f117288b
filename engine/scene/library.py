"""Folders of sounds as they lie on the disk: every file with its label and what its sidecar says. Nothing is decoded.

A library folder is walked anew each time, so that new files are there at once. Hidden files and linked folders are left
out; a link to a file counts if it stays within the library folders.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import Problem, SceneError
from engine.scene.feature_store import FileState
from engine.scene.labels import label_of
from engine.scene.reader import shorten
from engine.scene.sidecar import Sidecar, read_sidecar
from engine.scene.sounds import SUFFIXES

MAX_FILES = 100_000
"""Files of one library; what lies beyond is left out, and told."""
MAX_DEPTH = 32

_ENDINGS = tuple(f".{suffix}" for suffix in SUFFIXES)
_NOTHING = Sidecar()
_read: dict[str, tuple[int, int, Sidecar | SceneError]] = {}
"""Sidecars by path, as they were at a time and of a size."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sound file: its resolved path, the library folder it lies in, and its label ("" if nothing tells one).

    `place` is its path below that folder, as a scene would write it.
    """

    path: Path
    folder: Path
    place: str
    label: str
    sidecar: Sidecar
    state: FileState

    @property
    def shown(self) -> str:
        """The place, safe to print."""
        return shorten(self.place, 4096)


@dataclass(slots=True)
class Library:
    """What lies in the folders, sorted by folder and place, and what had to be left out."""

    folders: tuple[Path, ...]
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_library(folders: Sequence[Path]) -> Library:
    """Return what lies in `folders`. What cannot be used is among the `problems`; raises nothing."""
    roots = tuple(dict.fromkeys(Path(os.path.realpath(folder)) for folder in folders))
    library = Library(roots)
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            library.problems.append(Problem("no such folder", file=shorten(str(root), 4096)))
            continue
        for entry in _walk(root, library):
            if len(library.entries) >= MAX_FILES:
                what = f"the library holds more than {MAX_FILES} files"
                library.problems.append(Problem(what, "the rest is left out", file=shorten(str(root), 4096)))
                return library
            if entry.path not in seen:
                seen.add(entry.path)
                library.entries.append(entry)
    return library


def _walk(root: Path, library: Library) -> Iterator[Entry]:
    waiting = [(str(root), 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                items = sorted((item for item in listing if item.name[0] != "."), key=lambda item: item.name)
        except OSError as error:
            library.problems.append(_unreadable(folder, error))
            continue
        sidecars = {item.name: item for item in items if item.name.endswith(".yaml")}
        folders = []
        for item in items:
            try:
                if item.is_dir(follow_symlinks=False):
                    folders.append(item.path)
                elif item.name.lower().endswith(_ENDINGS) and (
                    entry := _entry(item, sidecars, root, library)
                ):
                    yield entry
            except OSError as error:
                library.problems.append(_unreadable(item.path, error))
        if depth < MAX_DEPTH:
            waiting += [(name, depth + 1) for name in reversed(folders)]
        elif folders:
            what, allowed = "its folders are nested too deeply", f"at most {MAX_DEPTH} levels"
            library.problems.append(Problem(what, allowed, file=shorten(folder, 4096)))


def _entry(
    item: "os.DirEntry[str]", sidecars: "dict[str, os.DirEntry[str]]", root: Path, library: Library
) -> Entry | None:
    path = Path(item.path)
    if item.is_symlink():
        # Only a link can lead out: the folders on the way are none.
        path = Path(os.path.realpath(path))
        if not any(path.is_relative_to(folder) for folder in library.folders):
            shown = shorten(item.path, 4096)
            library.problems.append(
                Problem("leads outside the library folders", "it is left out", file=shown)
            )
            return None
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        library.problems.append(
            Problem("not a regular file", "it is left out", file=shorten(item.path, 4096))
        )
        return None
    sidecar = _NOTHING
    if (beside := sidecars.get(f"{Path(item.name).stem}.yaml")) is not None:
        try:
            sidecar = _sidecar(beside, library.folders)
        except SceneError as error:
            if not any(problem in library.problems for problem in error.problems):
                library.problems.extend(error.problems)
            return None
    place = Path(item.path).relative_to(root)
    state = FileState(path, status.st_mtime_ns, status.st_size)
    return Entry(path, root, place.as_posix(), sidecar.label or label_of(place), sidecar, state)


def _sidecar(item: "os.DirEntry[str]", roots: Sequence[Path]) -> Sidecar:
    """Return the sidecar, read once for each of its states. Errors: SceneError."""
    shown = shorten(item.path, 4096)
    real = Path(os.path.realpath(item.path)) if item.is_symlink() else Path(item.path)
    if not any(real.is_relative_to(root) for root in roots):
        raise SceneError(
            Problem("leads outside the library folders", "must be a file of its own", file=shown)
        )
    status = item.stat()
    known = _read.get(item.path)
    if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
        found: Sidecar | SceneError
        try:
            found = read_sidecar(real, shown)
        except SceneError as error:
            found = error
        if len(_read) >= MAX_FILES:
            _read.clear()
        known = _read[item.path] = (status.st_mtime_ns, status.st_size, found)
    if isinstance(known[2], SceneError):
        raise SceneError(known[2].problems)
    return known[2]


def _unreadable(path: str, error: OSError) -> Problem:
    return Problem(f"cannot be read: {error.strerror or error}", "it is left out", file=shorten(path, 4096))
