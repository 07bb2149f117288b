"""The layout of a plan: processors in order, and the wires between them with the delays that align them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.node import Node, Processor
from engine.rendering.graph import Graph, Pin

OUTPUT = Pin("", "output")
"""Where the wire that is heard leads; a node of no name that all plans share."""


class Wire(NamedTuple):
    """A connection that holds its signal back by `lag` frames, so that all that meet at a node took equally long."""

    source: Pin
    target: Pin
    lag: int


class Part(NamedTuple):
    """A node with its processor."""

    node: Node
    processor: Processor

    def inputs(self) -> dict[str, int]:
        """Lanes by port."""
        return {p.name: p.lanes for p in self.node.inputs}

    def outputs(self) -> dict[str, int]:
        """Lanes by port."""
        return {p.name: p.lanes for p in self.node.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """`parts` by name, every one after all that feed it; `wires` in their order at each input."""

    parts: Mapping[str, Part]
    wires: tuple[Wire, ...]
    latency_frames: int

    def into(self, target: Pin) -> Iterable[Wire]:
        """Return the wires that are summed at `target`, in order."""
        return (wire for wire in self.wires if wire.target == target)


def lay_out(graph: Graph, order: Iterable[str], processors: Mapping[str, Processor]) -> Layout:
    """Align the paths of `graph`, whose nodes in `order` have `processors`."""
    parts: dict[str, Part] = {}
    wires: list[Wire] = []
    ready_at: dict[Pin, int] = {}
    for name in order:
        node, processor = graph.nodes[name], processors[name]
        edges = [e for e in graph.edges if e.target.node == name]
        when = max((ready_at[e.source] for e in edges), default=0)
        for port in node.inputs:
            wires += [
                Wire(e.source, e.target, when - ready_at[e.source])
                for e in edges
                if e.target.port == port.name
            ]
        for port in node.outputs:
            ready_at[Pin(name, port.name)] = when + processor.latency_frames
        parts[name] = Part(node, processor)
    assert graph.output is not None
    wires.append(Wire(graph.output, OUTPUT, 0))
    return Layout(parts, tuple(wires), ready_at[graph.output])
