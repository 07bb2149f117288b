"""Watches the file of a scene while it plays, and has every good edit heard."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from engine.control.incidents import reason
from engine.scene.load import load_scene
from engine.scene.schema import Scene

INTERVAL_S = 0.25
"""How often the file is looked at."""

LEAVE_S = 0.1
"""How long the end waits for an edit under way; a scene that is still being loaded is left to itself."""


class SceneWatch:
    """A context manager that calls `edit` with the scene each time the file at `path` has changed and can be used.

    Where it cannot, `refuse` is called with the reason instead, once for each state of the file; so it is when `edit`
    raises. A file that is gone for a moment, as while an editor saves, is waited for. Sounds the scene names are not
    watched.
    """

    def __init__(
        self,
        path: Path,
        library: Sequence[Path],
        edit: Callable[[Scene], None],
        refuse: Callable[[str], None],
    ) -> None:
        self._path = path
        self._library = tuple(library)
        self._edit = edit
        self._refuse = refuse
        self._seen = self._state()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="scene watch", daemon=True)

    def __enter__(self) -> "SceneWatch":
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Watch no more; does not wait for an edit under way, and tells nothing of it."""
        self._leaving.set()
        self._thread.join(LEAVE_S)

    def _watch(self) -> None:
        unread = self._seen
        while not self._leaving.wait(INTERVAL_S):
            state = self._state()
            # Taken when it has rested for one interval: an editor may still be writing.
            if state is not None and state != self._seen and state == unread:
                self._seen = state
                self._take()
            unread = state

    def _state(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _take(self) -> None:
        try:
            scene = load_scene(self._path, library=self._library)
            if not self._leaving.is_set():
                self._edit(scene)
        except Exception as error:
            # Nobody waits for this thread: it goes on watching whatever the file holds.
            if not self._leaving.is_set():
                self._refuse(f"the edit is not used, the sound stays as it is: {reason(error)}")
