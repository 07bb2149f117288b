"""The command `roomtone` as the tests run it: a process of its own or, in a tenth of the time, a call in this one."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main

COMMAND = [sys.executable, "-c", "from engine.cli import main; main()"]
TINY = "title: Tiny\nduration: 0.5\nloudness: -30\natmo: {sound: synth:wind}\nobjects: [{label: bell}]\n"


def run(*arguments: str, cwd: Path, timeout_s: float = 120.0) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "COLUMNS": "120"}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s
    )


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Put back how this process takes signals, which a command changes."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def run_here(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command in this process, in the folder `cwd`: the same words, files and exit code.

    An exception that would end a process in a traceback is raised.
    """
    out, errors = io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        handlers_kept(),
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        patch.setenv("COLUMNS", "120")
        patch.setattr(sys, "argv", ["roomtone", *arguments])
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
    return subprocess.CompletedProcess([*COMMAND, *arguments], code, out.getvalue(), errors.getvalue())


def as_json(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    """Start the command; SIGINT is taken even where the test run itself ignores it."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);" + COMMAND[-1]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt(process: "subprocess.Popen[str]", folder: Path, appears: str) -> None:
    """Send SIGINT once a file `appears` (a glob pattern) is in `folder`; it must end as an interrupt, exit code 130."""
    until_s = time.monotonic() + 90.0
    while not list(folder.glob(appears)):
        assert process.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip().endswith("roomtone: interrupted; nothing was written")
