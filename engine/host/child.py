"""How a Python process that runs this very package is started, from any folder and any kind of installation."""

import os
import sys
from pathlib import Path

import engine

ROOT = Path(engine.__file__).resolve().parent.parent
"""The folder that `engine`, `dsp` and the rest are imported from."""


def python_command(module: str) -> list[str]:
    """Return the command that runs `module`; a `dsp.py` in the current folder must not take the place of ours."""
    return [sys.executable, "-P", "-m", module]


def python_environment() -> dict[str, str]:
    """Return this process's environment, made to import from `ROOT` first."""
    path = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
