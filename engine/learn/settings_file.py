"""The settings of a match as a file: plain YAML, for people and for scenes."""

import os
from pathlib import Path

from engine.errors import InputError, Problem
from engine.learn.match import Match
from engine.learn.table_files import replace_text

FIRST_LINE = "# Mix settings found by `roomtone match`: filters, trim, compressor, gain, in this order.\n"


def check_target(path: Path, sources: list[Path]) -> None:
    """Raise InputError unless a file can be written there without losing anything: a new one, or one of settings."""
    field = "--out"
    if any(os.path.exists(path) and os.path.samefile(path, source) for source in sources):
        raise InputError(Problem(f"{path} is one of the sounds", "another file", field))
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(Problem(f"{path} cannot be written", "a file in a folder that is there", field))
    if path.exists():
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                ours = file.readline() == FIRST_LINE
        except OSError as error:
            raise InputError(Problem(f"{path} cannot be read ({error.strerror})", "", field)) from None
        if not ours:
            raise InputError(Problem(f"{path} is there and holds something else", "a new file", field))


def write_settings(path: Path, match: Match, told: dict[str, str]) -> None:
    """Write the settings whole or not at all, and `told`, what they were found from; raises InputError."""
    import yaml

    found = {
        **told,
        "mode": match.facts["mode"],
        **match.settings(),
        "confidence": {name: round(float(value), 3) for name, value in match.confidence.items()},
        "notes": list(match.notes),
    }
    text = FIRST_LINE + yaml.safe_dump(found, sort_keys=False, allow_unicode=True, default_flow_style=None)
    replace_text(path, text)
