"""`roomtone learn study`: every model on a table, judged by songs it has not seen, and what the usual way would say."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import Interrupted, JsonOption, interruptible, print_table, progress
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.learn.study.data import Task
    from engine.learn.study.run import Scope
    from engine.learn.study.summary import Summary

STUDY_EXAMPLES = """**Examples**

    roomtone learn study demo/demo.csv

    roomtone learn study mixes.csv --out report --task equipment --model "random forest" --model "k-NN (CBR)"

**Compared** are preparations (none, PCA, clusters, SMOTE and combinations) and models (tree, forest, regressions, k-NN,
naive Bayes, Bayesian networks), for instrument and equipment, for band differences, gains and compressor. Every fitted
step sees only the songs of its fold; beside each score stands the one that the usual way would have given.

**Written** are report.html, report.md, results.json and pictures into FOLDER. Finished parts are kept there: an
interrupted study goes on where it was. Needs the extra: `pip install 'roomtone[study]'`.
"""


def study(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="A table of import or demo.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to; by default `<table>-study` beside the table.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only instrument, equipment, mix or compressor; repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this model; repeatable.")
    ] = None,
    preparation: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this preparation; repeatable.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="How many at a time; by default one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models on a table and write a report."""
    from engine.learn.study.extra import require_extra

    require_extra()
    folder = out or table.with_name(f"{table.stem}-study")
    try:
        with interruptible():
            from engine.learn.dataset import read_table

            rows = read_table(table)
            with progress("comparing") as advance:
                advance("loading libraries", 0, 1)
                from engine.learn.study.data import make_tasks
                from engine.learn.study.run import Scope, check_folder, run_study
                from engine.learn.study.summary import summarise

                scope = Scope(tuple(task or ()), tuple(model or ()), tuple(preparation or ()))
                tasks = _wanted(make_tasks(rows, str(table)), scope)
                check_folder(folder)
                cells = run_study(tasks, folder, scope, advance, workers)
                advance("report", 0, 1)
                summaries = [summarise(t, cells) for t in tasks if any(c.spec.task == t.name for c in cells)]
                _write(folder, table, summaries)
    except Interrupted:
        raise Interrupted(f"interrupted; what was finished until then is kept in {folder}") from None
    if as_json:
        typer.echo((folder / "results.json").read_text("utf-8"))
        return
    from engine.learn.study.report import summary_table

    grid = summary_table(summaries)
    print_table(list(grid.head), [[cell.replace("**", "") for cell in row] for row in grid.rows])
    typer.echo(f"report: {folder / 'report.html'}")


def _wanted(tasks: "Sequence[Task]", scope: "Scope") -> "list[Task]":
    """Return the tasks there is something to compare on. Raises InputError for a name that none has."""
    from engine.learn.study.models import classifiers, regressors
    from engine.learn.study.preparations import PREPARATIONS
    from engine.learn.study.run import specs_of

    known = {
        "--task": (scope.tasks, [t.name for t in tasks]),
        "--model": (scope.models, list({**classifiers(), **regressors()})),
        "--preparation": (scope.preparations, list(PREPARATIONS)),
    }
    for option, (given, allowed) in known.items():
        for name in given:
            if name not in allowed:
                raise InputError(Problem(f"`{name}` is not there", ", ".join(allowed), option))
    made = [t for t in tasks if (not scope.tasks or t.name in scope.tasks) and specs_of(t, scope)]
    if not made:
        raise InputError(Problem("nothing is left to compare", "other names", "--model and --preparation"))
    return made


def _write(folder: Path, table: Path, summaries: "Sequence[Summary]") -> None:
    from engine.learn.study.report import as_html, as_markdown, parts_of
    from engine.learn.study.summary import as_data
    from engine.learn.table_files import replace_text

    pictures = _pictures(folder, summaries)
    parts = parts_of(table.name, summaries, pictures)
    replace_text(folder / "results.json", json.dumps(as_data(summaries), indent=1) + "\n")
    replace_text(folder / "report.md", as_markdown(parts))
    replace_text(folder / "report.html", as_html(parts))


def _pictures(folder: Path, summaries: "Sequence[Summary]") -> list[tuple[str, str]]:
    """Draw all pictures into the folder; return their names and what they show."""
    import numpy as np

    from engine.learn.study import figures
    from engine.learn.study.scores import confusion
    from engine.learn.study.summary import ANY
    from engine.view import study_pictures as draw

    made: list[tuple[str, str, bytes]] = []
    for summary in summaries:
        task = summary.task
        lines = [line for line in summary.lines if line.lucky is not None]
        made.append(
            (
                f"{task.name}-scores.png",
                "The preparation chosen inside, by songs, beside the best that the leaky way reports.",
                draw.scores(
                    task.name,
                    [line.model for line in lines],
                    np.array([line.honest.main for line in lines]),
                    np.array([[line.honest.low, line.honest.high] for line in lines]),
                    np.array([line.lucky.main for line in lines if line.lucky]),
                    "F1, weighted" if task.classifies else "R², mean over targets",
                ),
            )
        )
        line = summary.line(ANY)
        if task.classifies and line is not None:
            counts = confusion(np.array(line.cell.answers), task.labels, len(task.classes))
            text = f"What each {task.name} was taken for, by songs, everything chosen inside."
            made.append((f"{task.name}-confusion.png", text, draw.confusion(task.name, task.classes, counts)))
            net = figures.network(task)
            text = f"The discrete network (K2) of the whole table around {task.name}."
            picture = draw.network(net.nodes, net.edges, task.name)
            made.append((f"{task.name}-network.png", text, picture))
    whole = next((s.task for s in summaries if not s.task.classifies), summaries[0].task)
    tree = figures.dendrogram(whole)
    bend = figures.elbow(whole)
    made += [
        ("correlations.png", "How far columns go together.", draw.correlations(*figures.correlations(whole))),
        (
            "dendrogram.png",
            "Agglomerative clusters of all tracks.",
            draw.dendrogram(tree.x, tree.y, tree.cuts),
        ),
        ("elbow.png", "Inertia of k-means by the number of clusters.", draw.elbow(bend.inertias, bend.at)),
    ]
    for name, _, data in made:
        _replace_bytes(folder / name, data)
    return [(name, text) for name, text, _ in made]


def _replace_bytes(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(path))) from None
    finally:
        part.unlink(missing_ok=True)
