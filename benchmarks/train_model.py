"""Make the shipped model from computed sounds and, where it is installed, a sound font with known programs.

    python -m benchmarks.train_model                       writes presets/model/mix.npz and its card
    python -m benchmarks.train_model --out DIR --quick     a small one, to try the command

Everything is chosen on the sound font by cross-validation whose folds are groups (programs, drums): what it is learned
from, the regularisation, the temperature. The recordings of `sonic-pi-samples` are only reported on.
"""

import argparse
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.model import fit, procedural, recordings, soundfont
from benchmarks.model.clip import RATE, Clip, Floats
from benchmarks.model.variants import variants
from engine.learn.classify import Classifier
from engine.learn.excerpt import excerpt
from engine.learn.features import features, schema_hash
from engine.learn.model_file import FORMAT, load_model

OUT = Path(__file__).parent.parent / "presets" / "model"
SEED = 20
VARIANTS = 3
PROCEDURAL = 120


def table(clips: Iterable[Clip], count: int, seed: int, what: str) -> fit.Table:
    """Return the features of clips and of their variants."""
    rows: list[Floats] = []
    families: list[str] = []
    groups: list[str] = []
    plain: list[bool] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = ((clip, count, seed) for clip in clips)
        for k, (family, group, made) in enumerate(pool.map(_measured, jobs, chunksize=8)):
            rows.extend(made)
            families += [family] * len(made)
            groups += [group] * len(made)
            plain += [True] + [False] * (len(made) - 1)
            if sys.stderr.isatty():
                print(f"\r{what}: {k + 1} sounds", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return fit.Table(np.array(rows), tuple(families), tuple(groups), np.array(plain))


def _measured(job: tuple[Clip, int, int]) -> tuple[str, str, list[Floats]]:
    clip, count, seed = job
    return (
        clip.family,
        clip.group,
        [features(excerpt(v.samples, RATE), RATE) for v in variants(clip, count, seed)],
    )


def figures(chances: Floats, families: tuple[str, ...], held: fit.Table) -> dict[str, Any]:
    """Return top-1, top-3 with their 95 % intervals by group, and the log-loss, of a table's plain rows."""
    told: dict[str, Any] = {"sounds": len(held.families), "groups": len(set(held.groups))}
    for count in (1, 3):
        right = fit.top(chances, families, held.families, count)
        low, high = fit.interval(right.astype(float), held.groups, SEED)
        told[f"top_{count}"] = {
            "share": round(float(right.mean()), 3),
            "interval": [round(low, 3), round(high, 3)],
        }
    told["log_loss"] = round(fit.log_loss(chances, families, held.families), 3)
    first = fit.top(chances, families, held.families, 1)
    names = sorted(set(held.families))
    recalls = [float(first[[f == name for f in held.families]].mean()) for name in names]
    told["balanced_top_1"] = round(float(np.mean(recalls)), 3)
    told["recall"] = {name: round(r, 2) for name, r in zip(names, recalls, strict=True)}
    return told


def predicted(model: Classifier, held: fit.Table) -> tuple[Floats, tuple[str, ...]]:
    """Return the chances of each row of a table."""
    families = tuple(sorted(set(model.families) | set(held.families)))
    made = np.full((len(held.families), len(families)), 1e-9)
    made[:, [families.index(f) for f in model.families]] = model.chances(held.features)
    return made, families


def write(folder: Path, model: Classifier, card: dict[str, Any]) -> None:
    """Write the model and its card, and read them back."""
    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("mean", "spread", "weights", "bias"):
            array = io.BytesIO()
            np.lib.format.write_array(
                array, np.ascontiguousarray(getattr(model, name), np.float64), allow_pickle=False
            )
            # A fixed date: the same arrays are the same bytes.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (2026, 1, 1, 0, 0, 0)), array.getvalue())
    (folder / "mix.npz").write_bytes(data.getvalue())
    card = {"format": FORMAT, "sha256": hashlib.sha256(data.getvalue()).hexdigest(), **card}
    (folder / "mix.yaml").write_text(
        yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=110), "utf-8"
    )
    load_model(folder / "mix.npz")


def main() -> int:
    """Make the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder; default presets/model")
    parser.add_argument("--quick", action="store_true", help="few sounds, to try the command")
    parser.add_argument("--json", action="store_true", help="print the figures for programs")
    asked = parser.parse_args()
    count, many = (12, 1) if asked.quick else (PROCEDURAL, VARIANTS)
    computed = table(procedural.clips(count, SEED), many, SEED, "computed")
    sets = {"computed": computed}
    told: dict[str, Any] = {}
    if soundfont.available() and not asked.quick:
        font = table(soundfont.clips(), many, SEED, "sound font")
        none = font.rows(np.zeros(len(font.families), bool))
        sets |= {"sound font": none, "both": computed}
        choices = {}
        for name, base in sets.items():
            for strength in fit.STRENGTHS:
                if name == "computed":
                    chances, families = predicted(fit.fitted(base, strength), font)
                else:
                    chances, families = fit.out_of_fold(base, font, strength, SEED)
                plain = font.rows(font.plain)
                temperature = fit.best_temperature(chances[font.plain], families, plain.families)
                chances = fit.cooled(chances[font.plain], temperature)
                choices[name, strength, temperature] = figures(chances, families, plain)
        told["on_the_sound_font"] = {}
        best = {}
        for name in sets:
            keys = [key for key in choices if key[0] == name]
            best[name] = min(keys, key=lambda key: choices[key]["log_loss"])
            told["on_the_sound_font"][name] = {"strength": best[name][1], **choices[best[name]]}
        models = {
            name: fit.fitted(
                computed if name == "computed" else (font if name == "sound font" else computed + font),
                best[name][1],
                best[name][2],
            )
            for name in sets
        }
        chosen = min(sets, key=lambda name: choices[best[name]]["log_loss"])
    else:
        chosen = "computed"
        models = {"computed": fit.fitted(computed, 0.03, 1.5)}
    if recordings.FOLDER.exists():
        real = table(recordings.clips(), 0, SEED, "recordings")
        told["on_recordings"] = {
            name: figures(*predicted(model, real), real) for name, model in models.items()
        }
    card = {
        "made": date.today().isoformat(),
        "command": "python -m benchmarks.train_model" + (" --quick" if asked.quick else ""),
        "seed": SEED,
        "features_sha256": schema_hash(),
        "families": list(models[chosen].families),
        "learned_from": chosen,
        "sources": {
            "computed": "benchmarks/model/procedural.py and dsp/synth",
            "sound font": "FluidR3 GM 3.1 (MIT licence), rendered by fluidsynth; not part of this program",
            "recordings": "sonic-pi-samples 3.2.2 (CC0 by their README), for the report alone",
        },
        "versions": {name: version(name) for name in ("numpy", "scikit-learn")},
        "figures": told,
    }
    write(asked.out, models[chosen], card)
    print(
        json.dumps(told, indent=2) if asked.json else f"wrote {asked.out / 'mix.npz'}, learned from {chosen}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
