"""Compares two runs of `roomtone bench`, and says how far they can be compared at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.bench import yardstick
from benchmarks.bench.change import LEAST_SAMPLES, Change, Yardsticks, change
from benchmarks.bench.figures import Figure
from benchmarks.bench.store import Result

if TYPE_CHECKING:
    from rich.console import RenderableType

CONFIDENCE = 0.95
"""That no figure at all is marked where nothing has changed."""

YARDSTICK_DRIFT = 0.1
"""More than this and the machine was another one, as it were."""

BUSY_LOAD = 0.75
"""Load average over processors from which other programs take part in the measurement."""

SAME_MACHINE = (("cpu", "model"), ("cpu", "simd_lanes"))
SAME_CONDITIONS = (
    *((("cpu", key), title) for key, title in (("processors", "processors"), ("governors", "governor"))),
    (("kernel",), "kernel"),
    *((("versions", key), key) for key in ("python", "numpy", "numba", "llvmlite", "pedalboard")),
)
SETTINGS = (("settings", "rate_hz"), ("conditions", "scheduling"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of every figure, in the order of the newer run, and what to know before it is believed."""

    then: str
    now: str
    changes: tuple[Change, ...]
    confidence: float
    yardstick_ratio: float | None
    warnings: tuple[str, ...]

    @property
    def marked(self) -> tuple[Change, ...]:
        """Those outside the noise."""
        return tuple(c for c in self.changes if c.verdict in ("better", "worse"))

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "then": self.then,
            "now": self.now,
            "confidence_each": self.confidence,
            "confidence_all": CONFIDENCE,
            "yardstick_ratio": self.yardstick_ratio,
            "warnings": list(self.warnings),
            "better": [c.name for c in self.changes if c.verdict == "better"],
            "worse": [c.name for c in self.changes if c.verdict == "worse"],
            "figures": {c.name: c.as_json() for c in self.changes},
        }

    def text(self) -> "Iterator[RenderableType]":
        """Return what is printed for people: a table of at most 100 columns, and what to know."""
        from benchmarks.bench.compare_text import lines

        return lines(self)


def compare(now: Result, then: Result) -> Comparison:
    """Compare `now` with `then`, figure by figure; the yardstick takes out how fast the machine was."""
    sticks = Yardsticks(then.figures.get(yardstick.NAME), now.figures.get(yardstick.NAME))
    names = [name for name in {**now.figures, **then.figures} if name != yardstick.NAME]
    pairs = {name: (then.figures.get(name), now.figures.get(name)) for name in names}
    judged = sum(_can_be_judged(*pair) for pair in pairs.values())
    confidence = 1.0 - (1.0 - CONFIDENCE) / max(1, judged)
    other = _other_machine(now.document, then.document)
    changes = tuple(change(name, *pair, sticks, confidence) for name, pair in pairs.items())
    if other:
        changes = tuple(_not_judged(c) for c in changes)
    return Comparison(
        then.label, now.label, changes, confidence, sticks.ratio, tuple(_warnings(now, then, sticks, other))
    )


def _can_be_judged(then: Figure | None, now: Figure | None) -> bool:
    return then is not None and now is not None and min(len(then.samples), len(now.samples)) >= LEAST_SAMPLES


def _not_judged(c: Change) -> Change:
    if c.verdict not in ("better", "worse", "same"):
        return c
    return Change(c.name, c.then, c.now, c.ratio, c.relative, c.interval, why="another machine")


def _other_machine(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """Return which machine it was then, if it was another one."""
    if all(_at(now, "machine", *key) == _at(then, "machine", *key) for key in SAME_MACHINE):
        return ""
    return _machine(then)


def _machine(document: Mapping[str, Any]) -> str:
    model, lanes = (_at(document, "machine", *key) for key in SAME_MACHINE)
    return "unknown" if model is None else f"{_shown(model)} with vectors of {_shown(lanes)}"


def _warnings(now: Result, then: Result, sticks: Yardsticks, other: str) -> Iterator[str]:
    if other:
        yield (
            f"then another machine was measured ({other}; now {_machine(now.document)}): the ratios are between the "
            "machines, and nothing is judged"
        )
    if sticks.ratio is None:
        who = then.label if sticks.then is None else now.label
        yield f"{who} has no yardstick: how fast the machine was is unknown, and nothing that takes time is judged"
    elif not 1.0 - YARDSTICK_DRIFT <= 1.0 / sticks.ratio <= 1.0 + YARDSTICK_DRIFT:
        yield (
            f"this machine ran at {1.0 / sticks.ratio:.2f} of its speed then, by the yardstick; `relative` takes that "
            "out, and intervals are wider by half of it, since not everything follows alike"
        )
    for key, title in SAME_CONDITIONS:
        before, after = _at(then.document, "machine", *key), _at(now.document, "machine", *key)
        if before != after and before is not None and after is not None:
            yield f"{title}: {_shown(before)} then, {_shown(after)} now"
    for key in SETTINGS:
        before, after = _at(then.document, *key), _at(now.document, *key)
        if before != after and before is not None and after is not None:
            yield f"{key[-1]}: {_shown(before)} then, {_shown(after)} now"
    for result, when in ((then, "then"), (now, "now")):
        if busy := _busy(_at(result.document, "machine")):
            yield f"other programs were at work {when}: {busy}"


def _busy(machine: Any) -> str:
    """Return how busy a machine was before it was measured, if it was."""
    load, count = _at(machine, "load_average"), _at(machine, "cpu", "processors")
    known = isinstance(load, list) and load and isinstance(load[0], float) and isinstance(count, int)
    return f"load {load[0]:.1f} on {count} processors" if known and load[0] > BUSY_LOAD * count else ""


def _at(document: Any, *keys: str) -> Any:
    """Return what is in a document from who knows where, None where it is not."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(c if c.isprintable() else "?" for c in text[:80]) or "none"
