"""What came of a comparison: ratios with intervals."""

import statistics
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.bench.figures import Better, Figure

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)
COLUMNS = 110
"""Longer lines of text are folded."""
MISSING = "–"


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the ratios of all turns, with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    samples: tuple[float, ...]

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Ratio":
        """Return the ratio of these turns, one at least."""
        drawn = np.random.default_rng(0).integers(0, len(samples), (RESAMPLES, len(samples)))
        low, high = np.percentile(np.median(np.asarray(samples)[drawn], axis=1), INTERVAL)
        return cls(statistics.median(samples), float(low), float(high), tuple(samples))

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio is to be at least, or at most, at so many tracks."""

    limit: float
    at_least: bool
    tracks: int = 128

    def reached_by(self, ratio: Ratio) -> bool:
        """Say whether the ratio, by its median, is on the right side."""
        return ratio.value >= self.limit if self.at_least else ratio.value <= self.limit

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The time of `one` over that of `other`."""

    one: str
    other: str
    better: Better
    goal: Goal | None
    same_work: bool
    work: str
    """How the one that is not ours does it, its version, and what is not the same."""

    def __str__(self) -> str:
        return f"{self.one} over {self.other}"


def title(comparison: Comparison, tracks: int) -> str:
    """Return the name of a figure, and of what is skipped."""
    return f"{comparison}, {tracks} tracks"


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison at one number of tracks."""

    comparison: Comparison
    tracks: int
    ratio: Ratio
    idle: Ratio | None
    """The share of the ratio that is there without any filter: players, copies, mixing."""

    @property
    def title(self) -> str:
        """The name of its figure."""
        return title(self.comparison, self.tracks)

    @property
    def goal(self) -> Goal | None:
        """The goal at this number of tracks."""
        goal = self.comparison.goal
        return goal if goal is not None and goal.tracks == self.tracks else None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        comparison, ratio = self.comparison, self.ratio
        return {
            "time_of": comparison.one,
            "over": comparison.other,
            "tracks": self.tracks,
            "ratio": ratio.value,
            "low": ratio.low,
            "high": ratio.high,
            "samples": list(ratio.samples),
            "better": comparison.better,
            "without_filters": None if self.idle is None else self.idle.value,
            "same_work": comparison.same_work,
            "work": comparison.work,
        }


@dataclass(frozen=True, slots=True)
class PeersResult:
    """All comparisons of a run, and the peers that were left out with the reason why."""

    quantum_frames: int
    rate_hz: int
    rows: tuple[Row, ...]
    skipped: dict[str, str]

    def goals(self) -> list[dict[str, Any]]:
        """Return every goal that was measured, and whether it is reached."""
        return [
            {
                "goal": f"{row.title}: {row.goal}",
                "measured": f"{row.ratio.value:.3g}",
                "reached": row.goal.reached_by(row.ratio),
            }
            for row in self.rows
            if row.goal is not None
        ]

    def figures(self) -> dict[str, Figure]:
        """Return a figure per row; its samples are the ratios of the turns."""
        return {row.title: Figure.of(row.ratio.samples, "×", row.comparison.better) for row in self.rows}

    def as_json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {
            "quantum_frames": self.quantum_frames,
            "rate_hz": self.rate_hz,
            "comparisons": [row.as_json() for row in self.rows],
            "skipped": dict(self.skipped),
            "goals": self.goals(),
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and cells: a row per comparison, a column per number of tracks."""
        counts = sorted({row.tracks for row in self.rows})
        headings = ["", *(f"{count} tracks" for count in counts)]
        cells = []
        for comparison in dict.fromkeys(row.comparison for row in self.rows):
            found = {row.tracks: row for row in self.rows if row.comparison == comparison}
            shown = [found.get(count) for count in counts]
            cells.append([str(comparison), *(str(row.ratio) if row else MISSING for row in shown)])
            if any(row and row.idle for row in shown):
                idle = (f"{max(0.0, row.idle.value):.2f}" if row and row.idle else MISSING for row in shown)
                cells.append(["  of it without any filter", *idle])
        return headings, cells

    def lines(self) -> list[str]:
        """Return all of it as text."""
        headings, cells = self.table()
        widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
        lines = [
            f"band energies and bells of every track, {self.quantum_frames} frames at {self.rate_hz} Hz:"
            " time over time, median of all turns [95 %]"
        ]
        for first, *others in (headings, *cells):
            columns = (f"{text:<{width}}" for text, width in zip(others, widths[1:], strict=True))
            lines.append("   ".join((f"  {first:<{widths[0]}}", *columns)).rstrip())
        for work in dict.fromkeys(row.comparison.work for row in self.rows):
            lines += _folded(work)
        for name, reason in self.skipped.items():
            lines += _folded(f"skipped {name}: {reason}")
        return lines + [
            f"  {'yes' if goal['reached'] else 'NO '}  {goal['goal']} ({goal['measured']})"
            for goal in self.goals()
        ]


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
