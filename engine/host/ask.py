"""A question to another program that may hang or crash: it is asked in a process that is thrown away."""

import contextlib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REAP_S = 0.5
"""How long a killed process is waited for; one that a driver holds in the kernel is left alone."""

LARGEST_BYTES = 1 << 20
"""What is read of an answer at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended (`code` is -N for signal N), and what it wrote."""

    code: int
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """The last line on standard error, or ""."""
        return (self.errors.strip().splitlines() or [""])[-1].strip()


def ask(command: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None) -> Answer:
    """Run `command` to its end; raises TimeoutError after `timeout_s`, OSError if it cannot be started.

    Returns within `timeout_s` + `REAP_S`, whatever the program does.
    """
    # Files, not pipes: an audio server that the program wakes up could hold a pipe open.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{command[0]} did not answer within {timeout_s:g} s") from None
        finally:
            if child.poll() is None:
                child.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(REAP_S)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read(LARGEST_BYTES).decode(errors="replace"))
    return Answer(code, *texts)
