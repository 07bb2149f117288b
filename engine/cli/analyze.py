"""`roomtone analyze`: who masks whom, in a scene or a folder of stems; what is in a single sound."""

import json
import re
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import (
    DEFAULT_SCENE,
    JsonOption,
    LibraryOption,
    RateOption,
    SeedOption,
    compiling,
    compose,
    interruptible,
    load,
    print_table,
    progress,
)
from engine.cli.picture_files import output_folder, write_pictures
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.analysis.report import Findings
    from engine.analysis.stems import Tracks

HELP = (
    "Tell who masks whom, when and in which bands: among the tracks of a scene, or the sound files of a folder. "
    "Of a single sound file, tell its loudness and the reverberation that is already in it."
)
EXAMPLES = """**Examples**

    roomtone analyze                                 the built-in scene

    roomtone analyze street.yaml --duration 20 --plots pictures

    roomtone render --stems stems && roomtone analyze stems --json

    roomtone analyze takes --importance voice=0.9 --importance music=0.3

    roomtone analyze bell.wav --room church          its reverberation, and what is left for a room to add
"""

DEFAULT_PAIRS = 6
PAIR_FILE = re.compile(r"pair-\d{2,3}-.+\.png")


def analyze(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENE|FOLDER|SOUND]",
            help="A scene file (YAML), the name of a built-in scene, a folder of sound files, one a track, or one "
            "sound file.",
            show_default=False,
        ),
    ] = None,
    plots: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Also draw heat maps, as PNG files.")
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Pairs to draw in --plots, the worst first; 6 if not given."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length, instead of the scene's or the files'.")
    ] = None,
    seed: SeedOption = None,
    rate: RateOption = 48_000,
    importance: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Importance of a file, 0 to 1; 0.5 if not given. Repeatable."
        ),
    ] = None,
    room: Annotated[
        str | None,
        typer.Option(metavar="ROOM", help="The built-in room that a single sound is to be sent to."),
    ] = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse masking, or a single sound."""
    from engine.spec import StreamSpec

    StreamSpec(rate)
    sound = _sound(source)
    if sound is not None:
        scenes = {"--seed": seed, "--library": library}
        _refuse(scenes, "is for scenes", sound)
        both = {"--plots": plots, "--pairs": pairs, "--duration": duration}
        _refuse(both, "is for scenes and folders", sound)
        _refuse({"--importance": importance}, "is for folders", sound)
        from engine.cli.analyze_sound import analyze_sound

        with interruptible():
            analyze_sound(sound, room, rate, as_json)
        return
    _refuse({"--room": room}, "is for a single sound", Path(source or DEFAULT_SCENE))
    if pairs is not None and plots is None:
        raise InputError(Problem("there is no folder to draw them in", "give --plots FOLDER", "--pairs"))
    if plots is not None and not plots.strip():
        raise InputError(Problem("names no folder", "a folder for pictures", "--plots"))
    pictures = Path(plots) if plots is not None else None
    folder = _folder(source)
    if folder is not None:
        _refuse({"--seed": seed, "--library": library}, "is for scenes", folder)
    else:
        _refuse(
            {"--importance": importance},
            "is for folders: a scene says it itself",
            Path(source or DEFAULT_SCENE),
        )
    with interruptible() as stop, output_folder(pictures) if pictures else nullcontext():
        if folder is not None:
            tracks = _read(folder, rate, duration, _importances(importance or []))
        else:
            tracks = _render(source, rate, duration, seed, library)
        from engine.analysis.report import investigate, report

        with progress("analysing") as advance:
            findings = investigate(tracks, lambda done, total: advance("", done, total))
        if all(findings.silent(t) for t in range(len(tracks.names))):
            raise InputError(
                Problem("is silent", "must have something to hear", file=str(source or DEFAULT_SCENE))
            )
        drawn = _draw(findings, DEFAULT_PAIRS if pairs is None else pairs) if pictures else {}
        files = write_pictures(pictures, drawn, stop, PAIR_FILE) if pictures else []
    facts = report(findings)
    if as_json:
        typer.echo(json.dumps(facts | {"files": [str(f) for f in files]}, indent=2, ensure_ascii=False))
        return
    _print(facts)
    for file in files:
        typer.echo(f"wrote {file}")


def _folder(source: str | None) -> Path | None:
    """Return the folder that `source` is, or None for a scene. Raises InputError for anything else."""
    import presets

    if source is None:
        return None
    path = Path(source)
    if path.is_dir():
        return path
    if not path.exists() and str(path) not in presets.scene_names():
        allowed = f"a folder of sounds, a scene file, or one of {', '.join(presets.scene_names())}"
        raise InputError(Problem("is neither a folder nor a scene", allowed, file=str(path)))
    return None


def _sound(source: str | None) -> Path | None:
    """Return the file that `source` is if it is named like a sound, None for anything else."""
    from engine.scene.sounds import SUFFIXES

    path = Path(source or "")
    return path if path.suffix.lower()[1:] in SUFFIXES and path.is_file() else None


def _refuse(options: dict[str, Any], why: str, where: Path) -> None:
    for option, value in options.items():
        if value not in (None, []):
            raise InputError(Problem(f"{option} {why}", "leave it out", file=str(where)))


def _importances(given: Sequence[str]) -> dict[str, float]:
    values = {}
    for text in given:
        name, _, number = text.rpartition("=")
        with suppress(ValueError):
            if name and 0.0 <= float(number) <= 1.0:
                values[name] = float(number)
                continue
        raise InputError(Problem(f"`{text}`", "NAME=VALUE with a value of 0 to 1", "importance"))
    return values


def _read(folder: Path, rate: int, duration: float | None, importance: dict[str, float]) -> "Tracks":
    with compiling():
        from engine.analysis import read_stems
    with progress("reading") as advance:
        return read_stems(folder, rate_hz=rate, duration_s=duration, importance=importance, progress=advance)


def _render(
    source: str | None, rate: int, duration: float | None, seed: int | None, library: list[Path] | None
) -> "Tracks":
    scene, path = load(source, library)
    composition = compose(scene, path, rate_hz=rate, seed=seed, wanted_for="engine.control.tracks")
    from engine.analysis import BandEnergies, Tracks
    from engine.analysis.stems import check_size
    from engine.control.offline import length_frames
    from engine.control.tracks import render_tracks
    from engine.spec import Block

    names = tuple(t.name for t in composition.tracks)
    if len(names) < 2:
        raise InputError(Problem("has a single track", "needs 2 that could mask each other", file=str(path)))
    samples = length_frames(composition, duration)
    check_size(len(names), samples, rate)
    before, after = BandEnergies(len(names), rate), BandEnergies(len(names), rate)

    def take(pre: Block, post: Block) -> None:
        before.push(pre)
        after.push(post)

    with progress("rendering") as advance:
        faults = render_tracks(
            composition, take, duration_s=duration, progress=lambda done, total: advance("", done, total)
        )
    for fault in faults:
        typer.echo(f"fault: {fault}", err=True)
    importance = tuple(t.importance for t in composition.tracks)
    return Tracks(scene.title, names, importance, rate, samples, before.finish(), after.finish())


def _draw(findings: "Findings", pairs: int) -> dict[str, bytes]:
    """Return all pictures by file name, and write none before the last is drawn: an interrupt leaves no half of it."""
    from dsp.bark import EDGES_HZ
    from engine.analysis import pair_map
    from engine.analysis.pairs import weights
    from engine.control.stems import file_names
    from engine.view.heatmaps import matrix_png, over_time_png, pair_png

    tracks, stages = findings.tracks, findings.stages
    titles = dict(zip(stages, _stage_titles(findings), strict=True))
    energies = [tracks.before] + ([] if tracks.after is None else [tracks.after])
    weight = weights(tracks.before)
    worst = findings.worst_pairs(pairs)
    order = sorted(range(len(tracks.names)), key=lambda t: -tracks.importance[t])
    names = [tracks.names[t] for t in order]
    pictures = {}
    with progress("drawing") as advance:
        total = len(worst) + 2
        advance("", 0, total)
        pictures["matrix.png"] = matrix_png(
            f"{tracks.title}: who masks whom",
            tracks.names,
            {titles[s]: m.matrix for s, m in stages.items()},
            [findings.silent(t) for t in range(len(tracks.names))],
        )
        advance("", 1, total)
        pictures["over-time.png"] = over_time_png(
            f"{tracks.title}: how much of each track is masked, the most important first",
            names,
            {titles[s]: m.over_time[order] for s, m in stages.items()},
            tracks.hop_s,
        )
        for number, (j, i) in enumerate(worst, 1):
            advance("", number + 1, total)
            captions = [
                f"{_percent(m.pairs[j, i].share if (j, i) in m.pairs else 0.0)} of {tracks.names[i]} masked, "
                f"{_percent(m.pairs[i, j].share if (i, j) in m.pairs else 0.0)} of {tracks.names[j]}"
                for m in stages.values()
            ]
            maps = {t: pair_map(e, weight, j, i) for t, e in zip(titles.values(), energies, strict=True)}
            name = "-".join(file_names([tracks.names[j], tracks.names[i]]))
            pictures[f"pair-{number:02}-{name}.png"] = pair_png(
                tracks.names[j], tracks.names[i], maps, captions, tracks.hop_s, EDGES_HZ
            )
    return pictures


def _stage_titles(findings: "Findings") -> list[str]:
    return ["before unmasking", "after unmasking"] if findings.after else ["as they are"]


def _print(facts: dict[str, Any]) -> None:
    rows = []
    both = "after" in facts["masked_share"]
    for track in sorted(facts["tracks"], key=lambda t: -t["importance"]):
        before, after = track["before"], track.get("after")
        if before is None:
            rows.append((track["name"], f"{track['importance']:g}", "silent", "", ""))
            continue
        worst = ", ".join(
            f"{w['name']} {100 * w['share']:.0f}" for w in before["worst"] if w["share"] >= 0.005
        )
        bands = ", ".join(f"{low}–{high}" for low, high in before["bands_hz"])
        masked = _change(before["share"], after["share"] if after else None).removesuffix(" %")
        rows.append((track["name"], f"{track['importance']:g}", masked, worst or "nobody", bands))
    print_table(("track", "importance", "masked, %", "most of it by, %", "mainly at, Hz"), rows)
    whole = facts["masked_share"]
    seconds = facts["frames"] / facts["rate"]
    line = f"{facts['title']}: {seconds:.2f} s, {len(facts['tracks'])} tracks"
    if whole["before"] is not None:
        line += f", {_change(whole['before'], whole.get('after'))} masked, weighted by importance"
    typer.echo(line + (" (before → after unmasking)" if both else ""))


def _change(before: float, after: float | None) -> str:
    return _percent(before) if after is None else f"{100 * before:.0f} → {_percent(after)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
