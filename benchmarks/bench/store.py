"""Results that are kept: one JSON file each, below the user's own folder for data, or wherever a path says."""

import json
import os
import re
import secrets
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.bench.figures import Figure
from engine.errors import InputError, Problem, RoomtoneError

SCHEMA = 1
"""The value of `roomtone_bench` in what is written and read."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
ALLOWED_NAME = "1 to 64 letters, digits, and . _ - (the first none of . and -, the end not .json)"

LARGEST_BYTES = 16 << 20
LONGEST_TEXT = 200
SHOWN_NAMES = 20
MEASURE_AGAIN = "the JSON of `roomtone bench --json`, or what --save kept"


@dataclass(frozen=True, slots=True)
class Result:
    """A run of `roomtone bench`: what it is called, its whole document, and the figures of it, all finite."""

    label: str
    document: Mapping[str, Any]
    figures: Mapping[str, Figure]

    @classmethod
    def of(cls, document: Mapping[str, Any], label: str) -> "Result":
        """Return the result that `document` is; raises InputError, with `label` as the file, for anything else."""
        return cls(label, document, _figures(_checked(document, label), label))


def folder() -> Path:
    """Return where results are kept (below `XDG_DATA_HOME`, or the platform's own place)."""
    from platformdirs import user_data_path

    return user_data_path("roomtone", appauthor=False) / "bench"


def saved_names() -> list[str]:
    """Return the names of the results that are kept, the newest first."""
    with suppress(OSError):
        files = [f for f in folder().glob("*.json") if _is_name(f.stem) and f.is_file()]
        return [f.stem for f in sorted(files, key=lambda f: (-f.stat().st_mtime, f.name))]
    return []


def check_free(name: str, replace: bool = False, field: str = "--save") -> None:
    """Raise InputError if a result could not be kept under `name`: before it is measured, which takes a minute.

    One that is there already is only replaced if `replace` says so.
    """
    file = _file(name, field)
    if file.exists() and not replace:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(file.stat().st_mtime))
        _refuse(
            f"there is a result `{name}` of {day} already", "another name, or --force to replace it", field
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        _refuse(f"no folder for results can be made ({error.strerror})", "a data folder", field, file.parent)
    if not os.access(file.parent, os.W_OK | os.X_OK):
        _refuse("cannot be written to", "a data folder of your own", field, file.parent)


def save(name: str, document: Mapping[str, Any], replace: bool = False, field: str = "--save") -> Path:
    """Keep `document` under `name` and return its file, which is there whole or not at all.

    Raises InputError as `check_free` does, RoomtoneError if it cannot be written, ValueError for what is no JSON.
    """
    check_free(name, replace, field)
    file = _file(name, field)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    part = file.with_name(f".{name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            os.replace(part, file)
        else:
            _put_new(part, file, name, field)
        _sync(file.parent)
    except OSError as error:
        raise RoomtoneError(f"{file}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return file


def load(what: str, field: str = "--compare") -> Result:
    """Read the result called `what`, or in the file of that path: one with a slash in it, or that ends in `.json`.

    Raises InputError, naming file and field, for anything that is not a whole result of this version.
    """
    is_path = what.endswith(".json") or "/" in what or os.sep in what
    file = Path(what) if is_path else _file(what, field)
    try:
        text = _read(file)
    except FileNotFoundError:
        if is_path:
            _refuse("there is no such file", MEASURE_AGAIN, field, file)
        _refuse(f"no result is called `{what}`", _there_are(), field)
    except OSError as error:
        _refuse(f"cannot be read ({error.strerror or error})", MEASURE_AGAIN, field, file)
    except ValueError as error:
        _refuse(str(error), MEASURE_AGAIN, field, file)
    try:
        document = json.loads(text, parse_constant=_no_number)
    except RecursionError:
        _refuse("is nested too deep to be a result", MEASURE_AGAIN, field, file)
    except ValueError as error:
        _refuse(f"is not JSON ({error})", MEASURE_AGAIN, field, file)
    return Result.of(document, str(file) if is_path else what)


def _there_are() -> str:
    names = saved_names()
    more = f", and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    kept = f"there are {', '.join(names[:SHOWN_NAMES])}{more}" if names else "none is kept yet"
    return f"{kept}; `roomtone bench --save NAME` keeps one, and a file is named with its path"


def _is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None and not name.lower().endswith(".json")


def _file(name: str, field: str) -> Path:
    if not _is_name(name):
        _refuse(f"`{_plain(name)}` is no name for a result", ALLOWED_NAME, field)
    return folder() / f"{name}.json"


def _put_new(part: Path, file: Path, name: str, field: str) -> None:
    """Give `part` its name unless there is one of that name by now."""
    try:
        os.link(part, file)
    except FileExistsError:
        _refuse(f"a result `{name}` was kept meanwhile", "another name, or --force to replace it", field)
    except OSError:  # a file system without links
        os.replace(part, file)


def _sync(parent: Path) -> None:
    """Have the name on the disk as well, where a folder can be opened."""
    with suppress(OSError):
        handle = os.open(parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(file: Path) -> str:
    """Return the text of a file; raises ValueError for what is no file, or too large. A pipe is not waited for."""
    with open(
        file, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    ) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError("is not a file")
        data = stream.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise ValueError(f"is larger than any result ({LARGEST_BYTES >> 20} MiB)")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not text (UTF-8)") from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _checked(document: Any, label: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        _refuse("is no result of roomtone bench", MEASURE_AGAIN, "", label)
    schema = document.get("roomtone_bench")
    if not isinstance(schema, int) or isinstance(schema, bool):
        _refuse("is no result of roomtone bench", MEASURE_AGAIN, "roomtone_bench", label)
    if schema != SCHEMA:
        newer = "a newer" if schema > SCHEMA else "an older"
        what = f"was written by {newer} roomtone (form {schema}; this one reads {SCHEMA})"
        _refuse(what, "measure again with this version", "roomtone_bench", label)
    if not isinstance(document.get("figures"), Mapping):
        _refuse("has no figures", MEASURE_AGAIN, "figures", label)
    return document


def _figures(document: Mapping[str, Any], label: str) -> dict[str, Figure]:
    figures = {}
    for name, stored in document["figures"].items():
        field = f"figures[{_plain(name)!r}]"
        if _plain(name) != name:
            _refuse(
                "is no name of a figure",
                f"at most {LONGEST_TEXT} characters that can be printed",
                field,
                label,
            )
        try:
            figure = Figure.from_json(stored)
            numbers = (figure.value, *figure.samples)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            what = f"is no figure ({type(error).__name__}: {_plain(str(error))})"
            _refuse(what, "value, unit, better and samples", field, label)
        if not all(map(isfinite, numbers)):
            _refuse("has a value that is not finite", "numbers", field, label)
        if _plain(figure.unit) != figure.unit:
            _refuse("has a unit that cannot be printed", f"at most {LONGEST_TEXT} characters", field, label)
        figures[name] = figure
    return figures


def _plain(text: str) -> str:
    """Return `text` as it can be shown: short, and without what moves a terminal's cursor."""
    return "".join(c if c.isprintable() else "?" for c in text[:LONGEST_TEXT])


def _refuse(what: str, allowed: str, field: str, file: Path | str = "") -> NoReturn:
    raise InputError(Problem(what, allowed, field, str(file)))
