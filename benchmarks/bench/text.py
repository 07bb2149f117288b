"""What `roomtone bench` found, for people: tables of at most 100 columns."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.bench.allocated import Allocated
from benchmarks.bench.capacity import QUANTA, SHARE, Capacities
from benchmarks.bench.latency import SAFETY_QUANTA, Latencies
from benchmarks.bench.memory import Memory
from benchmarks.bench.nodes import Nodes
from benchmarks.bench.offline import SECONDS, TRACKS, Offline
from benchmarks.bench.overhead import Overhead
from benchmarks.bench.stages import WARM_S
from benchmarks.bench.starts import Start, Starts
from benchmarks.bench.timing import ROUNDS, Timing

if TYPE_CHECKING:
    from benchmarks.bench.report import Report

COLUMNS = 100
"""Of the widest table."""

BANKS_BESIDE = 4
"""How many banks stand side by side in the breakdown."""


def quanta(found: Timing) -> Iterator[Table]:
    """One line by each clock for every row."""
    percentiles = ("p50", "p99", "p99.9", "max")
    table = _table(
        "One quantum, all tracks sounding: time, and share of the budget",
        ("Tracks", "Frames", "Budget\nµs", "Clock"),
        (*(f"{p}\nµs" for p in percentiles), *(f"{p}\n%" for p in percentiles)),
    )
    for row in found.rows:
        budget_us = row.load.budget_us
        head = [str(row.load.tracks), str(row.load.quantum_frames), _us(budget_us)]
        for clock, times in (("wall", row.wall_us), ("CPU", row.cpu_us)):
            shares = astuple(times.over(budget_us))
            table.add_row(
                *head, clock, *map(_us, astuple(times)), *(f"{100 * share:.1f}" for share in shares)
            )
            head = ["", "", ""]
    yield table


def nodes(found: Nodes) -> Iterator[Table | Text]:
    """One table for each quantum, with banks side by side."""
    for frames in sorted({row.load.quantum_frames for row in found.rows}):
        rows = [row for row in found.rows if row.load.quantum_frames == frames]
        for start in range(0, len(rows), BANKS_BESIDE):
            beside = rows[start : start + BANKS_BESIDE]
            headings = [h for row in beside for h in (f"{row.load.tracks} tracks\nµs", "\n%")]
            table = _table(f"Where it goes at {frames} frames: means", ("Step",), headings)
            means = [row.mean_us() for row in beside]
            wholes = [sum(mean.values()) for mean in means]
            for name in means[0]:
                cells = (
                    cell
                    for mean, whole in zip(means, wholes, strict=True)
                    for cell in (_us(mean[name]), f"{100 * mean[name] / whole:.1f}")
                )
                table.add_row(name, *cells)
            table.add_row("whole", *(cell for whole in wholes for cell in (_us(whole), "100.0")))
            yield table
    if found.rows:
        most_us = max(row.clocks_us for row in found.rows)
        yield _line("", f"{most_us:.0f} µs of each whole are this breakdown's own clocks")


def capacity(found: Capacities) -> Iterator[Table]:
    """The largest banks."""
    table = _table(
        f"Tracks until overload: p99.9 of {QUANTA} quanta stays within {100 * SHARE:.0f} % of the budget",
        (
            "Frames",
            "Limit\nµs",
            "Tracks\nby wall clock",
            "Tracks\nby CPU time",
            "One more step fails by",
            "Tried",
        ),
    )
    for row in found.rows:
        tried = " ".join(str(point.tracks) for point in row.points)
        table.add_row(
            *(str(row.load.quantum_frames), _us(row.limit_us), str(row.wall.holds), str(row.cpu.holds)),
            *(row.limited_by(row.wall), tried),
        )
    yield table


def overhead(found: Overhead) -> Iterator[Text]:
    """One line a quantum."""
    for row in found.as_json():
        yield _line(
            f"Empty bank, {row['quantum_frames']} frames",
            f"{row['p50_us']:.1f} µs (p50), {100 * row['share']:.1f} % of the budget",
        )


def offline(found: Offline) -> Iterator[Text]:
    """One line."""
    row = found.as_json()
    yield _line(
        f"Render of {TRACKS} tracks",
        f"{row['times_real_time']:.1f} × real time, {row['times_real_time_by_cpu']:.1f} by processor time "
        f"({SECONDS:g} s in quanta of {row['quantum_frames']} frames)",
    )


def latency(found: Latencies) -> Iterator[Table | Text]:
    """The parts and their sum."""
    table = _table(
        "Latency: sum of its parts",
        ("Frames",),
        ("Plan\nframes", "Plan\nms", "Ring\nframes", "Ring\nms", "Device\nms", "Sum\nms"),
    )
    for row in found.rows:
        table.add_row(
            str(row.quantum_frames),
            *(f"{row.heard_frames}", f"{row.plan_ms:.2f}", f"{row.ring_frames}", f"{row.ring_ms:.2f}"),
            "-" if row.device_ms is None else f"{row.device_ms:.2f}",
            f"{row.sum_ms:.2f}",
        )
    yield table
    first = found.rows[0]
    reports = "" if first.device_ms is None else ", as PortAudio reports it"
    yield _line("Device", f"{first.device}{reports}")
    yield _line("Ring", f"{SAFETY_QUANTA} quanta ahead, as `roomtone play` is")


def allocations(found: Allocated) -> Iterator[Text]:
    """One line."""
    yield _line(
        "Allocations",
        f"{found.in_kernels} in kernels in {found.quanta} quanta of {found.tracks} tracks; "
        f"Python: peak {found.peak_bytes} bytes, {found.growth_bytes} kept",
    )


def starts(found: Starts) -> Iterator[Text]:
    """One line each."""
    row = found.as_json()
    yield _line("First sound, warm start", _start(Start(row["warm"]["stages_s"], 0, 0.0)))
    if found.cold is None:
        yield _line("First sound, cold start", "not measured (--cold)")
    else:
        yield _line("First sound, cold start", _start(found.cold))
        yield _line("", f"{found.cold.kernels} kernels compiled in {found.cold.kernels_s:.1f} s")


def memory(found: Memory) -> Iterator[Text]:
    """One line a size."""
    for row in found.rows:
        now = "" if row.rss_mib is None else f"{row.rss_mib:.0f} MiB at the first sound, "
        yield _line(f"Memory, {row.tracks} tracks", f"{now}{row.peak_rss_mib:.0f} MiB at most")


def how(report: "Report") -> Text:
    """Say how all this was measured."""
    settings, conditions = report.settings, report.conditions
    said = (
        f"Measured at {settings.rate_hz} Hz on the renderer that plays: {settings.seconds:g} s of sound a row in "
        f"{ROUNDS} rounds over all rows, back to back, after {WARM_S:g} s of warming up; thread scheduled as "
        f"{conditions.scheduling}, no garbage collection. CPU is the thread's processor time, which leaves out what "
        f"other programs took. Each time includes {report.clock_us[0]:.1f} µs (CPU {report.clock_us[1]:.1f} µs) "
        "of reading clocks."
    )
    return Text("\n".join(filter(None, [said, conditions.refused])), style="dim")


def _start(start: Start) -> str:
    stages = ", ".join(f"{name} {_s(seconds)}" for name, seconds in start.stages_s.items())
    return f"{_s(start.total_s)} s: {stages}"


def _table(title: str, left: Sequence[str], right: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def _line(name: str, value: str) -> Text:
    return Text(f"{name:<25}{value}")


def _s(value: float) -> str:
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def _us(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}"
