"""A comparison of two runs, for people: a table of at most 100 columns, and what to know before it is believed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.bench.change import LEAST_CHANGE, LEAST_SAMPLES, Change

if TYPE_CHECKING:
    from benchmarks.bench.compare import Comparison

STYLES = {"better": "green", "worse": "bold red"}


def lines(found: "Comparison") -> Iterator[Table | Text]:
    """Return the table, what is in one run only, the warnings, and how it was judged."""
    both = [c for c in found.changes if c.verdict not in ("new", "gone")]
    if both:
        yield _table(found, both)
    for verdict, title in (("new", f"Not in {found.then}"), ("gone", f"Not in {found.now}")):
        names = [c.name for c in found.changes if c.verdict == verdict]
        if names:
            yield Text(f"{title}: {'; '.join(names)}")
    for warning in found.warnings:
        yield Text(f"Note: {warning}", style="yellow")
    yield Text(_verdict(found, both))
    yield Text(_how(found), style="dim")


def _table(found: "Comparison", changes: list[Change]) -> Table:
    table = Table(
        title=f"{found.then} → {found.now}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("Figure", overflow="fold")
    for heading in ("Then → now", "Ratio", "Relative"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for c in changes:
        assert c.then is not None
        assert c.now is not None
        relative = "" if c.relative is None else f"{c.relative:.2f}"
        if c.interval:
            relative += f" ({c.interval[0]:.2f}…{c.interval[1]:.2f})"
        table.add_row(
            Text(c.name),
            Text(f"{_number(c.then.value)} → {_number(c.now.value)} {c.now.unit}".rstrip()),
            Text("" if c.ratio is None else f"{c.ratio:.2f}"),
            Text(relative),
            Text(c.verdict if c.verdict in STYLES else c.why, style=STYLES.get(c.verdict, "dim")),
        )
    return table


def _verdict(found: "Comparison", both: list[Change]) -> str:
    judged = sum(c.verdict in ("better", "worse", "same") for c in both)
    better, worse = (sum(c.verdict == v for c in both) for v in ("better", "worse"))
    if not judged:
        return f"Of {len(both)} figures none could be judged."
    if not found.marked:
        return f"Of {judged} figures that could be judged, none is outside the noise."
    return f"Of {judged} figures that could be judged, {better} got better and {worse} worse."


def _how(found: "Comparison") -> str:
    return (
        f"Relative: by the yardstick, as on a machine as fast as then; in brackets where it lies, with "
        f"{_percent(found.confidence)} certainty each, which is 95 % for all of them together (Welch's t on "
        f"logarithms, the rounds of a run being its samples). Better or worse is what leaves out 1, by more than "
        f"{100 * LEAST_CHANGE:.0f} %. Figures of fewer than {LEAST_SAMPLES} samples are shown, not judged."
    )


def _percent(share: float) -> str:
    """Return a share near 1 with as many digits as tell it from 1."""
    digits = 0
    while digits < 4 and round(100.0 * share, digits) >= 100.0:
        digits += 1
    return f"{100.0 * share:.{max(digits, 1 if share > 0.95 else 0)}f} %"


def _number(value: float) -> str:
    """Return three digits, or all before the point."""
    if value == 0.0 or abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.3g}"
