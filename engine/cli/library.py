"""`roomtone library`: folders of sounds that scenes take from by label."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import (
    Interrupted,
    JsonOption,
    LibraryOption,
    SeedOption,
    compiling,
    interruptible,
    library_folders,
    print_table,
    progress,
)
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.scene.library import Entry, Library
    from engine.scene.retrieval import Match

EXAMPLES = """**Examples**

    roomtone library add ~/sounds                 from now on for every scene

    roomtone library scan                         measure what is new or has changed

    roomtone library list

    roomtone library find tiger                   what a scene would take for `label: tiger`, and what else there is

    roomtone library find rain --loop --json

    roomtone render street.yaml --library ./takes

**Labels** come from the names of files: `dog_bark-03.wav` is "dog bark"; numbers, separators and words such as "loop"
or "stereo" do not count, and `dogs/01.wav` is "dogs". A file `dog_bark-03.yaml` beside it may say more, all of it
optional: `label`, `synonyms`, `tags`, `credit`, `licence`, `role` (object or atmo), `rating` (0 to 5), `votes`,
`downloads`, `loopable`, `rt60_s`.

**What a scene takes** for an object without `sound`: a file of that label or a synonym; else the procedural sound of
that label; else what is nearest in the taxonomy of sounds, up to four steps (tiger -> big cat -> roaring cat ->
animal), a file before a procedural sound. Among files the score decides: nearness, rating, downloads, length, room;
among equal scores the scene's seed.
"""

app = typer.Typer(
    help="Folders of sounds that scenes take from by label: add, remove, scan, list, find.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

FOUND = 20
"""How many matches `find` shows."""

FolderArguments = Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders of sounds.")]


@app.command("add")
def add(folders: FolderArguments) -> None:
    """Have folders searched for every scene, after those of --library.

    Example: `roomtone library add ~/sounds`
    """
    from engine.control.library_folders import add_folders

    _say(add_folders(folders))


@app.command("remove")
def remove(folders: FolderArguments) -> None:
    """Search folders no more; nothing in them is touched.

    Example: `roomtone library remove ~/sounds`
    """
    from engine.control.library_folders import remove_folders

    _say(remove_folders(folders))


@app.command("scan")
def scan(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]…", help="Instead of all library folders.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the sounds that are new or have changed: length, loudness, bands. What cannot be read is named.

    Examples: `roomtone library scan`, `roomtone library scan ~/sounds --json`
    """
    try:
        with interruptible():
            read = _read(folders or library, library_only=bool(folders))
            with compiling():
                import dsp.loudness  # noqa: F401
                from engine.scene.feature_store import FeatureStore
                from engine.scene.library_features import scan as scan_entries
            with progress("measuring") as advance:
                done = scan_entries(read.entries, FeatureStore(), advance)
    except Interrupted:
        raise Interrupted("interrupted; what was measured until then is kept") from None
    problems = [*read.problems, *done.problems]
    if as_json:
        figures = {
            "folders": [_shown(folder) for folder in read.folders],
            "files": done.files,
            "measured": done.measured,
            "recognised": done.recognised,
            "unchanged": done.unchanged,
            "left_out": [_as_data(problem) for problem in problems],
        }
        typer.echo(json.dumps(figures, indent=2, ensure_ascii=False))
        return
    for problem in problems:
        typer.echo(f"left out: {problem}", err=True)
    typer.echo(
        f"{done.files} sounds: {done.measured} measured, {done.recognised} recognised by their content, "
        f"{done.unchanged} unchanged; {len(problems)} left out"
    )


@app.command("list")
def list_sounds(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """List the sounds with what is known of them.

    Example: `roomtone library list --library ./takes --json`
    """
    from engine.scene.feature_store import FeatureStore
    from engine.scene.library_features import fault_of, features_of

    read = _read(library)
    known = features_of(FeatureStore(), read.entries)
    rows = [_row(entry, known.get(entry.path, {})) for entry in read.entries]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    faults = [fault_of(known[e.path], e) for e in read.entries if "fault" in known.get(e.path, {})]
    for problem in (*read.problems, *faults):
        typer.echo(f"left out: {problem}", err=True)
    if not rows:
        typer.echo("no sounds")
        return
    print_table(
        ["Label", "File", "Length (s)", "Loudness (LUFS)", "Channels", "Licence", "RT60 (s)"],
        [
            [
                str(row["label"]) or "-",
                str(row["file"]),
                _text(row["duration_s"], 2),
                _text(row["loudness_lufs"], 1),
                _text(row["channels"], 0),
                row["licence"] or "-",
                _text(row["rt60_s"], 2),
            ]
            for row in rows
        ],
    )
    if len(known) < len(rows):
        typer.echo(f"{len(rows) - len(known)} are not measured yet: roomtone library scan")


@app.command("find")
def find(
    label: Annotated[str, typer.Argument(help="What a scene would have as `label`.")],
    library: LibraryOption = None,
    seed: SeedOption = 0,
    loop: Annotated[bool, typer.Option("--loop", help="For a track that loops: long sounds first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a scene takes for a label, and every other match, the best first.

    Examples: `roomtone library find "dog bark"`, `roomtone library find tiger --seed 7 --json`
    """
    from engine.errors import SoundError
    from engine.scene.sounds import Lookup, SynthSound

    _check_label(label)
    lookup = Lookup(library_folders(library), seed or 0)
    with compiling():
        matches = lookup.finder.matches(label, loops=loop)
        chosen = lookup.find(label, loops=loop)
    if chosen is None:
        raise SoundError(Problem(*lookup.fault(label, None)))
    place = f"synth:{chosen.name}" if isinstance(chosen, SynthSound) else matches[0].entry.shown
    way = chosen.found.way if chosen.found else (label,)
    if as_json:
        node = lookup.finder.taxonomy.node(_words(label))
        data = {
            "label": label,
            "chosen": place,
            "way": list(way),
            "gap_s": list(node.gap) if node is not None and node.gap else None,
            "matches": [_match(match) for match in matches],
        }
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{' -> '.join(way)}: {place}")
    if matches:
        print_table(
            ["Score", "File", "Way", "Why"],
            [
                [f"{m.score:.3f}", m.entry.shown, " -> ".join(m.way), ", ".join(m.why)]
                for m in matches[:FOUND]
            ],
        )
    if len(matches) > FOUND:
        typer.echo(f"and {len(matches) - FOUND} more")


def _check_label(label: str) -> None:
    from engine.scene.labels import MAX_LABEL
    from engine.scene.reader import shorten

    if len(label) > MAX_LABEL or not _words(label) or not label.isprintable():
        raise InputError(Problem(f'"{shorten(label)}"', f"a label of 1 to {MAX_LABEL} characters", "LABEL"))


def _words(label: str) -> tuple[str, ...]:
    from engine.scene.labels import words

    return words(label)


def _read(folders: Sequence[Path] | None, library_only: bool = False) -> "Library":
    """Return what lies in the folders; raises InputError where there is none."""
    from engine.scene.library import read_library

    wanted = tuple(folders or ()) if library_only else library_folders(folders)
    if not wanted:
        raise InputError(
            Problem("there is no library folder", "give a folder, or `roomtone library add FOLDER`")
        )
    for folder in folders or ():
        if not folder.is_dir():
            raise InputError(Problem("no such folder", "a folder of sounds", file=_shown(folder)))
    return read_library(wanted)


def _row(entry: "Entry", measured: dict[str, Any]) -> dict[str, Any]:
    told = entry.sidecar
    return {
        "label": entry.label,
        "file": entry.shown,
        "folder": _shown(entry.folder),
        "duration_s": measured.get("duration_s"),
        "loudness_lufs": measured.get("loudness_lufs"),
        "channels": measured.get("channels"),
        "rate_hz": measured.get("rate_hz"),
        "dominant_bands": measured.get("dominant_bands"),
        "licence": told.licence,
        "credit": told.credit,
        "rt60_s": measured.get("rt60_s") if told.rt60_s is None else told.rt60_s,
        "synonyms": list(told.synonyms),
        "tags": list(told.tags),
        "role": told.role,
        "rating": told.rating,
        "fault": measured.get("fault"),
    }


def _match(match: "Match") -> dict[str, Any]:
    return {
        "file": match.entry.shown,
        "folder": _shown(match.entry.folder),
        "label": match.entry.label,
        "score": match.score,
        "way": list(match.way),
        "up": match.up,
        "down": match.down,
        "why": list(match.why),
    }


def _as_data(problem: Problem) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "field": problem.field, "what": problem.what}


def _shown(path: Path) -> str:
    from engine.scene.reader import shorten

    return shorten(str(path), 4096)


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _say(folders: Sequence[Path]) -> None:
    for folder in folders:
        typer.echo(str(folder))
    if not folders:
        typer.echo("no library folders")
