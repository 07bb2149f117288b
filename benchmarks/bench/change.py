"""What became of one figure from one run to another, with an interval that keeps its word for five samples.

Times and rates are compared by logarithms, so a change is a ratio, and by Welch's t: with five values a side and no
change it finds one in 5 of 100 cases, as it should, where a plain bootstrap of their means does in 12. Nor could a
bootstrap ever be as strict as many figures at once demand: its widest interval fails in 0.8 of 100 cases, whenever all
values of one side lie beyond those of the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.bench.figures import Figure
from benchmarks.bench.student import quantile

Verdict = Literal["better", "worse", "same", "not judged", "new", "gone"]

LEAST_SAMPLES = 3

SLOWER, FASTER = ("µs", "s", "quantum"), ("× real time", "tracks")
"""Units of what grows as the machine gets slower, and of what shrinks."""

SLACK = 0.5
"""Figures follow the yardstick with sensitivities of 0.5 to 1.5, about: so much of its change may be left in them."""

LEAST_CHANGE = 0.03
"""Smaller changes of what follows the machine are not told, however sure they are: another run has another layout in
memory, and other neighbours."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure, `then` and `now`, each None where it is missing.

    `ratio` is now over then; `relative` the same as it would be on a machine as fast as then, by the yardstick, and
    `interval` where it lies. None where there is no such number; `why` then says what is missing.
    """

    name: str
    then: Figure | None
    now: Figure | None
    ratio: float | None = None
    relative: float | None = None
    interval: tuple[float, float] | None = None
    verdict: Verdict = "not judged"
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        known = self.now or self.then
        return {
            "unit": known.unit if known else "",
            "better": known.better if known else "",
            "then": self.then.value if self.then else None,
            "now": self.now.value if self.now else None,
            "ratio": self.ratio,
            "relative": self.relative,
            "interval": list(self.interval) if self.interval else None,
            "verdict": self.verdict,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Yardsticks:
    """Those of both runs; None where a run had none."""

    then: Figure | None
    now: Figure | None

    @property
    def ratio(self) -> float | None:
        """How much longer the same work takes now, as a ratio; None if either is missing."""
        if self.then is None or self.now is None:
            return None
        logs = _logs(self.now.samples), _logs(self.then.samples)
        return math.exp(_mean(logs[0]) - _mean(logs[1])) if all(logs) else None


def change(
    name: str, then: Figure | None, now: Figure | None, yardsticks: Yardsticks, confidence: float
) -> Change:
    """Judge one figure: better or worse only if its interval, at `confidence`, leaves no room for no change."""
    if then is None or now is None:
        return Change(name, then, now, verdict="new" if then is None else "gone")
    if (then.unit, then.better) != (now.unit, now.better):
        return Change(name, then, now, why=f"was in {then.unit or 'numbers'}, {then.better} was better")
    if then.value == now.value and set(then.samples) == set(now.samples):
        return Change(name, then, now, 1.0 if then.value else None, verdict="same")
    ratio = now.value / then.value if then.value else None
    sides = _logs(now.samples), _logs(then.samples)
    if not all(sides):
        return Change(name, then, now, ratio, why="has no ratio: a value is not above 0")
    power = _power(now)
    groups = [(1.0, sides[0]), (-1.0, sides[1])]
    if power and yardsticks.ratio is None:
        return Change(name, then, now, ratio, why="there is no yardstick in both runs")
    if power:
        groups = _by_yardstick(groups, power, yardsticks)
    relative = math.exp(sum(sign * _mean(logs) for sign, logs in groups))
    fewest = min(len(logs) for _, logs in groups)
    if fewest < LEAST_SAMPLES:
        return Change(name, then, now, ratio, relative, why=f"measured {_times(fewest)}")
    wide = SLACK * abs(math.log(yardsticks.ratio or 1.0)) if power else 0.0
    low, high = interval(groups, confidence)
    low, high = low * math.exp(-wide), high * math.exp(wide)
    least = LEAST_CHANGE if power else 0.0
    verdict: Verdict = "same"
    if (low > 1.0 or high < 1.0) and abs(math.log(relative)) > math.log1p(least):
        verdict = "better" if (relative < 1.0) == (now.better == "lower") else "worse"
    return Change(name, then, now, ratio, relative, (low, high), verdict)


def interval(groups: Sequence[tuple[float, Sequence[float]]], confidence: float) -> tuple[float, float]:
    """Return where exp(sum of sign × mean) lies, for groups of (sign, logarithms), at least two each.

    Welch, B. L. (1947), Biometrika 34, 28–35: the variance of every group by itself, and the degrees of freedom of
    their sum.
    """
    centre = sum(sign * _mean(logs) for sign, logs in groups)
    parts = [_variance(logs) / len(logs) for _, logs in groups]
    whole = sum(parts)
    if whole == 0.0:
        return math.exp(centre), math.exp(centre)
    freedom = whole**2 / sum(part**2 / (len(logs) - 1) for part, (_, logs) in zip(parts, groups, strict=True))
    half = quantile(0.5 + 0.5 * confidence, freedom) * math.sqrt(whole)
    return math.exp(centre - half), math.exp(centre + half)


def _by_yardstick(
    groups: list[tuple[float, list[float]]], power: float, yardsticks: Yardsticks
) -> list[tuple[float, list[float]]]:
    """Take the machine's speed out of both sides, round by round where both have the same rounds."""
    taken: list[tuple[float, list[float]]] = []
    for (sign, logs), yardstick in zip(groups, (yardsticks.now, yardsticks.then), strict=True):
        assert yardstick is not None
        speed = _logs(yardstick.samples)
        if len(speed) == len(logs):
            taken.append((sign, [x - power * y for x, y in zip(logs, speed, strict=True)]))
        else:
            taken += [(sign, logs), (-sign * power, speed)]
    return taken


def _power(figure: Figure) -> float:
    """Return 1 for what grows with the yardstick, -1 for what shrinks, 0 for what does not follow it."""
    if figure.steady:
        return 0.0
    return 1.0 if figure.unit in SLOWER else -1.0 if figure.unit in FASTER else 0.0


def _logs(values: Sequence[float]) -> list[float]:
    """Return the logarithms, none if any value has none."""
    return [math.log(value) for value in values] if values and min(values) > 0.0 else []


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
