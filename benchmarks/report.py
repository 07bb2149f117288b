"""Runs the suite for `benchmarks.unmasking` and prints what came out, as tables or as JSON."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import suite
from benchmarks.trial import (
    CONDITIONS,
    FADERS_ONLY,
    NAMED_FADERS,
    Figures,
    Interval,
    Trial,
    goal_values,
    run_trial,
    scenes_won,
    summary,
)
from engine.cli.common import progress
from engine.errors import InputError, Problem

SHORTEST_S, LONGEST_S = 1.0, 120.0

HEADINGS = (
    *("", "ratio weighted", "ratio important", "audible %", "relative", "fully masked %"),
    *("LU lost important", "LU lost others", "SI-SDR dB", "deepest cut dB", "mean cut dB"),
)


def measure(options: argparse.Namespace) -> None:
    """Run what the command line asks for."""
    if not SHORTEST_S <= options.seconds <= LONGEST_S:
        allowed = f"{SHORTEST_S:g} to {LONGEST_S:g}"
        raise InputError(Problem(f"{options.seconds:g} seconds", allowed, "--seconds"))
    if options.plots and not options.pareto:
        raise InputError(Problem("there is nothing to draw", "give --pareto too", "--plots"))
    names, skipped = _scenes(options)
    if options.pareto:
        _pareto(options, names, skipped)
    else:
        _trials(options, names, skipped)


def _scenes(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the scenes to run, and why others cannot be."""
    known = suite.scene_names()
    wanted = options.scenes or known
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(
            [Problem(f'no scene is called "{n}"', ", ".join(known), "--scenes") for n in unknown]
        )
    reasons = {name: suite.missing(name, options.library) for name in wanted}
    names = [name for name, reason in reasons.items() if not reason]
    skipped = [reason for reason in reasons.values() if reason]
    if not names:
        raise InputError([Problem(f"skipped {reason}", field="--scenes") for reason in skipped])
    return names, skipped


def _trials(options: argparse.Namespace, names: Sequence[str], skipped: Sequence[str]) -> None:
    conditions = FADERS_ONLY if options.quick else CONDITIONS
    trials: list[Trial] = []
    steps = len(conditions) + 2
    with progress("unmasking") as bar:
        for number, name in enumerate(names):
            done = iter(range(number * steps, (number + 1) * steps))

            def advance(what: str, name: str = name, done: Any = done) -> None:
                bar(f"{name}: {what}", next(done), len(names) * steps)

            trials.append(
                run_trial(
                    name,
                    seconds=options.seconds,
                    library=options.library,
                    conditions=conditions,
                    advance=advance,
                )
            )
    if options.json:
        print(json.dumps(_as_json(trials, skipped), indent=2))
        return
    for trial in trials:
        _print_table(f"{trial.scene}, {trial.tracks} tracks", [_row(c, f) for c, f in trial.figures.items()])
    _print_summary(trials)
    for reason in skipped:
        print(f"skipped {reason}")


def _row(title: str, f: Figures) -> list[str]:
    return [
        title,
        f"{f['weighted_ratio']:.3f}",
        f"{f['important_ratio']:.3f}",
        f"{100 * f['audible_before']:.1f} → {100 * f['audible_after']:.1f}",
        f"{100 * f['audible_gain']:+.1f} %",
        f"{100 * f['fully_masked_before']:.1f} → {100 * f['fully_masked_after']:.1f}",
        f"{f['important_lost_lu']:.2f}",
        f"{f['others_lost_lu']:.2f}",
        f"{f['si_sdr_db']:.1f}",
        f"{f['deepest_cut_db']:.2f}",
        f"{f['mean_cut_db']:.2f}",
    ]


def _print_table(title: str, rows: Sequence[Sequence[str]], headings: Sequence[str] = HEADINGS) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*row)
    # In a file or a pipe a table is as wide as it needs to be.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _print_summary(trials: Sequence[Trial]) -> None:
    groups = {
        "procedural": [t for t in trials if not t.scene.startswith(suite.RECORDED)],
        "recorded": [t for t in trials if t.scene.startswith(suite.RECORDED)],
    }
    if all(groups.values()):
        for title, group in groups.items():
            _print_table(f"mean of {len(group)} {title} scenes", _mean_rows(group))
    _print_table(f"mean of all scenes run: {len(trials)}", _mean_rows(trials))
    found = summary(trials)
    shown = ("weighted_ratio", "important_ratio", "audible_gain", "fully_masked_change", "others_lost_lu")
    _print_table(
        "means with 95 % bootstrap intervals over scenes",
        [[c, *(_interval(found[c][figure]) for figure in shown)] for c in found],
        (
            "",
            "ratio weighted",
            "ratio important",
            "audible, relative",
            "fully masked, change",
            "LU lost others",
        ),
    )
    for fader, title in NAMED_FADERS.items():
        print(
            f"unmask beats the fader ({title}) in {scenes_won(trials, fader)} of {len(trials)} scenes by the ratio of "
            f"important tracks, in {scenes_won(trials, fader, 'weighted_ratio')} by the weighted ratio"
        )
    _print_table(
        "goals",
        [
            [g.title, f"{'≥' if g.at_least else '≤'} {g.limit:g}", f"{value:.3f}", "yes" if met else "no"]
            for g, value, met in goal_values(trials)
        ],
        ("", "goal", "reached", ""),
    )


def _mean_rows(trials: Sequence[Trial]) -> list[list[str]]:
    return [
        _row(condition, {figure: interval.mean for figure, interval in figures.items()})
        for condition, figures in summary(trials).items()
    ]


def _interval(i: Interval) -> str:
    return f"{i.mean:.3f} ({i.low:.3f} … {i.high:.3f})"


def _as_json(trials: Sequence[Trial], skipped: Sequence[str]) -> Mapping[str, Any]:
    return {
        "scenes": {t.scene: {"tracks": t.tracks, **t.figures} for t in trials},
        "means": {
            condition: {figure: dataclasses.asdict(interval) for figure, interval in figures.items()}
            for condition, figures in summary(trials).items()
        },
        "scenes_won": {
            title: {f: scenes_won(trials, fader, f) for f in ("important_ratio", "weighted_ratio")}
            for fader, title in NAMED_FADERS.items()
        },
        "goals": [
            {"goal": g.title, "limit": g.limit, "at_least": g.at_least, "value": value, "reached": met}
            for g, value, met in goal_values(trials)
        ],
        "skipped": list(skipped),
    }


def _pareto(options: argparse.Namespace, names: Sequence[str], skipped: Sequence[str]) -> None:
    from benchmarks import pareto

    steps = len(names) * (len(pareto.VARIANTS) + 1)
    with progress("unmasking") as bar:
        done = iter(range(steps))
        found = pareto.points(
            names,
            seconds=options.seconds,
            library=options.library,
            advance=lambda what: bar(what, next(done), steps),
        )
    drawn = pareto.draw(found, options.plots) if options.plots else None
    if options.json:
        print(
            json.dumps({"points": [dataclasses.asdict(p) for p in found], "skipped": list(skipped)}, indent=2)
        )
        return
    fields = (
        "lost_lu",
        "important_ratio",
        "weighted_ratio",
        "audible_gain",
        "important_lost_lu",
        "others_lost_lu",
    )
    _print_table(
        f"masking against loudness, mean of {len(names)} scenes",
        [[f"{p.name} ({p.kind})", *(f"{getattr(p, f):.3f}" for f in fields)] for p in found],
        (
            "",
            *("LU lost", "ratio important", "ratio weighted", "audible, relative"),
            "important LU",
            "others LU",
        ),
    )
    for reason in skipped:
        print(f"skipped {reason}")
    if drawn:
        print(f"drew {drawn}")
