"""What goes on when one layout follows another, and what has to be there twice while old fades into new.

During a handover the wires of both layouts are there at once. A node *persists* if one instance can serve both: it has
the same processor in both, or the new one adopts the old. Every other node of both layouts is *split*: an old instance
that is fed as before, and a new one that is fed as after.
"""

from typing import NamedTuple

from engine.rendering.graph import Pin
from engine.rendering.layout import OUTPUT, Layout, Part, Wire


class Continuity(NamedTuple):
    """`persisting` nodes go on; `dips` says that both layouts can't play at once: one falls silent, the other rises."""

    persisting: frozenset[str]
    dips: bool = False


class Instance(NamedTuple):
    """A node as it runs in a handover; of those that persist there is only the new one."""

    name: str
    is_old: bool


Feeds = dict[Instance, set[Instance]]


def find_continuity(old: Layout, new: Layout) -> Continuity:
    """Find what can persist from `old` to `new`."""
    both = [name for name in new.parts if name in old.parts]
    candidates = frozenset(name for name in both if _goes_on(old.parts[name], new.parts[name]))
    persisting = set(candidates)
    while True:
        unfit = _unfit(old, new, persisting) or _one_of_a_cycle(old, new, persisting)
        persisting -= unfit
        if not unfit:
            break
        if any(not _may_run_twice(old, new, name) for name in unfit):
            return Continuity(candidates, dips=True)
    if any(name not in persisting and not _may_run_twice(old, new, name) for name in both):
        return Continuity(candidates, dips=True)
    if _cycle(feeds_of(old, new, frozenset(persisting))):
        return Continuity(candidates, dips=True)
    return Continuity(frozenset(persisting))


def kept_wires(old: Layout, new: Layout, persisting: frozenset[str]) -> frozenset[Wire]:
    """Return the wires that go on unchanged between nodes that do."""
    ends = persisting | {OUTPUT.node}
    return frozenset(
        wire
        for wire in set(old.wires).intersection(new.wires)
        if wire.source.node in ends
        and wire.target.node in ends
        # What is under way in a delay has the old number of lanes.
        and (wire.lag == 0 or _lanes(old, wire.source) == _lanes(new, wire.source))
    )


def feeds_of(old: Layout, new: Layout, persisting: frozenset[str]) -> Feeds:
    """Return every instance of a handover with those that feed it."""
    feeds: Feeds = {Instance(name, False): set() for name in new.parts}
    feeds.update({Instance(name, True): set() for name in old.parts if name not in persisting})
    for layout, is_old in ((old, True), (new, False)):
        for wire in layout.wires:
            if wire.target != OUTPUT:
                source, target = (
                    Instance(pin.node, is_old and pin.node not in persisting)
                    for pin in (wire.source, wire.target)
                )
                feeds[target].add(source)
    return feeds


def in_order(feeds: Feeds) -> list[Instance]:
    """Return the instances, every one after all that feed it; those in or behind a cycle are left out."""
    waiting = dict(feeds)
    done: dict[Instance, None] = {}
    while ready := next((i for i, sources in waiting.items() if sources <= done.keys()), None):
        done[ready] = None
        del waiting[ready]
    return list(done)


def _goes_on(old: Part, new: Part) -> bool:
    return new.processor is old.processor or (
        new.processor.latency_frames == old.processor.latency_frames
        and new.processor.can_adopt(old.processor)
    )


def _may_run_twice(old: Layout, new: Layout, name: str) -> bool:
    return old.parts[name].processor.may_run_twice and new.parts[name].processor.may_run_twice


def _lanes(layout: Layout, source: Pin) -> int | None:
    return layout.parts[source.node].outputs().get(source.port)


def _unfit(old: Layout, new: Layout, persisting: set[str]) -> set[str]:
    """Return the nodes that persist, but with ports that wires which leave don't fit."""
    kept = kept_wires(old, new, frozenset(persisting))
    unfit = set()
    for wire in old.wires:
        source, target = wire.source, wire.target
        if wire in kept:
            continue
        lanes = _lanes(old, source)
        if source.node in persisting and _lanes(new, source) != lanes:
            unfit.add(source.node)
        if target.node in persisting and new.parts[target.node].inputs().get(target.port) != lanes:
            unfit.add(target.node)
    return unfit


def _one_of_a_cycle(old: Layout, new: Layout, persisting: set[str]) -> set[str]:
    """Return the first node that persists in a cycle of old and new wires and can be split, if there is one."""
    caught = {instance.name for instance in _cycle(feeds_of(old, new, frozenset(persisting)))}
    splittable = (n for n in new.parts if n in caught & persisting and _may_run_twice(old, new, n))
    first = next(splittable, None)
    return set() if first is None else {first}


def _cycle(feeds: Feeds) -> set[Instance]:
    """Return the instances in cycles, and between them."""
    caught = feeds.keys() - set(in_order(feeds))
    while True:
        feeding = {source for instance in caught for source in feeds[instance]}
        if caught <= feeding:
            return set(caught)
        caught = caught & feeding
