"""What was measured of sound files, kept in one SQLite file by the content of the file that was measured.

A renamed or copied file finds its measures again, a changed one does not. Several processes may use the store at once.
Whatever is wrong with it, nothing is kept and nothing fails: then everything is measured anew.
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dsp.jit import cache_root

if TYPE_CHECKING:
    import sqlite3

FILE_NAME = "features.sqlite"
BUSY_S = 5.0
"""How long to wait for another process that writes."""

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS features (
    content TEXT NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (content, kind)
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS files (
    path BLOB NOT NULL PRIMARY KEY, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, content TEXT NOT NULL
) WITHOUT ROWID
""",
)

Measures = dict[str, dict[str, Any]]
"""What was measured, by the hash of the content."""

MOST_ASKED = 500
"""How many rows are asked for at a time."""


class FileState(NamedTuple):
    """A file as it was when it was looked at: of the same time and size it is taken for the same."""

    path: Path
    mtime_ns: int
    size: int


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal; raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class FeatureStore:
    """The store in `file`, by default in the user's cache folder; any thread may use it."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = cache_root() / FILE_NAME if file is None else file
        self._lock = threading.Lock()

    def get(self, content: str, kind: str, version: int) -> dict[str, Any] | None:
        """Return the measures of `kind` of what has this hash, None if there are none of this `version`."""
        find = "SELECT data FROM features WHERE content = ? AND kind = ? AND version = ?"
        rows = self._run(lambda db: db.execute(find, (content, kind, version)).fetchall())
        try:
            data = json.loads(rows[0][0]) if rows else None
        except ValueError:
            return None
        return data if isinstance(data, dict) else None

    def put(self, content: str, kind: str, version: int, data: dict[str, Any]) -> None:
        """Keep `data`, which JSON must be able to hold, in place of what was kept of this `kind` before."""
        row = (content, kind, version, json.dumps(data, allow_nan=False))
        self._run(
            lambda db: db.execute("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", row).fetchall()
        )

    def get_many(self, contents: Sequence[str], kind: str, version: int) -> Measures:
        """Return the measures of `kind` by hash, of those that there are."""
        found: Measures = {}
        for part in _batches(contents):
            find = f"SELECT content, data FROM features WHERE kind = ? AND version = ? AND content IN ({_marks(part)})"
            for content, text in self._ask(find, (kind, version, *part)):
                with contextlib.suppress(ValueError):
                    data = json.loads(text)
                    if isinstance(data, dict):
                        found[content] = data
        return found

    def contents(self, files: Sequence[FileState]) -> dict[Path, str]:
        """Return the hashes of files that were hashed as they are now, by path."""
        states = {os.fsencode(file.path): file for file in files}
        found = {}
        for part in _batches(list(states)):
            find = f"SELECT path, mtime_ns, size, content FROM files WHERE path IN ({_marks(part)})"
            for path, *state, content in self._ask(find, tuple(part)):
                file = states[path]
                if state == [file.mtime_ns, file.size]:
                    found[file.path] = content
        return found

    def note(self, files: Sequence[tuple[FileState, str]], kind: str, version: int, data: Measures) -> None:
        """Keep the hashes of files as they are now, and the measures `data` of one kind by hash, all at once."""
        states = [(os.fsencode(file.path), file.mtime_ns, file.size, content) for file, content in files]
        rows = [(content, kind, version, json.dumps(d, allow_nan=False)) for content, d in data.items()]

        def work(db: "sqlite3.Connection") -> list[Any]:
            db.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)
            db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", states)
            return []

        self._run(work)

    def _ask(self, find: str, values: tuple[Any, ...]) -> list[Any]:
        return self._run(lambda db: db.execute(find, values).fetchall())

    def _run(self, work: "Callable[[sqlite3.Connection], list[Any]]") -> list[Any]:
        """Return what `work` returns, its changes kept; nothing where the store cannot be used."""
        # Imported late: a scene of procedural sounds keeps nothing here.
        import sqlite3

        with self._lock:
            try:
                return self._transaction(work)
            except (OSError, sqlite3.OperationalError):
                return []
            except sqlite3.DatabaseError:
                # Not a database any more: it is set aside, and the next use begins a new one.
                with contextlib.suppress(OSError):
                    os.replace(self.file, self.file.with_suffix(".damaged"))
                return []

    def _transaction(self, work: "Callable[[sqlite3.Connection], list[Any]]") -> list[Any]:
        import sqlite3

        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self.file, timeout=BUSY_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                for table in _TABLES:
                    connection.execute(table)
                return work(connection)
        finally:
            connection.close()


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[begin : begin + MOST_ASKED] for begin in range(0, len(values), MOST_ASKED))
