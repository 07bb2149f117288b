"""What went wrong while a show played, and how it was mended: a line for the user, a JSON event in a log."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import InputError, Problem, RoomtoneError

LARGEST_LOG_BYTES = 1 << 20
"""A log that is larger when a show begins is set aside as `NAME.1`, in the place of the one before."""

KEPT = 1000
"""So many incidents stay in memory; a show may go on for weeks."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that the user should know of.

    `kind` is a word for programs (`engine-died`, `engine-hung`, `engine-back`, `device-lost`, `device-back`,
    `driver-hung`, `fault`, `underrun`, `scene-refused`, `notice`), `text` the line for people, `frame` the engine's at
    that moment, `time_s` seconds since the epoch, and `detail` what else there is to say.
    """

    kind: str
    text: str
    frame: int
    time_s: float
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as the log and the sidecar of a recording have it."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.time_s))
        moment = f"{stamp}.{int(self.time_s * 1e3) % 1000:03d}Z"
        return {"time": moment, "kind": self.kind, "frame": self.frame, "text": self.text, **self.detail}


def default_log() -> Path:
    """Return where incidents are logged unless said otherwise: `incidents.jsonl` in the user's folder for logs."""
    from platformdirs import user_log_path

    return user_log_path("roomtone", appauthor=False) / "incidents.jsonl"


def reason(error: Exception) -> str:
    """Return on one line what `error` says; of an error that is not meant for the user, its type as well."""
    text = "; ".join(str(error).splitlines())
    if isinstance(error, RoomtoneError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Incidents:
    """The incidents of a show, in order; each is appended to the file `log` (None: to none) as it comes.

    `all` holds the newest 1000, in a list that is never changed, only replaced; `count` is how many there were so far.

    A log that was named by the user (`demanded`) and cannot be written raises InputError at once; the default one is
    then done without. Later failures never disturb the show. `listener` is called with each incident, on the thread
    that reports it; what it raises is lost. Safe to use from several threads.
    """

    def __init__(
        self, log: Path | None, demanded: bool = False, listener: Callable[[Incident], None] | None = None
    ) -> None:
        self.all: list[Incident] = []
        self.count = 0
        self._lock = threading.Lock()
        self._listener = listener
        self._log = log
        if log is None:
            return
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
                log.replace(log.with_name(f"{log.name}.1"))
            with log.open("a"):
                pass
        except OSError as error:
            self._log = None
            if demanded:
                what = f"cannot be written ({error.strerror})"
                raise InputError(Problem(what, "a file for the log", file=str(log))) from None

    def report(self, kind: str, text: str, frame: int, **detail: Any) -> Incident:
        """Note an incident now."""
        incident = Incident(kind, text, frame, time.time(), detail)
        with self._lock:
            self.all = [*self.all[1 - KEPT :], incident]
            self.count += 1
        log = self._log
        if log is not None:
            self._append(log, incident)
        if self._listener:
            with suppress(Exception):
                self._listener(incident)
        return incident

    def since(self, count: int) -> tuple[list[Incident], int]:
        """Return those that are kept of the ones that came after the first `count`, and `count` as it is now."""
        with self._lock:
            new = min(self.count - count, len(self.all))
            return self.all[len(self.all) - new :], self.count

    def _append(self, log: Path, incident: Incident) -> None:
        try:
            # The name of a file may hold half a surrogate pair, which becomes its escape in JSON.
            with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(json.dumps(incident.as_json(), ensure_ascii=False) + "\n")
        except OSError:
            self._log = None
        except (ValueError, TypeError):
            pass  # a detail that JSON does not know costs this line, not the log
