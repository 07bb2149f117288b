"""How well mix settings are found between a raw and a mixed sound, where they are known.

    python -m benchmarks.identification [--json] [--sounds FOLDER] [--pairs N]

Pairs are made with pedalboard: 31 peak filters, compressor, gain, drawn at random. The sounds are those of
sonic-pi-samples of at least 1 s, or made-up ones where that folder is not there.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.mixed_pairs import RATE_HZ, Mix, at_level, draw, looped, procedural
from engine.errors import SoundError
from engine.learn.equaliser import curve_db
from engine.learn.match import LEAST_REDUCTION_DB, Match, match_pair
from engine.media.decode import decode

Samples = NDArray[np.float32]

SOUNDS = Path("/usr/share/sonic-pi/samples")
LEAST_S = 1.0
MADE_UP = 60
SEED = 20_261
JUDGED_HZ = (40.0, 16_000.0)
POINTS = 150

GOALS = {
    "eq_db": 0.6,
    "ratio": 0.05,
    "attack": 0.25,
    "release": 0.25,
    "loudness_lu": 0.05,
    "seconds": 1.0,
}
"""Of the medians; times and ratio as a share, where the gain reduction is above 2 dB; seconds for 4 s of sound."""


@dataclass(frozen=True)
class Row:
    """What came of one pair. Errors are absolute; those of ratio and times a share, None where they are unknown.

    `threshold_db` and `gain_db` are against what was drawn, once the flat lift of the drawn curve has been moved to
    where the match has it.
    """

    name: str
    reduction_db: float
    eq_db: float
    threshold_db: float | None
    ratio: float | None
    attack: float | None
    release: float | None
    gain_db: float
    loudness_lu: float
    level_db: float
    stft: float
    stft_before: float
    seconds: float
    worst_confidence: float


def judge(name: str, raw: Samples, mix: Mix) -> Row:
    """Mix a sound, match it, and compare."""
    mixed = mix.applied(raw)
    begin_s = time.perf_counter()
    match = match_pair(raw, float(RATE_HZ), mixed, float(RATE_HZ))
    seconds = time.perf_counter() - begin_s
    at_hz = np.geomspace(*JUDGED_HZ, POINTS)
    off = curve_db(match.filters_db, at_hz, RATE_HZ) + match.trim_db - curve_db(mix.eq_db, at_hz, RATE_HZ)
    lift_db = float(np.median(off))
    known = match.ratio is not None
    return Row(
        name,
        match.reduction_db,
        float(np.mean(np.abs(off - lift_db))),
        None if match.threshold_db is None else abs(match.threshold_db - mix.threshold_db - lift_db),
        _share(match.ratio, mix.ratio),
        _share(match.attack_ms, mix.attack_ms),
        _share(match.release_ms, mix.release_ms),
        abs(match.gain_db - mix.gain_db + lift_db),
        abs(match.measures["loudness_lu"]),
        match.measures["level_db"],
        match.measures["stft_distance"],
        match.measures["stft_distance_before"],
        seconds * 4.0 / (len(raw) / RATE_HZ),
        min(match.confidence.values()) if known else _confidence(match),
    )


def _confidence(match: Match) -> float:
    return min(match.confidence["eq_db"], match.confidence["gain_db"])


def _share(found: float | None, true: float) -> float | None:
    return None if found is None else abs(found / true - 1.0)


def sounds(folder: Path) -> list[tuple[str, Samples]]:
    """Return the sounds of a folder that last at least 1 s, looped to 4 s."""
    made = []
    for path in sorted(folder.glob("*.flac")) + sorted(folder.glob("*.wav")):
        try:
            samples = decode(path, RATE_HZ)
        except SoundError:
            continue
        if len(samples) >= LEAST_S * RATE_HZ and np.abs(samples).max() > 1e-3:
            made.append((path.stem, looped(samples[:, :1])))
    return made


def run(folder: Path | None, pairs: int | None, seed: int = SEED) -> list[Row]:
    """Judge all pairs; a sound in mono, a mix drawn for each."""
    if folder is not None and folder.is_dir():
        chosen = sounds(folder)[:pairs]
    else:
        chosen = [
            (f"made up {i}", procedural(np.random.default_rng([seed, i, 1]))) for i in range(pairs or MADE_UP)
        ]
    warm = np.random.default_rng(0)
    mix = draw(warm)
    judge("warm", at_level(procedural(warm), -20.0), mix)
    rows = []
    for i, (name, samples) in enumerate(chosen):
        mix = draw(np.random.default_rng([seed, i]))
        rows.append(judge(name, at_level(samples, mix.level_dbfs), mix))
        if sys.stderr.isatty():
            print(f"\r{i + 1} of {len(chosen)}", end="", file=sys.stderr, flush=True)
    return rows


def summary(rows: list[Row]) -> dict[str, Any]:
    """Return medians, means and 90th percentiles of all figures, and what reaches its goal."""
    figures: dict[str, Any] = {}
    for name in (
        "eq_db",
        "threshold_db",
        "ratio",
        "attack",
        "release",
        "gain_db",
        "loudness_lu",
        "level_db",
        "stft",
    ):
        figures[name] = _spread([getattr(row, name) for row in rows])
    figures["stft_before"] = _spread([row.stft_before for row in rows])
    figures["seconds"] = _spread([row.seconds for row in rows])
    reached = {name: figures[name]["median"] <= goal for name, goal in GOALS.items()}
    return {
        "pairs": len(rows),
        "pairs_with_reduction": sum(row.reduction_db > LEAST_REDUCTION_DB for row in rows),
        "figures": figures,
        "goals": GOALS,
        "reached": reached,
    }


def _spread(values: list[float | None]) -> dict[str, float]:
    known = np.array([v for v in values if v is not None])
    if not len(known):
        return {"median": float("nan"), "mean": float("nan"), "p90": float("nan"), "count": 0}
    return {
        "median": round(float(np.median(known)), 4),
        "mean": round(float(known.mean()), 4),
        "p90": round(float(np.percentile(known, 90.0)), 4),
        "count": len(known),
    }


def main() -> None:
    """Print the figures; exit code 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        description="How well mix settings are found between a raw and a mixed sound."
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--sounds", type=Path, default=SOUNDS, help="folder of sounds; made-up ones if missing"
    )
    parser.add_argument("--made-up", action="store_true", help="take made-up sounds")
    parser.add_argument("--pairs", type=int, default=None, help="at most so many")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    rows = run(None if given.made_up else given.sounds, given.pairs, given.seed)
    found = summary(rows)
    if given.json:
        print(json.dumps({**found, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(
            f"{found['pairs']} pairs, {found['pairs_with_reduction']} with more than 2 dB of gain reduction"
        )
        print(f"{'':14}{'median':>9}{'mean':>9}{'p90':>9}{'pairs':>7}{'goal':>7}")
        for name, spread in found["figures"].items():
            goal = GOALS.get(name)
            told = "" if goal is None else f"{goal:7g}" + ("" if found["reached"][name] else "  missed")
            print(
                f"{name:14}{spread['median']:9.4f}{spread['mean']:9.4f}{spread['p90']:9.4f}{spread['count']:7}{told}"
            )
    sys.exit(0 if all(found["reached"].values()) else 1)


if __name__ == "__main__":
    main()
