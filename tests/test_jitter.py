"""Percentiles of a histogram are those of what was counted, to the width of a bin; and nothing is lost on the way."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.bench.jitter import Jitter, jitter
from engine.host.callback import INTERVAL_BINS
from engine.host.session import DeviceIntervals

RATE_HZ = 48_000
BIN_NS = 128 * 1_000_000_000 // (RATE_HZ * 256)


def counted(intervals_ns: NDArray[np.int64]) -> DeviceIntervals:
    """What the callback would have counted."""
    places = np.minimum(intervals_ns // BIN_NS, INTERVAL_BINS)
    counts = np.bincount(places, minlength=INTERVAL_BINS + 1).astype(np.int64)
    longest_ns = int(intervals_ns.max(initial=0))
    return DeviceIntervals(BIN_NS, counts, 128 * len(intervals_ns), longest_ns, 3)


def drawn(seed: int, size: int = 20_000) -> NDArray[np.int64]:
    return np.random.default_rng(seed).gamma(100.0, 26_666.67, size).astype(np.int64)


def made(*parts: NDArray[np.int64]) -> Jitter:
    """The jitter of these parts of a run, one after the other."""
    snapshots = [counted(np.concatenate([*parts[:n], np.array([], np.int64)])) for n in range(len(parts) + 1)]
    found = jitter(snapshots, RATE_HZ)
    assert found is not None
    return found


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999, 1.0])
def test_a_percentile_is_that_of_the_intervals_to_the_width_of_a_bin(share: float) -> None:
    """10.4 us, 1/256 of 128 frames at 48 kHz."""
    intervals_ns = drawn(1)
    assert made(intervals_ns).percentile_us(share) == pytest.approx(
        1e-3 * float(np.quantile(intervals_ns, share)), abs=10.42
    )


def test_what_was_expected_is_what_the_device_took() -> None:
    """128 frames at 48 kHz are 2667 us, whatever the intervals were."""
    assert made(drawn(1)).expected_us == pytest.approx(1e6 * 128 / RATE_HZ)


def test_what_is_longer_than_all_bins_is_known_by_the_longest_alone() -> None:
    intervals_ns = np.concatenate([drawn(1, 990), np.full(10, 500_000_000)])
    found = made(intervals_ns)
    assert found.percentile_us(0.999) == found.longest_us == 500_000.0
    assert found.percentile_us(0.5) < 4000.0


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_no_percentile_is_beyond_the_longest_wherever_in_its_bin_that_lies(place: float) -> None:
    even = np.full(60, int((256 + place) * BIN_NS))
    found = made(even)
    assert found.percentile_us(0.5) <= found.percentile_us(0.99) <= found.percentile_us(0.999)
    assert found.percentile_us(0.999) <= found.longest_us == pytest.approx(1e-3 * even[0])
    for round_us in found.rounds:
        assert list(round_us) == sorted(round_us)


def test_a_round_is_what_was_counted_in_it() -> None:
    fast, slow = drawn(1), 2 * drawn(2)
    found = made(fast, slow)
    for intervals_ns, (p50_us, p99_us, _, longest_us) in zip((fast, slow), found.rounds, strict=True):
        assert p50_us == pytest.approx(1e-3 * np.median(intervals_ns), abs=10.42)
        assert p99_us == pytest.approx(1e-3 * np.quantile(intervals_ns, 0.99), abs=10.42)
        assert longest_us == pytest.approx(1e-3 * float(intervals_ns.max()), abs=10.42)
    assert found.figures["callback period, 50 %"].samples == tuple(row[0] for row in found.rounds)


def test_what_came_before_the_first_moment_does_not_count() -> None:
    before, after = drawn(1), drawn(2, 500)
    found = jitter([counted(before), counted(np.concatenate([before, after]))], RATE_HZ)
    assert found is not None
    assert found.counts.sum() == 500
    assert found.expected_us == pytest.approx(1e6 * 128 / RATE_HZ)
    assert found.pieces == 0


def test_the_json_holds_every_interval_between_its_edges() -> None:
    intervals_ns = np.concatenate([drawn(1), np.array([0, 400_000_000])])
    stored = json.loads(json.dumps(made(intervals_ns).as_json()))
    assert sum(stored["counts"]) == stored["intervals"] == len(intervals_ns)
    assert len(stored["edges_us"]) == len(stored["counts"]) + 1
    assert stored["edges_us"][0] == 0.0
    assert stored["edges_us"][-1] == stored["longest_us"] == 400_000.0
    edges_ns = np.rint(1e3 * np.array(stored["edges_us"])).astype(np.int64)
    assert np.histogram(intervals_ns, edges_ns)[0].tolist() == stored["counts"]


def test_the_picture_has_a_bar_where_the_intervals_are() -> None:
    """All near the period: the bars stand in the middle of 0 to 2 periods, and one outlier at the end."""
    lines = made(np.concatenate([np.full(1000, 2_666_667), np.array([80_000_000])])).lines()
    bars = lines[1].split("|")[1]
    assert bars[19:21].count("█") == 1
    assert bars[-1] != " "
    assert bars.replace(" ", "").count("█") == len(bars.replace(" ", "")) - 1


def test_nothing_counted_is_no_jitter() -> None:
    nothing = counted(np.array([], np.int64))
    assert jitter([nothing, nothing], RATE_HZ) is None
