"""`roomtone render`: a scene to a file."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import (
    JsonOption,
    LibraryOption,
    SceneArgument,
    SeedOption,
    SetOption,
    compose,
    interruptible,
    load,
    progress,
    read_settings,
)
from engine.cli.instances import OutputFile, compose_again, find_instance, write_instance, write_jams
from engine.cli.picture_files import output_folder, write_pictures
from engine.errors import InputError, Problem, RoomtoneError

if TYPE_CHECKING:
    from engine.control.take import Take
    from engine.view.mix_data import MixPicture

DEFAULT_RATE_HZ = 48_000

HELP = "Render a scene to a file, as fast as it goes, with the very samples that `play` plays."
EXAMPLES = """**Examples**

    roomtone render                                  the built-in scene to rainy-street.wav

    roomtone render street.yaml -o street.flac --seed 8

    roomtone render street.yaml --endless --duration 60 -o minute.wav

    roomtone render street.yaml --stems stems --json

    roomtone render street.yaml --masking masking.json -o street.wav

    roomtone render street.yaml --set unmask.delta=on -o taken-away.wav

    roomtone render street.yaml --set unmask.amount=0.5 --set room.wet_level=0 -o half.wav

    roomtone render street.yaml --moves take.wav.json -o again.wav

    roomtone render street.yaml --explain --plots pictures -o street.wav

    roomtone render street.yaml --instance street.json --jams street.jams -o street.wav

    roomtone render street.json -o the-same.wav

**The instance file** holds all that was drawn: the scene in full, every event with its fields, what was done to place
it, and a SHA-256 of every sound. Given instead of a scene it is rendered again bit for bit; a sound that has changed is
refused by name, and if other samples come out, the exit code is 1. `--jams` writes what sounds when for other programs.

**A take again**: `--moves` renders what was played and recorded with `play --record take.wav`, with every move of a
parameter at its frame; seed, rate, length and quantum are the take's. If other samples come out, the exit code is 1.

**The masking file** is JSON: what the unmasking sees, every `hop_s` seconds. Shares, 0 to 1, are of what matters of a
track: `buried` is how much of it the others hide, `maskers` are the three who hide most, `pairs` all of them as
`[masker][maskee]`, in the order of `tracks`. They are means over the time the maskee is active (`active_s`), before and
after unmasking; `seconds` is how long a masker hides a tenth or more. `bands_hz` are the edges of the 25 bands of
`mean_cut_db_by_band`, over the active time, and of `cut_db`: a row every `cut_hop_s` seconds, the deepest cut of that
time; long renders have longer rows. A track is in cut while it is cut by more than 0.5 dB.
"""


def render(
    scene: SceneArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="WAV (32-bit float) or FLAC (24 bits); default SCENE.wav, with --json no file.",
        ),
    ] = None,
    stems: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Also write every track before (pre/) and after (post/) unmasking."
        ),
    ] = None,
    masking: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write who masks whom, before and after unmasking (.json)."),
    ] = None,
    masking_bands: Annotated[
        bool, typer.Option("--masking-bands", help="In --masking, every pair in every band as well.")
    ] = False,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length, instead of the scene's.")
    ] = None,
    endless: Annotated[
        bool,
        typer.Option(
            "--endless", help="The first --duration seconds of what `play` plays, without an ending."
        ),
    ] = False,
    moves: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Play a take again, from the file beside the recording: take.wav.json."
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Also draw the timeline and the spectrogram of the mix (PNG, SVG)."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell how every track comes to its level, and why.")
    ] = False,
    instance: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write all that was drawn, to render it again (.json)."),
    ] = None,
    jams: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write what sounds when as JAMS 0.3.4 (.jams).")
    ] = None,
    seed: SeedOption = None,
    rate: Annotated[
        int | None, typer.Option(help="Sample rate in Hz; default 48000.", show_default=False)
    ] = None,
    quantum: Annotated[
        int | None, typer.Option(help="Frames rendered at a time, 16 to 2048; changes nothing but the speed.")
    ] = None,
    set_: SetOption = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render a scene to a file."""
    from engine.spec import StreamSpec

    take = _read_take(moves, duration=duration, endless=endless, set_=set_) if moves is not None else None
    for option, file in {"--instance": instance, "--jams": jams}.items():
        if file is not None and (endless or take is not None):
            other = "--endless" if endless else "--moves"
            raise InputError(Problem("only the finite form has one", f"leave it out with {other}", option))
    again = find_instance(scene, duration=duration, endless=endless, moves=moves, seed=seed, rate=rate)
    if again is not None:
        rate, quantum = again[0].rate, again[0].quantum if quantum is None else quantum
    rate = rate if rate is not None else take.rate if take is not None else DEFAULT_RATE_HZ
    seed = seed if seed is not None or take is None else take.seed
    StreamSpec(rate, 128 if quantum is None else quantum)
    if masking_bands and masking is None:
        raise InputError(
            Problem("there is no file to write them to", "give --masking FILE", "--masking-bands")
        )
    settings = read_settings(set_)
    with interruptible() as stop, ExitStack() as files:
        settings = (again[0].settings if again else {}) | settings
        loaded, path = load(scene, library) if again is None else (None, again[1])
        if output is None and not as_json:
            output = Path(f"{path.stem}.wav")
            if output.exists():
                raise InputError(
                    Problem("exists already", "name a file with -o to write over it", file=str(output))
                )
        if masking is not None:
            _keep_apart(masking, path, output, stems)
        apart = {"the scene": path, "what -o names": output, "what --masking names": masking}
        apart |= {"what --stems names": stems}
        kept = OutputFile(instance, ".json", apart) if instance is not None else None
        apart |= {"what --instance names": instance}
        marks = OutputFile(jams, ".jams", apart) if jams is not None else None
        for opened in (kept, marks):
            if opened is not None:
                files.enter_context(opened)
        if plots is not None:
            files.enter_context(output_folder(plots))
        if again is not None:
            composition = compose_again(*again, library)
        else:
            assert loaded is not None
            composition = compose(loaded, path, rate_hz=rate, seed=seed, wanted_for="engine.control.bounce")
        for opened in (kept, marks):
            if opened is not None:
                composition.spare(opened.path)
        if take is not None and moves is not None:
            take.check_fits(composition, moves)
        if silent := [track.name for track in composition.tracks if track.input_channels]:
            typer.echo(f"roomtone: {', '.join(silent)}: a live input is silent in a render", err=True)
        from engine.control.bounce import bounce
        from engine.control.offline import length_frames

        if take is None and not endless:
            composition = composition.finite(length_frames(composition, duration))
        report = None
        if masking is not None:
            from engine.control.masking_report import MaskingReport

            report = files.enter_context(MaskingReport(masking, composition, bands=masking_bands))
        log = None
        if plots is not None:
            from engine.control.picture_log import PictureLog

            frames = take.frames if take is not None else length_frames(composition, duration, endless)
            log = PictureLog(composition, frames)
        with progress("rendering") as advance:
            if report is not None:
                report.progress = lambda done, total: advance("masking", done, total)
            result = bounce(
                composition,
                output=output,
                stems=stems,
                duration_s=duration,
                endless=endless,
                quantum_frames=quantum,
                keep_samples=False,
                progress=lambda done, total: advance("", done, total),
                observers=[observer for observer in (report, log) if observer is not None],
                measuring=lambda done, total: advance("its loudness", done, total),
                settings=settings,
                take=take,
            )
        if kept is not None:
            write_instance(kept, result, settings, result.report())
        if marks is not None:
            write_jams(marks, result.composition)
        drawn = (
            write_pictures(plots, _draw(log.picture), stop) if plots is not None and log is not None else []
        )
    figures = result.report()
    if drawn:
        figures["files"] = [str(file) for file in drawn]
    if explain:
        from engine.scene.explain import decisions
        from engine.scene.explain import explain as explained

        figures["explain"] = explained(composition)
        figures["decisions"] = decisions(composition)
    if take is not None:
        figures["same_as_take"] = result.sha256 == take.sha256
    if again is not None and not set_:
        figures["same_as_instance"] = result.sha256 == again[0].sha256
    changed = not (figures.get("same_as_take", True) and figures.get("same_as_instance", True))
    if as_json:
        typer.echo(json.dumps(figures, indent=2, ensure_ascii=False))
        raise typer.Exit(1 if changed else 0)
    if explain:
        from engine.cli.explain import print_decisions, print_explanation

        print_explanation(figures["explain"])
        print_decisions(figures["decisions"])
    for fault in result.faults:
        typer.echo(f"fault: {fault}", err=True)
    if result.loudness_note:
        typer.echo(f"loudness: {result.loudness_note}", err=True)
    events = sum(len(t["events"]) for t in figures["tracks"])
    typer.echo(
        f"{composition.scene.title}: {result.frames / rate:.2f} s, {len(figures['tracks'])} tracks, {events} events, "
        f"{result.integrated_lufs:.1f} LUFS, {result.true_peak_dbtp:.1f} dBTP, "
        f"{result.loudness_range_lu:.1f} LU range, {result.realtime_factor:.0f} x real time"
    )
    also = [f"masking in {masking}"] if masking else []
    also += [f"stems in {stems}"] if stems else []
    also += [f"pictures in {plots}"] if plots else []
    also += [f"the instance in {instance}"] if instance else []
    also += [f"JAMS in {jams}"] if jams else []
    typer.echo(" and ".join([f"wrote {output}", *also]))
    if changed:
        whose = "take" if take is not None else "instance"
        raise RoomtoneError(
            f"these are not the samples of the {whose}: has a sound, or the program, changed?"
        )
    if again is not None and not set_:
        typer.echo("the samples are those of the instance")
    if take is not None:
        typer.echo(f"{len(take.moves)} moves; the samples are those of the take")


def _draw(mix: "MixPicture") -> dict[str, bytes]:
    """Return both pictures, by file name."""
    from engine.view.mix_pictures import spectrogram, timeline

    pictures: dict[str, bytes] = {}
    with progress("drawing") as advance:
        for number, draw in enumerate((timeline, spectrogram)):
            advance("", number, 2)
            pictures |= {f"{draw.__name__}.{suffix}": data for suffix, data in draw(mix).items()}
    return pictures


def _read_take(moves: Path, **others: object) -> "Take":
    """Return the take in the file `moves`; raises InputError if it is asked for something else at the same time."""
    from engine.control.take import Take

    for name, value in others.items():
        if value is not None and value is not False:
            raise InputError(
                Problem("the take has its own", "leave it out with --moves", f"--{name.strip('_')}")
            )
    return Take.read(moves)


def _keep_apart(masking: Path, scene: Path, output: Path | None, stems: Path | None) -> None:
    """Refuse to write the masking over the scene or over what else is written."""
    taken = {"the scene": scene, "what -o names": output, "what --stems names": stems}
    for what, path in taken.items():
        if path is not None and os.path.realpath(masking) == os.path.realpath(path):
            raise InputError(Problem(f"is {what}", "must be another file", file=str(masking)))
