"""How well reverberation is told from a recording alone: sounds of every kind, in synthetic rooms of 0.2 s to 2.5 s.

    python -m benchmarks.blind_rt60
    python -m benchmarks.blind_rt60 --seeds 5 --json

Rooms have a DRR of -6 dB to 12 dB, treble as long as the rest or shorter, and noise floors 35 dB to 60 dB down.
Errors of the reverberation time are those of the answers that were given; `dry` has no room.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.reverberant import RATE_HZ, SOURCES, Samples, convolved, generator, recorded, response
from dsp.blind_decay import BlindDecay, blind_decay
from engine.media import resample
from engine.scene.reverberation import ANALYSIS_RATE_HZ

RT60_S = (0.2, 0.4, 0.8, 1.5, 2.5)
DRR_DB = (-6.0, 0.0, 6.0, 12.0)
TREBLE_RATIOS = (1.0, 0.6)
FLOOR_DB = (35.0, 60.0)
DURATION_S = 10.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A recording and what was said of it; without a room `rt60_s` is 0 and `drr_db` NaN."""

    kind: str
    source: str
    rt60_s: float
    drr_db: float
    found: BlindDecay
    seconds: float


def listen(sound: Samples) -> tuple[BlindDecay, float]:
    """Return what is found in a sound at `RATE_HZ`, and how long that took, in seconds."""
    samples = resample(sound.astype(np.float32)[:, None], RATE_HZ, ANALYSIS_RATE_HZ)
    begin_s = time.perf_counter()
    found = blind_decay(samples, ANALYSIS_RATE_HZ)
    return found, time.perf_counter() - begin_s


def trials(
    seeds: int,
    kinds: Sequence[str] = tuple(SOURCES),
    rt60_s: Sequence[float] = (0.0, *RT60_S),
    drr_db: Sequence[float] = DRR_DB,
) -> Iterator[Trial]:
    """Yield every source in every room, `seeds` times; the same in every run."""
    for kind in kinds:
        for name, make in SOURCES[kind].items():
            for seed in range(seeds):
                sound = make(seed + 1, DURATION_S)
                for time_s in rt60_s:
                    for ratio_db in drr_db if time_s > 0.0 else (np.nan,):
                        rng = generator(name, seed, time_s, ratio_db)
                        room = response(time_s, ratio_db, rng.choice(TREBLE_RATIOS), rng) if time_s else None
                        heard = sound if room is None else convolved(sound, room)
                        yield Trial(
                            kind,
                            name,
                            time_s,
                            ratio_db,
                            *listen(recorded(heard, rng.uniform(*FLOOR_DB), rng)),
                        )


@dataclass(frozen=True, slots=True)
class Row:
    """Of several trials: how many were answered, and how well. Shares are of 1, errors None without an answer."""

    kind: str
    source: str
    rt60_s: float | None
    trials: int
    answered: float
    median_error: float | None
    bias: float | None
    within_error: float | None
    drr_median_error_db: float | None
    drr_bias_db: float | None
    drr_within_uncertainty: float | None


def row(kind: str, source: str, rt60_s: float | None, group: Sequence[Trial]) -> Row:
    """Return what `group` shows."""
    said = [t for t in group if t.found.rt60_s is not None]
    errors = np.array([t.found.rt60_s / t.rt60_s - 1.0 for t in said if t.found.rt60_s and t.rt60_s > 0.0])
    drr = [t for t in said if t.found.drr_db is not None and np.isfinite(t.drr_db)]
    drr_db = np.array([t.found.drr_db - t.drr_db for t in drr if t.found.drr_db is not None])
    sure_db = np.array([t.found.drr_uncertainty_db for t in drr])
    return Row(
        kind,
        source,
        rt60_s,
        len(group),
        len(said) / len(group),
        float(np.median(np.abs(errors))) if len(errors) else None,
        float(np.median(errors)) if len(errors) else None,
        float(np.quantile(np.abs(errors), 0.9)) if len(errors) else None,
        float(np.median(np.abs(drr_db))) if len(drr_db) else None,
        float(np.median(drr_db)) if len(drr_db) else None,
        float(np.mean(np.abs(drr_db) <= sure_db)) if len(drr_db) else None,
    )


def table(found: Sequence[Trial]) -> list[Row]:
    """Return a row for each kind, then for each source, then for each source and time; dry ones (0 s) apart."""
    wet = [t for t in found if t.rt60_s > 0.0]
    rows = []
    for kind in dict.fromkeys(t.kind for t in found):
        rows.append(row(kind, "all", None, [t for t in wet if t.kind == kind]))
    for kind, source in dict.fromkeys((t.kind, t.source) for t in found):
        rows.append(row(kind, source, None, [t for t in wet if t.source == source]))
    for kind, source, rt60_s in dict.fromkeys((t.kind, t.source, t.rt60_s) for t in found):
        group = [t for t in found if (t.source, t.rt60_s) == (source, rt60_s)]
        rows.append(row(kind, source, rt60_s, group))
    return rows


def speed(found: Sequence[Trial]) -> float:
    """Return the median of how many times faster than real time the analysis was."""
    return float(np.median([DURATION_S / t.seconds for t in found]))


def _text(rows: Sequence[Row]) -> str:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = [
        f"{'kind':12} {'source':10} {'RT60 s':>7} {'trials':>6} {'said':>5} {'error':>6} {'bias':>6} {'90 %':>6}"
        f" {'DRR dB':>7} {'bias':>5} {'in +-':>5}"
    ]
    for r in rows:
        time_s = "all" if r.rt60_s is None else f"{r.rt60_s:g}" if r.rt60_s else "dry"
        lines.append(
            f"{r.kind:12} {r.source:10} {time_s:>7} {r.trials:6} {r.answered:5.0%}"
            f" {number(r.median_error, '.1%'):>6} {number(r.bias, '+.0%'):>6} {number(r.within_error, '.0%'):>6}"
            f" {number(r.drr_median_error_db, '.1f'):>7} {number(r.drr_bias_db, '+.1f'):>5}"
            f" {number(r.drr_within_uncertainty, '.0%'):>5}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="takes of each source")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = list(trials(max(1, options.seeds)))
    rows, times = table(found), speed(found)
    if options.json:
        facts: dict[str, Any] = {"times_real_time": times, "rows": [asdict(r) for r in rows]}
        print(json.dumps(facts, indent=2))
    else:
        print(_text(rows))
        print(f"{times:.0f} times faster than real time (median)")


if __name__ == "__main__":
    main()
