"""Every node at every rate and quantum, in every layout, with every signal: what gets out, and what it touches."""

from collections.abc import Callable
from itertools import groupby

import numpy as np
import pytest

from benchmarks.matrix import STREAMS, every_case, sample, turn
from benchmarks.node_cases import QUANTA_FRAMES, SIGNALS, Alone, Case, bank, describe, run, run_alone, signal
from benchmarks.node_subjects import SUBJECTS, Subject, Summed
from dsp.denormals import SUPPORTED
from engine.inputs import INPUT_CHANNELS
from engine.meters import Meter
from engine.node import BuildContext
from engine.rendering.steps import Sum
from engine.spec import RATES_HZ, Block

CASES = {name: list(cases) for name, cases in groupby(sample(), key=lambda case: case.subject)}


def test_the_sample_leaves_something_out() -> None:
    """Of 69 120 cases 6912: of every node and layout every pair of rate and quantum, and every signal."""
    assert len(list(every_case())) == 69_120
    assert len(list(sample())) == 6912
    assert set(sample()) <= set(every_case())
    for name, cases in CASES.items():
        layouts = {(c.tracks, c.mono) for c in cases}
        assert len(layouts) == 2 * len(SUBJECTS[name].tracks)
        for layout in layouts:
            met = [c for c in cases if (c.tracks, c.mono) == layout]
            assert {(c.rate_hz, c.quantum) for c in met} == {(r, q) for r in RATES_HZ for q in QUANTA_FRAMES}
            assert {c.signal for c in met} == set(SIGNALS)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_node_fails_at_some_rate_quantum_layout_or_signal(name: str) -> None:
    """10 quanta of each case alone between fences and in a graph: nothing odd, and poison blamed on its source."""
    failed = {str(case): odd for case in CASES[name] if (odd := run(case))}
    assert not failed


@pytest.mark.parametrize(("rate_hz", "quantum"), STREAMS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_settings_that_nobody_thought_of_break_a_node(name: str, rate_hz: int, quantum: int) -> None:
    """All corners of its ranges and 100 sets at random, each at once and for 5 quanta of noise."""
    done, odd = turn(name, rate_hz, quantum)
    assert not odd
    assert done >= 102 or name in ("players", "live_input", "fader", "meter", "sum", "delay")


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_node_is_silent_all_the_time(name: str) -> None:
    """Fed with noise for 10 quanta of 1000, half the lanes of each output get above 0.01: what is examined is sound."""
    case = Case(name, max(SUBJECTS[name].tracks), False, 48_000, 1000, "noise")
    alone = Alone(*describe(case))
    alone.site.load(case)
    fed, heard = bank(case), signal(case, INPUT_CHANNELS)
    loudest = [np.zeros(outs.block.shape[1]) for outs in alone.outs]
    for frame in range(0, len(fed), 1000):
        alone.site.capture(heard[frame : frame + 1000])
        assert alone.process(fed[frame : frame + 1000], frame, fed) == []
        for most, outs in zip(loudest, alone.outs, strict=True):
            np.maximum(most, np.abs(outs.block).max(axis=0), out=most)
    assert min(np.median(most) for most in loudest) > 0.01


class Wrong(Sum):
    """A step that does what it should not."""

    def __init__(self, deed: Callable[[tuple[Block, ...], Block], None]) -> None:
        self._deed = deed

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        super().process(ins, outs, frame)
        if frame >= 64:
            self._deed(ins, outs[0])


def beyond(block: Block, row: int) -> None:
    np.lib.stride_tricks.as_strided(block, (len(block) + 8, block.shape[1]))[row] = 0.0


DEEDS: dict[str, tuple[Callable[[tuple[Block, ...], Block], None], str]] = {
    "leaves a sample": (lambda ins, out: out[-1:, -1].fill(np.nan), "output not finite, or not written"),
    "infinite": (lambda ins, out: out[5:6, 0].fill(np.inf), "output not finite, or not written"),
    "behind its output": (lambda ins, out: beyond(out, 64), "a write outside of a block"),
    "behind an input": (lambda ins, out: beyond(ins[1], 65), "a write outside of a block"),
    "into an input": (lambda ins, out: ins[2][:1].fill(-0.0), "an input was changed"),
    "subnormal": (lambda ins, out: out.view(np.uint32)[3:4].fill(77), "subnormal output"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_node_that_does_wrong_passes(deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of six misdeeds from the second quantum on is told, and where."""
    if deed == "subnormal" and not SUPPORTED:
        pytest.skip("this machine cannot flush subnormals")
    act, told = DEEDS[deed]
    case = Case("sum", 1, False, 48_000, 64, "silence")
    assert run_alone(case) == []
    monkeypatch.setattr(Summed, "build", lambda node, ctx: Wrong(act))
    assert run_alone(case) == [f"{told} at frame 64"]


def test_a_meter_that_is_not_finite_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Sum):
        def __init__(self, ctx: BuildContext) -> None:
            ctx.meter("level")[0] = np.nan

    monkeypatch.setattr(Summed, "build", lambda node, ctx: Odd(ctx))
    subject = Subject(lambda *_: Summed(2, meters=(Meter("level", "", ""),)), (1,))
    monkeypatch.setitem(SUBJECTS, "sum", subject)
    odd = run(Case("sum", 1, False, 48_000, 64, "noise"))
    assert odd[0] == "alone: meter level of node is not finite"
    assert odd[1] == "rendered: meter level of node is not finite"


def test_poison_that_the_wrong_node_is_blamed_for_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that puts out NaN by itself, fed with sound; and one that is fed with poison nobody expects there."""
    monkeypatch.setattr(Summed, "build", lambda node, ctx: Wrong(DEEDS["infinite"][0]))
    odd = run(Case("sum", 1, False, 48_000, 64, "sine"))
    assert any(what.startswith("rendered: fault: Fault(node='node', frame=64") for what in odd)
    monkeypatch.undo()
    monkeypatch.setitem(SUBJECTS, "sum", SUBJECTS["sum"]._replace(blamed=("node",)))
    (odd_one,) = run(Case("sum", 1, False, 48_000, 64, "nan"))[:1]
    assert odd_one.startswith("rendered: fault: Fault(node='source', frame=128")
