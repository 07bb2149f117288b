"""The graph as it is edited: node descriptions and connections. No audio, no threads; mistakes raise early."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from engine.errors import GraphError
from engine.meters import Meter
from engine.node import Node, Port
from engine.params import Param


class Pin(NamedTuple):
    """One port of one node, by name."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection; several edges into one input are summed."""

    source: Pin
    target: Pin


class Graph:
    """Named nodes, edges between their ports, and the stereo output. Order of insertion breaks ties."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.output: Pin | None = None

    def add(self, name: str, node: Node) -> str:
        """Add `node` under `name` and return the name; raises GraphError if it is taken or malformed.

        A name is a plain word, or one with a generation behind it (`room@2`): see `engine.params.spoken`.
        """
        word, at, generation = name.partition("@")
        if not word.isidentifier() or (at and not generation.isdecimal()):
            raise GraphError(f"node name {name!r} must be a plain word, or word@number")
        if name in self.nodes:
            raise GraphError(f"there is a node {name!r} already")
        self.nodes[name] = node
        return name

    def replace(self, name: str, node: Node) -> None:
        """Put `node` in the place of the one called `name`; its connections stay."""
        if name not in self.nodes:
            raise GraphError(f"there is no node {name!r}")
        self.nodes[name] = node

    def remove(self, name: str) -> None:
        """Take out a node and its connections."""
        if name not in self.nodes:
            raise GraphError(f"there is no node {name!r}")
        del self.nodes[name]
        self.edges = [e for e in self.edges if name not in (e.source.node, e.target.node)]

    def connect(self, source: str, target: str) -> None:
        """Connect `"node"` or `"node.port"` to another; a bare node name means its first port.

        Raises GraphError where a port does not exist or the lanes differ.
        """
        source_pin, source_port = self._pin(source, "outputs")
        target_pin, target_port = self._pin(target, "inputs")
        if source_port.lanes != target_port.lanes:
            raise GraphError(
                f"{source_pin} has {source_port.lanes} lanes, {target_pin} takes {target_port.lanes}"
            )
        edge = Edge(source_pin, target_pin)
        if edge in self.edges:
            raise GraphError(f"{source_pin} is connected to {target_pin} already")
        self.edges.append(edge)

    def chain(self, *names: str) -> None:
        """Connect each of `names` to the next."""
        for source, target in pairwise(names):
            self.connect(source, target)

    def set_output(self, source: str) -> None:
        """Make the stereo port `source` what is heard."""
        pin, port = self._pin(source, "outputs")
        if port.lanes != 2:
            raise GraphError(f"the output must be stereo; {pin} has {port.lanes} lanes")
        self.output = pin

    def order(self) -> list[str]:
        """Return the node names, every one after all that feed it; raises GraphError naming a cycle."""
        waiting = {name: {e.source.node for e in self.edges if e.target.node == name} for name in self.nodes}
        order: list[str] = []
        while waiting:
            ready = next((name for name, feeds in waiting.items() if not feeds - set(order)), None)
            if ready is None:
                raise GraphError(f"the graph has a cycle through {', '.join(self._cycle(waiting))}")
            order.append(ready)
            del waiting[ready]
        return order

    def params(self) -> Iterable[tuple[str, tuple[Param, ...]]]:
        """Return (node name, its parameters) for every node."""
        return [(name, node.params) for name, node in self.nodes.items()]

    def meters(self) -> Iterable[tuple[str, tuple[Meter, ...]]]:
        """Return (node name, its meters) for every node."""
        return [(name, node.meters) for name, node in self.nodes.items()]

    def _pin(self, text: str, side: str) -> tuple[Pin, Port]:
        name, _, port_name = text.partition(".")
        if name not in self.nodes:
            raise GraphError(f"there is no node {name!r}")
        ports: tuple[Port, ...] = getattr(self.nodes[name], side)
        for port in ports:
            if port_name in ("", port.name):
                return Pin(name, port.name), port
        known = ", ".join(p.name for p in ports) or "none"
        raise GraphError(f"{name} has no {side[:-1]} {port_name!r}; it has {known}")

    @staticmethod
    def _cycle(waiting: dict[str, set[str]]) -> list[str]:
        path = [next(iter(waiting))]
        while True:
            feed = next(f for f in sorted(waiting[path[-1]]) if f in waiting)
            if feed in path:
                return path[path.index(feed) :][::-1]
            path.append(feed)
