"""`roomtone render`: a scene to a file."""

import json
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.common import (
    JsonOption,
    LibraryOption,
    RateOption,
    SceneArgument,
    SeedOption,
    compose,
    interruptible,
    load,
    progress,
)
from engine.errors import InputError, Problem

HELP = "Render a scene to a file, as fast as it goes, with the very samples that `play` plays."
EXAMPLES = """**Examples**

    roomtone render                                  the built-in scene to rainy-street.wav

    roomtone render street.yaml -o street.flac --seed 8

    roomtone render street.yaml --endless --duration 60 -o minute.wav

    roomtone render street.yaml --stems stems --json
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
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length, instead of the scene's.")
    ] = None,
    endless: Annotated[
        bool,
        typer.Option(
            "--endless", help="The first --duration seconds of what `play` plays, without an ending."
        ),
    ] = False,
    seed: SeedOption = None,
    rate: RateOption = 48_000,
    quantum: Annotated[
        int | None, typer.Option(help="Frames rendered at a time, 16 to 2048; changes nothing but the speed.")
    ] = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Render a scene to a file."""
    from engine.spec import StreamSpec

    StreamSpec(rate, 128 if quantum is None else quantum)
    loaded, path = load(scene, library)
    if output is None and not as_json:
        output = Path(f"{path.stem}.wav")
        if output.exists():
            raise InputError(
                Problem("exists already", "name a file with -o to write over it", file=str(output))
            )
    with interruptible():
        composition = compose(loaded, path, rate_hz=rate, seed=seed, wanted_for="engine.control.bounce")
        from engine.control.bounce import bounce

        with progress("rendering") as advance:
            result = bounce(
                composition,
                output=output,
                stems=stems,
                duration_s=duration,
                endless=endless,
                quantum_frames=quantum,
                keep_samples=False,
                progress=lambda done, total: advance("", done, total),
            )
    report = result.report()
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    for fault in result.faults:
        typer.echo(f"fault: {fault}", err=True)
    events = sum(len(t["events"]) for t in report["tracks"])
    typer.echo(
        f"{loaded.title}: {result.frames / rate:.2f} s, {len(report['tracks'])} tracks, {events} events, "
        f"{result.integrated_lufs:.1f} LUFS, {result.true_peak_dbtp:.1f} dBTP, {result.realtime_factor:.0f} x real time"
    )
    typer.echo(f"wrote {output}" + (f" and stems in {stems}" if stems else ""))
