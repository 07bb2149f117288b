"""The command as a whole: its verbs, and what every error looks like."""

import sys
from contextlib import suppress

import typer

from engine.cli import (
    analyze,
    bench,
    check,
    devices,
    label,
    learn,
    library,
    match,
    midi,
    play,
    predict,
    render,
    room,
    scene,
)
from engine.cli.common import abandon_output
from engine.cli.surfaces import with_optional_value
from engine.errors import RoomtoneError

app = typer.Typer(
    name="roomtone",
    help="A real-time engine for soundscapes: every sound audible, all in one room.",
    epilog="Start with `roomtone play`, then `roomtone render --help`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("play", help=play.HELP, epilog=play.EXAMPLES)(play.play)
app.command("render", help=render.HELP, epilog=render.EXAMPLES)(render.render)
app.command("analyze", help=analyze.HELP, epilog=analyze.EXAMPLES)(analyze.analyze)
app.command("room", help=room.HELP, epilog=room.EXAMPLES)(room.room)
app.command("match", help=match.HELP, epilog=match.EXAMPLES)(match.match)
app.command("predict", help=predict.HELP, epilog=predict.EXAMPLES)(predict.predict)
app.command("label", help=label.HELP, epilog=label.EXAMPLES)(label.label)
app.command("bench", help=bench.HELP, epilog=bench.EXAMPLES)(bench.bench)
app.command("devices", help=devices.HELP, epilog=devices.EXAMPLES)(devices.devices)
app.command("check", help=check.HELP, epilog=check.EXAMPLES)(check.check)
app.add_typer(scene.app, name="scene")
app.add_typer(library.app, name="library")
app.add_typer(learn.app, name="learn")
app.add_typer(midi.app, name="midi")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"roomtone {version('roomtone')}")
        raise typer.Exit


@app.callback()
def _top(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """A real-time engine for soundscapes: every sound audible, all in one room."""


def main() -> None:
    """Run the command line; returns through `sys.exit` with 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    try:
        app(with_optional_value(sys.argv[1:]))
    except RoomtoneError as error:
        for line in str(error).splitlines():
            print(f"roomtone: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if not _output_fails():
            raise
        with suppress(OSError):
            reason = error.strerror or error
            print(f"roomtone: standard output: cannot be written ({reason})", file=sys.stderr, flush=True)
        abandon_output()
        sys.exit(1)
    except SystemExit as leaving:
        # typer and rich turn a BrokenPipeError into exit code 1. The reader of our output has gone
        # (`roomtone … | head`): nothing is wrong.
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise
        abandon_output()
        sys.exit(0)


def _output_fails() -> bool:
    """True if not even the end of a line can be printed: then nobody reads it either."""
    try:
        print(flush=True)
    except OSError:
        return True
    return False
