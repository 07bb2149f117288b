"""Runs the measurements that are asked for, and puts together what they found: one document, and its text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance, Load
from benchmarks.bench.quiet import Conditions, quiet
from benchmarks.bench.settings import Settings
from benchmarks.bench.stages import WARM_S, warm_stages
from benchmarks.bench.store import SCHEMA
from benchmarks.bench.timing import CLOCKS
from benchmarks.workload import Stage

if TYPE_CHECKING:
    from rich.console import RenderableType


class Part(Protocol):
    """What a measurement found."""

    @property
    def figures(self) -> Mapping[str, Figure]:
        """What can be compared, by a readable name."""
        ...

    def as_json(self) -> Any:
        """Return everything, for the document."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What measurements share: the settings, and every bank at every quantum, built and warm."""

    settings: Settings
    stages: Mapping[Load, Stage]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One part of the benchmark: its `key` in the document, about how long it takes, how it is done and shown."""

    key: str
    seconds: float
    measure: Callable[[Bench, Advance], Part]
    text: "Callable[[Any], Iterable[RenderableType]]"
    needs_stages: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What all of the `measurements` found, by their keys."""

    settings: Settings
    conditions: Conditions
    clock_us: tuple[float, float]
    measurements: Sequence[Measurement]
    found: Mapping[str, Part]

    @property
    def figures(self) -> dict[str, Figure]:
        """Those of all parts."""
        return {name: figure for part in self.found.values() for name, figure in part.figures.items()}

    def as_json(self, **more: Any) -> dict[str, Any]:
        """Return the document; `more` is what else belongs there, such as `machine`."""
        return {
            "roomtone_bench": SCHEMA,
            "settings": self.settings.as_json(),
            **more,
            "conditions": {
                **self.conditions.as_json(),
                "wall_clock_us": self.clock_us[0],
                "cpu_clock_us": self.clock_us[1],
            },
            **{key: part.as_json() for key, part in self.found.items()},
            "figures": {name: figure.as_json() for name, figure in self.figures.items()},
        }

    def text(self) -> "list[RenderableType]":
        """Return what is printed for people."""
        from benchmarks.bench.text import how

        return [*(line for m in self.measurements for line in m.text(self.found[m.key])), how(self)]


def run(settings: Settings, measurements: Sequence[Measurement], advance: Advance) -> Report:
    """Do all `measurements`. Raises InputError for banks that do not fit, RoomtoneError for one that fails."""
    with quiet() as conditions:
        clock_us = CLOCKS.overhead_us()
    loads = settings.loads if any(m.needs_stages for m in measurements) else ()
    warm_s = done_s = WARM_S * len(loads)
    whole_s = warm_s + sum(m.seconds for m in measurements)
    stages = warm_stages(loads, lambda what, share: advance(f"warming up {what}", share * warm_s / whole_s))
    bench = Bench(settings, stages)
    found: dict[str, Part] = {}
    for m in measurements:

        def within(what: str, share: float, m: Measurement = m, begin_s: float = done_s) -> None:
            advance(f"{m.key} {what}".strip(), (begin_s + share * m.seconds) / whole_s)

        within("", 0.0)
        found[m.key] = m.measure(bench, within)
        done_s += m.seconds
    return Report(settings, conditions, clock_us, measurements, found)
