"""`roomtone room`: what the parameters of a room mean, and what its reverberation really does."""

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import JsonOption, RateOption, compiling, print_table
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.scene.rooms import RoomPreset
    from engine.scene.schema import Room

HELP = "Show what room parameters mean, and measure what comes out; `roomtone room list` lists the built-in rooms."
EXAMPLES = """**Examples**

    roomtone room list

    roomtone room church

    roomtone room church --damping 0.2 --wet 0.4

    roomtone room --size 0.3 --damping 0.6 --json

**What is measured** is the impulse response that the node of the room renders: T30 in octaves (ISO 3382-1), the
direct-to-reverberant ratio for pink noise, K-weighted, and the correlation of the two channels. T_mid is the mean of
500 Hz and 1 kHz. Targets: T_mid is 0.25 s at size 0 and 6 s at size 1, in equal ratios; 4 kHz lasts T_mid times 0.5 to
the power of damping; DRR is -20 log10(wet); correlation is 1 - width.
"""


def room(
    preset: Annotated[
        str | None,
        typer.Argument(metavar="[ROOM|list]", help="A built-in room, or `list`.", show_default=False),
    ] = None,
    size: Annotated[float | None, typer.Option(help="Size: 0.25 s to 6 s.", show_default=False)] = None,
    damping: Annotated[float | None, typer.Option(help="Damping of the treble.", show_default=False)] = None,
    wet: Annotated[float | None, typer.Option(help="Level of the room.", show_default=False)] = None,
    width: Annotated[float | None, typer.Option(help="Stereo width.", show_default=False)] = None,
    rate: RateOption = 48_000,
    engine: Annotated[
        str | None, typer.Option(help="What makes the reverberation: freeverb or fdn.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a room: what is wanted and what is measured."""
    if preset == "list":
        _list(as_json)
        return
    from engine.scene.schema import Scene

    given = {"room_size": size, "damping": damping, "wet_level": wet, "width": width}
    _check(given, engine)
    data: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    setup = {"preset": preset, "engine": engine}
    data["room"] = {name: value for name, value in setup.items() if value is not None}
    found = None
    if preset is not None:
        from engine.scene.rooms import load_room

        found = load_room(preset)
    else:
        data["room_detected"] = True
    _show(Scene.model_validate(data).room, found, preset, rate, as_json)


def _check(given: dict[str, float | None], engine: str | None) -> None:
    options = {"room_size": "--size", "damping": "--damping", "wet_level": "--wet", "width": "--width"}
    problems = [
        Problem(f"{value:g} is refused", "must be 0 to 1", options[name])
        for name, value in given.items()
        if value is not None and not 0.0 <= value <= 1.0
    ]
    if engine not in (None, "freeverb", "fdn"):
        problems.append(Problem(f"there is no engine {engine}", "must be freeverb or fdn", "--engine"))
    if problems:
        raise InputError(problems)


def _list(as_json: bool) -> None:
    import presets
    from engine.scene.rooms import load_room

    rooms = {name: load_room(name) for name in presets.room_names()}
    if as_json:
        typer.echo(
            json.dumps([_preset(name, room) for name, room in rooms.items()], indent=2, ensure_ascii=False)
        )
        return
    print_table(
        ["Room", "T_mid (s)", "Size", "Damping", "Wet", "Width", "Echo (ms)", "What it is"],
        [
            [
                name,
                f"{room.mid_rt60_s:.2f}" if room.mid_rt60_s else "-",
                *((f"{room.size:.2f}", f"{room.damping:.2f}") if room.enclosed else ("-", "-")),
                f"{room.wet_level:.2f}",
                f"{room.width:.2f}",
                f"{room.echo_ms:.0f}" if room.echo_ms else "-",
                room.about,
            ]
            for name, room in rooms.items()
        ],
    )


def _preset(name: str, room: "RoomPreset") -> dict[str, Any]:
    from engine.scene.rooms import OCTAVES_HZ

    times = dict(zip(map(str, OCTAVES_HZ), room.rt60_s, strict=True)) if room.rt60_s else None
    return {
        "name": name,
        "title": room.title,
        "about": room.about,
        "enclosed": room.enclosed,
        "mid_rt60_s": _rounded(room.mid_rt60_s, 3),
        "rt60_s": times,
        "size": round(room.size, 4),
        "damping": round(room.damping, 4),
        "wet_level": room.wet_level,
        "width": room.width,
        "echo_ms": room.echo_ms,
        "source": room.source.strip(),
    }


def _show(room: "Room", preset: "RoomPreset | None", name: str | None, rate_hz: int, as_json: bool) -> None:
    with compiling():
        from dsp.room_acoustics import room_target
        from engine.control.patch import make_room
        from engine.control.room_measurement import OCTAVES_HZ, measure_room
        from engine.spec import StreamSpec

        StreamSpec(rate_hz)
    from engine.scene.rooms import nearest_room

    target = room_target(room.size, room.damping, room.wet_level, room.width)
    node = make_room(room)
    if not room.detected or node is None:
        _show_outdoors(room, name, as_json)
        return
    measured = measure_room(node, target, rate_hz)
    nearest = name or nearest_room(room.size, room.damping)
    wanted = {500.0: target.rt60_s, 1000.0: target.rt60_s, 4000.0: target.rt60_s * target.treble_ratio}
    rows = [
        (hz, wanted.get(hz), preset.rt60_s[i] if preset and preset.rt60_s else None, measured.rt60_s[i])
        for i, hz in enumerate(OCTAVES_HZ)
    ]
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "preset": name,
                    "nearest": nearest,
                    "engine": room.engine,
                    "rate_hz": rate_hz,
                    "parameters": {
                        "size": round(room.size, 4),
                        "damping": round(room.damping, 4),
                        "wet_level": round(room.wet_level, 4),
                        "width": round(room.width, 4),
                    },
                    "target": {
                        "mid_rt60_s": _rounded(target.rt60_s, 3),
                        "treble_ratio": _rounded(target.treble_ratio, 3),
                        "drr_db": _rounded(target.drr_db, 2),
                        "correlation": _rounded(target.correlation, 3),
                    },
                    "achieved": {
                        "mid_rt60_s": _rounded(measured.mid_rt60_s, 3),
                        "treble_ratio": _rounded(measured.rt60_s[5] / measured.mid_rt60_s, 3),
                        "drr_db": _rounded(measured.drr_db, 2),
                        "correlation": _rounded(measured.correlation, 3),
                    },
                    "octaves": [
                        {
                            "hz": round(hz),
                            "target_s": _rounded(aim, 3),
                            "preset_s": _rounded(told, 3),
                            "achieved_s": _rounded(got, 3),
                        }
                        for hz, aim, told, got in rows
                    ],
                },
                indent=2,
            )
        )
        return
    typer.echo(
        f"{name or 'a room'}: size {room.size:.2f}, damping {room.damping:.2f}, wet {room.wet_level:.2f}, "
        f"width {room.width:.2f}; {room.engine} at {rate_hz} Hz" + ("" if name else f"; nearest: {nearest}")
    )
    table = [[f"RT60 {hz:g} Hz (s)", *(_text(v) for v in values)] for hz, *values in rows]
    table += [
        [
            "T_mid (s)",
            _text(target.rt60_s),
            _text(preset.mid_rt60_s if preset else None),
            _text(measured.mid_rt60_s),
        ],
        ["DRR (dB)", _text(target.drr_db, 1), "-", _text(measured.drr_db, 1)],
        ["Correlation", _text(target.correlation), "-", _text(measured.correlation)],
    ]
    print_table(["", "Target", "The real room", "Measured"], table)


def _show_outdoors(room: "Room", name: str | None, as_json: bool) -> None:
    if as_json:
        facts = {"preset": name, "enclosed": False, "echo_ms": room.echo_ms, "wet_level": room.wet_level}
        typer.echo(json.dumps(facts, indent=2))
    elif room.echo_ms is None:
        typer.echo(f"{name}: outdoors; no tail, no echo")
    else:
        typer.echo(f"{name}: outdoors; no tail, one echo after {room.echo_ms:g} ms, wet {room.wet_level:.2f}")


def _rounded(value: float | None, digits: int) -> float | None:
    return round(value, digits) if value is not None and math.isfinite(value) else None


def _text(value: float | None, digits: int = 2) -> str:
    if value is None or math.isnan(value):
        return "-"
    return "infinite" if math.isinf(value) else f"{value:.{digits}f}"
