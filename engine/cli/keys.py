"""Single keys from the terminal while a show is on, without waiting for any."""

import os
import select
import sys
from types import TracebackType
from typing import Any

NAMES = {
    " ": "space",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOC": "right",
    "\x1bOD": "left",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[1;2C": "shift-right",
    "\x1b[1;2D": "shift-left",
}


def split(text: str) -> list[str]:
    """Return the keys in what a terminal sent: names of `NAMES`, letters as they are; unknown sequences are dropped."""
    keys = []
    while text:
        sequence = next((s for s in sorted(NAMES, key=len, reverse=True) if text.startswith(s)), None)
        if sequence is not None:
            keys.append(NAMES[sequence])
            text = text[len(sequence) :]
        elif text[0] == "\x1b" and text[1:2] in ("", "\x1b"):
            # A sequence comes whole.
            keys.append("escape")
            text = text[1:]
        elif text[0] == "\x1b":
            end = next((i for i, c in enumerate(text[2:], 2) if c.isalpha() or c == "~"), len(text) - 1)
            text = text[end + 1 :]
        else:
            keys.append(text[0])
            text = text[1:]
    return keys


class Keys:
    """A context manager under which `read` gives the keys that were struck; without a terminal there are none."""

    def __init__(self) -> None:
        self._file = -1
        self._before: Any = None

    def __enter__(self) -> "Keys":
        if sys.stdin is None or not sys.stdin.isatty():
            return self
        try:
            import termios
            import tty
        except ImportError:  # Windows
            return self
        self._file = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            import termios

            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)
            self._file = -1

    def read(self) -> list[str]:
        """Return the keys struck since the last call."""
        text = b""
        while self._file >= 0 and select.select([self._file], [], [], 0.0)[0]:
            data = os.read(self._file, 256)
            if not data:
                self._file = -1
            text += data
        return split(text.decode(errors="ignore"))
