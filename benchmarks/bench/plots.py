"""Pictures of a result, as PNG and SVG. matplotlib is imported when the first one is drawn, and never its pyplot."""

import io
import os
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import InputError, Problem, RoomtoneError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
PANELS_BESIDE = 3
SAFE_SHARE = 0.8
"""Of the budget: what a quantum may take, by the measurement of capacity."""

PERCENTILES = {
    "p50": ("p50", "#0072B2", "o", "-"),
    "p99": ("p99", "#009E73", "s", "-"),
    "p999": ("p99.9", "#E69F00", "^", "-"),
    "max": ("max", "#CC79A7", "v", ":"),
}
"""Key in the document → label, colour, marker, line. The colours are those of Okabe & Ito (2008), which colour-blind
people tell apart."""

PARTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
OTHERS, BUDGET = "0.75", "0.1"
LABELLED_SHARE = 0.07
"""Parts that are this much of a bar have their number in it."""

LEAST_BARS = 3
"""There is room for so many, however few there are."""

SHOWN_PERIODS = 3.0
FORMATS = ("png", "svg")


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what `document` has of quanta, nodes and the callback's jitter; return the files written to `folder`.

    Raises InputError if it has nothing to draw or the folder cannot be made, RoomtoneError if a file cannot be written.
    """
    live = document.get("live")
    jitter = live.get("jitter") if isinstance(live, Mapping) else None
    pictures: dict[str, Callable[[], Figure]] = {}
    if quanta := document.get("quanta"):
        pictures["latency"] = lambda: _latency(quanta)
    if nodes := document.get("nodes"):
        pictures["nodes"] = lambda: _nodes(nodes, document["settings"]["rate_hz"])
    if jitter and sum(jitter["counts"]):
        pictures["jitter"] = lambda: _jitter(jitter)
    if not pictures:
        what = "there is nothing to draw"
        raise InputError(Problem(what, "measure quanta, nodes or a live device", "--plots"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be made ({error.strerror or error})"
        raise InputError(Problem(problem, "a folder for pictures", "--plots", str(folder))) from None
    files = []
    with _style():
        for name, make in pictures.items():
            figure = make()
            figure.supxlabel(_footnote(document), fontsize=8, color="0.25")
            files += [_write(figure, folder / f"{name}.{suffix}") for suffix in FORMATS]
    return files


def _latency(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw what a quantum takes against the tracks, both on logarithmic axes, one panel a quantum."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    quanta = _by_quantum(rows)
    across = min(len(quanta), PANELS_BESIDE)
    down = -(-len(quanta) // across)
    figure = Figure(figsize=(max(7.0, 1.6 + 3.6 * across), 1.2 + 3.4 * down), layout="constrained")
    panels = figure.subplots(down, across, sharey=True, squeeze=False).flatten()
    for axes, (frames, found) in zip(panels, quanta.items(), strict=False):
        tracks = [row["tracks"] for row in found]
        budget_us = found[0]["budget_us"]
        for key, (label, colour, marker, line) in PERCENTILES.items():
            times_us = [row["wall_us"][key] for row in found]
            axes.plot(tracks, times_us, line, color=colour, marker=marker, markersize=5, label=label)
        axes.axhline(budget_us, color=BUDGET, linewidth=1.6, label="budget")
        axes.axhline(SAFE_SHARE * budget_us, color=BUDGET, linewidth=1.0, linestyle="--", label="80 % of it")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(tracks, [str(t) for t in tracks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(which="major", color="0.88", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_title(f"{frames} frames, budget {budget_us:.0f} µs", fontsize=10)
        axes.set_xlabel("tracks")
    for axes in panels[::across]:
        axes.set_ylabel("one quantum, µs")
    for axes in panels[len(quanta) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    figure.suptitle("What a quantum takes, all tracks sounding")
    return figure


def _nodes(rows: Sequence[Mapping[str, Any]], rate_hz: int) -> "Figure":
    """Draw what each step of the plan takes, in µs beside the budget, and as a share of the quantum."""
    from matplotlib.figure import Figure

    quanta = _by_quantum(rows)
    names = _largest_parts(rows)
    figure = Figure(figsize=(10.0, 1.0 + 3.0 * len(quanta)), layout="constrained")
    panels = figure.subplots(len(quanta), 2, squeeze=False)
    for (left, right), (frames, found) in zip(panels, quanta.items(), strict=True):
        budget_us = 1e6 * frames / rate_hz
        heights = [_stack(row, names) for row in found]
        wholes = [sum(stack.values()) for stack in heights]
        _bars(left, found, heights, labelled_above=LABELLED_SHARE * max(*wholes, budget_us))
        left.axhline(budget_us, color=BUDGET, linewidth=1.6)
        left.text(-0.55, budget_us, "budget", fontsize=8, va="bottom")
        left.set_ylim(0.0, 1.12 * max(*wholes, budget_us))
        shares = [
            {name: 100.0 * us / whole for name, us in stack.items()}
            for stack, whole in zip(heights, wholes, strict=True)
        ]
        _bars(right, found, shares, labelled_above=100.0 * LABELLED_SHARE)
        right.set_ylim(0.0, 100.0)
        left.set_ylabel(f"{frames} frames\nmean of a quantum, µs")
        right.set_ylabel("share of the quantum, %")
    for axes in panels[-1]:
        axes.set_xlabel("tracks")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False)
    figure.suptitle("Where the time of a quantum goes, all tracks sounding")
    return figure


def _bars(
    axes: "Axes",
    rows: Sequence[Mapping[str, Any]],
    stacks: Sequence[Mapping[str, float]],
    labelled_above: float,
) -> None:
    places = range(len(rows))
    bottoms = [0.0] * len(rows)
    for number, name in enumerate(stacks[0]):
        colour = PARTS[number] if name != "other" else OTHERS
        heights = [stack[name] for stack in stacks]
        axes.bar(places, heights, 0.8, bottoms, color=colour, edgecolor="white", linewidth=0.6, label=name)
        for place, height in zip(places, heights, strict=True):
            if height >= labelled_above:
                middle = bottoms[place] + 0.5 * height
                axes.text(
                    *(place, middle, f"{height:.0f}"),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if colour == PARTS[0] else "black",
                )
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set_xticks(places, [str(row["tracks"]) for row in rows])
    axes.set_xlim(-0.6, max(len(rows), LEAST_BARS) - 0.4)
    axes.spines[["top", "right"]].set_visible(False)


def _jitter(found: Mapping[str, Any]) -> "Figure":
    """Draw how long the device took from buffer to buffer, counts on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    counts, edges_us = found["counts"], found["edges_us"]
    expected_us = found.get("expected_us")
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.stairs(counts, edges_us, fill=True, color="#0072B2")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(0.5, 2.0 * max(counts))
    axes.set_xlabel("from buffer to buffer, µs")
    axes.set_ylabel("how often")
    title = f"How evenly the device asks: {sum(counts)} intervals"
    if expected_us:
        axes.axvline(expected_us, color="#D55E00", linewidth=1.6)
        axes.text(
            *(expected_us, 1.5 * max(counts), f" {expected_us:.0f} µs expected"),
            color="#A34700",
            fontsize=9,
            va="top",
        )
        most_us = SHOWN_PERIODS * expected_us
        beyond = sum(count for count, end_us in zip(counts, edges_us[1:], strict=True) if end_us > most_us)
        axes.set_xlim(0.0, max(min(edges_us[-1], most_us), 1.5 * expected_us))
        if beyond:
            title += f"\n{beyond} of them beyond the right edge, up to {edges_us[-1]:.0f} µs"
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=11)
    return figure


def _by_quantum(rows: Sequence[Mapping[str, Any]]) -> dict[int, list[Mapping[str, Any]]]:
    """Return the rows of each quantum, both in order of size."""
    ordered = sorted(rows, key=lambda row: (row["quantum_frames"], row["tracks"]))
    return {
        frames: [row for row in ordered if row["quantum_frames"] == frames]
        for frames in dict.fromkeys(row["quantum_frames"] for row in ordered)
    }


def _largest_parts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of as many parts as there are colours, the largest of them in any row, in order of the plan."""
    largest: dict[str, float] = {}
    for row in rows:
        for name, times in row["parts"].items():
            share = times["mean_us"] / row["whole"]["mean_us"]
            largest[name] = max(largest.get(name, 0.0), share)
    kept = sorted(largest, key=lambda name: -largest[name])[: len(PARTS)]
    return [name for name in largest if name in kept]


def _stack(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return what the parts of a row take in µs, those that are not named together."""
    means = {name: times["mean_us"] for name, times in row["parts"].items()}
    named = {name: means.get(name, 0.0) for name in names}
    others = sum(us for name, us in means.items() if name not in names)
    return {**named, "other": others} if len(means) > len(names) else named


def _footnote(document: Mapping[str, Any]) -> str:
    """Return where, with what and when it was measured, as far as it is known."""
    machine = document.get("machine") or {}
    cpu, versions, git = (machine.get(key) or {} for key in ("cpu", "versions", "git"))
    commit = (
        f" {git['commit'][:10]}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else ""
    )
    parts = [
        f"{cpu['model']}, {cpu.get('processors')} processors" if cpu.get("model") else "",
        f"roomtone {versions['roomtone']}{commit}" if versions.get("roomtone") else "",
        machine.get("time") or "",
    ]
    return "   ·   ".join(filter(None, parts))


def _write(figure: "Figure", file: Path) -> Path:
    """Write the picture in the format of its name, whole or not at all."""
    stream = io.BytesIO()
    # Without a date: the same result is the same file.
    figure.savefig(
        stream, format=file.suffix[1:], dpi=DPI, metadata={"Date": None} if file.suffix == ".svg" else None
    )
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(stream.getvalue())
        os.replace(part, file)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RoomtoneError(f"{file}: cannot be written ({error.strerror or error})") from None
    return file


@contextmanager
def _style() -> Iterator[None]:
    """Draw with matplotlib's own settings, whatever the user's are; text in an SVG stays text."""
    import matplotlib.style

    settings = {"text.parse_math": False, "svg.fonttype": "none", "svg.hashsalt": "roomtone"}
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield
