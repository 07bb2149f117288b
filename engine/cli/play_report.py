"""How a show went, for people and for programs."""

import json
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from engine.control.show import Show


def report(show: "Show", interrupted: bool, as_json: bool, midi: dict[str, int] | None = None) -> None:
    """Say how it went; after the show, from its last statistics, and the counters of MIDI where there was any."""
    statistics = show.statistics()
    told = {
        "scene": show.composition.scene.title,
        "seed": show.composition.seed,
        "rate": show.spec.rate_hz,
        "quantum": show.spec.quantum_frames,
        "driver": show.driver,
        "device": show.device,
        "frames": statistics.frame_rendered,
        "underruns": len(show.underruns),
        "underrun_frames": sum(underrun.frames for underrun in show.underruns),
        "late_quanta": statistics.late_quanta,
        "load_mean": round(statistics.load_mean, 4),
        "load_max": round(statistics.load_max, 4),
        "ring_minimum_frames": statistics.ring_minimum_frames,
        "safety_quanta": statistics.safety_quanta,
        "interrupted": interrupted,
        "recording": str(show.recording) if show.recording else None,
        "incidents": [incident.as_json() for incident in show.incidents.all],
    }
    if midi is not None:
        told["midi"] = midi
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    typer.echo(
        f"played {statistics.frame_rendered / show.spec.rate_hz:.1f} s of {told['scene']} on {show.device}, "
        f"load {100 * statistics.load_mean:.0f} % (max {100 * statistics.load_max:.0f} %), "
        f"under-runs {len(show.underruns)}"
    )
    if show.recording:
        typer.echo(f"wrote {show.recording}")
