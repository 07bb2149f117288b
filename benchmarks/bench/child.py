"""Measurements that need a process of their own: what they print is JSON."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from engine.errors import RoomtoneError
from engine.host.child import python_command, python_environment

TIMEOUT_S = 900.0
"""Compiling everything takes a minute, and ten times as long on a machine that has other things to do."""


def run(module: str, *arguments: str, environment: Mapping[str, str | None] | None = None) -> Any:
    """Run `module` and return the JSON of its last line; `environment` changes variables, None takes one away.

    Raises RoomtoneError, with the last thing it said, if it fails.
    """
    variables = {**python_environment(), **(environment or {})}
    try:
        done = subprocess.run(
            [*python_command(module), *arguments],
            env={name: value for name, value in variables.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise RoomtoneError(f"{module}: not done within {TIMEOUT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise RoomtoneError(f"{module}: failed (exit {done.returncode}): {' '.join(said)}")
    return json.loads(done.stdout.splitlines()[-1])
