"""How evenly a device asks for its buffers: the histogram that the callback keeps, and percentiles of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.figures import Figure
from engine.host.session import DeviceIntervals

SHARES = (0.5, 0.99, 0.999)
SHOWN_PERIODS = 2.0
COLUMNS = 40
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, eq=False)
class Jitter:
    """The intervals between a device's buffers.

    `counts` int64 `[n]` lie between `edges_us` float64 `[n + 1]`; what was longer than all bins is the last of them, up
    to `longest_us`. `expected_us` is how long what the device took lasts, on average. `pieces` are calls that went on
    with a buffer and end no interval. `rounds` are the percentiles of `SHARES` and the longest, in parts of the run.
    """

    expected_us: float
    edges_us: NDArray[np.float64]
    counts: NDArray[np.int64]
    longest_us: float
    pieces: int
    rounds: tuple[tuple[float, ...], ...]

    def percentile_us(self, share: float) -> float:
        """Return the interval that `share` of all, 0 to 1, do not exceed: to the width of a bin, beyond all bins the
        longest there was. None is longer than that, wherever in its bin it lies.
        """
        return min(_percentile(self.edges_us, self.counts, share), self.longest_us)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored: the bins from the first that is not empty to the last."""
        filled = np.flatnonzero(self.counts)
        first, last = int(filled[0]), int(filled[-1])
        return {
            "expected_us": round(self.expected_us, 3),
            "intervals": int(self.counts.sum()),
            "pieces": self.pieces,
            "p50_us": round(self.percentile_us(0.5), 1),
            "p99_us": round(self.percentile_us(0.99), 1),
            "p99_9_us": round(self.percentile_us(0.999), 1),
            "longest_us": round(self.longest_us, 1),
            "edges_us": [round(float(edge), 3) for edge in self.edges_us[first : last + 2]],
            "counts": [int(count) for count in self.counts[first : last + 1]],
        }

    @property
    def figures(self) -> dict[str, Figure]:
        """Return the percentiles, one sample a round."""
        names = [f"callback period, {100 * share:g} %" for share in SHARES]
        columns = list(zip(*self.rounds, strict=True))
        figures = {
            name: Figure(self.percentile_us(share), "us", "lower", column)
            for name, share, column in zip(names, SHARES, columns, strict=False)
        }
        return figures | {"callback period, longest": Figure(self.longest_us, "us", "lower", columns[-1])}

    def lines(self) -> list[str]:
        """Return it as text, with a picture of the histogram whose bars are logarithmic."""
        shares = ", ".join(f"{100 * share:g} % within {self.percentile_us(share):.0f}" for share in SHARES)
        return [
            f"  callback period, µs     expected {self.expected_us:.0f}: {shares}, longest {self.longest_us:.0f}",
            f"                          0 |{self._picture()}| {SHOWN_PERIODS * self.expected_us:.0f} and more",
        ]

    def _picture(self) -> str:
        most_us = SHOWN_PERIODS * self.expected_us
        middles = np.minimum(0.5 * (self.edges_us[:-1] + self.edges_us[1:]), 0.999 * most_us)
        heights, _ = np.histogram(middles, COLUMNS, (0.0, most_us), weights=self.counts)
        logs = np.log2(1.0 + heights)
        places = np.ceil((len(BARS) - 1) * logs / logs.max()).astype(int)
        return "".join(BARS[place] for place in places)


def jitter(snapshots: Sequence[DeviceIntervals], rate_hz: int) -> Jitter | None:
    """Return what happened between the first and the last of `snapshots`, the rounds being those between any two.

    None where nothing was counted: without a device, or without a clock that a callback can read.
    """
    first, last = snapshots[0], snapshots[-1]
    counts = last.counts - first.counts
    if not counts.any():
        return None
    edges_us: NDArray[np.float64] = 1e-3 * last.bin_ns * np.arange(len(counts) + 1.0)
    rounds = []
    longest_us = 0.0
    for before, after in pairwise(snapshots):
        some = after.counts - before.counts
        if not some.any():
            continue
        round_edges_us, round_longest_us = _edges(edges_us, some, before, after)
        longest_us = max(longest_us, round_longest_us)
        shares_us = (min(_percentile(round_edges_us, some, share), round_longest_us) for share in SHARES)
        rounds.append((*shares_us, round_longest_us))
    edges_us[-1] = max(edges_us[-1], longest_us)
    expected_us = 1e6 * (last.frames - first.frames) / int(counts.sum()) / rate_hz
    return Jitter(expected_us, edges_us, counts, longest_us, last.pieces - first.pieces, tuple(rounds))


def _edges(
    edges_us: NDArray[np.float64], counts: NDArray[np.int64], before: DeviceIntervals, after: DeviceIntervals
) -> tuple[NDArray[np.float64], float]:
    """Return the edges for one round with where its last bin ends, and its longest interval.

    That is known exactly if it is the longest so far, else to the width of a bin; beyond all bins it is at most that.
    """
    top = int(np.flatnonzero(counts)[-1])
    record = after.longest_ns > before.longest_ns
    longest_us = 1e-3 * after.longest_ns if record or top == len(counts) - 1 else float(edges_us[top + 1])
    edges_us = edges_us.copy()
    edges_us[-1] = max(edges_us[-1], longest_us)
    return edges_us, longest_us


def _percentile(edges_us: NDArray[np.float64], counts: NDArray[np.int64], share: float) -> float:
    sums = np.concatenate([[0], np.cumsum(counts)])
    rank = share * sums[-1]
    place = min(int(np.searchsorted(sums, rank, side="left")), len(counts)) - 1
    place = max(place, int(np.flatnonzero(counts)[0]))
    if place == len(counts) - 1:
        return float(edges_us[-1])
    inside = (rank - sums[place]) / counts[place] if counts[place] else 0.0
    return float(edges_us[place] + inside * (edges_us[place + 1] - edges_us[place]))
