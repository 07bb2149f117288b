"""What can go wrong, as the user sees it: a place, a field, what is wrong and what is allowed."""

from collections.abc import Sequence
from dataclasses import dataclass


class RoomtoneError(Exception):
    """Anything the program gives up on with a plain sentence; `exit_code` is what the command returns."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the user's input.

    `file` and `line` (from 1) may be unknown; `field` is a path such as `objects[1].importance`; `what` says
    what is wrong; `allowed` says what would be right.
    """

    what: str
    allowed: str = ""
    field: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        parts = [part for part in (place, self.field) if part]
        text = f"{self.what}; {self.allowed}" if self.allowed else self.what
        return ": ".join([*parts, text])


class InputError(RoomtoneError):
    """The user's input is wrong (exit code 2). Holds every problem found, in the order of the input."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SceneError(InputError):
    """A scene file that cannot be used."""


class SoundError(InputError):
    """A sound that cannot be found, read or made."""


class ParamError(InputError):
    """A parameter that does not exist, or a value it refuses."""


class MapError(InputError):
    """A MIDI map that cannot be used."""


class GraphError(RoomtoneError):
    """A graph that cannot be compiled; the message names nodes and ports."""


class HostError(RoomtoneError):
    """The engine process or the audio device failed; the message carries the remedy."""


class NoAnswer(HostError):
    """The engine did not answer in time: the machine is too busy, or a driver hangs."""
