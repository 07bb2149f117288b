"""`roomtone predict`: the mix settings that sounds are expected to need."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import JsonOption, ModelOption, compiling, interruptible, print_table, progress
from engine.errors import InputError, Problem, SoundError

if TYPE_CHECKING:
    from engine.learn.mix_settings import Figure, MixSettings, Name

HELP = "Predict gain, equaliser, compressor and name of sounds, each with how far it can be relied on."
EXAMPLES = """**Examples**

    roomtone predict kick.wav

    roomtone predict stems/*.wav --json

    roomtone predict take7.wav --model mixes.npz     with what `roomtone learn fit` learned from own mixes

Settings act in the order high-pass, equaliser, compressor, gain. The equaliser is given at the 31 third-octave bands,
zero mean, at most 6 dB. Attack and release are those of pedalboard's compressor: 2 pi times one-pole time constants.
Intervals and confidences of a rule are judgement, not measured; a family's is a probability calibrated on a sound
font. The equaliser undoes the colour that a model finds on the sound; its confidence is how often that came nearer to
the sound as it was. Where nothing supports an answer it is `unknown`.
"""

FIGURES = {
    "highpass_hz": "High-pass (Hz)",
    "threshold_db": "Threshold (dBFS)",
    "ratio": "Ratio",
    "attack_ms": "Attack (ms)",
    "release_ms": "Release (ms)",
    "reduction_db": "Gain reduction (dB)",
    "gain_db": "Gain (dB)",
    "past_reduction_db": "Reduced before (dB)",
}
NAMES = {"family": "Family", "instrument": "Instrument", "equipment": "Equipment"}
COMPRESSOR = ("threshold_db", "ratio", "attack_ms", "release_ms")


def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Sound files.", show_default=False)],
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the settings of sounds."""
    problems: list[Problem] = []
    found: list[tuple[Path, MixSettings]] = []
    with interruptible():
        with compiling():
            from engine.learn.own_file import load_own_model
            from engine.learn.predict import predict as settings_of
            from engine.media.decode import decode_as_is
        own = None if model is None else load_own_model(model)
        with progress("predicting") as advance:
            for count, path in enumerate(files):
                advance(path.name, count, len(files))
                try:
                    sound = decode_as_is(path)
                except SoundError as error:
                    problems.extend(error.problems)
                    continue
                found.append((path, settings_of(sound.samples, sound.rate_hz, own=own)))
    if as_json:
        typer.echo(json.dumps([_as_dict(path, settings) for path, settings in found], indent=2))
    else:
        for path, settings in found:
            _show(path, settings)
    if problems:
        raise InputError(problems)


def _as_dict(path: Path, settings: "MixSettings") -> dict[str, Any]:
    from engine.learn.bands import NOMINAL_HZ

    told = asdict(settings)
    curve = told.pop("eq_db")
    bands = zip(NOMINAL_HZ, curve["value"], curve["low"], curve["high"], strict=True)
    curve = {"confidence": curve["confidence"], "source": curve["source"]}
    curve["bands"] = [
        {"hz": hz, "gain_db": round(float(v), 2), "low_db": round(float(a), 2), "high_db": round(float(b), 2)}
        for hz, v, a, b in bands
    ]
    return {"file": str(path), **told, "eq": curve}


def _show(path: Path, settings: "MixSettings") -> None:
    typer.echo(str(path))
    rows: list[tuple[str, ...]] = []
    for name, title in NAMES.items():
        answer: Name = getattr(settings, name)
        others = ", ".join(f"{n} {100 * p:.0f} %" for n, p in answer.candidates[1:3])
        rows.append((title, answer.value, others, _sure(answer.confidence, answer.source), answer.source))
    compressed = settings.reduction_db.value > 0.0
    for name, title in FIGURES.items():
        if name in COMPRESSOR and not compressed:
            continue
        figure: Figure = getattr(settings, name)
        span = f"{figure.low:.4g} to {figure.high:.4g}"
        rows.append(
            (title, f"{figure.value:.4g}", span, _sure(figure.confidence, figure.source), figure.source)
        )
    rows.append(("Equaliser", *_curve(settings)))
    print_table(("Setting", "Value", "Interval or others", "Confidence", "Source"), rows)
    if not compressed:
        typer.echo("no compressor is worth it")
    for note in settings.notes:
        typer.echo(f"note: {note}")


def _curve(settings: "MixSettings") -> tuple[str, str, str, str]:
    from engine.learn.bands import NOMINAL_HZ

    curve = settings.eq_db
    if curve.flat:
        return "flat", "", "-", curve.source
    low, high = int(curve.value.argmin()), int(curve.value.argmax())
    most = f"{curve.value[high]:+.1f} dB at {NOMINAL_HZ[high]:g} Hz"
    least = f"{curve.value[low]:+.1f} dB at {NOMINAL_HZ[low]:g} Hz"
    return most, least, _sure(curve.confidence, curve.source), curve.source


def _sure(confidence: float, source: str) -> str:
    return "-" if source == "none" else f"{100.0 * confidence:.0f} %"
