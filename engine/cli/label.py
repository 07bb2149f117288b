"""`roomtone label`: names for the sounds of a folder by what they are taken for."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import (
    Interrupted,
    JsonOption,
    ModelOption,
    compiling,
    interruptible,
    print_table,
    progress,
)
from engine.errors import InputError, Problem, RoomtoneError

if TYPE_CHECKING:
    from engine.learn.label import Labels

HELP = "Name the sounds of a folder by the instrument they are taken for: track7.wav becomes guitar.wav."
EXAMPLES = """**Examples**

    roomtone label takes                       show what would be renamed, and touch nothing

    roomtone label takes --apply

    roomtone label takes --undo                take the last --apply back

    roomtone label takes --all --json

    roomtone label takes --model mixes.npz     by instruments and equipment of own mixes, see `roomtone learn fit`

Only **generic names** such as `track1`, `Audio 3` or `07` are replaced, with `--all` every one. A sound gets the name
of its instrument, else of its family, and of its equipment where that is known: `guitar.wav`, or `guitar-1.wav` where
there are several. A sound that could be many things is left as it is, and the reason is told.

**Nothing is overwritten.** Sidecars (`track1.yaml`, `track1.credit.txt`) go with their sound. What is renamed is first
written to `.roomtone-label.json` in the folder, so that `--undo` takes even an interrupted run back. Scenes that name a
sound by its old name have to be changed.
"""


class Unfinished(RoomtoneError):
    """Not all could be undone."""


def label(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder of the sounds.", show_default=False)
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Rename them.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last --apply back.")] = False,
    every_name: Annotated[
        bool, typer.Option("--all", help="Also those that have a name of their own.")
    ] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name sounds."""
    if apply and undo:
        raise InputError(Problem("--apply and --undo", "one of the two", "roomtone label"))
    if not os.path.isdir(folder):
        raise InputError(Problem("no such folder", "a folder of sounds", file=_shown(str(folder))))
    if undo:
        _undo(folder, as_json)
        return
    with interruptible():
        labels = _hear(folder, every_name, model)
    if apply and labels.renamings:
        _apply(folder, labels)
    if as_json:
        typer.echo(json.dumps(_as_data(folder, labels, apply), indent=2, ensure_ascii=False))
    else:
        _print(labels, apply)


def _hear(folder: Path, every_name: bool, model: Path | None) -> "Labels":
    with compiling():
        from engine.learn.label import find_labels
        from engine.learn.mix_settings import MixSettings
        from engine.learn.own_file import load_own_model
        from engine.learn.predict import predict
        from engine.media.decode import decode_as_is
        from engine.scene.sounds import SUFFIXES

    own = None if model is None else load_own_model(model)

    def hear(sound: Path) -> MixSettings:
        decoded = decode_as_is(sound)
        return predict(decoded.samples, decoded.rate_hz, own=own)

    try:
        sounds = [path for path in folder.iterdir() if path.suffix.lower().lstrip(".") in SUFFIXES]
    except OSError as error:
        raise InputError(Problem(f"cannot be read ({error.strerror})", file=_shown(str(folder)))) from None
    with progress("listening") as advance:
        return find_labels(folder, sounds, hear, every_name=every_name, progress=advance)


def _apply(folder: Path, labels: "Labels") -> None:
    from engine.learn.renaming import begin, rename

    done, whole = 0, len(labels.renamings)
    try:
        with interruptible() as stop, progress("renaming") as advance:
            begin(folder, [move for renaming in labels.renamings for move in renaming.moves])
            for renaming in labels.renamings:
                advance(renaming.old, done, whole)
                with stop.held():
                    for old, new in renaming.moves:
                        rename(folder, old, new)
                    done += 1
    except Interrupted:
        raise Interrupted(f"interrupted; {_so_far(folder, done, whole)}") from None
    except InputError as error:
        last = error.problems[-1]
        more = Problem(
            last.what, f"{last.allowed}; {_so_far(folder, done, whole)}".lstrip("; "), file=last.file
        )
        raise InputError([*error.problems[:-1], more]) from None


def _so_far(folder: Path, done: int, whole: int) -> str:
    return f"{done} of {whole} are renamed: `roomtone label {_shown(str(folder))} --undo` takes it back"


def _undo(folder: Path, as_json: bool) -> None:
    from engine.learn.renaming import undo

    back: list[tuple[str, str]] = []
    with interruptible() as stop, stop.held():
        problems = undo(folder, lambda new, old: back.append((new, old)))
    if as_json:
        data: dict[str, Any] = {"folder": _shown(str(folder))}
        data["undone"] = [{"from": _shown(new), "to": _shown(old)} for new, old in back]
        data["left"] = [{"file": _shown(p.file), "why": p.what} for p in problems]
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        for new, old in back:
            typer.echo(f"{_shown(new)} → {_shown(old)}")
        typer.echo(f"{len(back)} files have their old names back")
    if problems:
        raise Unfinished("\n".join(map(str, problems)))


def _print(labels: "Labels", applied: bool) -> None:
    if labels.renamings:
        print_table(
            ["Sound", "New name", "Taken for", "Confidence", "By", "With it"],
            [
                [
                    _shown(r.old),
                    r.new,
                    r.taken_for,
                    f"{100 * r.confidence:.0f} %",
                    r.source,
                    ", ".join(_shown(old) for old, _ in r.moves[1:]) or "-",
                ]
                for r in labels.renamings
            ],
        )
    for name, why in labels.left:
        typer.echo(f"left: {_shown(name)}: {_shown(why)}")
    count = len(labels.renamings)
    sounds = "1 sound" if count == 1 else f"{count} sounds"
    if applied:
        typer.echo(f"{sounds} renamed")
    else:
        typer.echo(f"{sounds} would be renamed" + ("; --apply does it" if count else ""))


def _as_data(folder: Path, labels: "Labels", applied: bool) -> dict[str, Any]:
    return {
        "folder": _shown(str(folder)),
        "applied": applied,
        "renamed": [
            {
                "from": _shown(r.old),
                "to": r.new,
                "taken_for": r.taken_for,
                "confidence": round(r.confidence, 3),
                "source": r.source,
                "with_it": [{"from": _shown(old), "to": new} for old, new in r.moves[1:]],
            }
            for r in labels.renamings
        ],
        "left": [{"file": _shown(name), "why": _shown(why)} for name, why in labels.left],
    }


def _shown(text: str) -> str:
    from engine.scene.reader import shorten

    return shorten(text, 4096)
