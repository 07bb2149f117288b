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
    typer.echo("\nmean and peak of each band at -23 LUFS, dBFS:")
    measured = [track for track in facts if "mean_db" in track]
    print_table(
        ["Hz", *(track["label"] for track in measured)],
        [
            [f"{hz:g}", *(f"{t['mean_db'][i]:.0f} / {t['peak_db'][i]:.0f}" for t in measured)]
            for i, hz in enumerate(CENTRES_HZ[:24])
        ],
    )


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
