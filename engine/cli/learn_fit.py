"""`roomtone learn fit`: what own mixes teach about names and settings, for `predict` and `label`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import JsonOption, interruptible, print_table, progress
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.learn.own_fit import Verdict
    from engine.learn.own_model import OwnModel

FIT_EXAMPLES = """**Examples**

    roomtone learn fit mixes.csv                  writes mixes.npz and mixes.yaml

    roomtone predict take7.wav --model mixes.npz

    roomtone label takes --model mixes.npz

**Learned** are the names of instruments and equipment, and how each instrument is equalised and compressed in these
mixes. Everything is tried on songs that it was not learned from; what does no better there than chance, than no
equaliser or than the rules is left out, and the table tells by how much. A name has to be in three songs.
"""


def fit(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="A table of import or demo.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Where to; by default beside the table.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Learn names and settings from a table of own mixes."""
    path = out or table.with_suffix(".npz")
    with interruptible(), progress("learning") as advance:
        advance("reading", 0, 1)
        from engine.learn.dataset import read_table
        from engine.learn.own_file import check_target, write_own_model
        from engine.learn.own_fit import fit_table

        check_target(path)
        rows = read_table(table)
        model, verdicts = fit_table(rows, advance)
        learned = any(v.learned for v in verdicts)
        if learned:
            write_own_model(path, model, verdicts, table.name)
    if as_json:
        told = {"model": str(path) if learned else None, "tried": [_as_dict(v) for v in verdicts]}
        typer.echo(json.dumps(told, indent=2))
    else:
        print_table(
            ("", "Learned", "Error on unseen songs", "Without", "Gained, 95 %", "Tracks", "Songs"),
            [_cells(v) for v in verdicts],
        )
    if not learned:
        what = f"{table} teaches nothing that holds on songs it was not learned from"
        raise InputError(Problem(what, "more songs, or names for their tracks", file=str(table)))
    if not as_json:
        typer.echo(f"{path}: {_contents(model)}")


def _cells(verdict: "Verdict") -> tuple[str, ...]:
    told = (verdict.what, "yes" if verdict.learned else "no")
    if verdict.why:
        return (*told, verdict.why, "", "", str(verdict.rows), str(verdict.songs))
    return (
        *told,
        f"{verdict.error:.2f} ({verdict.measure})",
        f"{verdict.without:.2f}",
        f"{verdict.low:+.2f} to {verdict.high:+.2f}",
        str(verdict.rows),
        str(verdict.songs),
    )


def _as_dict(verdict: "Verdict") -> dict[str, object]:
    return {**vars(verdict), "learned": verdict.learned}


def _contents(model: "OwnModel") -> str:
    parts = [f"{len(names.families)} names of {what}" for what, names in model.names.items()]
    parts += ["equalisers"] * (model.eq_db is not None) + ["compressors"] * (model.compressor is not None)
    return ", ".join(parts)
