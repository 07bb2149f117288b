"""The table that is learned from: a row for each track, of what it was recorded as and what mixing made of it."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.bands import BANDS, NOMINAL_HZ
from engine.learn.features import schema, schema_hash
from engine.learn.table_files import card_of, read_card, replace_files

Floats = NDArray[np.float64]

VERSION = 1
MAX_BYTES = 256 * 2**20
MAX_ROWS = 100_000
MAX_TEXT, MAX_NOTES = 200, 2000
MOST_PROBLEMS = 100

LABELS = ("instrument", "equipment", "engineer")
"""What a track is called; empty where nobody said."""
SETTINGS = {
    "reduction_db": "dB",
    "threshold_db": "dBFS",
    "ratio": "1",
    "attack_ms": "ms",
    "release_ms": "ms",
    "gain_db": "dB",
    "left_db": "dB",
    "right_db": "dB",
    "residual": "1",
}
"""What was found of a mix beside its equaliser. NaN where it cannot be told: an empty cell."""
FLAGS = ("equaliser_known", "threshold_known", "dynamics_known")
"""Whether equaliser; threshold; ratio, attack and release can be identified: 0 or 1."""


class Column(NamedTuple):
    """One column: `kind` is text, number (always there), maybe (a number or empty) or flag (0 or 1)."""

    name: str
    unit: str
    kind: str
    low: float = -math.inf
    high: float = math.inf


@lru_cache(maxsize=1)
def columns() -> tuple[Column, ...]:
    """Return all columns in their order."""
    limits = {"ratio": (1.0, 1e6), "attack_ms": (0.0, 1e6), "release_ms": (0.0, 1e6), "residual": (0.0, 1e6)}
    made = [Column(name, "", "text") for name in ("group", "track", *LABELS, "source", "content", "notes")]
    made += [Column(f"raw_{f.name}", f.unit, "number") for f in schema()]
    made += [Column(name, "dB", "maybe", -300.0, 300.0) for name in band_names("delta")]
    made += [Column(name, "dB", "maybe", -300.0, 300.0) for name in band_names("eq")]
    made += [
        Column(name, unit, "maybe", *limits.get(name, (-300.0, 300.0))) for name, unit in SETTINGS.items()
    ]
    made += [Column(name, "", "flag") for name in FLAGS]
    return tuple(made)


def band_names(prefix: str) -> list[str]:
    """Return the columns of the 31 bands, as in `delta_1000_hz_db`."""
    return [f"{prefix}_{hz:g}_hz_db" for hz in NOMINAL_HZ]


def unknown_bands() -> Floats:
    """Return float64 `[31]` of NaN."""
    return np.full(BANDS, np.nan)


@dataclass(frozen=True)
class Row:
    """One track of one song.

    group      the song or the recording session: rows of one group are never apart in learning and testing
    source     where it comes from: `pair`, `project` or `demo`
    content    what identifies the files it was made of, so that they need not be looked at again
    features   float64 `[len(features.schema())]` of the raw track
    delta_db   float64 `[31]`: measured energy of the mixed track less that of the raw one
    eq_db      float64 `[31]`: the equaliser's curve, zero mean
    settings   by the names of `SETTINGS`; attack and release in pedalboard's sense, gains behind the compressor
    known      by the names of `FLAGS`
    """

    group: str
    track: str
    features: Floats
    delta_db: Floats = field(default_factory=unknown_bands)
    eq_db: Floats = field(default_factory=unknown_bands)
    settings: dict[str, float] = field(default_factory=dict)
    known: dict[str, bool] = field(default_factory=dict)
    instrument: str = ""
    equipment: str = ""
    engineer: str = ""
    source: str = "pair"
    content: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows in their order, as a whole."""

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def features(self) -> Floats:
        """Return float64 `[rows, features]`."""
        return np.array([row.features for row in self.rows]).reshape(len(self), len(schema()))

    def deltas(self) -> Floats:
        """Return float64 `[rows, 31]`, NaN where unknown."""
        return np.array([row.delta_db for row in self.rows]).reshape(len(self), BANDS)

    def curves(self) -> Floats:
        """Return float64 `[rows, 31]`, NaN where unknown."""
        return np.array([row.eq_db for row in self.rows]).reshape(len(self), BANDS)

    def setting(self, name: str) -> Floats:
        """Return float64 `[rows]` of one of `SETTINGS`, NaN where unknown."""
        return np.array([row.settings.get(name, math.nan) for row in self.rows])

    def labels(self, name: str) -> list[str]:
        """Return one of `LABELS` or `group` of every row."""
        return [str(getattr(row, name)) for row in self.rows]


def check_target(path: Path) -> None:
    """Raise InputError unless a table can be written there without losing anything: a new file, or a table."""
    if path.suffix.lower() != ".csv":
        raise InputError(Problem("is no name for a table", "a name ending in .csv", file=str(path)))
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(Problem("cannot be written", "a file in a folder that is there", file=str(path)))
    try:
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                first = file.readline(1 << 16).rstrip("\r\n")
            if first.split(",")[:3] != [c.name for c in columns()[:3]]:
                raise InputError(Problem("is there and holds something else", "a new file", file=str(path)))
        read_card(path, missing_is_fine=not path.exists())
    except OSError as error:
        raise InputError(Problem(f"cannot be read ({error.strerror})", file=str(path))) from None


def write_table(path: Path, table: Table, made_by: str) -> None:
    """Write the table and the card beside it (`<name>.yaml`), each whole or not at all.

    Raises InputError for a file that is something else, or cannot be written.
    """
    check_target(path)
    names = [c.name for c in columns()]
    lines = [",".join(names)]
    for row in table.rows:
        cells = _cells(row)
        lines.append(",".join(_written(cells[name], _most(name)) for name in names))
    card = {
        "version": VERSION,
        "features": schema_hash(),
        "made_by": made_by,
        "rows": len(table),
        "columns": {c.name: {"unit": c.unit, "kind": c.kind} for c in columns()},
    }
    replace_files(path, "\n".join(lines) + "\n", card)


def _cells(row: Row) -> dict[str, str | float | bool]:
    texts = {name: getattr(row, name) for name in ("group", "track", *LABELS, "source", "content")}
    return {
        **texts,
        "notes": "; ".join(row.notes),
        **{f"raw_{f.name}": float(v) for f, v in zip(schema(), row.features, strict=True)},
        **dict(zip(band_names("delta"), map(float, row.delta_db), strict=True)),
        **dict(zip(band_names("eq"), map(float, row.eq_db), strict=True)),
        **{name: float(row.settings.get(name, math.nan)) for name in SETTINGS},
        **{name: bool(row.known.get(name, False)) for name in FLAGS},
    }


def _most(column: str) -> int:
    return MAX_NOTES if column == "notes" else MAX_TEXT


def _written(value: str | float | bool, most: int) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:.7g}" if math.isfinite(value) else ""
    text = "".join(c if c.isprintable() else " " for c in value)[:most]
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text


def read_table(path: Path) -> Table:
    """Return the table in a file. Raises InputError naming file, line and column of every wrong cell, up to 100.

    Refuses a table whose features were measured otherwise than `features` measures them today.
    """
    file = str(path)
    try:
        if not path.is_file():
            raise InputError(Problem("no such table", "a .csv file of `roomtone learn import`", file=file))
        if path.stat().st_size > MAX_BYTES:
            raise InputError(Problem("is too large", f"at most {MAX_BYTES >> 20} MiB", file=file))
        card = read_card(path)
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(_read(stream, file))
    except OSError as error:
        raise InputError(Problem(f"cannot be read ({error.strerror})", file=file)) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not text in UTF-8", "a table as it was written", file=file)) from None
    except csv.Error as error:
        raise InputError(
            Problem(f"is not a table ({error})", "a table as it was written", file=file)
        ) from None
    if card.get("version") != VERSION or card.get("features") != schema_hash():
        raise InputError(
            Problem(
                "its features are not those of this version",
                "a table made anew: `roomtone learn import` or `roomtone learn demo`",
                "features",
                str(card_of(path)),
            )
        )
    return Table(tuple(rows))


def _read(stream: Iterator[str], file: str) -> Iterator[Row]:
    reader = csv.reader(stream, strict=True)
    wanted = [c.name for c in columns()]
    found = next(reader, [])
    if found != wanted:
        raise InputError(_wrong_header(found, wanted, file))
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    rows = 0
    for cells in reader:
        line = reader.line_num
        if not cells:
            continue
        rows += 1
        if rows > MAX_ROWS:
            raise InputError(Problem("has too many rows", f"at most {MAX_ROWS}", file=file, line=line))
        row = _row(cells, file, line, problems)
        if row is not None:
            first = seen.setdefault((row.group, row.track), line)
            if first != line:
                what = f'"{row.track}" of "{row.group}" is in line {first} already'
                problems.append(Problem(what, "each track once", "column track", file, line))
            yield row
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise InputError(problems)


def _wrong_header(found: Sequence[str], wanted: Sequence[str], file: str) -> Problem:
    for k, name in enumerate(wanted):
        if k >= len(found) or found[k] != name:
            what = f'is called "{found[k][:40]}"' if k < len(found) else "is missing"
            return Problem(what, name, f"column {k + 1}", file, 1)
    return Problem(f"has {len(found)} columns", f"{len(wanted)}", file=file, line=1)


def _row(cells: Sequence[str], file: str, line: int, problems: list[Problem]) -> Row | None:
    all_columns = columns()
    if len(cells) != len(all_columns):
        what = f"has {len(cells)} cells"
        problems.append(Problem(what, f"{len(all_columns)}, one for each column", "", file, line))
        return None
    texts: dict[str, str] = {}
    values: dict[str, float] = {}
    before = len(problems)
    for column, cell in zip(all_columns, cells, strict=True):
        wrong, allowed = "", ""
        if column.kind == "text":
            texts[column.name] = cell
            most = _most(column.name)
            if len(cell) > most or not cell.isprintable():
                wrong, allowed = "is no plain text", f"at most {most} printable characters"
            elif column.name in ("group", "track") and not cell.strip():
                wrong, allowed = "is empty", "a name"
        else:
            value = _number(cell)
            values[column.name] = math.nan if value is None else value
            if column.kind == "flag" and value not in (0.0, 1.0):
                wrong, allowed = f'"{cell[:40]}" is no flag', "0 or 1"
            elif value is None and (cell or column.kind != "maybe"):
                wrong = f'"{cell[:40]}" is not a number' if cell else "is empty"
                allowed = "a finite number" + (", or nothing" if column.kind == "maybe" else "")
            elif value is not None and not column.low <= value <= column.high:
                wrong, allowed = f"is {value:g}", f"{column.low:g} to {column.high:g} {column.unit}".strip()
        if wrong:
            problems.append(Problem(wrong, allowed, f"column {column.name}", file, line))
    if len(problems) > before:
        return None
    return Row(
        features=np.array([values[f"raw_{f.name}"] for f in schema()]),
        delta_db=np.array([values[name] for name in band_names("delta")]),
        eq_db=np.array([values[name] for name in band_names("eq")]),
        settings={name: values[name] for name in SETTINGS},
        known={name: values[name] == 1.0 for name in FLAGS},
        notes=tuple(filter(None, texts.pop("notes").split("; "))),
        **texts,
    )


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
