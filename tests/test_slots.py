"""Where slots lie over any sequence of edits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.local_engine import LocalEngine
from engine.control.stage import Stage
from engine.errors import GraphError
from engine.slots import SLOT_CAPACITY, SlotMap, Span
from engine.spec import StreamSpec
from tests.scenes import small

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


@settings(max_examples=150, deadline=None)
@given(edits=st.lists(st.tuples(WANTED, st.booleans()), min_size=1, max_size=12))
def test_a_place_is_given_away_while_an_older_plan_may_play(
    edits: list[tuple[dict[tuple[str, str], tuple[object, int]], bool]],
) -> None:
    """No slot belongs to two different values among all the maps made since the last `settled`."""
    slots = SlotMap()
    maps = [slots]
    for wanted, settled in edits:
        slots = slots.updated(wanted)
        maps.append(slots)
        if settled:
            slots = slots.settled()
            assert slots.spans == maps[-1].spans
            assert slots.reserved == ()
            maps = [slots]
        owners: dict[int, tuple[tuple[str, str], Span]] = {}
        for plan in maps:
            for name, span in plan.spans.items():
                for slot in range(span.start, span.start + span.count):
                    assert owners.setdefault(slot, (name, span)) == (name, span)


def test_a_place_given_up_two_edits_ago_is_taken() -> None:
    """What the first of three plans had stays free of others until the map is settled, and is used again after."""
    first = SlotMap().updated({("a", "p"): (0, 10), ("b", "p"): (0, 10)})
    second = first.updated({("b", "p"): (0, 10)})
    third = second.updated({("b", "p"): (0, 10), ("c", "p"): (0, 10)})
    assert third.spans["c", "p"].start == 20
    fourth = third.settled().updated({("b", "p"): (0, 10), ("c", "p"): (0, 10), ("d", "p"): (0, 10)})
    assert fourth.spans["d", "p"].start == 0


def test_slots_leak_over_many_edits() -> None:
    """1000 settled edits that alternate between two graphs of 100 slots never use more than 300."""
    slots = SlotMap().updated({("a", "p"): (0, 60), ("b", "p"): (0, 40)})
    assert slots.used == 100
    for edit in range(1, 1001):
        slots = slots.settled().updated({("a", "p"): (edit % 2, 60), ("b", "p"): (0, 40)})
        assert slots.used <= 300


def test_more_slots_than_there_are_lie_outside_the_memory() -> None:
    """32 768 slots fit exactly; one more is refused and the old map goes on."""
    full = SlotMap().updated({("a", "p"): (0, SLOT_CAPACITY)})
    assert full.used == SLOT_CAPACITY == 32_768
    with pytest.raises(GraphError, match="more than 32768"):
        full.updated({("a", "p"): (0, SLOT_CAPACITY), ("b", "p"): (0, 1)})
    assert full.used == SLOT_CAPACITY


def test_an_engine_runs_out_of_slots_after_many_edits() -> None:
    """200 edits that add and remove a track leave less than three graphs' slots in use."""
    composition = small()
    shorter = replace(composition, tracks=composition.tracks[:-1])
    engine = LocalEngine(StreamSpec(48_000, 128))
    stage = Stage(engine, 48_000, lambda kind, text: None)
    stage.open(composition)
    once = stage.meters.slot_map.used, stage.params.slot_map.used
    block = np.zeros((128, 2), np.float32)
    for edit in range(200):
        stage.edit(composition if edit % 2 else shorter)
        while stage.changing:
            engine.render(block)
            for message in engine.poll():
                stage.take(message)
            stage.tick()
    assert stage.meters.slot_map.used < 3 * once[0]
    assert stage.params.slot_map.used < 3 * once[1]
