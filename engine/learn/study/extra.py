"""What the study needs beside the program's own libraries."""

from importlib.util import find_spec

from engine.errors import InputError, Problem

NEEDED = ("sklearn", "imblearn", "pgmpy", "kneed", "pandas", "seaborn")


def require_extra() -> None:
    """Raise InputError unless all libraries of the extra `study` are there; imports none of them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            Problem(f"needs {', '.join(missing)}", "pip install 'roomtone[study]'", "roomtone learn study")
        )
