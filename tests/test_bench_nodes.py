"""The breakdown of a quantum: complete, and without a trace in the samples."""

from itertools import count

import numpy as np
import pytest

from benchmarks.bench import nodes
from benchmarks.bench.load import Load
from benchmarks.bench.nodes import GUARDS, REST, split, split_quanta
from benchmarks.bench.quiet import Pace
from benchmarks.workload import Stage
from engine.rendering import Plan, renderer
from engine.spec import Block


def plan_of(stage: Stage) -> Plan:
    plan = stage.engine.renderer.newest_plan
    assert plan is not None
    return plan


def test_parts_do_not_add_up_to_the_whole() -> None:
    """A clock that counts its readings: 1 within each of n calls, n + 1 between them, 2 n + 1 in all."""
    stage = Stage(2, 64)
    ticks = count()
    parts, whole, calls = split_quanta(stage, 50, lambda: 1000 * next(ticks), Pace())
    steps = plan_of(stage).steps
    assert list(parts) == [*(step.name for step in steps), GUARDS, REST]
    guards = sum(len(step.watched) for step in steps)
    assert any(not step.watched for step in steps)
    assert guards > 0
    assert len(steps) == len(parts) - 2
    assert calls == len(steps) + guards
    for step in steps:
        assert (parts[step.name] == 1.0).all()
    assert (parts[GUARDS] == guards).all()
    assert (parts[REST] == calls + 1.0).all()
    assert (whole == 2.0 * calls + 1.0).all()
    np.testing.assert_array_equal(np.sum(list(parts.values()), axis=0), whole)


def test_times_of_a_real_clock_do_not_add_up() -> None:
    """Of means over rounds and banks, as reported: equal to 1e-9."""
    stages = {load: Stage(load.tracks, load.quantum_frames) for load in (Load(64, 2), Load(64, 9))}
    found = nodes.measure(stages, 0.1, lambda what, share: None, rounds=3)
    for row, told in zip(found.rows, found.as_json(), strict=True):
        assert sum(row.mean_us().values()) == pytest.approx(told["whole"]["mean_us"], rel=1e-9)
        assert set(told["parts"]) > {"tracks", "unmask", "room", "sum > loudness.bus", GUARDS, REST}
        assert all(part["mean_us"] > 0.0 for part in told["parts"].values())
        assert len(row.figures[f"{row.load.name}: unmask"].samples) == 3


def test_measuring_changes_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of three tracks of noise, one engine timed for a third of it: every bit equal, no guard alarmed."""
    timed, plain = Stage(3, 128), Stage(3, 128)
    tended: list[str] = []
    monkeypatch.setattr(timed.engine.renderer, "_tend", lambda step, error=None: tended.append(step.name))
    taken: tuple[list[Block], list[Block]] = ([], [])
    for quantum in range(750):
        for stage, blocks in zip((timed, plain), taken, strict=True):
            stage.feed()
            if stage is timed and 250 <= quantum < 500:
                with split(plan_of(stage).steps, lambda: 0):
                    stage.render()
            else:
                stage.render()
            blocks.append(plan_of(stage).output.copy())
    one, other = (np.concatenate(blocks) for blocks in taken)
    assert np.abs(one).max() > 0.01
    assert one.tobytes() == other.tobytes()
    assert tended == []


def test_clocks_stay_in_a_plan_after_an_exception() -> None:
    steps = plan_of(Stage(2, 64)).steps
    watch = vars(renderer)["watch"]

    def fail() -> None:
        with split(steps, lambda: 0):
            assert all("process" in vars(step.processor) for step in steps)
            assert vars(renderer)["watch"] is not watch
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any("process" in vars(step.processor) for step in steps)
    assert vars(renderer)["watch"] is watch


def test_a_fault_while_it_is_measured_is_not_muted() -> None:
    """A node that raises is blamed by the renderer as ever."""
    stage = Stage(2, 64)
    for _ in range(4):
        stage.render()
    steps = plan_of(stage).steps

    def raises(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    with split(steps, lambda: 0):
        (limiter,) = (step.processor for step in steps if step.name == "limiter")
        vars(limiter)["process"] = raises
        stage.render()
    assert [fault.node for fault in stage.engine.faults] == ["limiter"]
