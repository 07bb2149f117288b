"""`roomtone midi`: which ports there are, what they send, which control turns what."""

import json
import queue
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import JsonOption, interruptible, print_table
from engine.errors import HostError, InputError, Problem

if TYPE_CHECKING:
    from engine.control.midi.map_schema import Binding, MidiMap
    from engine.control.midi.messages import Message

app = typer.Typer(
    help="List MIDI ports, watch what they send, learn controls, show and check maps.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

MOST_LINES = 10_000
"""So many messages wait to be printed; of a flood the rest is only counted."""

MAX_DURATION_S = 86_400.0

PortArgument = Annotated[
    str | None,
    typer.Argument(metavar="[PORT]", help="Part of a name from `roomtone midi list`; every port without it."),
]
ApiOption = Annotated[
    str,
    typer.Option(
        "--api",
        metavar="auto|alsa|jack|coremidi|winmm",
        envvar="ROOMTONE_MIDI_API",
        help="How the system is spoken to; `auto` takes ALSA on Linux, or JACK where there is no ALSA sequencer.",
    ),
]

LIST_EXAMPLES = """**Examples**

    roomtone midi list

    roomtone midi list --api jack --json
"""
MONITOR_EXAMPLES = """**Examples**

    roomtone midi monitor

    roomtone midi monitor nano --duration 10

    roomtone midi monitor --virtual --json      other programs connect to it
"""
LEARN_EXAMPLES = """**Examples**

    roomtone midi learn room.wet_level

    roomtone midi learn mix.car.panning --port nano

    roomtone midi learn "trim.{track}.level_db" --track 2
"""
MAP_EXAMPLES = """**Examples**

    roomtone midi map                   the maps there are

    roomtone midi map korg-nanokontrol2

    roomtone midi map my.yaml --check   exit code 2 if it has mistakes
"""


@app.command("list", epilog=LIST_EXAMPLES)
def list_midi(api: ApiOption = "auto", as_json: JsonOption = False) -> None:
    """List the MIDI ports, as `--port` and `monitor` take them."""
    from dataclasses import asdict

    from engine.control.midi.ports import list_ports

    found = list_ports(api)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    elif not found.inputs and not found.outputs:
        typer.echo(
            found.problem or f"no MIDI port found ({found.api}); plug one in, and it is opened at once"
        )
    else:
        rows = [[name, found.api, way] for way, names in _ways(found.inputs, found.outputs) for name in names]
        print_table(["Name", "API", "Direction"], rows)


@app.command("monitor", epilog=MONITOR_EXAMPLES)
def monitor(
    port: PortArgument = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Make a port that other programs connect to.")
    ] = False,
    duration: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop by itself after that long.", min=0.1, max=MAX_DURATION_S),
    ] = None,
    api: ApiOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Print each message as it comes, until Ctrl-C. Ports may come and go."""
    from engine.control.midi.messages import MessageParser
    from engine.control.midi.ports import MidiPorts

    lines: queue.SimpleQueue[tuple[str, bytes, float] | str] = queue.SimpleQueue()
    left_out = 0

    def take(name: str, data: bytes, at_s: float) -> None:
        nonlocal left_out
        if lines.qsize() < MOST_LINES:
            lines.put((name, data, at_s))
        else:
            left_out += 1

    parsers: dict[str, MessageParser] = {}
    with interruptible() as stop:
        stop.raises = False
        ports = MidiPorts(
            take,
            name=port,
            virtual=virtual,
            api=api,
            on_appeared=lambda name: lines.put(f"{name}: open"),
            on_gone=lambda name: lines.put(f"{name}: gone"),
            on_notice=lines.put,
        )
        begin_s = time.monotonic()
        with ports:
            if not ports.ports:
                lines.put("no MIDI input yet; waiting for one")
            until_s = begin_s + (duration or MAX_DURATION_S * 365)
            while not stop.requested and time.monotonic() < until_s:
                with suppress(queue.Empty):
                    line = lines.get(timeout=0.1)
                    if isinstance(line, str):
                        typer.echo(f"roomtone: {line}", err=True)
                        continue
                    name, data, at_s = line
                    for message in parsers.setdefault(name, MessageParser()).feed(data):
                        typer.echo(_told(name, message, at_s - begin_s, as_json))
    if left_out:
        typer.echo(f"roomtone: {left_out} messages came too fast to be printed", err=True)


@app.command("learn", epilog=LEARN_EXAMPLES)
def learn(
    parameter: Annotated[
        str, typer.Argument(help="A name from `roomtone scene params`; `{track}` in it stands for `--track`.")
    ],
    port: Annotated[
        str | None, typer.Option(metavar="NAME", help="Listen to the ports with that in their names only.")
    ] = None,
    track: Annotated[
        str | None, typer.Option(metavar="NAME|NUMBER", help="Which track `{track}` is, from 1.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for a control.", min=1.0, max=600.0)
    ] = 30.0,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Make a port that other programs connect to.")
    ] = False,
    api: ApiOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Bind the control that is moved next to a parameter, and save that at once."""
    from engine.control.midi.learn import Learned, Learner
    from engine.control.midi.map_file import learned_path, save_binding
    from engine.control.midi.ports import MidiPorts

    learner = Learner()
    learner.arm(parameter, track=int(track) if track is not None and track.isdecimal() else track)
    found: queue.SimpleQueue[Learned] = queue.SimpleQueue()

    def look() -> None:
        learned = learner.result(time.monotonic())
        if learned is not None:
            found.put(learned)

    def say(text: str) -> None:
        typer.echo(f"roomtone: {text}", err=True)

    with interruptible() as stop:
        ports = MidiPorts(learner.take, look, name=port, virtual=virtual, api=api, on_notice=say)
        stop.raises = False
        with ports:
            where = ", ".join(ports.ports) or "any port that appears"
            say(f"move the control for {parameter} ({where}) …")
            until_s = time.monotonic() + timeout
            while found.empty() and not stop.requested and time.monotonic() < until_s:
                time.sleep(0.02)
        if stop.requested:
            raise KeyboardInterrupt
        if found.empty():
            raise HostError(f"no control was moved far enough within {timeout:g} s; nothing was learned")
        learned = found.get()
        path = learned_path()
        save_binding(path, learned.binding)
    if as_json:
        binding = learned.binding.model_dump(by_alias=True, exclude_defaults=True)
        typer.echo(json.dumps({"port": learned.port, "file": str(path), "binding": binding}, indent=2))
    else:
        control, target, how = _row(learned.binding)
        more = f", {how}" if how else ""
        typer.echo(f"{control} of {learned.port} turns {target}{more}; saved in {path}")


@app.command("map", epilog=MAP_EXAMPLES)
def show_map(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FILE]", help="A map's name or its file; without it all are listed."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it is right; exit code 2 if not.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show or check MIDI maps: which control turns which parameter."""
    from engine.control.midi.maps import config_folder, find_map, load_map, map_names
    from engine.errors import MapError

    problems: list[Problem] = []
    maps: list[tuple[str, str, MidiMap]] = []
    for one in [name] if name is not None else map_names():
        path = find_map(one)
        try:
            maps.append((one, str(path), load_map(path)))
        except MapError as error:
            problems.extend(error.problems)
    if as_json and not check:
        typer.echo(json.dumps([_as_json(*each) for each in maps], indent=2, ensure_ascii=False))
    elif check:
        for _, path_text, each in maps:
            typer.echo(f"{path_text}: {each.title}: {len(each.bindings)} bindings, fine")
    elif name is None:
        rows = [[n, m.title, ", ".join(m.ports) or "any", str(len(m.bindings))] for n, _, m in maps]
        print_table(["Name", "Title", "Ports", "Bindings"], rows)
        typer.echo(f"Your own go to {config_folder()}")
    else:
        for _, path_text, each in maps:
            typer.echo(f"{each.title} ({path_text}); ports: {', '.join(each.ports) or 'any'}\n{each.source}")
            print_table(
                ["Control", "Turns or does", "How"], [list(_row(binding)) for binding in each.bindings]
            )
    if problems:
        raise InputError(problems)


def _ways(inputs: tuple[str, ...], outputs: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [("in", inputs), ("out", outputs)]


def _as_json(name: str, path: str, found: "MidiMap") -> dict[str, Any]:
    data = found.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return {"name": name, "file": path, **data}


def _row(binding: "Binding") -> tuple[str, str, str]:
    """Return a binding as its control, what it turns or does, and how."""
    kind = binding.kind
    numbers = binding.numbers
    names = {"cc": "CC", "cc14": "14-bit CC", "nrpn": "NRPN", "note": "note"}
    control = names.get(kind, kind.replace("_", " "))
    if kind in names:
        control += f" {numbers[0]}" if len(numbers) == 1 else f"s {numbers[0]} to {numbers[-1]}"
    if binding.channel == "each":
        control += ", channel n for track n"
    elif binding.channel != "any":
        control += f", channel {binding.channel}"
    which = binding.track if binding.track is not None else binding.scene
    target = binding.parameter or (binding.action or "").replace("_", " ")
    if which is not None:
        target = f"{target} ({which})" if binding.parameter else f"{target} {which}"
    lo_hi = f"{binding.range[0]:g} to {binding.range[1]:g}" if binding.range else ""
    shown = "shows the value" if binding.feedback else ""
    takeover = "jumps" if binding.takeover == "jump" else ""
    mode = binding.mode if binding.mode not in (None, "absolute") else ""
    return control, target, ", ".join(filter(None, (mode, lo_hi, binding.curve, takeover, shown)))


def _told(port: str, message: "Message", at_s: float, as_json: bool) -> str:
    from engine.control.midi import messages as midi

    names = {
        midi.NOTE_OFF: "note off",
        midi.NOTE_ON: "note on",
        0xA0: "key pressure",
        midi.CONTROL_CHANGE: "CC",
        midi.PROGRAM_CHANGE: "program",
        midi.CHANNEL_PRESSURE: "pressure",
        midi.PITCH_BEND: "pitch bend",
        midi.CLOCK: "clock",
        midi.START: "start",
        midi.CONTINUE: "continue",
        midi.STOP: "stop",
    }
    kind = names.get(message.kind, f"status {message.status:#04x}")
    if as_json:
        told = {"time_s": round(at_s, 6), "port": port, "kind": kind, **message._asdict()}
        return json.dumps({**told, "channel": message.channel}, ensure_ascii=False)
    match message.kind:
        case midi.PROGRAM_CHANGE:
            what = f"program {message.data1 + 1}"
        case midi.CHANNEL_PRESSURE:
            what = f"pressure = {message.data1}"
        case midi.PITCH_BEND:
            what = f"pitch bend = {(message.data2 << 7 | message.data1) - 8192:+d}"
        case kind_ if kind_ < midi.SYSEX:
            what = f"{kind} {message.data1} = {message.data2}"
        case _:
            what = kind
    channel = f"  channel {message.channel}" if message.channel else ""
    return f"{at_s:9.3f}  {port}  {what}{channel}"
