"""`roomtone play`: scenes to the speakers."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from engine.cli.common import (
    DEFAULT_SCENE,
    JsonOption,
    LibraryOption,
    QuantumOption,
    RateOption,
    SeedOption,
    SetOption,
    StopRequest,
    abandon_output,
    compose,
    interruptible,
    library_folders,
    load,
    read_settings,
)
from engine.cli.surfaces import map_files, midi_surface, mistaken_for_port, osc_server
from engine.errors import HostError, InputError, Problem, RoomtoneError

if TYPE_CHECKING:
    from engine.cli.performance import Performance
    from engine.control.midi.surface import MidiSurface
    from engine.control.show import Show
    from engine.scene.composition import Composition
    from engine.scene.schema import Scene

HELP = "Play a scene, without end, through an audio device; without one, silently to the null clock."
EXAMPLES = """**Examples**

    roomtone play                               the built-in scene

    roomtone play street.yaml --device "USB Audio" --record take.wav

    roomtone play street.yaml --watch           good edits are heard

    roomtone play dawn.yaml dusk.yaml           n and p cross over

    roomtone play street.yaml --duration 60 --json

    roomtone play street.yaml --set unmask.delta=on

    roomtone play street.yaml --midi                       all MIDI ports

    roomtone play street.yaml --midi nanoKONTROL2 --midi-map my.yaml

    roomtone play street.yaml --osc 9000                   as in /room/wet_level 0.4

**Keys**

space pauses, ←/→ move 10 s in the scene, home goes to its beginning, n/p cross over to the next or previous scene,
q and Ctrl-C fade out.

↑/↓ choose a parameter. Then ←/→ turn it by a hundredth of its range, with shift (or `<` and `>`) by a tenth, home gives
it the scene's value again, l learns a MIDI control for it, and escape lets go of it.
"""

VIEW_INTERVAL_S = 0.08
MIN_DURATION_S, MAX_DURATION_S = 0.1, 86_400.0
MAX_CROSSFADE_S = 600.0

SceneArguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SCENE]...", help="Scene files (YAML), or names of built-in scenes.", show_default=False
    ),
]


def play(
    scenes: SceneArguments = None,
    duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Stop by itself after that long, 0.1 to 86400.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keep what is played: .wav or .flac, and FILE.json of how it went."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Take over edits of the scene's file while it plays.")
    ] = False,
    crossfade: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long crossing over to another scene takes.")
    ] = 4.0,
    start: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Where in the scene to begin.", min=0.0, max=MAX_DURATION_S),
    ] = 0.0,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Part of a name from `roomtone devices`.")
    ] = None,
    input_device: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="NAME", help="Where live inputs come from; left out, the same device."
        ),
    ] = None,
    driver: Annotated[
        Literal["auto", "portaudio", "null"], typer.Option(help="`null` plays silently at the right pace.")
    ] = "auto",
    safety: Annotated[int, typer.Option(min=1, max=64, help="Quanta the engine is ahead of the device.")] = 2,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Go further ahead after every under-run, up to 16 quanta.")
    ] = False,
    buffer: Annotated[
        int | None,
        typer.Option(metavar="FRAMES", min=8, max=8192, help="The device's buffer, where it can be set."),
    ] = None,
    latency: Annotated[
        str,
        typer.Option(metavar="low|high|MS", help="What the device is asked for, in milliseconds or a word."),
    ] = "low",
    midi: Annotated[
        str | None,
        typer.Option(
            metavar="[PORT]",
            help="Take MIDI from the ports with PORT in their name, from all of them if it is left out; `virtual` "
            "makes a port for other programs. See `roomtone midi list`.",
        ),
    ] = None,
    midi_map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="What the controls do, instead of the maps for the ports there are; repeatable. "
            "See `roomtone midi map`.",
        ),
    ] = None,
    osc: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="Listen to OSC at this UDP port of this machine."
        ),
    ] = None,
    osc_host: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="Listen to OSC there, not on this machine alone; 0.0.0.0 is everywhere."
        ),
    ] = None,
    seed: SeedOption = None,
    rate: RateOption = 48_000,
    quantum: QuantumOption = 128,
    set_: SetOption = None,
    library: LibraryOption = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where incidents are noted, one JSON object a line.")
    ] = None,
    spare: Annotated[
        bool, typer.Option("--spare/--no-spare", help="Keep a second engine process ready to take over.")
    ] = True,
    view: Annotated[
        bool, typer.Option("--view/--no-view", help="The live view; off where there is no terminal.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Play scenes."""
    from engine.spec import StreamSpec

    StreamSpec(rate, quantum)
    _check_seconds("duration", duration, MIN_DURATION_S, MAX_DURATION_S)
    _check_seconds("crossfade", crossfade, 0.0, MAX_CROSSFADE_S)
    asked_latency = _read_latency(latency)
    settings = read_settings(set_)
    if midi_map and midi is None:
        raise InputError(Problem("there is no MIDI to map", "give --midi as well", "--midi-map"))
    if osc_host is not None and osc is None:
        raise InputError(Problem("there is no OSC to listen to", "give --osc PORT as well", "--osc-host"))
    maps = map_files(midi_map)
    names = scenes or [DEFAULT_SCENE]
    with interruptible() as stop:
        loaded, path = load(names[0], library)
        inputs = max(scene.input_channels for scene in (loaded, *(load(n, library)[0] for n in names[1:])))
        composition = compose(loaded, path, rate_hz=rate, seed=seed, wanted_for="engine.control.show")
        from engine.cli.performance import Performance
        from engine.control.show import Show
        from engine.scene.composition import compose as compose_scene

        with stop.held():  # its memory is shared: it has to be complete to be removed
            show = Show(
                composition,
                quantum_frames=quantum,
                device=device,
                driver=driver,
                safety_quanta=safety,
                adapt=adapt,
                buffer_frames=buffer,
                latency=asked_latency,
                input_device=input_device,
                input_channels=inputs,
                record=record,
                settings=settings,
                log=log if log is not None else "default",
                spare=spare,
            )

        def ready(scene: "Scene") -> "Composition":
            return compose_scene(scene, rate_hz=rate, seed=seed, reuse=show.composition.materials)

        performance = Performance(show, names, lambda place: ready(load(names[place], library)[0]), crossfade)
        try:
            with ExitStack() as around:
                # Before the show, so that nothing that is played on them is lost.
                try:
                    surface = _surfaces(performance, around, midi, maps, osc, osc_host or "127.0.0.1")
                except BaseException:
                    show.close()
                    raise
                around.enter_context(show)
                stop.raises = False
                if start:
                    show.seek(round(start * rate))
                if duration is not None:
                    show.stop(at_frame=round(duration * rate))
                if watch:
                    for place, name in enumerate(names):
                        around.enter_context(
                            _scene_watch(performance, place, load(name, library)[1], library, ready)
                        )
                # Called first of all, so that the watches have nothing left to do.
                around.callback(performance.close)
                seen = view and sys.stdout is not None and sys.stdout.isatty() and not as_json
                interrupted = _run(performance, stop, seen, str(record or ""))
            show.check()
        except RoomtoneError:
            if show.recording:
                typer.echo(f"roomtone: what was played until then is in {show.recording}", err=True)
            raise
    try:
        from engine.cli.play_report import report

        report(show, interrupted, as_json, surface.counters() if surface is not None else None)
    except OSError:
        # After a hang-up there is no terminal left to report to.
        if not stop.requested:
            raise
        abandon_output()


def _surfaces(
    performance: "Performance",
    around: ExitStack,
    midi: str | None,
    maps: list[Path],
    osc: int | None,
    osc_host: str,
) -> "MidiSurface | None":
    """Have the show played by OSC and MIDI, where it is asked for, until `around` ends."""
    if osc is not None:
        around.enter_context(osc_server(performance, osc, osc_host))
    if midi is None:
        return None
    surface = midi_surface(performance, midi, maps)
    try:
        around.enter_context(surface)
    except HostError as error:
        raise mistaken_for_port(midi, error) from None
    performance.learn = surface.learn
    return surface


def _scene_watch(
    performance: "Performance",
    place: int,
    path: Path,
    library: list[Path] | None,
    ready: Callable[["Scene"], "Composition"],
) -> AbstractContextManager[object]:
    """Watch one of the files; an edit is heard while its scene is the one that plays, else when it is gone to."""
    from engine.control.watch import SceneWatch

    def edit(scene: "Scene") -> None:
        performance.edit(place, path.name, lambda: ready(scene))

    return SceneWatch(path, library_folders(library), edit, performance.refuse)


def _check_seconds(field: str, seconds: float | None, least: float, most: float) -> None:
    if seconds is not None and not least <= seconds <= most:
        raise InputError(Problem(f"{seconds:g} seconds", f"{least:g} to {most:g}", field))


def _read_latency(text: str) -> float | Literal["low", "high"]:
    """Return a word as it is, milliseconds in seconds."""
    if text in ("low", "high"):
        return cast("Literal['low', 'high']", text)
    try:
        ms = float(text)
    except ValueError:
        ms = -1.0
    if not 0.0 < ms <= 2000.0:
        raise InputError(Problem(f"{text!r}", "low, high, or milliseconds up to 2000", "latency"))
    return ms / 1e3


def _run(performance: "Performance", stop: StopRequest, view: bool, recording: str) -> bool:
    """Play until it stops by itself (False) or is stopped (True)."""
    show = performance.show
    said = 0
    try:
        try:
            if view:
                _watch(performance, stop, recording)
            else:
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
    newest, count = show.incidents.since(said)
    for incident in newest:
        typer.echo(f"roomtone: {incident.text}", err=True)
    return count


def _watch(performance: "Performance", stop: StopRequest, recording: str) -> None:
    from rich.live import Live

    from engine.cli.keys import Keys
    from engine.cli.live_state import Maskers, live_state
    from engine.view.live import live_view

    show = performance.show
    maskers = Maskers()
    with (
        Keys() as keys,
        Live(refresh_per_second=1.0 / VIEW_INTERVAL_S, auto_refresh=False, screen=True) as live,
    ):
        while not (show.stopped or stop.requested):
            state = live_state(show, recording, maskers, performance.keys, performance.knob.lines())
            live.update(live_view(state, live.console.height), refresh=True)
            show.wait(VIEW_INTERVAL_S)
            if not all(performance.key(key) for key in keys.read()):
                return
