"""Tracks until overload: the largest bank that is ready in time in all but one of a thousand quanta, with a reserve."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.bench.figures import Figure
from benchmarks.bench.load import Advance, Load
from benchmarks.bench.quiet import Pace, quiet
from benchmarks.bench.stages import WARM_S, build
from benchmarks.bench.timing import CLOCKS, Times, time_quanta
from benchmarks.workload import Stage
from engine.errors import GraphError
from engine.nodes.players import TRACK_NUMBERS

SHARE = 0.8
"""Of the budget: what the 99.9th percentile may take."""

QUANTA = 2000
MAY_BE_LATE = QUANTA // 1000
TRIES = 2
"""How often a bank must fail to be believed: other programs have their moments."""

PRECISION = 0.05
FIRST = 60
"""Where the search begins. Doubled it never is a power of two: at those, lanes fall on the same lines of the cache."""

CHUNK_QUANTA = 50
EXPECTED_POINTS = 10


@dataclass(frozen=True, slots=True)
class Point:
    """One bank that was tried: 99.9th percentiles of the better try, and over how many quanta.

    A try ends early once it can't succeed. `refused` is why the bank could not be built, or "".
    """

    tracks: int
    p999_us: float = 0.0
    p999_cpu_us: float = 0.0
    quanta: int = 0
    tries: int = 0
    refused: str = ""

    def holds(self, limit_us: float, by_cpu: bool = False) -> bool:
        """Say whether it stays within the limit."""
        found_us = self.p999_cpu_us if by_cpu else self.p999_us
        return not self.refused and found_us <= limit_us


@dataclass(frozen=True, slots=True)
class Boundary:
    """`holds` is the largest size found to hold, 0 if none; `fails` the smallest found to fail, None if all hold."""

    holds: int
    fails: int | None


def search(holds: Callable[[int], bool], first: int, most: int, precision: float) -> Boundary:
    """Find where `holds` turns false between 1 and `most`: doubling or halving from `first`, then bisection.

    The two sizes of the answer lie within `precision` of the smaller one, or are neighbours.
    """
    low, high, at = 0, None, min(first, most)
    while high is None or low == 0:
        if holds(at):
            low = at
            if at == most:
                return Boundary(low, None)
            at = min(2 * at, most)
        else:
            high = at
            if at == 1:
                return Boundary(0, 1)
            at //= 2
    while high - low > max(1.0, precision * low):
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return Boundary(low, high)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The largest banks at one quantum, by the wall clock and by processor time, and all points tried on the way."""

    load: Load
    wall: Boundary
    cpu: Boundary
    points: tuple[Point, ...]

    @property
    def limit_us(self) -> float:
        """What the 99.9th percentile may be."""
        return SHARE * self.load.budget_us

    def limited_by(self, boundary: Boundary) -> str:
        """Return what a larger bank fails by."""
        if boundary.fails is None:
            return f"an engine has {TRACK_NUMBERS} track numbers"
        return next(p.refused for p in self.points if p.tracks == boundary.fails) or "time"

    @property
    def figures(self) -> dict[str, Figure]:
        """The two sizes; a search is made once."""
        name = f"tracks until overload, {self.load.quantum_frames} frames"
        return {
            name: Figure.of([float(self.wall.holds)], "tracks", "higher"),
            f"{name}, by processor time": Figure.of([float(self.cpu.holds)], "tracks", "higher"),
        }

    def as_json(self) -> dict[str, Any]:
        """Return both sizes, what limits them, the criterion and the points."""
        return {
            "quantum_frames": self.load.quantum_frames,
            "limit_us": self.limit_us,
            "tracks": self.wall.holds,
            "limited_by": self.limited_by(self.wall),
            "tracks_by_cpu": self.cpu.holds,
            "limited_by_cpu": self.limited_by(self.cpu),
            "points": [asdict(point) for point in self.points],
        }


@dataclass(frozen=True, slots=True)
class Capacities:
    """The capacity at every quantum asked for."""

    rows: tuple[Capacity, ...]

    @property
    def figures(self) -> dict[str, Figure]:
        """Those of all quanta."""
        return {name: figure for row in self.rows for name, figure in row.figures.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the criterion and the rows."""
        return {
            "share": SHARE,
            "quanta": QUANTA,
            "precision": PRECISION,
            "rows": [row.as_json() for row in self.rows],
        }


def measure(quanta_frames: tuple[int, ...], rate_hz: int, advance: Advance) -> Capacities:
    """Search at every quantum."""
    rows: list[Capacity] = []
    for number, quantum_frames in enumerate(quanta_frames):
        tried: list[int] = []

        def probe(load: Load, tried: list[int] = tried, number: int = number) -> Point:
            done = number + min(0.95, len(tried) / EXPECTED_POINTS)
            advance(f"{load.name}", done / len(quanta_frames))
            tried.append(load.tracks)
            return try_load(load)

        rows.append(find(probe, quantum_frames, rate_hz))
    return Capacities(tuple(rows))


def find(probe: Callable[[Load], Point], quantum_frames: int, rate_hz: int) -> Capacity:
    """Search by the wall clock, then by processor time, with one `probe` of each size for both."""
    points: dict[int, Point] = {}
    one = Load(quantum_frames, 1, rate_hz)
    limit_us = SHARE * one.budget_us

    def point(tracks: int) -> Point:
        if tracks not in points:
            points[tracks] = probe(Load(quantum_frames, tracks, rate_hz))
        return points[tracks]

    def boundary(by_cpu: bool) -> Boundary:
        return search(lambda tracks: point(tracks).holds(limit_us, by_cpu), FIRST, TRACK_NUMBERS, PRECISION)

    wall, cpu = boundary(by_cpu=False), boundary(by_cpu=True)
    return Capacity(one, wall, cpu, tuple(points[tracks] for tracks in sorted(points)))


def try_load(load: Load) -> Point:
    """Build a bank and try it, up to `TRIES` times."""
    try:
        stage = build(load)
    except GraphError as refusal:
        return Point(load.tracks, refused=str(refusal))
    limit_ns = 1e3 * SHARE * load.budget_us
    with quiet():
        pace = Pace()
        warm_up = in_chunks(stage, load.quanta(WARM_S), pace, lambda times: always_late(times, limit_ns))
        if always_late(warm_up, limit_ns):  # and this while it has less to do than later on
            return point_of(load, [warm_up])
        return best_of(
            lambda: in_chunks(stage, QUANTA, pace, lambda times: late(times, limit_ns) > MAY_BE_LATE),
            load,
            limit_ns,
        )


def in_chunks(stage: Stage, quanta: int, pace: Pace, hopeless: Callable[[Times], bool]) -> Times:
    """Time so many quanta, or until it is `hopeless`."""
    times = np.zeros((2, 0), np.int64)
    while times.shape[1] < quanta:
        chunk = time_quanta(stage, min(CHUNK_QUANTA, quanta - times.shape[1]), CLOCKS, pace)
        times = np.concatenate([times, chunk], axis=1)
        if hopeless(times):
            break
    return times


def late(times: Times, limit_ns: float) -> int:
    """Return how many quanta were late by both clocks."""
    return int((times > limit_ns).sum(axis=1).min())


def always_late(times: Times, limit_ns: float) -> bool:
    """Say whether every one of the last quanta was late by both clocks."""
    return bool((times[:, -CHUNK_QUANTA:] > limit_ns).all())


def best_of(run: Callable[[], Times], load: Load, limit_ns: float) -> Point:
    """Return the best of up to `TRIES` runs, by each clock; the first that holds by both ends it."""
    tries: list[Times] = []
    while len(tries) < TRIES:
        tries.append(run())
        if (np.percentile(tries[-1], 99.9, axis=1) <= limit_ns).all():
            break
    return point_of(load, tries)


def point_of(load: Load, tries: list[Times]) -> Point:
    """Return what the `tries` of a bank came to."""
    wall, cpu = np.min([np.percentile(times, 99.9, axis=1) for times in tries], axis=0) / 1e3
    return Point(load.tracks, float(wall), float(cpu), max(times.shape[1] for times in tries), len(tries))
