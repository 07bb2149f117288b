"""Graph → Plan: checked, sorted, delays compensated, buffers laid out, processors built and warmed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from engine.errors import GraphError
from engine.node import BuildContext, Node, Processor
from engine.rendering.continuity import Continuity, find_continuity, kept_wires
from engine.rendering.graph import Graph, Pin
from engine.rendering.guard import Guard
from engine.rendering.layout import OUTPUT, Layout, Wire, lay_out
from engine.rendering.steps import Delay, Step, Wiring
from engine.spec import Block

NEVER = -(2**62)
"""A frame before every event, at which processors are warmed."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the renderer runs: steps in order over buffers of their own. Prints itself.

    `continuity` is what goes on from the plan before, the one that `follows` names by its `token`. `luggage` is what is
    to be freed together with the plan.
    """

    steps: tuple[Step, ...]
    output: Block
    latency_frames: int
    outputs: Mapping[Pin, Block]
    param_slots: int
    layout: Layout
    delays: Mapping[Wire, Delay]
    guards: Mapping[str, Guard]
    continuity: Continuity
    follows: object
    token: object = field(default_factory=object)
    luggage: list[object] = field(default_factory=list)

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


def compile_plan(graph: Graph, ctx: BuildContext, previous: Plan | None = None) -> Plan:
    """Make `graph` playable with everything in `ctx` (whose name is ignored), after `previous`.

    Processors of nodes that `previous` has, equal and under the same name, are taken over with their state, so
    that tails ring on. All others are built and run once on silence, so that nothing is compiled or allocated
    later; so is one that has to be there twice for a moment, because it feeds now what it was fed by. Raises
    GraphError.
    """
    if graph.output is None:
        raise GraphError("the graph has no output")
    order = graph.order()
    before = previous.layout.parts if previous else {}
    processors: dict[str, Processor] = {}
    for name in order:
        node = graph.nodes[name]
        shared = name in before and before[name].node == node
        processors[name] = before[name].processor if shared else _build(name, node, ctx)
    layout = lay_out(graph, order, processors)
    if previous is None:
        return _assemble(layout, ctx, Continuity(frozenset()), None)
    continuity = find_continuity(previous.layout, layout)
    twice = [
        name
        for name in order
        if name in before and name not in continuity.persisting and processors[name] is before[name].processor
    ]
    for name in twice:
        processors[name] = _build(name, graph.nodes[name], ctx)
    return _assemble(lay_out(graph, order, processors), ctx, continuity, previous)


def _assemble(layout: Layout, ctx: BuildContext, continuity: Continuity, previous: Plan | None) -> Plan:
    """Make the steps of `layout`, with the delays and guards of what goes on from `previous`."""
    kept = kept_wires(previous.layout, layout, continuity.persisting) if previous else frozenset()
    wiring = Wiring(ctx.spec.quantum_frames)
    blocks: dict[Pin, Block] = {}
    delays: dict[Wire, Delay] = {}
    guards: dict[str, Guard] = {}

    def aligned(wire: Wire) -> Block:
        block = blocks[wire.source]
        if wire.lag == 0:
            return block
        if previous and wire in kept:
            delays[wire] = previous.delays[wire]
        else:
            delays[wire] = Delay(block.shape[1], wire.lag)
        return wiring.through(f"delay {wire.source} > {wire.target}", delays[wire], block)

    for name, (node, processor) in layout.parts.items():
        ins = tuple(
            wiring.summed(pin, port.lanes, [aligned(wire) for wire in layout.into(pin)])
            for port in node.inputs
            for pin in (Pin(name, port.name),)
        )
        outs = tuple(wiring.block(port.lanes) for port in node.outputs)
        guard = previous.guards[name] if previous and name in continuity.persisting else None
        if guard is None or (guard.inputs, guard.outputs) != (node.inputs, node.outputs):
            guard = Guard(node.inputs, node.outputs, ctx.spec)
        guards[name] = guard
        wiring.steps.append(Step(name, processor, ins, outs, guard, guard.watching(outs)))
        for port, block in zip(node.outputs, outs, strict=True):
            blocks[Pin(name, port.name)] = block
    (heard,) = layout.into(OUTPUT)
    return Plan(
        tuple(wiring.steps),
        blocks[heard.source],
        layout.latency_frames,
        blocks,
        ctx.param_map.used,
        layout,
        delays,
        guards,
        continuity,
        previous.token if previous else None,
    )


def _build(name: str, node: Node, ctx: BuildContext) -> Processor:
    """Build a processor and run it once on silence."""
    processor = node.build(replace(ctx, name=name))
    ins, outs = (
        tuple(np.zeros((ctx.spec.quantum_frames, port.lanes), np.float32) for port in ports)
        for ports in (node.inputs, node.outputs)
    )
    processor.process(ins, outs, NEVER)
    processor.reset()
    return processor
