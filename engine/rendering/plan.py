"""Graph → Plan: checked, sorted, delays compensated, buffers laid out, processors built and warmed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dsp.blocks import add, add_to, delay
from engine.errors import GraphError
from engine.node import BuildContext, Node, Processor
from engine.rendering.graph import Edge, Graph, Pin
from engine.spec import Block

NEVER = -(2**62)
"""A frame before every event, at which processors are warmed."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One processor with the blocks it reads and fills.

    `feeds` says, for each input in turn, which pins are summed into it and how many frames each is held back.
    """

    name: str
    node: Node | None
    processor: Processor
    ins: tuple[Block, ...]
    outs: tuple[Block, ...]
    feeds: tuple[tuple[tuple[Pin, int], ...], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the renderer runs: steps in order over buffers of their own. Prints itself."""

    steps: tuple[Step, ...]
    output: Block
    output_pin: Pin
    latency_frames: int
    outputs: Mapping[Pin, Block]
    param_slots: int

    def tap(self, source: str) -> Block:
        """Return the block that `"node.port"` fills; it holds the quantum rendered last. Read only."""
        return self.outputs[Pin(*source.split("."))]

    def __str__(self) -> str:
        lines = [
            f"{s.name:<12} {_lanes(s.ins):>10} -> {_lanes(s.outs):<10} latency {s.processor.latency_frames}"
            for s in self.steps
        ]
        return "\n".join([*lines, f"latency {self.latency_frames} frames"])


def _lanes(blocks: tuple[Block, ...]) -> str:
    return "+".join(str(b.shape[1]) for b in blocks) or "-"


class _Sum(Processor):
    """Adds its inputs, two or more, in the order of the connections."""

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        add(ins[0], ins[1], outs[0])
        for block in ins[2:]:
            add_to(block, outs[0])

    def reset(self) -> None:
        pass


class _Delay(Processor):
    """Holds a signal back so that it meets one that took longer."""

    def __init__(self, lanes: int, frames: int) -> None:
        self._line = np.zeros((frames, lanes), np.float32)
        self._at = 0

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        self._at = delay(ins[0], outs[0], self._line, self._at)

    def reset(self) -> None:
        self._line.fill(0.0)
        self._at = 0


def compile_plan(graph: Graph, ctx: BuildContext, previous: Plan | None = None) -> Plan:
    """Make `graph` playable with everything in `ctx` (whose name is ignored).

    Processors of nodes that `previous` has, equal and under the same name, are taken over with their state, so
    that tails ring on. All others are built and run once on silence, so that nothing is compiled or allocated
    later. Raises GraphError.
    """
    if graph.output is None:
        raise GraphError("the graph has no output")
    kept = {s.name: s for s in previous.steps} if previous else {}
    steps: list[Step] = []
    ready_at: dict[Pin, int] = {}
    blocks: dict[Pin, Block] = {}

    def new_block(lanes: int) -> Block:
        return np.zeros((ctx.spec.quantum_frames, lanes), np.float32)

    def aligned(edge: Edge, when: int) -> Block:
        lag = when - ready_at[edge.source]
        block = blocks[edge.source]
        if lag == 0:
            return block
        name = f"delay {edge.source} > {edge.target}"
        before = kept.get(name)
        shape = (lag, block.shape[1])
        processor = before.processor if before and _line_shape(before) == shape else _Delay(shape[1], lag)
        steps.append(Step(name, None, processor, (block,), (new_block(block.shape[1]),)))
        return steps[-1].outs[0]

    for name in graph.order():
        node = graph.nodes[name]
        into = {p.name: [e for e in graph.edges if e.target == Pin(name, p.name)] for p in node.inputs}
        when = max((ready_at[e.source] for edges in into.values() for e in edges), default=0)
        ins = []
        for port in node.inputs:
            sources = tuple(aligned(e, when) for e in into[port.name])
            if len(sources) > 1:
                steps.append(
                    Step(f"sum > {name}.{port.name}", None, _Sum(), sources, (new_block(port.lanes),))
                )
                sources = steps[-1].outs
            ins.append(sources[0] if sources else new_block(port.lanes))
        outs = tuple(new_block(port.lanes) for port in node.outputs)
        before = kept.get(name)
        if before is not None and before.node == node:
            processor = before.processor
        else:
            processor = node.build(replace(ctx, name=name))
            _warm(processor, tuple(ins), outs)
        feeds = tuple(tuple((e.source, when - ready_at[e.source]) for e in into[p.name]) for p in node.inputs)
        steps.append(Step(name, node, processor, tuple(ins), outs, feeds))
        for port, block in zip(node.outputs, outs, strict=True):
            blocks[Pin(name, port.name)] = block
            ready_at[Pin(name, port.name)] = when + processor.latency_frames
    pin = graph.output
    return Plan(tuple(steps), blocks[pin], pin, ready_at[pin], blocks, ctx.param_map.used)


def _line_shape(step: Step) -> tuple[int, ...]:
    return step.processor._line.shape if isinstance(step.processor, _Delay) else ()


def _warm(processor: Processor, ins: tuple[Block, ...], outs: tuple[Block, ...]) -> None:
    silence = tuple(np.zeros_like(block) for block in ins)
    processor.process(silence, outs, NEVER)
    processor.reset()
    for block in outs:
        block.fill(0.0)
