"""What predictions are worth on recordings that nothing was learned from or chosen on.

    python -m benchmarks.prediction                        every figure, about ten minutes
    python -m benchmarks.prediction --pairs 20 --json      fewer pairs for identification

Each recording of Debian's `sonic-pi-samples` is put under equalisers and compressors drawn at random, some under none.
What undoes the equaliser best: nothing, the rule (a tenth of the way to the spectrum usual for what it is taken for),
or the model? How much gain reduction has a sound behind it: by the mean of all, by the model from the sound alone, or
by identification from the pair? And what is it? Intervals are of 95 %, by a bootstrap that draws whole recordings.
`--ledger FILE` appends the figures with commit, day and the checksum of all recordings.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import presets
from benchmarks.model import fit, recordings
from benchmarks.model.clip import RATE, Clip, Floats
from benchmarks.model.family_spectra import curve_db
from benchmarks.model.fit_treatment import errors_db
from benchmarks.model.treated import mixes, reduction_db, shape_db
from dsp.bark import EDGES_HZ
from engine.cli.common import compiling, print_table, progress
from engine.errors import RoomtoneError
from engine.learn.bands import BANDS
from engine.learn.classify import Classifier
from engine.learn.excerpt import excerpt
from engine.learn.features import features
from engine.learn.likeness import Likeness
from engine.learn.match import match_pair
from engine.learn.predict import predict, shipped_model, shipped_treatment_model
from engine.learn.rules import BAND_NAMES
from engine.learn.treatment import JUDGED, undone_db
from engine.scene.squeeze import Squeeze, work_of
from engine.scene.tone import Tone, filtered_samples

Samples = NDArray[np.float32]

SEED = 21
EACH = 4
RUNGS = ("nothing", "rule", "model")
FLOOR_DB = 60.0
WORTH_DB = 3.0
"""What a scene puts a compressor on for."""


class Report:
    """Rows of all recordings, as they come."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.alone: list[bool] = []
        self.features: list[Floats] = []
        self.truth_db: list[Floats] = []
        self.curves: dict[str, list[Floats]] = {rung: [] for rung in RUNGS}
        self.stft: dict[str, list[float]] = {rung: [] for rung in RUNGS}
        self.bark_db: dict[str, list[float]] = {rung: [] for rung in RUNGS}
        self.reductions_db: list[float] = []
        self.blind_db: list[float] = []
        self.paired_db: list[tuple[float, float, str]] = []

    def add(self, clip: Clip, families: Classifier, pair: bool) -> None:
        """Judge one recording under its treatments; `pair` has the first of them identified."""
        model = shipped_treatment_model()
        for k, (raw, mix) in enumerate(mixes(clip, EACH, SEED)):
            equalised = mix.equalised(raw)
            made = mix.compressed(equalised)
            alone = mix.ratio == 1.0
            taken_db = 0.0 if alone else reduction_db(equalised, made)
            row = features(made, RATE)
            bands_db = row[: len(BAND_NAMES)]
            chances = dict(zip(families.families, families.chances(row[None, :])[0].tolist(), strict=True))
            found, reduction = model.found(row[None, :])
            curves = {
                "nothing": np.zeros(BANDS),
                "rule": curve_db(bands_db, chances),
                "model": undone_db(found, row[None, :], model.least_db)[0],
            }
            wanted, levels = Likeness(raw), _bark_db(raw)
            for rung in RUNGS:
                heard = _at_power(_through(made, curves[rung]), raw)
                self.curves[rung].append(-curves[rung])
                self.stft[rung].append(wanted.distance(heard))
                self.bark_db[rung].append(float(np.abs(_bark_db(heard) - levels).mean()))
            self.groups.append(clip.group)
            self.alone.append(alone)
            self.truth_db.append(shape_db(mix))
            self.reductions_db.append(taken_db)
            self.blind_db.append(float(reduction[0]))
            if pair and k == 0:
                self.paired_db.append((match_pair(raw, RATE, made, RATE).reduction_db, taken_db, clip.group))

    def equaliser(self) -> dict[str, Any]:
        """Return errors of each rung's curve and of the sound it makes, and how often it is worse than nothing."""
        truth, alone = np.array(self.truth_db), np.array(self.alone)
        told: dict[str, Any] = {"sounds": len(truth), "left_alone": int(alone.sum())}
        base = {
            "curve_mae_db": errors_db(np.array(self.curves["nothing"]), truth),
            "stft_distance": np.array(self.stft["nothing"]),
            "bark_db": np.array(self.bark_db["nothing"]),
        }
        for rung in RUNGS:
            curves = np.array(self.curves[rung])
            values = {
                "curve_mae_db": errors_db(curves, truth),
                "stft_distance": np.array(self.stft[rung]),
                "bark_db": np.array(self.bark_db[rung]),
            }
            facts: dict[str, Any] = {"curve_r2": round(_curve_r2(curves[~alone], truth[~alone]), 3)}
            for name, value in values.items():
                gained = (base[name] - value)[~alone]
                low, high = fit.interval(gained, self._groups(~alone), SEED)
                facts[name] = {
                    "treated": round(float(value[~alone].mean()), 3),
                    "all": round(float(value.mean()), 3),
                    "gained_on_treated": [round(v, 3) for v in (low, float(gained.mean()), high)],
                    "worse_than_nothing": round(float((value > base[name] + 1e-9)[~alone].mean()), 3),
                }
            facts["change_db_of_left_alone"] = round(float(values["curve_mae_db"][alone].mean()), 3)
            told[rung] = facts
        return told

    def reduction(self) -> dict[str, Any]:
        """Return R² and error of the gain reduction, by no, one and two sounds."""
        truth, alone = np.array(self.reductions_db), np.array(self.alone)
        blind = np.array(self.blind_db)
        made = {
            "mean": _regression(
                np.full((~alone).sum(), truth[~alone].mean()), truth[~alone], self._groups(~alone)
            ),
            "blind": _regression(blind[~alone], truth[~alone], self._groups(~alone)),
            "blind_with_left_alone": _regression(blind, truth, self.groups),
        }
        if self.paired_db:
            found, known = np.array([row[:2] for row in self.paired_db]).T
            made["pair"] = _regression(found, known, [row[2] for row in self.paired_db])
        return made

    def _groups(self, keep: NDArray[np.bool_]) -> list[str]:
        return [group for group, kept in zip(self.groups, keep, strict=True) if kept]


def _regression(found: Floats, truth: Floats, groups: list[str]) -> dict[str, Any]:
    off = np.square(found - truth)
    spread = np.square(truth - truth.mean())
    low, high = _ratio_interval(off, spread, groups)
    return {
        "sounds": len(truth),
        "r2": round(float(1.0 - off.sum() / spread.sum()), 3),
        "interval": [round(1.0 - high, 3), round(1.0 - low, 3)],
        "mae_db": round(float(np.abs(found - truth).mean()), 3),
        "median_error_db": round(float(np.median(np.abs(found - truth))), 3),
    }


def _ratio_interval(over: Floats, under: Floats, groups: list[str], draws: int = 1000) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of two sums when whole groups are drawn."""
    names, at = np.unique(groups, return_inverse=True)
    sums = np.array([np.bincount(at, values, len(names)) for values in (over, under)])
    drawn = np.random.default_rng(SEED).integers(0, len(names), (draws, len(names)))
    ratios = sums[0][drawn].sum(axis=1) / np.maximum(sums[1][drawn].sum(axis=1), 1e-12)
    return float(np.quantile(ratios, 0.025)), float(np.quantile(ratios, 0.975))


def _curve_r2(found: Floats, truth: Floats) -> float:
    found, truth = ((v - v[:, JUDGED].mean(axis=1, keepdims=True))[:, JUDGED] for v in (found, truth))
    return float(1.0 - np.square(found - truth).sum() / np.square(truth - truth.mean(axis=0)).sum())


def _through(samples: Samples, curve: Floats) -> Samples:
    return filtered_samples(samples, Tone(tuple(curve.tolist())), RATE) if curve.any() else samples


def _at_power(samples: Samples, like: Samples) -> Samples:
    powers = [float(np.square(x, dtype=np.float64).mean()) for x in (samples, like)]
    return np.asarray(samples * np.float32(np.sqrt(powers[1] / max(powers[0], 1e-20))))


def _bark_db(samples: Samples) -> Floats:
    """Return the level in each critical band, float64 `[25]`, at least 60 dB below the loudest."""
    power = np.square(np.abs(np.fft.rfft(samples[:, 0].astype(np.float64))))
    edges = np.searchsorted(np.fft.rfftfreq(len(samples), 1.0 / RATE), EDGES_HZ)
    total = np.concatenate(([0.0], np.cumsum(power)))
    levels = 10.0 * np.log10(np.maximum(total[edges[1:]] - total[edges[:-1]], 1e-30))
    return np.asarray(np.maximum(levels, levels.max() - FLOOR_DB))


def family(clips: list[Clip], model: Classifier) -> dict[str, Any]:
    """Return how often the first and the first three families hold the right one, and how sure the model is of it."""
    rows = np.array([features(excerpt(clip.samples, RATE), RATE) for clip in clips])
    truth = [clip.family for clip in clips]
    chances = model.chances(rows)
    groups = [clip.group for clip in clips]
    names = sorted(set(truth))
    prior = np.full_like(chances, 1.0 / len(model.families))
    first = np.array(model.families)[chances.argmax(axis=1)]
    told: dict[str, Any] = {
        "sounds": len(clips),
        "log_loss": {
            "equal_chances": round(fit.log_loss(prior, model.families, truth), 3),
            "model": round(fit.log_loss(chances, model.families, truth), 3),
        },
    }
    for count in (1, 3):
        right = fit.top(chances, model.families, truth, count).astype(float)
        low, high = fit.interval(right, groups, SEED)
        told[f"top_{count}"] = [round(v, 3) for v in (low, float(right.mean()), high)]
    hits = {name: np.array([t == name for t in truth]) for name in names}
    recalls = {name: float((first == name)[at].mean()) for name, at in hits.items()}
    f1 = [
        2.0 * ((first == name) & at).sum() / max(1, (first == name).sum() + at.sum())
        for name, at in hits.items()
    ]
    told["balanced_accuracy"] = round(float(np.mean(list(recalls.values()))), 3)
    told["macro_f1"] = round(float(np.mean(f1)), 3)
    told["calibration_error"] = round(_calibration_error(chances.max(axis=1), first == np.array(truth)), 3)
    told["recall"] = {name: round(value, 2) for name, value in recalls.items()}
    return told


def _calibration_error(sure: Floats, right: NDArray[np.bool_], bins: int = 10) -> float:
    at = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        abs(sure[at == k].mean() - right[at == k].mean()) * (at == k).mean()
        for k in range(bins)
        if (at == k).any()
    ]
    return float(sum(gaps))


def compressor(clips: list[Clip]) -> dict[str, Any]:
    """Return how far what a compressor set as predicted takes is from what is predicted that it takes."""
    off, made_up = [], []
    for clip in clips:
        settings = predict(clip.samples, RATE)
        wanted_db = settings.reduction_db.value
        if wanted_db < WORTH_DB:
            continue
        squeeze = Squeeze(
            settings.threshold_db.value,
            settings.ratio.value,
            settings.attack_ms.value,
            settings.release_ms.value,
            settings.gain_db.value,
        )
        work = work_of(squeeze, excerpt(clip.samples, RATE), RATE)
        off.append(abs(work.reduction_db - wanted_db))
        made_up.append(abs(work.lost_lu - settings.gain_db.value))
    worst = np.quantile(off, 0.9) if off else 0.0
    return {
        "sounds": len(clips),
        "with_compressor": len(off),
        "reduction_error_db": {
            "median": round(float(np.median(off or [0.0])), 2),
            "p90": round(float(worst), 2),
        },
        "loudness_error_lu": {"median": round(float(np.median(made_up or [0.0])), 2)},
    }


def cost() -> dict[str, float]:
    """Return times as medians, of an idle machine or not, and sizes."""
    sound = (0.1 * np.random.default_rng(0).standard_normal((4 * RATE, 1))).astype(np.float32)
    row = features(sound, RATE)
    families, treatment = shipped_model(), shipped_treatment_model()
    return {
        "features_ms": _median_ms(lambda: features(sound, RATE), 15),
        "family_us": 1e3 * _median_ms(lambda: families.chances(row[None, :]), 300),
        "treatment_us": 1e3 * _median_ms(lambda: treatment.treatment(row), 300),
        "models_mb": sum(p.stat().st_size for p in (presets.model_path(), presets.treatment_path())) / 1e6,
    }


def _median_ms(run: Any, times: int) -> float:
    run()
    taken = []
    for _ in range(times):
        begin_s = time.perf_counter()
        run()
        taken.append(1e3 * (time.perf_counter() - begin_s))
    return round(float(np.median(taken)), 4)


def measure(pairs: int | None) -> dict[str, Any]:
    """Judge everything."""
    clips = list(recordings.clips())
    families = shipped_model()
    report = Report()
    with progress("judging") as advance:
        for number, clip in enumerate(clips):
            advance(clip.group, number, len(clips))
            paired = pairs is None or number * pairs // len(clips) < (number + 1) * pairs // len(clips)
            report.add(clip, families, paired)
    return {
        "recordings": len(clips),
        "equaliser": report.equaliser(),
        "gain_reduction": report.reduction(),
        "family": family(clips, families),
        "compressor": compressor(clips),
        "cost": cost(),
    }


def _show(told: dict[str, Any]) -> None:
    eq = told["equaliser"]
    rows = []
    for rung in RUNGS:
        facts = eq[rung]
        cells = [rung, f"{facts['curve_r2']:.3f}"]
        for name in ("curve_mae_db", "stft_distance", "bark_db"):
            low, middle, high = facts[name]["gained_on_treated"]
            cells.append(f"{facts[name]['treated']:.3f}")
            cells.append(f"{middle:+.3f} ({low:+.3f}…{high:+.3f})")
            cells.append(f"{100 * facts[name]['worse_than_nothing']:.0f} %")
        rows.append((*cells, f"{facts['change_db_of_left_alone']:.2f}"))
    heads = [("curve, dB", "gained", "worse"), ("STFT", "gained", "worse"), ("Bark, dB", "gained", "worse")]
    print_table(("equaliser", "R²", *(h for group in heads for h in group), "left alone, dB"), rows)
    print()
    print_table(
        ("gain reduction", "sounds", "R²", "interval", "mean error, dB", "median"),
        [
            (
                name,
                str(f["sounds"]),
                f"{f['r2']:.3f}",
                "{:.2f}…{:.2f}".format(*f["interval"]),
                f"{f['mae_db']:.2f}",
                f"{f['median_error_db']:.2f}",
            )
            for name, f in told["gain_reduction"].items()
        ],
    )
    print()
    for name in ("family", "compressor", "cost"):
        print(f"{name}: {json.dumps(told[name])}")


def _checksum() -> str:
    digest = hashlib.sha256()
    for path in sorted(recordings.FOLDER.glob("*.flac")):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def main() -> int:
    """Read the command line, measure, print; exit codes as those of `roomtone`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prediction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--pairs", type=int, default=None, metavar="N", help="identify so many; default one a recording"
    )
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="append the figures as a line of JSON")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    if not recordings.FOLDER.is_dir():
        print(f"{recordings.FOLDER} is not there; install Debian's sonic-pi-samples", file=sys.stderr)
        return 2
    try:
        with compiling():
            told = measure(asked.pairs)
    except RoomtoneError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if asked.ledger is not None:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        line = {"day": date.today().isoformat(), "commit": commit, "recordings_sha256": _checksum(), **told}
        with asked.ledger.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    if asked.json:
        print(json.dumps(told, indent=2))
    else:
        _show(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
