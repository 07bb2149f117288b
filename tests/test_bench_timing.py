"""Times of quanta: what is made of them, and what is left as it was."""

import gc
import os
import sys
from itertools import count
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bench import timing
from benchmarks.bench.load import Load
from benchmarks.bench.percentiles import Percentiles
from benchmarks.bench.quiet import quiet, scheduling
from benchmarks.bench.timing import Clocks, Row
from benchmarks.workload import Stage
from dsp.denormals import SUPPORTED, flush_denormals


def nobody(what: str, share: float) -> None:
    """Is told of progress, and has better things to do."""


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=3000))
def test_percentiles_are_not_those_of_numpy(values: list[float]) -> None:
    found = Percentiles.of(values)
    expected = np.percentile(values, [50, 99, 99.9])
    np.testing.assert_allclose([found.p50, found.p99, found.p999], expected, rtol=1e-12)
    assert found.max == max(values)


def test_a_row_adds_rounds_clocks_or_shares_up_wrongly() -> None:
    """Two rounds of 128 frames at 48 kHz, budget 2666.7 µs: percentiles of all quanta, samples of each round."""
    wall, cpu = np.random.default_rng(1).integers(10_000, 3_000_000, (2, 3000))
    rounds = tuple(np.stack([wall[part], cpu[part]]) for part in (slice(0, 1000), slice(1000, 3000)))
    row = Row(Load(128, 8), rounds)
    told = row.as_json()
    assert (told["tracks"], told["quantum_frames"], told["quanta"]) == (8, 128, 3000)
    assert told["budget_us"] == pytest.approx(2666.667, abs=1e-3)
    for clock, times in (("wall", wall), ("cpu", cpu)):
        for name, percent in (("p50", 50.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)):
            expected_us = np.percentile(times, percent) / 1e3
            assert told[f"{clock}_us"][name] == pytest.approx(expected_us)
            assert told[f"{clock}_share"][name] == pytest.approx(expected_us / (1e6 * 128 / 48_000))
    figure = row.figures["8 tracks, 128 frames: p99"]
    assert figure.value == pytest.approx(np.percentile(wall, 99.0) / 1e3)
    assert figure.samples == pytest.approx([np.percentile(r[0], 99.0) / 1e3 for r in rounds])
    by_cpu = row.figures["8 tracks, 128 frames: p99 by processor time"]
    assert by_cpu.value == pytest.approx(np.percentile(cpu, 99.0) / 1e3)


class DriftingMachine:
    """A machine that takes 1 µs a track for a quantum at first, and twice as long once it has worked for 10 ms."""

    def __init__(self) -> None:
        self.now_ns = 0.0

    def clock(self) -> int:
        return int(self.now_ns)

    def work(self, tracks: int) -> None:
        self.now_ns += 1e3 * tracks * (1.0 + self.now_ns / 1e7)

    def stage(self, load: Load) -> Stage:
        machine = self

        class Works:
            spec = type("Spec", (), {"quantum_frames": load.quantum_frames})

            def feed(self, ahead_frames: int) -> None:
                pass

            def render(self) -> None:
                machine.work(load.tracks)

        return cast("Stage", Works())


@pytest.mark.parametrize("backwards", [False, True])
def test_a_machine_that_gets_slower_favours_the_rows_measured_first(backwards: bool) -> None:
    """Slower by 50 % over the run, the same bank in two rows: their medians within 3 %, whichever comes first."""
    machine = DriftingMachine()
    loads = [Load(127, 5), Load(128, 5)]
    stages = {load: machine.stage(load) for load in (loads[::-1] if backwards else loads)}
    clocks = Clocks(machine.clock, machine.clock)
    rows = timing.measure(stages, 1.35, nobody, rounds=6, clocks=clocks).rows
    first, second = (row.wall_us.p50 for row in rows)
    assert machine.clock() > 5e6
    assert first == pytest.approx(second, rel=0.03)
    for row in rows:
        assert max(r[0].mean() for r in row.rounds) > 1.3 * min(r[0].mean() for r in row.rounds)


def test_rows_are_told_of_another_bank_or_order() -> None:
    """Two real banks, given in both orders: each row has its own bank's load and its own number of quanta."""
    for order in ((Load(16, 2), Load(32, 3)), (Load(32, 3), Load(16, 2))):
        stages = {load: Stage(load.tracks, load.quantum_frames) for load in order}
        rows = timing.measure(stages, 0.05, nobody, rounds=3).rows
        assert [row.load for row in rows] == list(order)
        for row in rows:
            assert row.quanta == 3 * row.load.quanta(0.05 / 3)
            assert stages[row.load].engine.frame == row.quanta * row.load.quantum_frames


def test_what_is_done_between_the_quanta_is_timed_with_them() -> None:
    """Clocks that count how often they are read: one reading apart, whatever else happens."""
    ticks = count()
    found = np.zeros((2, 3), np.int64)
    clocks = Clocks(lambda: next(ticks), lambda: next(ticks))
    for at in range(3):
        clocks.read(lambda: None, found, at)
    assert found.tolist() == [[1, 1, 1], [3, 3, 3]]


def state() -> dict[str, Any]:
    flushed = flush_denormals(False)
    flush_denormals(flushed)
    return {
        "collecting": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "switch_interval_s": sys.getswitchinterval(),
        "policy": os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None,
        "priority": os.sched_getparam(0).sched_priority if hasattr(os, "sched_getparam") else None,
        "flushed": flushed,
    }


def test_an_exception_leaves_the_collector_off_or_the_thread_in_a_hurry() -> None:
    gc.enable()
    before = state()

    def fail() -> None:
        with quiet() as conditions:
            inside = state()
            assert not inside["collecting"]
            assert inside["frozen"] > 0
            assert inside["flushed"] == SUPPORTED
            assert scheduling() == conditions.scheduling
            assert (scheduling() == "SCHED_FIFO 10") == ("real-time priority" not in conditions.refused)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before


def test_one_that_collects_nothing_collects_afterwards() -> None:
    gc.disable()
    try:
        with quiet():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
