"""From one plan to the next without a dip: for a moment both are there, and what differs fades from old to new.

Wires that both plans have between nodes that persist go on untouched. The others fade where they reach a node that
persists, or the output: those of the old plan fall while those of the new rise, with gains that add up to 1. Before
that, what is new is *rehearsed*, running but unheard: what feeds it fades in, so that no tail begins with a click, and
its delays fill. So on a path through new nodes there is one fade that is heard, and nothing dips.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.node import Processor
from engine.rendering.continuity import Instance, feeds_of, in_order, kept_wires
from engine.rendering.graph import Pin
from engine.rendering.layout import OUTPUT, Wire
from engine.rendering.plan import Plan
from engine.rendering.steps import Clock, Fade, Step, Wiring
from engine.spec import Block, StreamSpec

SWAP_FADE_MS = 10.0
"""How long old fades into new."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Steps that play for a while, at least `frames`, until the quantum is over; adoptions happen as they begin."""

    adoptions: tuple[tuple[str, Processor, Processor], ...]
    steps: tuple[Step, ...]
    output: Block
    frames: int
    clock: Clock


@dataclass(frozen=True, slots=True, eq=False)
class Handover:
    """The way to `plan`, over `stages`. `param_slots` is enough for both plans."""

    plan: Plan
    number: int
    stages: tuple[Stage, ...]
    param_slots: int


def hand_over(old: Plan | None, new: Plan, number: int, spec: StreamSpec) -> Handover:
    """Plan the way from `old` to `new`, which must have been compiled after it; raises ValueError if it was not."""
    if new.follows is not (old.token if old else None):
        raise ValueError("a plan must be compiled after the plan it follows")
    if old is None:
        return Handover(new, number, (), new.param_slots)
    length = max(1, round(SWAP_FADE_MS * 1e-3 * spec.rate_hz))
    adoptions = tuple(
        (name, part.processor, old.layout.parts[name].processor)
        for name, part in new.layout.parts.items()
        if name in new.continuity.persisting and part.processor is not old.layout.parts[name].processor
    )
    if new.continuity.dips:
        stages = _dip(old, new, adoptions, length, spec)
    else:
        stages = (_Bridge(old, new, length, spec).stage(adoptions),)
    return Handover(new, number, stages, max(old.param_slots, new.param_slots))


def _dip(
    old: Plan,
    new: Plan,
    adoptions: tuple[tuple[str, Processor, Processor], ...],
    length: int,
    spec: StreamSpec,
) -> tuple[Stage, ...]:
    """Fade out with the old plan, and in with the new: for nodes that can neither go on nor be there twice."""
    stages = []
    for name in new.guards.keys() - new.continuity.persisting:
        new.guards[name].entering = True
    for plan, falling in ((old, True), (new, False)):
        start = 0 if falling else length + plan.latency_frames
        clock, wiring = Clock(), Wiring(spec.quantum_frames)
        heard = wiring.through("fade > output", Fade(clock, start, length, falling), plan.output)
        steps = (*plan.steps, *wiring.steps)
        stages.append(Stage(() if falling else adoptions, steps, heard, start + length, clock))
    return tuple(stages)


class _Bridge:
    """The stage in which both plans are there."""

    def __init__(self, old: Plan, new: Plan, length: int, spec: StreamSpec) -> None:
        self._old = old
        self._new = new
        self._length = length
        self._persisting = new.continuity.persisting
        self._ends = self._persisting | {OUTPUT.node}
        self._kept = kept_wires(old.layout, new.layout, self._persisting)
        self._order = in_order(feeds_of(old.layout, new.layout, self._persisting))
        rehearsal = self._rehearsal_frames()
        self._clock = Clock()
        self._enter = Fade(self._clock, 0, length, falling=False)
        self._rise = Fade(self._clock, rehearsal, length, falling=False)
        self._fall = Fade(self._clock, rehearsal, length, falling=True)
        self._frames = rehearsal + (length if self._fades() else 0)
        self._wiring = Wiring(spec.quantum_frames)

    def stage(self, adoptions: tuple[tuple[str, Processor, Processor], ...]) -> Stage:
        """Lay out the steps; none if nothing needs to fade or to be rehearsed."""
        if not self._frames:
            return Stage(adoptions, (), self._new.output, 0, self._clock)
        plain = {step.name: step for step in self._new.steps}
        before = {step.name: step for step in self._old.steps}
        for instance in self._order:
            name, is_old = instance
            step = (before if is_old else plain)[name]
            node = (self._old if is_old else self._new).layout.parts[name].node
            ins = tuple(self._input(instance, Pin(name, port.name), port.lanes) for port in node.inputs)
            self._wiring.steps.append(replace(step, ins=ins))
        heard = self._input(Instance(OUTPUT.node, False), OUTPUT, 2)
        return Stage(adoptions, tuple(self._wiring.steps), heard, self._frames, self._clock)

    def _fades(self) -> bool:
        return any(
            wire.target.node in self._ends and wire not in self._kept
            for plan in (self._old, self._new)
            for wire in plan.layout.wires
        )

    def _rehearsal_frames(self) -> int:
        """Return when the last of what is new gives what it will go on giving, heard or not yet."""
        ready: dict[str, int] = dict.fromkeys(self._persisting, 0)
        wires = self._new.layout.wires
        for name, is_old in self._order:
            if is_old or name in self._persisting:
                continue
            fed = [
                ready[w.source.node] + w.lag + (self._length if w.source.node in self._persisting else 0)
                for w in wires
                if w.target.node == name
            ]
            ready[name] = max(fed, default=0) + self._new.layout.parts[name].processor.latency_frames
        arriving = (w for w in wires if w.target.node in self._ends and w not in self._kept)
        return max((*ready.values(), *(ready[w.source.node] + w.lag for w in arriving)), default=0)

    def _input(self, instance: Instance, target: Pin, lanes: int) -> Block:
        """Bring to an input what is summed there, in the order of the plan: what stays, what leaves, what arrives."""
        old, new = self._old.layout.into(target), self._new.layout.into(target)
        blocks: list[Block] = []
        if instance.is_old:
            blocks += [self._delayed(self._old, wire, self._source(self._old, wire)) for wire in old]
        elif target.node in self._ends:
            incoming = list(new)
            blocks += [
                self._delayed(self._new, wire, self._source(self._new, wire))
                for wire in incoming
                if wire in self._kept
            ]
            for plan, wires, gain in ((self._old, old, self._fall), (self._new, incoming, self._rise)):
                for wire in wires:
                    if wire not in self._kept:
                        block = self._delayed(plan, wire, self._source(plan, wire))
                        blocks.append(self._wiring.through(f"fade {wire.source} > {target}", gain, block))
        else:
            for wire in new:
                block = self._source(self._new, wire)
                if wire.source.node in self._persisting:
                    block = self._wiring.through(f"fade {wire.source} > {target}", self._enter, block)
                blocks.append(self._delayed(self._new, wire, block))
        return self._wiring.summed(target, lanes, blocks)

    def _source(self, plan: Plan, wire: Wire) -> Block:
        persists = wire.source.node in self._persisting
        outputs: Mapping[Pin, Block] = (self._new if persists else plan).outputs
        return outputs[wire.source]

    def _delayed(self, plan: Plan, wire: Wire, block: Block) -> Block:
        if wire.lag == 0:
            return block
        return self._wiring.through(f"delay {wire.source} > {wire.target}", plan.delays[wire], block)
