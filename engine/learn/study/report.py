"""The report of a study, once as Markdown and once as HTML, from one list of parts."""

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.learn.study.cells import GROUPED, LEAKY, Cell
from engine.learn.study.scores import CHOSEN, Score
from engine.learn.study.summary import ANY, Line, Summary

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:72em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .7em;border-bottom:1px solid #ccc;text-align:right}"
    "td:first-child,th:first-child,td:nth-child(2){text-align:left}img{max-width:100%}"
)
TITLES = {
    "instrument": "Instrument",
    "equipment": "Equipment",
    "mix": "Mix: 31 bands, gain, gain reduction",
    "compressor": "Compressor: threshold, ratio, attack, release",
}


@dataclass(frozen=True)
class Heading:
    """A heading, of level 1 or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Grid:
    """A table."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Image:
    """A picture beside the report."""

    file: str
    text: str


Part = Heading | Text | Grid | Image


def parts_of(table: str, summaries: Sequence[Summary], pictures: Sequence[tuple[str, str]]) -> list[Part]:
    """Return the report; `pictures` are files and what they show."""
    made: list[Part] = [Heading(f"Study of {table}", 1), *_method(summaries), Heading("Summary")]
    made.append(summary_table(summaries))
    for summary in summaries:
        made.append(Heading(TITLES[summary.task.name]))
        made += _task(summary)
        own = [p for p in pictures if p[0].startswith(summary.task.name)]
        made += [Image(file, text) for file, text in own]
    names = tuple(s.task.name for s in summaries)
    rest = [p for p in pictures if not p[0].startswith(names)]
    if rest:
        made += [Heading("The table as a whole"), *(Image(file, text) for file, text in rest)]
    return made


def _method(summaries: Sequence[Summary]) -> Iterator[Part]:
    first = summaries[0].task
    yield Text(
        f"{len(first.x)} rows of {len(set(first.groups.tolist()))} songs. **By songs**: five folds, no song in two of "
        "them; scaling, components, clusters, oversampling, bins and every setting are fitted on the songs of the fold "
        "alone, settings and the preparation by three folds inside it. **Leaky** is the usual way: the whole set is "
        "prepared first, rows are parted without regard to songs, and the best setting on those folds is reported."
    )
    yield Text(
        "F1, precision and recall are weighted by class. The log-loss is in nats, with 0.1 % of the uniform "
        "distribution mixed in. R² is that of all rows together, the mean over the targets; ratio and times as "
        "logarithms. Brackets hold 95 % of what drawing the songs anew gives. The baseline answers with the most "
        "frequent class or the mean."
    )


def summary_table(summaries: Sequence[Summary]) -> Grid:
    """Return one line for each task and model: honest, without preparation, and what the leaky way says."""
    head = (
        *("Asked", "Model", "By songs [95 %]", "Accuracy", "Log-loss"),
        *("No preparation", "… leaky", "Best leaky", "Too good by"),
    )
    rows = []
    for summary in summaries:
        unit = "F1" if summary.task.classifies else "R²"
        for line in summary.lines:
            gap = line.lucky.main - line.honest.main if line.lucky is not None else math.nan
            rows.append(
                (
                    f"{summary.task.name} ({unit})",
                    line.model if line.model != ANY else f"**{ANY}**",
                    f"{line.honest.main:.2f} [{line.honest.low:.2f}, {line.honest.high:.2f}]",
                    _figure(line.honest.accuracy),
                    _figure(line.honest.log_loss),
                    _figure(line.plain.main if line.plain else math.nan),
                    _figure(line.leaky.main if line.leaky else math.nan),
                    _figure(line.lucky.main if line.lucky else math.nan),
                    _figure(gap, sign=True),
                )
            )
    return Grid(head, tuple(rows))


def _task(summary: Summary) -> Iterator[Part]:
    if summary.adasyn:
        yield Text(f"ADASYN cannot be used, a class has too few rows: {summary.adasyn}.")
    elif summary.task.classifies:
        yield Text("ADASYN would take these rows, whose smallest class is large enough; it is not compared.")
    any_line = summary.line(ANY)
    if any_line is not None:
        chosen = "; ".join(f"{s['model']} with {s['preparation']}" for s in any_line.cell.settings)
        yield Text(f"Chosen inside, fold by fold: {chosen}.")
    if summary.task.classifies:
        yield _class_cells(summary)
        return
    yield _targets(summary)
    yield _number_cells(summary)


def _class_cells(summary: Summary) -> Grid:
    head = (
        *("Model", "Preparation", "F1 by songs", "F1 leaky", "Accuracy", "Precision", "Recall", "Macro F1"),
        *("Log-loss", "Accuracy on what was learned", "CPU s"),
    )
    rows = []
    for cell, made, leaky in _both(summary):
        values = (
            made.main,
            leaky.main,
            made.accuracy,
            made.precision,
            made.recall,
            made.macro_f1,
            made.log_loss,
        )
        rows.append((*_name(cell), *map(_figure, (*values, made.trained)), f"{cell.seconds:.0f}"))
    return Grid(head, tuple(rows))


def _number_cells(summary: Summary) -> Grid:
    head = ("Model", "Preparation", "R² by songs", "R² leaky", "R² on what was learned", "CPU s")
    rows = [
        (*_name(cell), *map(_figure, (made.main, leaky.main, made.trained)), f"{cell.seconds:.0f}")
        for cell, made, leaky in _both(summary)
    ]
    return Grid(head, tuple(rows))


def _targets(summary: Summary) -> Grid:
    """R² of each target, of each model with the preparation chosen inside; leaky figures of the best in brackets."""
    lines = [line for line in summary.lines if line.model != ANY]
    head = ("Target", *(f"{line.model}: {CHOSEN} (best leaky)" for line in lines))
    rows = []
    for k, target in enumerate(summary.task.targets):
        rows.append((target, *(_target(line, k) for line in lines)))
    return Grid(head, tuple(rows))


def _target(line: Line, k: int) -> str:
    leaky = _figure(line.lucky.r2[k]) if line.lucky is not None and line.lucky.r2 else "-"
    return f"{_figure(line.honest.r2[k])} ({leaky})"


def _both(summary: Summary) -> Iterator[tuple[Cell, Score, Score]]:
    """Yield each cell by songs with the score of its leaky twin."""
    leaky = {
        (cell.spec.model, cell.spec.preparation): made
        for cell, made in summary.cells
        if cell.spec.protocol == LEAKY
    }
    nothing = Score(math.nan, math.nan, math.nan)
    for cell, made in sorted(summary.cells, key=lambda pair: pair[0].spec.model):
        if cell.spec.protocol == GROUPED:
            yield cell, made, leaky.get((cell.spec.model, cell.spec.preparation), nothing)


def _name(cell: Cell) -> tuple[str, str]:
    note = f" ({cell.error})" if cell.error else ""
    return cell.spec.model, cell.spec.preparation + note


def _figure(value: float, sign: bool = False) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:+.2f}" if sign else f"{value:.2f}"


def as_markdown(parts: Sequence[Part]) -> str:
    """Return the report as Markdown."""
    made = []
    for part in parts:
        match part:
            case Heading(text, level):
                made.append(f"{'#' * level} {text}")
            case Text(text):
                made.append(text)
            case Grid(head, rows):
                lines = [head, ("---",) * len(head), *rows]
                made.append("\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines))
            case Image(file, text):
                made.append(f"![{text}]({file})\n\n{text}")
    return "\n\n".join(made) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_html(parts: Sequence[Part]) -> str:
    """Return the report as one HTML page; nothing is loaded from anywhere but its folder."""
    title = next((html.escape(p.text) for p in parts if isinstance(p, Heading)), "Study")
    made = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    ]
    for part in parts:
        match part:
            case Heading(text, level):
                made.append(f"<h{level}>{_marked(text)}</h{level}>")
            case Text(text):
                made.append(f"<p>{_marked(text)}</p>")
            case Grid(head, rows):
                cells = "".join(f"<th>{_marked(c)}</th>" for c in head)
                body = "".join(
                    "<tr>" + "".join(f"<td>{_marked(c)}</td>" for c in row) + "</tr>" for row in rows
                )
                made.append(f"<table><tr>{cells}</tr>{body}</table>")
            case Image(file, text):
                shown = html.escape(text, quote=True)
                made.append(
                    f'<figure><img src="{html.escape(file)}" alt="{shown}"><figcaption>{shown}</figcaption></figure>'
                )
    return "\n".join([*made, "</html>"]) + "\n"


def _marked(text: str) -> str:
    """Return text for HTML, with what is between two pairs of stars in bold."""
    pieces = html.escape(text).split("**")
    return "".join(f"<b>{p}</b>" if k % 2 else p for k, p in enumerate(pieces))
