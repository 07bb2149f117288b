"""`roomtone play`: a scene to the speakers."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.cli.common import (
    JsonOption,
    LibraryOption,
    QuantumOption,
    RateOption,
    SceneArgument,
    SeedOption,
    SetOption,
    StopRequest,
    abandon_output,
    compose,
    interruptible,
    load,
    read_settings,
)
from engine.errors import InputError, Problem, RoomtoneError

if TYPE_CHECKING:
    from engine.control.show import Show

HELP = "Play a scene, without end, through an audio device; without one, silently to the null clock."
EXAMPLES = """**Examples**

    roomtone play                                    the built-in scene

    roomtone play street.yaml --device "USB Audio" --record take.wav

    roomtone play street.yaml --duration 60 --json

    roomtone play street.yaml --set unmask.delta=on  only what the unmasking takes away

    roomtone play street.yaml --set unmask.amount=0.5 --set room.wet_level=0
"""

VIEW_INTERVAL_S = 0.08
MIN_DURATION_S, MAX_DURATION_S = 0.1, 86_400.0


def play(
    scene: SceneArgument = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop by itself after that long, 0.1 to 86400.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what is played: .wav or .flac.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of a name from `roomtone devices`.")
    ] = None,
    driver: Annotated[
        Literal["auto", "portaudio", "null"], typer.Option(help="`null` plays silently at the right pace.")
    ] = "auto",
    safety: Annotated[int, typer.Option(min=1, max=64, help="Quanta the engine is ahead of the device.")] = 4,
    seed: SeedOption = None,
    rate: RateOption = 48_000,
    quantum: QuantumOption = 128,
    set_: SetOption = None,
    library: LibraryOption = None,
    view: Annotated[
        bool, typer.Option("--view/--no-view", help="The live view; off where there is no terminal.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Play a scene."""
    from engine.spec import StreamSpec

    StreamSpec(rate, quantum)
    if duration is not None and not MIN_DURATION_S <= duration <= MAX_DURATION_S:
        allowed = f"{MIN_DURATION_S:g} to {MAX_DURATION_S:g}"
        raise InputError(Problem(f"{duration:g} seconds", allowed, "duration"))
    settings = read_settings(set_)
    with interruptible() as stop:
        loaded, path = load(scene, library)
        composition = compose(loaded, path, rate_hz=rate, seed=seed, wanted_for="engine.control.show")
        from engine.control.show import Show

        with stop.held():  # its memory is shared: it has to be complete to be removed
            show = Show(
                composition,
                quantum_frames=quantum,
                device=device,
                driver=driver,
                safety_quanta=safety,
                record=record,
                settings=settings,
            )
        try:
            with show:
                stop.raises = False
                if duration is not None:
                    show.stop(at_frame=round(duration * rate))
                seen = view and sys.stdout is not None and sys.stdout.isatty() and not as_json
                interrupted = _run(show, stop, seen, str(record or ""))
            show.check()
        except RoomtoneError:
            if show.recording:
                typer.echo(f"roomtone: what was played until then is in {show.recording}", err=True)
            raise
    try:
        _report(show, interrupted, as_json)
    except OSError:
        # After a hang-up there is no terminal left to report to.
        if not stop.requested:
            raise
        abandon_output()


def _run(show: "Show", stop: StopRequest, view: bool, recording: str) -> bool:
    """Play until it stops by itself (False) or is interrupted (True)."""
    said = 0
    try:
        try:
            if view:
                _watch(show, stop, recording)
            while not (show.stopped or stop.requested):
                show.wait(VIEW_INTERVAL_S)
                said = _say(show, said)
        finally:
            _say(show, said)
    except OSError:
        if not stop.requested:
            raise
        abandon_output()
    return not show.stopped


def _say(show: "Show", said: int) -> int:
    for text in show.notices[said:]:
        typer.echo(f"roomtone: {text}", err=True)
    return len(show.notices)


def _watch(show: "Show", stop: StopRequest, recording: str) -> None:
    from rich.live import Live

    from engine.cli.live_state import Maskers, live_state
    from engine.view.live import live_view

    maskers = Maskers()
    with Live(refresh_per_second=1.0 / VIEW_INTERVAL_S, auto_refresh=False, screen=True) as live:
        while not (show.stopped or stop.requested):
            view = live_view(live_state(show, recording, maskers), live.console.height)
            live.update(view, refresh=True)
            show.wait(VIEW_INTERVAL_S)


def _report(show: "Show", interrupted: bool, as_json: bool) -> None:
    """Say how it went; after the show, from its last statistics."""
    statistics = show.statistics()
    report = {
        "scene": show.composition.scene.title,
        "seed": show.composition.seed,
        "rate": show.spec.rate_hz,
        "quantum": show.spec.quantum_frames,
        "driver": show.driver,
        "device": show.device,
        "frames": statistics.frame_rendered,
        "underruns": statistics.underruns,
        "underrun_frames": statistics.underrun_frames,
        "late_quanta": statistics.late_quanta,
        "load_mean": round(statistics.load_mean, 4),
        "load_max": round(statistics.load_max, 4),
        "ring_minimum_frames": statistics.ring_minimum_frames,
        "interrupted": interrupted,
        "recording": str(show.recording) if show.recording else None,
        "notices": show.notices,
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"played {statistics.frame_rendered / show.spec.rate_hz:.1f} s of {report['scene']} on {show.device}, "
        f"load {100 * statistics.load_mean:.0f} % (max {100 * statistics.load_max:.0f} %), "
        f"under-runs {statistics.underruns}"
    )
    if show.recording:
        typer.echo(f"wrote {show.recording}")
