"""Masking against loudness: the unmasking at other settings, and the faders that cost the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import suite
from benchmarks.comparators import Comparators
from benchmarks.masking_score import IMPORTANT, Judge
from benchmarks.suite import Variant
from benchmarks.trial import Advance, Figures, figures_of

VARIANTS: dict[str, Variant] = {
    "as built": Variant(),
    "amount 0.1": Variant({"amount": 0.1}),
    "amount 0.3": Variant({"amount": 0.3}),
    "max cut 2 dB": Variant({"max_cut_db": 2.0}),
    "max cut 4 dB": Variant({"max_cut_db": 4.0}),
    "attack 5 ms": Variant({"attack_ms": 5.0}),
    "attack 50 ms": Variant({"attack_ms": 50.0}),
    "release 50 ms": Variant({"release_ms": 50.0}),
    "release 600 ms": Variant({"release_ms": 600.0}),
    "look-ahead 5 ms": Variant(look_ahead_ms=5.0),
    "look-ahead 15 ms": Variant(look_ahead_ms=15.0),
    "2 bells": Variant(bells=2),
    "6 bells": Variant(bells=6),
    "8 bells": Variant(bells=8),
    "12 bells": Variant(bells=12),
    "4 bells, Q 2": Variant(q=2.0),
    "8 bells, Q 2": Variant(bells=8, q=2.0),
    "spreading 10 dB/Bark up": Variant(model={"upward_db_per_bark": 10.0}),
    "own need 0": Variant(model={"own_need": 0.0}),
    "own need 2": Variant(model={"own_need": 2.0}),
    "equals by 0.1": Variant(model={"equals": 0.1}),
    "6 dB asked of all others, always": Variant(flat=True),
    "the same, 8 bells": Variant(flat=True, bells=8),
    "12 bells, own need 0": Variant(bells=12, model={"own_need": 0.0}),
}
"""What is tried; add to it what is to be tried."""

KINDS = {
    "unmask": "unmasking",
    "fader": "fader per track, at the same loss",
    "uniform": "one fader on all tracks below 0.6",
}

FADER_STEPS_DB = (1.0, 2.0, 3.0, 4.0, 6.0)
"""Uniform cuts of all tracks below importance 0.6: the line to be below."""


@dataclass(frozen=True, slots=True)
class Point:
    """Mean figures over the scenes; `lost_lu` is the mean loss of all tracks."""

    name: str
    kind: str
    lost_lu: float
    important_ratio: float
    weighted_ratio: float
    important_lost_lu: float
    others_lost_lu: float
    audible_gain: float


def points(
    names: Sequence[str],
    *,
    seconds: float,
    library: Sequence[Path],
    advance: Advance,
    variants: Mapping[str, Variant] = VARIANTS,
) -> list[Point]:
    """Judge every variant, the fader at its losses, and the uniform faders, over the scenes `names`."""
    gathered: dict[tuple[str, str], list[Figures]] = {}
    for name in names:
        advance(f"{name}: rendering")
        scene = suite.render(name, seconds=seconds, library=library)
        before, importances = scene.mono_before, scene.importances
        judge = Judge(before, importances)
        for variant, made in variants.items():
            advance(f"{name}: {variant}")
            run = suite.unmask(scene, made)
            after = suite.mono(run.after)
            comparators = Comparators.of(judge, before, importances, run, after)
            for kind, processed in (
                ("unmask", comparators.unmasked(after)),
                ("fader", comparators.static_fader()),
            ):
                figures = figures_of(judge, processed) | {"lost_lu": float(comparators.lost_lu.mean())}
                gathered.setdefault((variant, kind), []).append(figures)
        others = np.array(importances) < IMPORTANT
        for cut_db in FADER_STEPS_DB:
            gain = np.where(others, 10.0 ** (-cut_db / 20.0), 1.0)
            figures = judge.score(np.asarray(before * gain[:, None], np.float32)).figures()
            figures["lost_lu"] = cut_db * float(others.mean())
            gathered.setdefault((f"others -{cut_db:g} dB", "uniform"), []).append(figures)
    fields = [f for f in Point.__dataclass_fields__ if f not in ("name", "kind")]
    return [
        Point(name, kind, **{f: float(np.mean([g[f] for g in rows])) for f in fields})
        for (name, kind), rows in gathered.items()
    ]


def draw(found: Sequence[Point], folder: Path) -> Path:
    """Draw the points into `folder` and return the file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(10.0, 5.5), layout="constrained")
    for kind, marker in (("unmask", "o"), ("fader", "x"), ("uniform", "s")):
        mine = [p for p in found if p.kind == kind]
        axes.plot(
            [p.lost_lu for p in mine],
            [p.important_ratio for p in mine],
            marker=marker,
            linestyle="-" if kind == "uniform" else "",
            label=KINDS[kind],
        )
    # Most settings lie close together: they are numbered, and named beside the picture.
    variants = [p for p in found if p.kind == "unmask"]
    for number, p in enumerate(variants, 1):
        axes.annotate(
            str(number),
            (p.lost_lu, p.important_ratio),
            xytext=(0, 7 if number % 2 else -12),
            textcoords="offset points",
            fontsize=7,
            ha="center",
        )
    names = "\n".join(f"{number:2d}  {p.name}" for number, p in enumerate(variants, 1))
    axes.text(1.02, 1.0, names, transform=axes.transAxes, va="top", fontsize=8, family="monospace")
    axes.set_xlabel("mean loudness lost by a track, LU")
    axes.set_ylabel("masking ratio of important tracks")
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / "masking-against-loudness.png"
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path
