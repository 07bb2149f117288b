"""What `render --explain` prints: how the scene was mixed before the first buffer."""

from collections.abc import Sequence
from typing import Any

import typer

from engine.cli.common import print_table


def print_explanation(facts: Sequence[dict[str, Any]]) -> None:
    """Print for every track its level, what it is made of, and why; then the 24 bands."""
    from dsp.bark import CENTRES_HZ

    print_table(
        [
            "Track",
            "Importance",
            "Gives (LUFS)",
            "Gain (dB)",
            "Reduction (dB)",
            "Level (LUFS)",
            "Send (dB)",
        ],
        [_row(track) for track in facts],
    )
    for track in facts:
        typer.echo(f"{track['label']}: {track['why']}")
    _print_mix(facts)
    typer.echo("\nmean and peak of each band at -23 LUFS, dBFS:")
    measured = [track for track in facts if "mean_db" in track]
    print_table(
        ["Hz", *(track["label"] for track in measured)],
        [
            [f"{hz:g}", *(f"{t['mean_db'][i]:.0f} / {t['peak_db'][i]:.0f}" for t in measured)]
            for i, hz in enumerate(CENTRES_HZ[:24])
        ],
    )


def _print_mix(facts: Sequence[dict[str, Any]]) -> None:
    """Print what every track's sounds are taken for, and what they go through."""
    typer.echo("\nmix settings, each with its source and confidence:")
    print_table(
        ["Track", "Taken for", "High-pass (Hz)", "EQ (dB)", "Compressor", "Reduction (dB)", "Make-up (dB)"],
        [_mix_row(track["label"], track["mix"]) for track in facts],
    )
    for track in facts:
        for why in (*track["mix"]["why_not"], *track["mix"].get("notes", ())):
            typer.echo(f"{track['label']}: {why}")


def _mix_row(label: str, mix: dict[str, Any]) -> list[str]:
    settings, applied = mix["settings"], mix["applied"]
    if settings is None:
        return [label, *["-"] * 6]
    compressor, eq_db = applied["compressor"], applied["eq_db"]
    name = next((n for n in ("instrument", "family") if settings[n]["value"] != "unknown"), "family")
    cells = ["-"] * 5
    if applied["highpass_hz"]:
        cells[0] = f"{applied['highpass_hz']:g} {_by(settings['highpass_hz'])}"
    if eq_db:
        cells[1] = f"{min(eq_db):+.1f} to {max(eq_db):+.1f} {_by(settings['eq_db'])}"
    if compressor:
        c = compressor
        times = f"{c['attack_ms']:.0f} / {c['release_ms']:.0f} ms"
        cells[2] = (
            f"{c['ratio']:.1f}:1 at {c['threshold_db']:.1f} dBFS, {times} {_by(settings['threshold_db'])}"
        )
        cells[4] = f"{c['gain_db']:+.1f}"
    if "reduction_db" in applied:
        cells[3] = f"{applied['reduction_db']:.1f}"
    if settings["reduction_db"]["source"] != "none":
        cells[3] += (
            f" (predicted {settings['reduction_db']['value']:.1f}, {_by(settings['reduction_db'])[1:]}"
        )
    return [label, f"{settings[name]['value']} {_by(settings[name])}", *cells]


def _by(fact: dict[str, Any]) -> str:
    return f"({fact['source']}, {100 * fact['confidence']:.0f} %)"


def print_decisions(decisions: Sequence[dict[str, Any]]) -> None:
    """Print what was done to which event, and by how much it clashes less."""
    if not decisions:
        return
    typer.echo("\nplaced so that less is hidden; clash is the weighted share that is:")
    print_table(
        ["Track", "At (s)", "Clash", "Why"],
        [
            [d["track"], f"{d['to_s']:.2f}", f"{d['clash_before']:.2f} → {d['clash_after']:.2f}", d["why"]]
            for d in decisions
        ],
    )


def _row(track: dict[str, Any]) -> list[str]:
    def text(key: str, digits: int = 1) -> str:
        return f"{track[key]:.{digits}f}" if key in track else "-"

    reduction = f"{-track['reduction_db']:.1f}" if track.get("reduction_db") else text("reduction_db")
    return [
        track["label"],
        text("importance", 2),
        text("importance_level_db"),
        text("gain_db"),
        reduction,
        text("level_db"),
        text("send_db"),
    ]
