"""`roomtone match`: the mix settings between a raw and a mixed sound, or towards a reference."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import JsonOption, compiling, interruptible, print_table, progress
from engine.errors import InputError, Problem

if TYPE_CHECKING:
    from engine.learn.match import Match

HELP = "Find the equaliser, compressor and gain between a raw and a mixed sound, or towards a reference."
EXAMPLES = """**Examples**

    roomtone match guitar-raw.wav guitar-mixed.wav

    roomtone match guitar-raw.wav guitar-mixed.wav --out guitar.yaml

    roomtone match guitar-raw.wav --reference other-guitar.flac --json

**A pair** is one recording twice. Both may differ in rate, length, channels, polarity and by up to 50 ms. Found are 31
third-octave peak filters (Q 4.318), a hard-knee compressor and the gains behind it. Attack and release are those of
pedalboard's compressor: 2 pi faster than one-pole time constants. With at most 2 dB of gain reduction they and the
ratio are unknown, which is said.

**A reference** is another sound. It gives an equaliser towards its long-term spectrum, at most 6 dB, a gain to its
loudness and an estimate of the gain reduction; it does not tell threshold, ratio, attack or release.
"""

TITLES = {
    "threshold_db": "Threshold (dBFS)",
    "ratio": "Ratio",
    "attack_ms": "Attack (ms)",
    "release_ms": "Release (ms)",
    "gain_db": "Gain (dB)",
    "balance_db": "Balance L/R (dB)",
}


def match(
    raw: Annotated[
        Path, typer.Argument(metavar="RAW", help="The sound as it was recorded.", show_default=False)
    ],
    mixed: Annotated[
        Path | None, typer.Argument(metavar="[MIXED]", help="The same sound, mixed.", show_default=False)
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="SOUND", help="Another sound to come near to, instead of MIXED.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Also write the settings there.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Match a sound."""
    if (mixed is None) == (reference is None):
        raise InputError(
            Problem("needs one sound to match", "either MIXED or --reference SOUND", "roomtone match")
        )
    other = mixed or reference
    assert other is not None
    with interruptible():
        with compiling():
            from engine.learn.match import match_pair
            from engine.learn.reference import match_reference
            from engine.learn.settings_file import check_target, write_settings
            from engine.media.decode import decode_as_is

        if out is not None:
            check_target(out, [raw, other])
        with progress("matching") as advance:
            a, b = decode_as_is(raw), decode_as_is(other)
            try:
                if mixed is not None:
                    found = match_pair(a.samples, a.rate_hz, b.samples, b.rate_hz, advance)
                else:
                    found = match_reference(a.samples, a.rate_hz, b.samples, b.rate_hz)
            except InputError as error:
                raise InputError([_placed(problem, raw, other) for problem in error.problems]) from None
        if out is not None:
            write_settings(out, found, {"raw": str(raw), "mixed" if mixed else "reference": str(other)})
    if as_json:
        typer.echo(json.dumps({"raw": str(raw), "other": str(other), **found.as_dict()}, indent=2))
    else:
        _show(found, raw, other)
        if out is not None:
            typer.echo(f"written to {out}")


def _placed(problem: Problem, raw: Path, other: Path) -> Problem:
    """Return the problem with the file it is about in the place of the sound's part."""
    if problem.field in ("raw", "mixed", "reference"):
        return Problem(problem.what, problem.allowed, "", str(raw if problem.field == "raw" else other))
    return Problem(problem.what, problem.allowed, problem.field, f"{raw}, {other}")


def _show(found: "Match", raw: Path, other: Path) -> None:
    typer.echo(f"{raw.name} → {other.name}" + _pair_facts(found))
    rows = []
    for name, title in TITLES.items():
        value = getattr(found, name)
        rows.append(
            [
                title,
                "unknown" if value is None else f"{value:.2f}",
                "-" if value is None else f"{100.0 * found.confidence[name]:.0f} %",
            ]
        )
    sure = found.confidence.get("reduction_db")
    rows.append(
        ["Gain reduction (dB)", f"{found.reduction_db:.1f}", "-" if sure is None else f"{100.0 * sure:.0f} %"]
    )
    print_table(["Setting", "Value", "Confidence"], rows)
    bands = found.as_dict()["bands"]
    print_table(
        ["Band (Hz)", "EQ (dB)", "Confidence"],
        [[f"{b['hz']:g}", f"{b['gain_db']:+.1f}", f"{100.0 * b['confidence']:.0f} %"] for b in bands],
    )
    m = found.measures
    if found.facts["mode"] == "pair":
        typer.echo(
            f"rendered against mixed: STFT distance {m['stft_distance']:.3f} (raw {m['stft_distance_before']:.3f}), "
            f"level {m['level_db']:.2f} dB, loudness {m['loudness_lu']:+.2f} LU"
        )
    else:
        typer.echo(f"spectra apart {m['spectrum_db']:.1f} dB (before {m['spectrum_db_before']:.1f} dB)")
    for note in found.notes:
        typer.echo(f"note: {note}")


def _pair_facts(found: "Match") -> str:
    facts = found.facts
    if facts["mode"] != "pair":
        return ", a reference"
    return f": {facts['duration_s']:g} s at {facts['rate_hz']:g} Hz, coherence {facts['coherence']:.2f}"
