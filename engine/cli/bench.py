"""`roomtone bench`: what this machine can do."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.common import JsonOption, RateOption, compiling, interruptible, progress
from engine.errors import InputError, Problem

HELP = "Measure what this machine can do: time of a quantum, tracks until overload, latency, start, memory."
EXAMPLES = """**Examples**

    roomtone bench                                   about a minute

    roomtone bench --tracks 64 --quantum 32,64,128,256,512,1024 --only quanta,latency

    roomtone bench --only capacity --quantum 64

    roomtone bench --cold --json > bench.json

    roomtone bench --save before                     and after a change:

    roomtone bench --compare before --plots pictures

    roomtone bench --only latency --peers            beside other programs, as ratios

    roomtone bench --only latency --live --minutes 5 --device "USB Audio"

    roomtone bench --only latency --contend 2 --callback

**What is measured** is the default graph of a scene on the very renderer that plays, with noise in every track and each
track of another importance: all filters and all bells work, all the time. The budget of a quantum is how long it lasts.
Figures of a shared machine drift, so all rows are measured in turns, several times; `figures` in the JSON has the
values of each time. Parts for `--only`: quanta, nodes, capacity, latency, overhead, offline, allocations, starts,
memory.
"""

WIDTH = 100
"""Columns of the tables where there is no terminal to say it."""

STEPS = 1000


def bench(
    tracks: Annotated[
        list[str] | None,
        typer.Option(metavar="T,…", help="Sizes of banks; repeatable. Default 8,32,128,512."),
    ] = None,
    quantum: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FRAMES,…", help="Frames rendered at a time, 16 to 2048; repeatable. Default 128."
        ),
    ] = None,
    rate: RateOption = 48_000,
    seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="Sound that is measured of each bank at each quantum.")
    ] = 4.0,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART,…", help="Only these parts, see below; repeatable."),
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Also start with nothing compiled, which takes up to a minute.")
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Also play on a device: round trip by a sweep that comes back over a cable (or JACK's own "
            "connections), under-runs, how evenly the device asks.",
        ),
    ] = False,
    contend: Annotated[
        int | None,
        typer.Option(metavar="N", help="Also play beside N busy Python threads in the control process."),
    ] = None,
    callback: Annotated[
        bool,
        typer.Option("--callback", help="With --contend, also what it would be in a Python callback."),
    ] = False,
    minutes: Annotated[
        float, typer.Option(metavar="MINUTES", help="How long --live and --contend play.")
    ] = 0.2,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of a name from `roomtone devices`.")
    ] = None,
    input_device: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="NAME", help="Where the sound comes back; left out, the same device."
        ),
    ] = None,
    safety: Annotated[int, typer.Option(min=1, max=64, help="Quanta the engine is ahead of the device.")] = 2,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Also the same work by other programs that are installed, as ratios."),
    ] = False,
    save: Annotated[str | None, typer.Option(metavar="NAME", help="Keep the result under this name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="--save replaces what has that name.")] = False,
    compare: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Compare with a result that was kept, or the file of one."),
    ] = None,
    plots: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Draw it, as PNG and SVG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what this machine can do."""
    from benchmarks.bench import store
    from benchmarks.bench.live_setting import LiveSetting
    from benchmarks.bench.settings import PARTS, QUANTA, TRACKS, Settings

    banks, quanta = _numbers(tracks, "--tracks"), _numbers(quantum, "--quantum")
    quanta = quanta or QUANTA
    settings = Settings(
        banks or TRACKS,
        quanta,
        rate,
        seconds,
        cold,
        _words(only) or PARTS,
        peers=peers,
        live=live,
        contend=contend,
        callback=callback,
        minutes=minutes,
    )
    if live or contend is not None:
        played = LiveSetting(
            device, input_device, rate_hz=rate, quantum_frames=quanta[0], safety_quanta=safety
        )
        settings = replace(settings, device=played)
    then = store.load(compare) if compare is not None else None
    if save is not None:
        store.check_free(save, force)
    with interruptible():
        with compiling():
            from benchmarks.bench.measurements import measurements
            from benchmarks.bench.report import run
        # A bar that is drawn by a thread would take the interpreter from what is measured.
        with progress("measuring", threaded=False) as advance:
            report = run(
                settings,
                measurements(settings),
                lambda what, share: advance(what, round(STEPS * share), STEPS),
            )
    from benchmarks.bench.machine import describe

    document = report.as_json(machine=describe())
    if save is not None:
        store.save(save, document, force)
    if plots is not None:
        from benchmarks.bench.plots import draw

        drawn = draw(document, plots)
    comparison = None
    if then is not None:
        from benchmarks.bench.compare import compare as compare_results

        comparison = compare_results(store.Result.of(document, "now"), then)
    if as_json:
        more = {} if comparison is None else {"comparison": comparison.as_json()}
        typer.echo(json.dumps(document | more, indent=2, ensure_ascii=False, allow_nan=False))
        return
    _print(report.text())
    if comparison is not None:
        from benchmarks.bench.compare_text import lines

        _print(lines(comparison))
    if save is not None:
        typer.echo(f"kept as {save}: `roomtone bench --compare {save}`")
    if plots is not None:
        typer.echo(f"drew {', '.join(file.name for file in drawn)} in {plots}")


def _words(given: list[str] | None) -> tuple[str, ...]:
    """Return the words of a repeatable list with commas."""
    return tuple(word.strip() for text in given or () for word in text.split(",") if word.strip())


def _numbers(given: list[str] | None, option: str) -> tuple[int, ...]:
    """Return its whole numbers; raises InputError for anything else."""
    numbers = []
    for word in _words(given):
        try:
            numbers.append(int(word))
        except ValueError:
            raise InputError(Problem(f"`{word}`", "whole numbers, as in 8,32", option)) from None
    if given and not numbers:
        raise InputError(Problem("names nothing", "whole numbers, as in 8,32", option))
    return tuple(numbers)


def _print(lines: Iterable[object]) -> None:
    from rich.console import Console

    console = Console()
    if not console.file.isatty():
        console.width = WIDTH
    for line in lines:
        console.print(line)
