"""`roomtone analyze FILE`: how loud a sound is, the reverberation that is already in it, and its send to a room."""

import json
import math
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from engine.cli.common import compiling, print_table, progress
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.scene.reverberation import Reverberation
    from engine.scene.sends import Answer

DEFAULT_ROOM = "default"
"""The room that a scene has without more words than `room_detected: true`."""


def analyze_sound(path: Path, room: str | None, rate_hz: int, as_json: bool) -> None:
    """Print what is in a sound file. Raises SoundError for one that cannot be used, InputError for a room."""
    answer = _answer(room)
    with compiling():
        import_module("dsp.blind_decay")
        from dsp.clip_loudness import active_loudness
        from engine.media import decode
        from engine.scene.reverberation import reverberation_of
    with progress("analysing") as advance:
        advance("", 0, 2)
        samples = decode(path, rate_hz)
        loudness_lufs = active_loudness(samples, rate_hz)
        advance("", 1, 2)
        found = reverberation_of(path)
    facts: dict[str, Any] = {
        "file": str(path),
        "seconds": round(len(samples) / rate_hz, 3),
        "channels": samples.shape[1],
        "loudness_lufs": round(loudness_lufs, 1) if math.isfinite(loudness_lufs) else None,
        **asdict(found),
        "decays": found.decays,
        "room": {"name": room or DEFAULT_ROOM, **answer._asdict()},
        "send_db": found.send_db(*answer),
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print(facts, found)


def _answer(room: str | None) -> "Answer":
    from engine.scene.rooms import load_room
    from engine.scene.schema import Scene
    from engine.scene.sends import room_answer

    if room is not None:
        try:
            load_room(room)
        except InputError as error:
            raise InputError([Problem(p.what, p.allowed, "--room") for p in error.problems]) from None
    data: dict[str, Any] = {"room_detected": True} if room is None else {"room": room}
    answer = room_answer(Scene.model_validate(data).room, None, 48_000)
    if answer is None:
        raise InputError(
            Problem(f"{room} has no reverberation", "an enclosed room, such as church", "--room")
        )
    return answer


def _print(facts: dict[str, Any], found: "Reverberation") -> None:
    if found.bands:
        print_table(
            ("octave, Hz", "RT60, s", "DRR, dB", "decays that agree, of"),
            [
                (
                    f"{band.centre_hz:g}",
                    "-" if band.rt60_s is None else f"{band.rt60_s:.2f}",
                    "-" if band.drr_db is None else f"{band.drr_db:+.1f}",
                    f"{band.decays} of {band.candidates}",
                )
                for band in found.bands
            ],
        )
    loudness = "silent" if facts["loudness_lufs"] is None else f"{facts['loudness_lufs']:.1f} LUFS"
    channels = "mono" if facts["channels"] == 1 else "stereo"
    typer.echo(f"{facts['file']}: {facts['seconds']:.2f} s, {channels}, {loudness}")
    if found.rt60_s is None:
        typer.echo(f"reverberation: unknown, because {found.why}")
    else:
        line = f"reverberation: RT60 {found.rt60_s:.2f} s (confidence {found.rt60_confidence:.2f}), DRR "
        if found.drr_db is None:
            typer.echo(line + "unknown")
        else:
            drr = f"{found.drr_db:+.1f} dB ± {found.drr_uncertainty_db:.1f} dB"
            typer.echo(f"{line}{drr} (confidence {found.drr_confidence:.2f})")
    room = facts["room"]
    typer.echo(
        f"send into the {room['name']} room ({room['rt60_s']:.2f} s, DRR {room['drr_db']:.1f} dB): "
        f"{facts['send_db']:g} dB"
    )
