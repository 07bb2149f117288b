"""Make the shipped model of what has been done to a sound: an equaliser's curve and a compressor's gain reduction.

    python -m benchmarks.train_treatment                   writes presets/model/treatment.npz and its card
    python -m benchmarks.train_treatment --out DIR --quick a small one, to try the command

It learns from computed sounds and, where it is installed, a sound font, each under equalisers and compressors drawn at
random. How small a curve counts as none is chosen by what is learned from computed sounds alone and asked of the sound
font; intervals and confidence by cross-validation on the font whose folds are programs and drums. The recordings of
`sonic-pi-samples` are only reported on.
"""

import argparse
import hashlib
import json
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.model import fit, fit_treatment, procedural, recordings, soundfont
from benchmarks.model.clip import Floats
from benchmarks.model.fit_treatment import best_least_db, errors_db, fitted, out_of_fold
from benchmarks.model.treated import Treatments, table
from engine.learn.array_file import pack
from engine.learn.features import schema_hash
from engine.learn.treatment import TreatmentModel, undone_db
from engine.learn.treatment_file import FORESTS, FORMAT, TABLES, load_treatment_model

OUT = Path(__file__).parent.parent / "presets" / "model"
SEED = 20
COMPUTED, TREATMENTS = 50, 8
LIMITED = 0.4
"""A share that has lost its highs or lows before: or what is missing there would be taken for a colour."""


def figures(curves: Floats, reductions: Floats, truth: Treatments, least_db: float) -> dict[str, Any]:
    """Return errors of doing nothing and of undoing what is found, with 95 % intervals by group, and R²."""
    made = -undone_db(curves, truth.features, least_db)
    nothing = errors_db(np.zeros_like(made), truth.curves_db)
    model = errors_db(made, truth.curves_db)
    groups = truth.groups.tolist()
    gain = nothing - model
    low, high = fit.interval(gain, groups, SEED)
    done = ~truth.alone
    changed = np.abs(made).max(axis=1) > 0.0
    return {
        "sounds": len(groups),
        "groups": len(set(groups)),
        "left_alone": int(truth.alone.sum()),
        "eq_mae_db": {
            "nothing": round(float(nothing.mean()), 3),
            "model": round(float(model.mean()), 3),
            "gained": [round(low, 3), round(float(gain.mean()), 3), round(high, 3)],
        },
        "eq_mae_db_of_treated": {
            "nothing": round(float(nothing[done].mean()), 3),
            "model": round(float(model[done].mean()), 3),
        },
        "further_off_than_nothing": {
            "treated": round(float((model > nothing)[done].mean()), 3),
            "left_alone": round(float((model > nothing)[~done].mean()), 3),
            "mean_change_db_of_left_alone": round(float(model[~done].mean()), 3),
        },
        "changed": round(float(changed.mean()), 3),
        "reduction_r2": round(r2(reductions, truth.reductions_db), 3),
        "reduction_r2_of_treated": round(r2(reductions[done], truth.reductions_db[done]), 3),
        "reduction_mae_db": round(float(np.abs(reductions - truth.reductions_db).mean()), 3),
    }


def r2(found: Floats, truth: Floats) -> float:
    """Return the share of the variance that is explained: 0 is what the mean of the truth would do."""
    return float(1.0 - np.square(found - truth).sum() / np.square(truth - truth.mean()).sum())


def write(folder: Path, model: TreatmentModel, card: dict[str, Any]) -> None:
    """Write the model and its card, and read them back."""
    import yaml

    arrays = {name: getattr(model, name) for name in ("basis", "centre", *TABLES)}
    arrays["least_db"] = np.array([model.least_db])
    for name in FORESTS:
        forest = getattr(model, name)
        for part in ("roots", "features", "thresholds", "right", "values"):
            arrays[f"{name}_{part}"] = getattr(forest, part)
    folder.mkdir(parents=True, exist_ok=True)
    data = pack(arrays)
    (folder / "treatment.npz").write_bytes(data)
    card = {"format": FORMAT, "sha256": hashlib.sha256(data).hexdigest(), **card}
    (folder / "treatment.yaml").write_text(
        yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110), "utf-8"
    )
    load_treatment_model(folder / "treatment.npz")


def main() -> int:
    """Make the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder; default presets/model")
    parser.add_argument("--quick", action="store_true", help="few sounds, to try the command")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    asked = parser.parse_args()

    def say(what: str) -> None:
        if sys.stderr.isatty():
            print(what, file=sys.stderr)

    count, each = (6, 4) if asked.quick else (COMPUTED, TREATMENTS)
    say("computed sounds …")
    computed = table(procedural.clips(count, SEED), each, SEED, LIMITED)
    told: dict[str, Any] = {}
    everything, least_db = computed, 1.0
    if soundfont.available() and not asked.quick:
        say("sound font …")
        font = table(soundfont.clips(), each, SEED, LIMITED)
        say("choosing …")
        curves, reductions = fitted(computed, SEED).found(font.features)
        least_db = best_least_db(curves, font)
        told["learned_from_computed_on_the_sound_font"] = figures(curves, reductions, font, least_db)
        curves, reductions = out_of_fold(computed, font, SEED)
        told["on_the_sound_font"] = figures(curves, reductions, font, least_db)
        known, everything = font, computed + font
    else:
        known = computed
        nobody = computed[np.zeros(0, np.int64)]
        curves, reductions = out_of_fold(nobody, computed, SEED)
    say("learning …")
    found = fitted(everything, SEED)
    model = found.with_tables(least_db, *fit_treatment.tables(curves, reductions, known, least_db))
    if recordings.FOLDER.exists():
        real = table(recordings.clips(), each, SEED + 1)
        told["on_recordings"] = figures(*model.found(real.features), real, least_db)
    card = {
        "made": date.today().isoformat(),
        "command": "python -m benchmarks.train_treatment" + (" --quick" if asked.quick else ""),
        "seed": SEED,
        "features_sha256": schema_hash(),
        "sources": {
            "computed": "benchmarks/model/procedural.py and dsp/synth",
            "sound font": "FluidR3 GM 3.1 (MIT licence), rendered by fluidsynth; not part of this program",
            "recordings": "sonic-pi-samples 3.2.2 (CC0 by their README), for the report alone",
        },
        "versions": {name: version(name) for name in ("numpy", "scikit-learn", "pedalboard")},
        "least_db": least_db,
        "figures": told,
    }
    write(asked.out, model, card)
    print(json.dumps(told, indent=2) if asked.json else f"wrote {asked.out / 'treatment.npz'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
