"""The files of a table: the rows as CSV, and a YAML card beside them; written whole or not at all."""

import contextlib
import os
from pathlib import Path
from typing import Any

from engine.errors import InputError, Problem

FIRST_LINE = (
    "# What the columns of a table of `roomtone learn` are, and what its features were measured with.\n"
)
MAX_CARD_BYTES = 1 << 20


def card_of(path: Path) -> Path:
    """Return where the card of a table is."""
    return path.with_name(path.name + ".yaml")


def read_card(path: Path, missing_is_fine: bool = False) -> dict[str, Any]:
    """Return what the card of a table says. Raises InputError for one that is missing or something else; OSError."""
    import yaml

    card = card_of(path)
    if not card.is_file():
        if missing_is_fine and not card.exists():
            return {}
        raise InputError(
            Problem("is missing", f"the card that was written beside {path.name}", file=str(card))
        )
    if card.stat().st_size > MAX_CARD_BYTES:
        raise InputError(Problem("is too large for a card", "the card as it was written", file=str(card)))
    text = card.read_text("utf-8", errors="replace")
    if not text.startswith(FIRST_LINE):
        raise InputError(Problem("is there and holds something else", "another name", file=str(card)))
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise InputError(Problem("is damaged", "the card as it was written", "", str(card), line)) from None
    if not isinstance(said, dict):
        raise InputError(Problem("is damaged", "the card as it was written", file=str(card)))
    return said


def replace_files(path: Path, rows: str, card: dict[str, Any]) -> None:
    """Write the card, then the rows; each is either as before or new. Raises InputError."""
    import yaml

    text = FIRST_LINE + yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110)
    replace_text(card_of(path), text)
    replace_text(path, rows)


def replace_text(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises InputError."""
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        part.write_text(text, "utf-8", newline="\n")
        os.replace(part, path)
    except OSError as error:
        raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(path))) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
