"""The parameter and meter tables: what they refuse, what an edit of the graph keeps."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.errors import ParamError
from engine.meters import Meter, MeterTable
from engine.params import Curve, Param, ParamTable
from engine.slots import SLOT_CAPACITY

KEYS = ("car", "bird", "bell")
PARAMS: list[tuple[str, tuple[Param, ...]]] = [
    (
        "room",
        (Param("wet_level", "", 0.0, 1.0, 0.3, "how wet"), Param("damping", "", 0.0, 1.0, 0.5, "walls")),
    ),
    ("mix", (Param("panning", "", -1.0, 1.0, (-0.5, 0.0, 0.5), "left to right", KEYS),)),
    ("unmask", (Param("attack_ms", "ms", 1.0, 500.0, 20.0, "how fast", curve="log"),)),
]

REFUSED: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "above": 1.0 + 1e-9,
    "below": -1e-9,
    "none": None,
    "word": "loud",
    "text": "0.5",
    "bytes": b"0.5",
    "list": [0.5],
    "complex": 0.5j,
    "huge int": 10**400,
    "two numbers": np.array([0.1, 0.2]),
}


def table() -> ParamTable:
    return ParamTable.of(PARAMS)


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("how", ["set", "set_unit"])
def test_a_value_that_is_no_value_is_taken(value: Any, how: str) -> None:
    """It is refused by name, with exit code 2, and not one slot of the table changes."""
    params = table()
    before = params.memory.copy()
    with pytest.raises(ParamError) as caught:
        getattr(params, how)("room.wet_level", value)
    assert caught.value.problems[0].field == "room.wet_level"
    assert "0 to 1" in str(caught.value)
    assert caught.value.exit_code == 2
    assert np.array_equal(params.memory, before)


def test_the_ends_of_a_range_are_refused() -> None:
    """Both ends are inclusive: 1 and 500 ms are taken, the floats next to them outside are not."""
    params = table()
    values: list[Any] = [1.0, 500.0, 3, np.float32(20.5), np.int64(7)]
    for value in values:
        params.set("unmask.attack_ms", value)
        assert params.get("unmask.attack_ms") == value
    for beyond in (np.nextafter(1.0, 0.0), np.nextafter(500.0, 501.0)):
        with pytest.raises(ParamError, match="must be 1 to 500 ms"):
            params.set("unmask.attack_ms", beyond)


@settings(max_examples=300, deadline=None)
@given(
    lo=st.floats(-1e4, 1e4),
    width=st.floats(1e-3, 1e4),
    curve=st.sampled_from(["linear", "log"]),
    positions=st.lists(st.floats(0.0, 1.0), max_size=5),
)
def test_a_knob_misses_its_ends_or_turns_back(
    lo: float, width: float, curve: Curve, positions: list[float]
) -> None:
    """Position 0 is exactly the lower end, 1 exactly the upper; all between is taken and never falls."""
    lo = abs(lo) + 1e-3 if curve == "log" else lo
    hi = lo + width
    assume(lo < hi)
    params = ParamTable.of([("n", (Param("p", "", lo, hi, lo, "", curve=curve),))])
    values = []
    for position in [0.0, *sorted(positions), 1.0]:
        params.set_unit("n.p", position)
        values.append(params.get("n.p"))
    assert values[0] == lo
    assert values[-1] == hi
    assert all(b >= a - 1e-12 * abs(a) for a, b in pairwise(values))


@settings(max_examples=300, deadline=None)
@given(
    lo=st.floats(-1e4, 1e4),
    width=st.floats(1e-3, 1e4),
    curve=st.sampled_from(["linear", "log"]),
    position=st.floats(0.0, 1.0),
)
def test_a_knob_that_shows_a_value_stands_elsewhere_than_the_one_that_set_it(
    lo: float, width: float, curve: Curve, position: float
) -> None:
    """`get_unit` gives back the position that was set; the ends come back exactly."""
    lo = abs(lo) + 1e-3 if curve == "log" else lo
    hi = lo + width
    assume(lo < hi)
    params = ParamTable.of([("n", (Param("p", "", lo, hi, lo, "", curve=curve),))])
    for at in (0.0, position, 1.0):
        params.set_unit("n.p", at)
        assert params.get_unit("n.p") == pytest.approx(at, abs=1e-6)
    assert params.get_unit("n.p") == 1.0


def test_a_switch_shows_a_position_that_sets_another_choice() -> None:
    switch = Param("yield", "", 0.0, 2.0, 1.0, "", choices=("never", "normal", "always"))
    params = ParamTable.of([("n", (switch,))])
    for value in (0.0, 1.0, 2.0):
        params.set("n.yield", value)
        params.set_unit("n.yield", params.get_unit("n.yield"))
        assert params.get("n.yield") == value


def test_the_middle_of_a_knob_is_not_the_middle_of_its_curve() -> None:
    """Half way is the arithmetic mean of a linear range and the geometric mean of a logarithmic one."""
    params = table()
    params.set_unit("mix.bird.panning", 0.75)
    params.set_unit("unmask.attack_ms", 0.5)
    assert params.get("mix.bird.panning") == 0.5
    assert params.get("unmask.attack_ms") == pytest.approx(math.sqrt(500.0), rel=1e-12)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("room.wet", "room.wet_level"),
        ("mix.cat.panning", "mix.car.panning"),
        ("unmask.atack_ms", "unmask.attack_ms"),
    ],
)
@pytest.mark.parametrize("how", ["get", "set", "set_unit"])
def test_a_mistyped_name_gets_no_help(wrong: str, right: str, how: str) -> None:
    """The refusal of a near miss names the parameter that was meant, before any fault of the value."""
    params = table()
    with pytest.raises(ParamError, match=f"no parameter '{wrong}'; did you mean .*{right}"):
        getattr(params, how)(wrong, *([] if how == "get" else [math.nan]))


def test_a_name_like_no_other_gets_a_wrong_hint() -> None:
    with pytest.raises(ParamError, match="see `roomtone scene params`"):
        table().get("zzzzzzzz")


def test_a_default_is_not_what_a_new_table_holds() -> None:
    """Each of the 6 rows starts at its own default, in a slot of its own."""
    params = table()
    assert {row.name: params.get(row.name) for row in params} == {
        "room.wet_level": 0.3,
        "room.damping": 0.5,
        "mix.car.panning": -0.5,
        "mix.bird.panning": 0.0,
        "mix.bell.panning": 0.5,
        "unmask.attack_ms": 20.0,
    }
    assert len({row.slot for row in params}) == 6


def keyed(name: str, keys: tuple[str, ...], default: float) -> Param:
    return Param(name, "", -100.0, 100.0, (default,) * len(keys), "", keys)


GRAPHS = st.dictionaries(
    st.sampled_from(["room", "mix", "trims", "unmask"]),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True).map(tuple),
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(graphs=st.lists(GRAPHS, min_size=2, max_size=8), turned=st.integers(0, 99))
def test_an_edit_moves_a_slot_or_loses_a_value(graphs: list[dict[str, tuple[str, ...]]], turned: int) -> None:
    """Over up to 8 edits a row that stays keeps its value, an unchanged node its slots, a new row its default."""
    params: ParamTable | None = None
    truth: dict[str, float] = {}
    for step, graph in enumerate(graphs):
        previous = params
        nodes = [(node, (keyed("p", keys, float(step)),)) for node, keys in graph.items()]
        params = ParamTable.of(nodes, previous)
        names = [f"{node}.{key}.p" for node, keys in graph.items() for key in keys]
        truth = {name: truth.get(name, float(step)) for name in names}
        assert {row.name: params.get(row.name) for row in params} == truth
        assert len({row.slot for row in params}) == len(names)
        if previous is not None:
            assert params.memory is previous.memory
            for node, keys in graph.items():
                if graphs[step - 1].get(node) == keys:
                    assert params.slot_map.spans[node, "p"] == previous.slot_map.spans[node, "p"]
        if names:
            name = names[turned % len(names)]
            truth[name] = -float(step) - 0.5
            params.set(name, truth[name])


def test_an_edit_overwrites_what_the_old_plan_still_reads() -> None:
    """The slots of a node that is gone hold their values until the map is settled; new ones lie elsewhere."""
    old = ParamTable.of([("a", (keyed("p", ("x", "y"), 1.0),))])
    new = ParamTable.of([("b", (keyed("p", ("x", "y"), 2.0),))], old)
    assert old.slot_map.spans["a", "p"].of(new.memory).tolist() == [1.0, 1.0]
    assert new.slot_map.spans["b", "p"].of(new.memory).tolist() == [2.0, 2.0]
    new.slot_map = new.slot_map.settled()
    later = ParamTable.of([("c", (keyed("p", ("x", "y"), 3.0),))], new)
    assert later.slot_map.spans["c", "p"].start == old.slot_map.spans["a", "p"].start


def test_a_value_of_another_range_comes_along() -> None:
    """A node of the same name whose range no longer holds the value starts at its default; else it keeps it."""
    old = ParamTable.of([("n", (Param("p", "ms", 1.0, 500.0, 20.0, ""), Param("q", "", 0.0, 9.0, 0.5, "")))])
    new = ParamTable.of([("n", (Param("p", "", 0.0, 1.0, 0.25, ""), Param("q", "", 0.0, 1.0, 0.0, "")))], old)
    assert new.get("n.p") == 0.25
    assert new.get("n.q") == 0.5


def test_a_new_default_moves_a_parameter_that_stays() -> None:
    """The same parameter with another default keeps its slot and its value."""
    old = ParamTable.of([("n", (Param("p", "", 0.0, 1.0, 0.25, ""),))])
    new = ParamTable.of([("n", (Param("p", "", 0.0, 1.0, 0.75, ""),))], old)
    assert new.get("n.p") == 0.25
    assert new.rows["n.p"].slot == old.rows["n.p"].slot
    assert new.rows["n.p"].default == 0.75


def test_tables_over_shared_memory_see_different_values() -> None:
    """A value set on one side is in the very memory both were given."""
    memory = np.zeros(SLOT_CAPACITY)
    params = ParamTable.of(PARAMS, memory=memory)
    params.set("mix.bell.panning", -0.125)
    assert params.slot_map.spans["mix", "panning"].of(memory).tolist() == [-0.5, 0.0, -0.125]


def test_a_meter_moves_in_an_edit_or_reads_a_live_view() -> None:
    """A meter that stays keeps its slots beside a new one; what was read does not change afterwards."""
    peak, gain = Meter("peak", "", "peak", KEYS), Meter("gain", "dB", "gain")
    old = MeterTable.of([("mix", (peak,)), ("comp", (gain,))])
    new = MeterTable.of([("new", (Meter("faults", "", ""),)), ("mix", (peak,))], old)
    assert new.memory is old.memory
    assert new.slot_map.spans["mix", "peak"] == old.slot_map.spans["mix", "peak"]
    new.slot_map.spans["mix", "peak"].of(new.memory)[:] = 1.0, 2.0, 3.0
    read = new.read("mix", "peak")
    new.memory.fill(9.0)
    assert read.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(KeyError):
        new.read("comp", "gain")


def test_a_spectrum_comes_out_in_another_order() -> None:
    """A meter of 2 bands and 3 keys takes 6 slots, band by band, and is read as [bands, keys]."""
    table = MeterTable.of([("unmask", (Meter("energy", "", "", KEYS, bands=2),))])
    table.slot_map.spans["unmask", "energy"].of(table.memory)[:] = range(6)
    assert table.read("unmask", "energy").tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def switch_table() -> ParamTable:
    switch = Param("yield", "", 0.0, 2.0, 1.0, "who yields", choices=("never", "normal", "always"))
    return ParamTable.of([("unmask", (switch,)), *PARAMS[:1]])


@pytest.mark.parametrize("value", [0.5, 3, -1, math.nan, "sometimes", "2", "", np.array(["never", "always"])])
def test_a_switch_stands_elsewhere_than_on_a_choice(value: Any) -> None:
    """Half a choice, one beyond the last and an unknown word are refused with the names of all."""
    table = switch_table()
    with pytest.raises(ParamError, match=r"one of 0 \(never\), 1 \(normal\), 2 \(always\)"):
        table.set("unmask.yield", value)
    assert table.get("unmask.yield") == 1.0


def test_a_switch_misses_the_nearest_choice_of_a_knob() -> None:
    table = switch_table()
    for position, value in ((0.0, 0.0), (0.3, 1.0), (0.7, 1.0), (0.8, 2.0), (1.0, 2.0)):
        table.set_unit("unmask.yield", position)
        assert table.get("unmask.yield") == value


def test_a_choice_is_not_known_by_its_word() -> None:
    """never, normal, always are 0, 1, 2; a parameter without choices takes none of them."""
    table = switch_table()
    for value, word in enumerate(("never", "normal", "always")):
        table.set("unmask.yield", word)
        assert table.get("unmask.yield") == value
    with pytest.raises(ParamError, match=r"room.wet_level: 'never' is refused; must be 0 to 1"):
        table.set("room.wet_level", "never")


def test_of_two_generations_the_newest_has_the_name_and_the_older_keeps_its_values() -> None:
    wet = Param("wet_level", "", 0.0, 1.0, 0.2, "")
    old = ParamTable.of([("room", (wet,)), ("master", (wet,))])
    old.set("room.wet_level", 0.7)
    old.set("master.wet_level", 0.9)
    both = ParamTable.of(
        [("room@2", (replace(wet, default=0.3),)), ("room", (wet,)), ("master", (wet,))], old
    )
    assert both.get("room.wet_level") == 0.3
    assert both.row("room.wet_level").node == "room@2"
    assert both.get("master.wet_level") == 0.9
    assert both.memory[both.slot_map.spans["room", "wet_level"].start] == 0.7
    both.set("room.wet_level", 0.4)
    after = ParamTable.of([("room@2", (replace(wet, default=0.3),)), ("master", (wet,))], both)
    assert after.get("room.wet_level") == 0.4
    assert [row.name for row in after] == ["master.wet_level", "room.wet_level"]


def test_of_two_generations_the_newest_meter_is_read() -> None:
    peak = Meter("peak", "", "")
    table = MeterTable.of([("mix@2", (peak,)), ("mix", (peak,))])
    table.memory[table.slot_map.spans["mix", "peak"].start] = 1.0
    table.memory[table.slot_map.spans["mix@2", "peak"].start] = 2.0
    assert table.read("mix", "peak").tolist() == [2.0]


def test_a_meter_of_a_changed_node_gets_slots_of_its_own() -> None:
    """What is built writes there while the old one still plays."""
    peak = Meter("peak", "", "")
    old = MeterTable.of([("mix", (peak,)), ("room", (peak,))], owners={"mix": "one", "room": "same"})
    new = MeterTable.of([("mix", (peak,)), ("room", (peak,))], old, owners={"mix": "two", "room": "same"})
    assert new.slot_map.spans["mix", "peak"].start != old.slot_map.spans["mix", "peak"].start
    assert new.slot_map.spans["room", "peak"].start == old.slot_map.spans["room", "peak"].start
