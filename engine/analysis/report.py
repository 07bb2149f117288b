"""What an analysis found, as figures for programs and as lines for people."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dsp.bark import EDGES_HZ
from dsp.stft import hop_frames
from engine.analysis.pairs import (
    ACTIVE_RANGE_DB,
    Exchange,
    Masked,
    Masking,
    analyse,
    main_bands,
    weighted_share,
    weights,
)
from engine.analysis.stems import Tracks

WORST = 3
"""How many maskers of a track are named."""

Progress = Callable[[int, int], None]
"""Called as (pairs done, pairs in all)."""


@dataclass(frozen=True, eq=False)
class Findings:
    """The masking among `tracks`, before and where there is such a thing after unmasking."""

    tracks: Tracks
    before: Masking
    after: Masking | None

    @property
    def stages(self) -> dict[str, Masking]:
        """Before, and after if there is one, by name."""
        return {"before": self.before} | ({"after": self.after} if self.after else {})

    def silent(self, track: int) -> bool:
        """Say whether nothing of the track can be heard at any time."""
        return bool(np.isnan(self.before.over_time[track]).all())

    def worst_pairs(self, count: int) -> list[tuple[int, int]]:
        """Return up to `count` pairs (masker, maskee), no two of the same tracks, those that matter most first.

        What matters is the masked share times the importance of the masked track; where that is 0, the share.
        """
        pairs, importance = self.before.pairs, self.tracks.importance
        chosen: list[tuple[int, int]] = []
        for masker, maskee in sorted(
            pairs, key=lambda pair: (-pairs[pair].share * importance[pair[1]], -pairs[pair].share)
        ):
            if len(chosen) < count and (maskee, masker) not in chosen:
                chosen.append((masker, maskee))
        return chosen


def investigate(tracks: Tracks, progress: Progress | None = None) -> Findings:
    """Analyse all pairs of `tracks`; what matters after unmasking is what mattered before."""
    weight = weights(tracks.before)
    stages = [tracks.before] + ([] if tracks.after is None else [tracks.after])
    found = []
    for number, energy in enumerate(stages):

        def advance(done: int, total: int, base: int = number) -> None:
            if progress:
                progress(base * total + done, len(stages) * total)

        found.append(analyse(energy, weight, tracks.hop_s, advance))
    return Findings(tracks, found[0], found[1] if len(found) > 1 else None)


def report(findings: Findings) -> dict[str, Any]:
    """Return everything that was found, as `roomtone analyze --json` prints it; shares are 0 to 1, null is silence."""
    tracks, stages = findings.tracks, findings.stages
    names = tracks.names
    hop = hop_frames(tracks.rate_hz)
    return {
        "title": tracks.title,
        "rate": tracks.rate_hz,
        "frames": tracks.samples,
        "window_frames": 2 * hop,
        "hop_frames": hop,
        "active_range_db": ACTIVE_RANGE_DB,
        "band_edges_hz": EDGES_HZ.tolist(),
        "masked_share": {
            stage: _number(weighted_share(masking, tracks.importance)) for stage, masking in stages.items()
        },
        "tracks": [_track(findings, i) for i in range(len(names))],
        "matrix": {stage: masking.matrix.round(4).tolist() for stage, masking in stages.items()},
        "pairs": [
            {"masker": names[j], "maskee": names[i]}
            | {stage: _figures(m.pairs.get((j, i))) for stage, m in stages.items()}
            for j, i in sorted({pair for m in stages.values() for pair in m.pairs})
        ],
        "exchanges": [
            {"tracks": [names[i], names[j]]}
            | {stage: _swaps(m.exchanges.get((i, j))) for stage, m in stages.items()}
            for i, j in sorted({pair for m in stages.values() for pair in m.exchanges})
        ],
    }


def band_ranges(bands: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return runs of bands as (lowest, highest) Hz."""
    return [(int(EDGES_HZ[first]), int(EDGES_HZ[end])) for first, end in bands]


def _track(findings: Findings, track: int) -> dict[str, Any]:
    tracks = findings.tracks
    row: dict[str, Any] = {"name": tracks.names[track], "importance": tracks.importance[track]}
    silent = findings.silent(track)
    for stage, masking in findings.stages.items():
        row[stage] = None
        if not silent:
            by = [
                {"name": tracks.names[j], "share": round(masking.pairs[j, track].share, 4)}
                for j in masking.worst(track, WORST)
            ]
            row[stage] = _figures(masking.totals[track]) | {"worst": by}
    return row


def _figures(masked: Masked | None) -> dict[str, Any]:
    if masked is None:
        return {"share": 0.0, "excess_db": 0.0, "bands_hz": [], "band_share": [], "intervals_s": []}
    return {
        "share": round(masked.share, 4),
        "excess_db": round(masked.excess_db, 2),
        "bands_hz": band_ranges(main_bands(masked.band_share)),
        "band_share": masked.band_share.round(5).tolist(),
        "intervals_s": masked.intervals_s,
    }


def _swaps(exchange: Exchange | None) -> dict[str, Any]:
    exchange = exchange or Exchange(0, 0, ())
    return {"changes": exchange.changes, "bands": exchange.bands, "times_s": exchange.times_s}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
