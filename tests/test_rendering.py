"""Graph, plan and renderer: what is refused, what is compensated, what survives an edit, what a fault costs."""

from dataclasses import dataclass

import numpy as np
import pytest

from engine.clips import ClipStore
from engine.errors import GraphError
from engine.events import QUEUES, EventQueue
from engine.inputs import InputRing
from engine.meters import Meter, MeterTable
from engine.node import BuildContext, Port, Processor
from engine.params import Param, ParamTable
from engine.rendering import Graph, Plan, Renderer, compile_plan
from engine.spec import Block, StreamSpec

SPEC = StreamSpec(48_000, 64)
STEREO = (Port("bus", 2),)


@dataclass(frozen=True)
class Toy:
    """A node for these tests: adds `level` to its input, `lag` frames late; `fail` says how it misbehaves."""

    level: float = 0.0
    lag: int = 0
    fail: str = ""
    inputs: tuple[Port, ...] = STEREO
    outputs: tuple[Port, ...] = STEREO
    meters: tuple[Meter, ...] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        return (Param("level", "", -1.0, 1.0, self.level, "what is added"),)

    def build(self, ctx: BuildContext) -> "ToyProcessor":
        return ToyProcessor(self, ctx)


class ToyProcessor(Processor):
    def __init__(self, node: Toy, ctx: BuildContext) -> None:
        self.latency_frames = node.lag
        self._line = np.zeros((node.lag + ctx.spec.quantum_frames, 2), np.float32)
        self._level = ctx.param("level")
        self._fail = node.fail
        self.quanta = 0
        self.resets = 0

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        self.quanta += 1
        if self._fail == "raise" and frame == 128:
            raise RuntimeError("toy broke")
        lag = self.latency_frames
        self._line[lag:] = ins[0] if ins else 0.0
        outs[0][:] = self._line[: len(outs[0])]
        self._line[:lag] = self._line[len(outs[0]) :][:lag]
        outs[0][:] += np.float32(self._level[0])
        if self._fail == "nan" and frame == 128:
            outs[0][:] = np.nan

    def reset(self) -> None:
        self.resets += 1
        self.quanta = 0
        self._line.fill(0.0)


@dataclass(frozen=True)
class Bank(Toy):
    """A toy whose next version continues where it is."""

    def build(self, ctx: BuildContext) -> "BankProcessor":
        return BankProcessor(self, ctx)


class BankProcessor(ToyProcessor):
    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, BankProcessor)

    def adopt(self, old: Processor) -> None:
        assert isinstance(old, BankProcessor)
        self.quanta = old.quanta


@dataclass(frozen=True)
class Broken(Bank):
    """A bank whose processor says that it adopts, and then fails."""

    def build(self, ctx: BuildContext) -> "BankProcessor":
        return BrokenProcessor(self, ctx)


class BrokenProcessor(BankProcessor):
    def adopt(self, old: Processor) -> None:
        raise RuntimeError("will not adopt")


class Rig:
    """A renderer with its tables, as both engines have it."""

    def __init__(self, graph: Graph, spec: StreamSpec = SPEC, first_frame: int = 0) -> None:
        self.spec = spec
        self.clips = ClipStore()
        self.events = EventQueue()
        self.params = ParamTable.of(graph.params())
        self.meters = MeterTable.of(graph.meters())
        self.snapshot = self.params.memory.copy()
        self.renderer = Renderer(spec, self.params.memory, self.snapshot)
        self.renderer.frame = first_frame
        self.plan = self.swap(graph)

    def swap(self, graph: Graph, number: int = 0) -> Plan:
        self.params = ParamTable.of(graph.params(), previous=self.params)
        self.meters = MeterTable.of(graph.meters(), previous=self.meters)
        self.snapshot[:] = self.params.memory
        ctx = BuildContext(
            *("", self.spec, self.clips, (self.events,) * QUEUES, InputRing()),
            *(self.params.slot_map, self.snapshot, self.meters.slot_map, self.meters.memory),
        )
        self.plan = compile_plan(graph, ctx, self.renderer.newest_plan)
        self.renderer.swap(self.plan, number)
        return self.plan

    def render(self, quanta: int = 1) -> Block:
        out = np.empty((quanta * self.spec.quantum_frames, 2), np.float32)
        for block in np.split(out, quanta):
            self.renderer.render(block)
        return out


def chain(*toys: Toy) -> Graph:
    graph = Graph()
    for i, toy in enumerate(toys):
        graph.add(f"n{i}", toy)
    graph.chain(*graph.nodes)
    graph.set_output(f"n{len(toys) - 1}")
    return graph


SOURCE = Toy(0.5, inputs=())


def test_a_cycle_is_refused_by_the_names_of_its_nodes() -> None:
    graph = Graph()
    for name in ("a", "b", "c", "d"):
        graph.add(name, Toy())
    graph.chain("a", "b", "c", "d")
    graph.connect("d", "b")
    with pytest.raises(GraphError, match=r"cycle through .*b") as caught:
        graph.order()
    assert set(str(caught.value).split("through ")[1].split(", ")) == {"b", "c", "d"}


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda g: g.connect("a", "x"), "no node 'x'"),
        (lambda g: g.connect("a.left", "b"), "no output 'left'; it has bus"),
        (lambda g: g.connect("a", "b.key"), "no input 'key'"),
        (lambda g: g.connect("a", "wide"), "a.bus has 2 lanes, wide.bank takes 8"),
        (lambda g: g.add("a", Toy()), "a node 'a' already"),
        (lambda g: g.add("a b", Toy()), "must be a plain word"),
        (lambda g: g.set_output("wide"), "must be stereo"),
        (lambda g: (g.connect("a", "b"), g.connect("a", "b")), "connected to b.bus already"),
        (lambda g: g.remove("x"), "no node 'x'"),
        (lambda g: g.replace("x", Toy()), "no node 'x'"),
    ],
)
def test_a_wrong_edit_is_refused_when_it_is_made(act: object, message: str) -> None:
    graph = Graph()
    wide = (Port("bank", 8),)
    for name, toy in (("a", Toy()), ("b", Toy()), ("wide", Toy(inputs=wide, outputs=wide))):
        graph.add(name, toy)
    with pytest.raises(GraphError, match=message):
        act(graph)  # type: ignore[operator]


def test_a_graph_without_an_output_is_not_compiled() -> None:
    graph = Graph()
    graph.add("a", SOURCE)
    with pytest.raises(GraphError, match="no output"):
        Rig(graph)


def test_the_order_does_not_depend_on_the_order_of_the_edges() -> None:
    for seed in range(10):
        graph = Graph()
        names = [f"n{i}" for i in range(8)]
        for name in names:
            graph.add(name, Toy())
        edges = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        for k in np.random.default_rng(seed).permutation(len(edges)):
            graph.connect(*edges[k])
        assert graph.order() == names


def test_several_connections_into_one_input_are_summed() -> None:
    graph = Graph()
    for name, level in (("a", 0.25), ("b", 0.5), ("c", -0.125)):
        graph.add(name, Toy(level, inputs=()))
    graph.add("out", Toy())
    for name in "abc":
        graph.connect(name, "out")
    graph.set_output("out")
    assert np.all(Rig(graph).render() == 0.625)


def test_an_input_without_connection_is_silence() -> None:
    assert np.all(Rig(chain(Toy(0.0))).render() == 0.0)


def test_paths_of_unequal_latency_meet_in_time() -> None:
    """A step through a direct path and one of 100 + 37 frames arrives as one step, 137 frames late."""
    graph = Graph()
    graph.add("step", SOURCE)
    graph.add("slow", Toy(lag=100))
    graph.add("slower", Toy(lag=37))
    graph.add("out", Toy())
    graph.chain("step", "slow", "slower", "out")
    graph.connect("step", "out")
    graph.set_output("out")
    rig = Rig(graph)
    assert rig.plan.latency_frames == 137
    out = rig.render(4)
    assert np.all(out[:137] == 0.0)
    assert np.all(out[137:] == 1.0)


def test_buffers_of_a_plan_never_share_memory() -> None:
    graph = chain(SOURCE, Toy(lag=10), Toy())
    graph.connect("n0", "n2")
    plan = Rig(graph).plan
    for step in plan.steps:
        for out in step.outs:
            assert not any(np.shares_memory(out, block) for block in step.ins)
    outs = [block for step in plan.steps for block in step.outs]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(outs) for b in outs[i + 1 :])


def test_a_plan_prints_every_step_with_its_lanes_and_latency() -> None:
    text = str(Rig(chain(SOURCE, Toy(lag=10))).plan)
    assert [line.split()[0] for line in text.splitlines()] == ["n0", "n1", "latency"]
    assert "latency 10 frames" in text


def test_a_processor_is_warmed_and_reset_before_it_is_heard() -> None:
    processor = Rig(chain(SOURCE)).plan.steps[0].processor
    assert isinstance(processor, ToyProcessor)
    assert (processor.resets, processor.quanta) == (1, 0)


def test_an_edit_keeps_the_processors_of_unchanged_nodes() -> None:
    rig = Rig(chain(SOURCE, Toy(lag=5), Toy()))
    rig.render(3)
    before = {s.name: s.processor for s in rig.plan.steps}
    rig.swap(chain(SOURCE, Toy(lag=5), Toy(lag=1)))
    after = {s.name: s.processor for s in rig.plan.steps}
    assert [before[n] is after[n] for n in ("n0", "n1", "n2")] == [True, True, False]


def test_a_changed_node_takes_over_without_a_dip() -> None:
    """Two instances of the same level fade into each other: the output stays at 0.5 within 1e-7."""
    rig = Rig(chain(Toy(0.5, inputs=()), Toy()))
    rig.render(2)
    rig.swap(chain(Toy(0.5, inputs=(), lag=3), Toy()))
    np.testing.assert_allclose(rig.render(40), 0.5, atol=1e-7)


def rewired(step: str) -> Graph:
    """A loud source on two paths into one sum, and what each edit below makes of it."""
    graph = Graph()
    for name, toy in (("a", Toy(0.5, inputs=())), ("b", Toy()), ("c", Toy()), ("out", Toy())):
        graph.add(name, toy)
    graph.connect("a", "b")
    graph.connect("b", "out")
    if step == "a node is inserted":
        graph.add("x", Toy(-0.5))
        graph.connect("a", "x")
        graph.connect("x", "c")
    elif step == "a latency changes":
        graph.replace("b", Toy(lag=40))
        graph.connect("a", "c")
    else:
        graph.connect("a", "c")
    if step != "an edge is gone":
        graph.connect("c", "out")
    graph.set_output("c" if step == "the output moves" else "out")
    return graph


@pytest.mark.parametrize(
    "edit", ["a node is inserted", "an edge is gone", "a latency changes", "the output moves"]
)
@pytest.mark.parametrize("back", [False, True])
def test_rewiring_makes_no_step(edit: str, back: bool) -> None:
    """No frame differs from the next by more than 0.01, three times a 10 ms fade of full scale at its steepest."""
    first, second = (rewired(edit), rewired("")) if back else (rewired(""), rewired(edit))
    rig = Rig(first)
    settled = rig.render(10)[-1, 0]
    rig.swap(second)
    out = rig.render(60)[:, 0]
    expected = {"a node is inserted": 0.5, "an edge is gone": 0.5, "the output moves": 0.5}.get(edit, 1.0)
    assert (settled, out[-1]) == ((expected, 1.0) if back else (1.0, expected))
    assert np.abs(np.diff(np.concatenate([[settled], out]))).max() < 0.01


def test_an_adoption_that_fails_costs_no_more_than_that_node() -> None:
    rig = Rig(chain(Bank(0.5, inputs=())))
    rig.render()
    rig.swap(chain(Broken(0.5, inputs=())))
    out = rig.render(20)
    assert np.abs(np.diff(out[:, 0])).max() < 0.5 * (1 - np.exp(-1 / 48)) + 1e-3
    assert np.all(out[-128:] == 0.5)
    assert [(f.node, f.what) for f in rig.renderer.faults] == [("n0", "swap: RuntimeError: will not adopt")]


def test_a_stop_does_not_wait_behind_edits() -> None:
    rig = Rig(chain(Toy(0.5, inputs=())))
    rig.render()
    for lag in range(1, 8):
        rig.swap(chain(Toy(0.5, inputs=(), lag=lag)))
    rig.renderer.stop(64)
    rig.render(2)
    assert rig.renderer.finished


def test_a_node_that_can_adopt_goes_on_without_a_fade() -> None:
    rig = Rig(chain(Bank(0.5, inputs=())))
    first = rig.render(3)
    rig.swap(chain(Bank(0.5, inputs=(), lag=0, fail="never")))
    second = rig.render(3)
    assert np.all(first == 0.5)
    assert np.all(second == 0.5)
    processor = rig.plan.steps[0].processor
    assert isinstance(processor, BankProcessor)
    assert processor.quanta == 6


def test_a_plan_that_was_replaced_comes_home() -> None:
    rig = Rig(chain(SOURCE))
    old = rig.plan
    rig.render()
    rig.swap(chain(SOURCE, Toy()))
    rig.render(40)
    assert list(rig.renderer.retired) == [old]


def test_edits_that_come_faster_than_fades_are_all_done_in_order() -> None:
    rig = Rig(chain(Toy(0.5, inputs=())))
    rig.render()
    for lag in range(1, 6):
        rig.swap(chain(Toy(0.5, inputs=(), lag=lag)))
    out = rig.render(120)
    assert rig.plan.latency_frames == 5
    assert np.all(out[-64:] == 0.5)
    assert len(rig.renderer.retired) == 5


def test_a_node_that_raises_dies_away_and_is_named_and_the_others_play_on() -> None:
    """Its 0.25 falls as exp(-t / 1 ms) for that quantum, and is back in full within 18 quanta."""
    graph = Graph()
    graph.add("good", SOURCE)
    graph.add("bad", Toy(0.25, fail="raise", inputs=()))
    graph.add("out", Toy())
    graph.connect("good", "out")
    graph.connect("bad", "out")
    graph.set_output("out")
    rig = Rig(graph)
    level = rig.render(20)[:, 0]
    n = np.arange(64) + 1
    np.testing.assert_allclose(level[128:192], 0.5 + 0.25 * np.exp(-n / 48), atol=1e-6)
    assert np.all(level[:128] == 0.75)
    assert np.all(level[-128:] == 0.75)
    assert level.min() >= 0.5
    (fault,) = rig.renderer.faults
    assert (fault.node, fault.frame, fault.what) == ("bad", 128, "RuntimeError: toy broke")


def test_a_node_that_cannot_even_be_reset_is_muted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(chain(Toy(0.5, fail="raise", inputs=())))

    def fail(self: ToyProcessor) -> None:
        raise OSError("stuck")

    monkeypatch.setattr(ToyProcessor, "reset", fail)
    out = rig.render(20)[:, 0]
    assert out[128:].min() < 0.15
    assert np.all(out[-64:] == 0.5)
    assert [f.what for f in rig.renderer.faults] == ["RuntimeError: toy broke; reset: OSError: stuck"]


def test_a_non_finite_sample_never_reaches_the_output() -> None:
    rig = Rig(chain(Toy(0.5, inputs=(), fail="nan")))
    out = rig.render(4)
    assert np.isfinite(out).all()
    assert [f.frame for f in rig.renderer.faults] == [128]


def test_the_fade_out_ends_exactly_where_it_was_asked_to() -> None:
    """From frame 100 over 50 frames: 1 before, a falling raised cosine, exactly 0 from frame 150 on."""
    rig = Rig(chain(Toy(1.0, inputs=())))
    rig.renderer.stop(50, 100)
    out = rig.render(4)[:, 0]
    expected = 0.5 + 0.5 * np.cos(np.pi * np.arange(50) / 50)
    assert np.all(out[:100] == 1.0)
    np.testing.assert_allclose(out[100:150], expected, atol=1e-6)
    assert np.all(out[150:] == 0.0)
    assert rig.renderer.finished


def test_a_second_stop_during_the_fade_makes_no_step() -> None:
    rig = Rig(chain(Toy(1.0, inputs=())))
    rig.renderer.stop(200, 100)
    first = rig.render(3)[:, 0]
    rig.renderer.stop(500)
    rest = rig.render(3)[:, 0]
    assert np.all(np.diff(np.concatenate([first, rest])) <= 0.0)
    assert not rest[-64:].any()


def test_a_parameter_is_constant_within_a_quantum_and_new_in_the_next() -> None:
    rig = Rig(chain(Toy(0.0, inputs=()), Toy(0.0)))
    rig.render()
    rig.params.set("n0.level", 0.5)
    assert np.all(rig.render() == 0.5)


def test_without_a_plan_the_renderer_is_silent_and_keeps_time() -> None:
    renderer = Renderer(SPEC, np.zeros(16), np.zeros(16))
    out = np.ones((64, 2), np.float32)
    renderer.render(out)
    assert not out.any()
    assert renderer.frame == 64
