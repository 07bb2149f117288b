"""`roomtone check`: whether this machine is fit to play."""

import json
import shutil
import textwrap
from collections.abc import Sequence

import typer

from engine.cli.common import JsonOption, RateOption, interruptible, progress
from engine.finding import Finding

HELP = "Tell whether this machine is fit to play: rights, audio devices, clock, cache, disk; and what to do about it."
EXAMPLES = """**Examples**

    roomtone check

    roomtone check --rate 44100

    roomtone check --json

Exit code 1 if it cannot play at all, 0 if it can, with warnings as well.
"""

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}
LEAST_COLUMNS = 60


def check(rate: RateOption = 48_000, as_json: JsonOption = False) -> None:
    """Look at the machine."""
    with interruptible(), progress("looking at") as advance:
        from engine.control.fitness import look

        findings = look(rate, advance)
    fit = all(finding.state != "failed" for finding in findings)
    if as_json:
        told = {"fit": fit, "rate": rate, "findings": [finding.as_json() for finding in findings]}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(findings, rate)
    if not fit:
        raise typer.Exit(1)


def _print(findings: Sequence[Finding], rate: int) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    # In a pipe every point is one line, its remedy another.
    columns = max(LEAST_COLUMNS, shutil.get_terminal_size().columns) if console.is_terminal else 0
    names = max(len(finding.name) for finding in findings)
    for finding in findings:
        first, *more = _fold(finding.text, columns - names - 11)
        line = Text.assemble(
            (f"{finding.state:<8} ", STYLES[finding.state]), f"{finding.name:<{names}}  ", first
        )
        remedy = _fold(f"→ {finding.remedy}", columns - names - 11) if finding.remedy else []
        for text in (line, *(Text(" " * (names + 11) + part) for part in (*more, *remedy))):
            console.print(text)
    console.print(Text(f"\n{_verdict(findings, rate)}"))


def _fold(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, columns, break_on_hyphens=False) if columns > 0 else [text]


def _verdict(findings: Sequence[Finding], rate: int) -> str:
    failed = [finding.name for finding in findings if finding.state == "failed"]
    warnings = sum(finding.state == "warning" for finding in findings)
    more = f"{warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    if failed:
        text = f"this machine cannot play at {rate} Hz as it is: {', '.join(failed)}"
        return f"{text}; {more}" if more else text
    return f"this machine can play at {rate} Hz, with {more}" if more else "this machine is fit to play"
