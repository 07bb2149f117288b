"""`roomtone learn`: tables of how tracks were mixed, from recordings and projects, and what can be learned of them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import Interrupted, JsonOption, compiling, interruptible, print_table, progress
from engine.cli.learn_fit import FIT_EXAMPLES, fit
from engine.cli.learn_study import STUDY_EXAMPLES, study
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.learn.dataset import Table

EXAMPLES = """**Examples**

    roomtone learn demo demo                      a made-up data set of 24 songs: demo/demo.csv

    roomtone learn study demo/demo.csv            every model on it, honestly: demo/demo-study/report.html

    roomtone learn fit mixes.csv                  what own mixes teach, for `predict --model` and `label --model`

    roomtone learn import mixes.csv --raw Raw --mixed Mixed --engineer ada

    roomtone learn import mixes.csv --project song1.rpp --project song2.rpp --mixed Stems

**A table** is a CSV file and a card `<name>.csv.yaml` beside it. A row is a track: song, instrument, equipment,
engineer; 76 features of the raw recording; 31 band differences, mixed less raw; the equaliser, compressor and gains
that were found between the two. What cannot be told is an empty cell.

**Songs** are the folders below Raw and Mixed. Versions of a track are found by their names (`raw`, `mixed` and leading
numbers do not count), what is left by how alike the sounds are. Instrument and equipment come from names too, such as
`kick D112.wav` or `vocals/U87 1.wav`, or from `--labels FILE.csv` with the columns `track` (song/name, or name),
`instrument`, `equipment`, `engineer`.

**Of a Reaper project** volume, pan and ReaEQ are read exactly; a compressor is found by comparison with a mixed
version, without one it is unknown. Envelopes, sends and other plug-ins are named in the row.
"""

app = typer.Typer(
    help="Tables of how tracks were mixed: import, demo, fit, study.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

app.command("study", epilog=STUDY_EXAMPLES)(study)
app.command("fit", epilog=FIT_EXAMPLES)(fit)

SHOWN = 20
"""How many refused tracks are listed in full."""

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE.csv", help="The table.", show_default=False)]


@app.command("import")
def import_(
    table: TableArgument,
    raw: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Raw recordings, a folder for each song.")
    ] = None,
    mixed: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The same recordings, mixed one by one.")
    ] = None,
    project: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.rpp", help="A Reaper project; repeatable.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Instruments and equipment by track.")
    ] = None,
    engineer: Annotated[str, typer.Option(metavar="NAME", help="Who mixed it.")] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many tracks at a time; by default one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure tracks into a table: new ones are added, changed ones measured anew, all others kept.

    Examples: `roomtone learn import mixes.csv --raw Raw --mixed Mixed`, `… --project song.rpp --mixed Stems --json`
    """
    if (raw is None) == (not project) or (raw is not None and mixed is None):
        allowed = "--raw FOLDER --mixed FOLDER, or --project FILE.rpp [--mixed FOLDER]"
        raise InputError(Problem("needs recordings", allowed, "roomtone learn import"))
    try:
        with interruptible():
            with compiling():
                from engine.learn.dataset import Table, check_target, read_table, write_table
                from engine.learn.import_tasks import folder_tasks, project_tasks, read_labels
                from engine.learn.importer import import_tracks
            check_target(table)
            before = read_table(table) if table.exists() else Table(())
            said = read_labels(labels) if labels is not None else {}
            with progress("importing") as advance:
                if raw is not None and mixed is not None:
                    tasks, left_out = folder_tasks(raw, mixed, said, engineer, _taxonomy_label, advance)
                else:
                    tasks, left_out = project_tasks(project or [], mixed, said, engineer, _taxonomy_label)
                done = import_tracks(
                    tasks,
                    before,
                    lambda rows: write_table(table, rows, "roomtone learn import"),
                    advance,
                    workers,
                )
    except Interrupted:
        raise Interrupted(f"interrupted; what was measured until then is in {table}") from None
    refused = [*left_out, *done.refused]
    if not done.made and not done.kept:
        raise InputError(refused or [Problem("nothing to import", "tracks with sounds", file=str(table))])
    if as_json:
        figures = {"table": str(table), "rows": len(done.table), "new": done.made, "unchanged": done.kept}
        typer.echo(json.dumps({**figures, "refused": [_as_data(p) for p in refused]}, indent=2))
        return
    typer.echo(f"{table}: {len(done.table)} rows, {done.made} new, {done.kept} unchanged")
    _say_labels(done.table)
    for problem in refused[:SHOWN]:
        typer.echo(f"left out: {problem}")
    if len(refused) > SHOWN:
        typer.echo(f"and {len(refused) - SHOWN} more, all of them with --json")


@app.command("demo")
def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; made if it is not there.")],
    audio: Annotated[
        bool, typer.Option("--audio", help="Also write the recordings: FOLDER/raw and FOLDER/mixed.")
    ] = False,
    songs: Annotated[int, typer.Option(min=1, max=24, help="How many of the 24 songs.")] = 24,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of all that is drawn.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Make a data set of procedural songs, to try `import` and `study` on. It says nothing of music.

    Examples: `roomtone learn demo demo`, `roomtone learn demo small --songs 2 --audio`
    """
    with interruptible():
        with compiling():
            from engine.learn.dataset import check_target, write_table
            from engine.learn.demo.make import TABLE_NAME, check_audio, make_demo
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(Problem(f"cannot be made ({error.strerror})", file=str(folder))) from None
        path = folder / TABLE_NAME
        check_target(path)
        if audio:
            check_audio(folder)
        try:
            with progress("making") as advance:
                made = make_demo(seed, songs, folder if audio else None, advance)
        except KeyboardInterrupt:
            if not audio:
                raise
            raise Interrupted(f"interrupted; recordings made until then are in {folder}") from None
        write_table(path, made, f"roomtone learn demo --seed {seed} --songs {songs}")
    if as_json:
        typer.echo(json.dumps({"table": str(path), "rows": len(made), "seed": seed}, indent=2))
        return
    typer.echo(f"{path}: {len(made)} rows of {songs} songs")
    _say_labels(made)


def _taxonomy_label(name: str) -> str | None:
    """Return the label of an instrument in the taxonomy of sounds, or None for anything else."""
    from engine.scene.taxonomy import taxonomy

    labels = [step.node.label for step in taxonomy().climb(name)]
    return labels[0] if "instrument" in labels[1:] else None


def _say_labels(table: "Table") -> None:
    """Print how often each instrument and kind of equipment is there."""
    from collections import Counter

    rows = []
    for name in ("instrument", "equipment", "engineer"):
        counts = Counter(label or "unknown" for label in table.labels(name))
        rows.append([name, str(len(counts)), ", ".join(f"{k} {n}" for k, n in counts.most_common())])
    print_table(["Label", "Kinds", "Rows of each"], rows)


def _as_data(problem: Problem) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "what": problem.what, "allowed": problem.allowed}
