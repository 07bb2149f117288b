"""Where slots lie over any sequence of edits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GraphError
from engine.slots import SLOT_CAPACITY, SlotMap

WANTED = st.dictionaries(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("pq")),
    st.tuples(st.integers(0, 2), st.integers(1, 40)),
    max_size=10,
)


@settings(max_examples=150, deadline=None)
@given(edits=st.lists(WANTED, min_size=1, max_size=12))
def test_a_slot_moves_or_overlaps(edits: list[dict[tuple[str, str], tuple[object, int]]]) -> None:
    """Over up to 12 edits what stays never moves, nothing overlaps what is or what the plan before had."""
    slots = SlotMap()
    for wanted in edits:
        before, slots = slots, slots.updated(wanted)
        assert slots.spans.keys() == wanted.keys()
        owners: dict[int, tuple[str, str]] = {}
        for name, span in slots.spans.items():
            assert (span.key, span.count) == wanted[name]
            for slot in range(span.start, span.start + span.count):
                assert owners.setdefault(slot, name) == name
        for name, old in before.spans.items():
            kept = slots.spans.get(name) == old
            assert kept == (wanted.get(name) == (old.key, old.count))
            if not kept:
                assert not owners.keys() & set(range(old.start, old.start + old.count))
        assert slots.used == max(owners, default=-1) + 1


def test_slots_leak_over_many_edits() -> None:
    """1000 edits that alternate between two graphs of 100 slots never use more than 300."""
    slots = SlotMap().updated({("a", "p"): (0, 60), ("b", "p"): (0, 40)})
    assert slots.used == 100
    for edit in range(1, 1001):
        slots = slots.updated({("a", "p"): (edit % 2, 60), ("b", "p"): (0, 40)})
        assert slots.used <= 300


def test_more_slots_than_there_are_lie_outside_the_memory() -> None:
    """16 384 slots fit exactly; one more is refused and the old map goes on."""
    full = SlotMap().updated({("a", "p"): (0, SLOT_CAPACITY)})
    assert full.used == SLOT_CAPACITY == 16_384
    with pytest.raises(GraphError, match="more than 16384"):
        full.updated({("a", "p"): (0, SLOT_CAPACITY), ("b", "p"): (0, 1)})
    assert full.used == SLOT_CAPACITY
