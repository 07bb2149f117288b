"""The mapper: moves that are lost, jump, go to the wrong track, or chase their own echo."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import presets
from engine.control.midi.lamp import ECHO_S, INTERVAL_S, MOVING_S
from engine.control.midi.map_schema import MidiMap, Taper
from engine.control.midi.mapper import Mapper
from engine.control.midi.maps import load_map, map_from_text
from engine.control.midi.taper import Way, position_of, value_at
from engine.errors import InputError
from engine.params import Param, ParamTable

TRACKS = ("car", "bird", "bell")
PORT = "Knobs 1"


def table(tracks: tuple[str, ...] = TRACKS, wet: float = 0.0, room: str = "room") -> ParamTable:
    return ParamTable.of(
        [
            (
                room,
                (
                    Param("wet_level", "", 0.0, 1.0, wet, ""),
                    Param("decay_s", "s", 0.1, 10.0, 1.0, "", curve="log"),
                    Param("freeze", "", 0.0, 1.0, 0.0, "", choices=("off", "on")),
                ),
            ),
            ("trim", (Param("level_db", "LUFS", -90.0, 0.0, -90.0, "", tracks),)),
            ("mix", (Param("panning", "", -1.0, 1.0, -1.0, "", tracks),)),
        ]
    )


class Performance:
    """What is played, without the sound: a real table, a list of what was done."""

    def __init__(self) -> None:
        self.params = table()
        self.sets: list[tuple[str, float]] = []
        self.acts: list[tuple[str, str | float | None]] = []

    def set(self, name: str, value: float) -> None:
        self.params.set(name, value)
        self.sets.append((name, value))

    def act(self, action: str, argument: str | float | None = None) -> None:
        if argument == 99:
            raise InputError("there is no scene 99")
        self.acts.append((action, argument))


class Rig:
    """A mapper with one port, a clock, and what was sent to the port."""

    def __init__(self, *bindings: str, ports: str = "[]") -> None:
        text = f"title: T\nsource: S\nports: {ports}\nbindings:\n" + "".join(
            f"  - {{{b}}}\n" for b in bindings
        )
        self.target = Performance()
        self.mapper = Mapper([map_from_text(text, "own.yaml")], self.target)
        self.now_s = 10.0
        self.mapper.port_appeared(PORT)

    def send(self, *messages: tuple[int, ...], port: str = PORT) -> None:
        for message in messages:
            self.now_s += 0.001
            self.mapper.take(port, bytes(message), self.now_s)

    def turn(self, *messages: tuple[int, ...]) -> None:
        """Send and flush, one at a time."""
        for message in messages:
            self.send(message)
            self.mapper.flush(self.now_s)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.mapper.flush(self.now_s)

    def lit(self) -> list[bytes]:
        return [data for _, data in self.mapper.feedback(self.now_s)]

    def get(self, name: str) -> float:
        return self.target.params.get(name)


def told(rig: Rig) -> list[str]:
    return [str(problem) for problem in rig.mapper.notices()]


# moves -----------------------------------------------------------------------------------------------------


def test_a_flood_costs_a_set_for_each_message_or_loses_the_last_value() -> None:
    """25 000 messages between two flushes: one set of each parameter, to the value that came last."""
    rig = Rig(
        "cc: 91, parameter: room.wet_level, takeover: jump",
        "cc: 7, channel: each, parameter: 'trim.{track}.level_db'",
    )
    generator = random.Random(3)
    last = 0
    for _ in range(12_500):
        last = generator.randrange(128)
        rig.send((0xB4, 91, last), (0xB1, 7, generator.randrange(128)))
    rig.send((0xB1, 7, 0))
    rig.mapper.flush(rig.now_s)
    assert sorted(name for name, _ in rig.target.sets) == ["room.wet_level", "trim.bird.level_db"]
    assert rig.get("room.wet_level") == pytest.approx(position_of(last, 127))
    assert rig.mapper.messages == 25_001
    assert rig.mapper.unmapped == rig.mapper.refused == rig.mapper.malformed == 0
    rig.target.sets.clear()
    rig.mapper.flush(rig.now_s)
    assert rig.target.sets == []


def test_two_controls_of_one_parameter_set_it_twice() -> None:
    """The one that moved last has it."""
    rig = Rig(
        "cc: 1, parameter: room.wet_level, takeover: jump", "cc: 2, parameter: room.wet_level, takeover: jump"
    )
    rig.send((0xB0, 1, 64), (0xB0, 2, 127), (0xB0, 1, 0))
    rig.mapper.flush(rig.now_s)
    assert rig.target.sets == [("room.wet_level", 0.0)]


def test_a_channel_moves_another_track() -> None:
    rig = Rig(
        "cc: 10, channel: each, parameter: 'mix.{track}.panning'",
        "cc: 11, track: 2, parameter: 'mix.{track}.panning'",
    )
    rig.turn((0xB2, 10, 0), (0xB2, 10, 127), (0xB0, 11, 0), (0xB0, 11, 64))
    assert [rig.get(f"mix.{track}.panning") for track in TRACKS] == [-1.0, 0.0, 1.0]
    rig.turn((0xB3, 10, 5))
    assert rig.mapper.refused == 1
    assert told(rig) == []


def test_a_track_named_by_the_map_is_not_found() -> None:
    rig = Rig(
        "cc: 10, track: bell, parameter: 'mix.{track}.panning'",
        "cc: 11, track: bel, parameter: 'mix.{track}.panning'",
    )
    rig.turn((0xB0, 10, 0), (0xB0, 10, 127), (0xB0, 11, 1), (0xB0, 11, 2))
    assert rig.get("mix.bell.panning") == 1.0
    assert (
        told(rig)
        == [
            "own.yaml:6: bindings[1]: there is no parameter 'mix.bel.panning'; did you mean mix.bell.panning"
            " or mix.bird.panning or mix.car.panning?"
        ]
        or told(rig) == []
    )
    assert rig.mapper.refused == 2


def test_a_parameter_that_is_in_no_scene_stops_the_show_or_is_told_each_time() -> None:
    """It is told once, with the place in the map and the nearest name, when it is first moved."""
    rig = Rig("cc: 91, parameter: room.wet_levle")
    rig.wait(1.0)
    assert told(rig) == []
    rig.turn(*[(0xB0, 91, v) for v in range(9)])
    (text,) = told(rig)
    assert text.startswith("own.yaml:5: bindings[0]: ")
    assert "did you mean room.wet_level" in text
    assert rig.mapper.refused == 9


def test_the_knob_of_a_new_scene_makes_a_jump() -> None:
    """Caught, then the scene changes: it picks up anew, in the new table, and the old one is left alone."""
    rig = Rig("cc: 91, parameter: room.wet_level")
    rig.turn((0xB0, 91, 0), (0xB0, 91, 32))
    assert rig.get("room.wet_level") == 0.25
    old = rig.target.params
    rig.target.params = table(wet=0.75, room="room@1")
    rig.turn((0xB0, 91, 40))
    assert rig.get("room.wet_level") == 0.75
    rig.turn((0xB0, 91, 100))
    assert rig.get("room.wet_level") == pytest.approx(position_of(100, 127))
    assert old.get("room.wet_level") == 0.25


def test_the_same_value_in_another_range_is_taken_for_caught() -> None:
    """The knob stands at a quarter, and 0.25 is now half of its way: it may not jump there."""
    rig = Rig("cc: 91, parameter: room.wet_level")
    rig.turn((0xB0, 91, 0), (0xB0, 91, 32))
    rig.target.params = ParamTable.of([("room", (Param("wet_level", "", 0.0, 0.5, 0.25, ""),))])
    rig.turn((0xB0, 91, 33))
    assert rig.get("room.wet_level") == 0.25
    rig.turn((0xB0, 91, 127))
    assert rig.get("room.wet_level") == 0.5


def test_an_edit_of_the_scene_lets_a_caught_knob_go() -> None:
    """A table made from the one before, with the same rows, keeps it caught, also on a switch between its choices."""
    rig = Rig("cc: 10, parameter: room.freeze")
    rig.turn((0xB0, 10, 0), (0xB0, 10, 40))
    before = rig.target.params
    params = {
        node: tuple(dict.fromkeys(r.param for r in before if r.node == node))
        for node in ("room", "trim", "mix")
    }
    rig.target.params = ParamTable.of(params.items(), previous=before)
    rig.turn((0xB0, 10, 100))
    assert rig.get("room.freeze") == 1.0


def test_another_hand_is_overridden() -> None:
    rig = Rig("cc: 91, parameter: room.wet_level")
    rig.turn((0xB0, 91, 0), (0xB0, 91, 64))
    rig.target.params.set("room.wet_level", 0.9)
    rig.turn((0xB0, 91, 70), (0xB0, 91, 80))
    assert rig.get("room.wet_level") == 0.9
    rig.turn((0xB0, 91, 127))
    assert rig.get("room.wet_level") == 1.0


@pytest.mark.parametrize(
    ("mode", "up", "down"),
    [("twos-complement", 1, 127), ("binary-offset", 65, 63), ("signed-bit", 1, 65)],
)
def test_an_encoder_loses_steps_or_leaves_the_range(mode: str, up: int, down: int) -> None:
    """Steps between two flushes add up; at the ends it stands."""
    rig = Rig(f"cc: 16, parameter: room.wet_level, mode: relative-{mode}, step: 0.25")
    rig.send(*[(0xB0, 16, up)] * 3, (0xB0, 16, down))
    rig.mapper.flush(rig.now_s)
    assert rig.get("room.wet_level") == 0.5
    assert len(rig.target.sets) == 1
    rig.turn(*[(0xB0, 16, up)] * 9)
    assert rig.get("room.wet_level") == 1.0
    rig.turn(*[(0xB0, 16, down)] * 9)
    assert rig.get("room.wet_level") == 0.0


def test_an_encoder_cannot_turn_a_switch() -> None:
    rig = Rig("cc: 16, parameter: room.freeze, mode: relative-twos-complement")
    rig.turn((0xB0, 16, 1))
    assert rig.get("room.freeze") == 1.0
    rig.turn((0xB0, 16, 127))
    assert rig.get("room.freeze") == 0.0


def test_a_14_bit_fader_is_read_as_two_knobs() -> None:
    rig = Rig("cc14: 7, parameter: room.wet_level")
    rig.turn((0xB0, 7, 0), (0xB0, 39, 0), (0xB0, 7, 64), (0xB0, 39, 1))
    assert rig.get("room.wet_level") == pytest.approx(position_of(64 << 7 | 1, 16383))
    rig.turn((0xB0, 7, 32))
    assert rig.get("room.wet_level") > 0.5
    rig.wait(1.0)
    assert rig.get("room.wet_level") == 0.25


def test_an_nrpn_or_a_pitch_bend_does_not_arrive() -> None:
    rig = Rig(
        "nrpn: 300, channel: 3, parameter: room.wet_level, step: 0.5",
        "pitch_bend: true, parameter: mix.car.panning",
    )
    rig.turn((0xB2, 99, 2), (0xB2, 98, 44), (0xB2, 6, 0), (0xB2, 38, 0), (0xB2, 6, 127), (0xB2, 38, 127))
    assert rig.get("room.wet_level") == 1.0
    rig.turn((0xB2, 97, 0))
    assert rig.get("room.wet_level") == 0.5
    rig.turn((0xE0, 0, 0), (0xE0, 0, 64))
    assert rig.get("mix.car.panning") == 0.0
    assert rig.mapper.unmapped == 0


def test_a_range_or_a_curve_is_not_the_one_of_the_map() -> None:
    rig = Rig(
        "cc: 1, parameter: room.wet_level, range: [0.8, 0.2], takeover: jump",
        "cc: 2, parameter: room.decay_s, takeover: jump",
        "cc: 3, parameter: trim.car.level_db, takeover: jump, curve: sqrt, range: [-200, 200]",
    )
    rig.turn((0xB0, 1, 0), (0xB0, 2, 64), (0xB0, 3, 32))
    assert rig.get("room.wet_level") == 0.8
    assert rig.get("room.decay_s") == pytest.approx(1.0)
    assert rig.get("trim.car.level_db") == -45.0
    rig.turn((0xB0, 1, 127))
    assert rig.get("room.wet_level") == 0.2


@settings(max_examples=300, deadline=None)
@given(
    ends=st.tuples(st.floats(1e-3, 1e4), st.floats(1e-3, 1e4)),
    curve=st.sampled_from(["linear", "log", "square", "sqrt"]),
    value=st.integers(0, 127),
)
def test_a_control_shows_another_position_than_the_one_it_set(
    ends: tuple[float, float], curve: Taper, value: int
) -> None:
    """Value to position to parameter and back is the value that came, for every curve, upwards and downwards."""
    start, end = ends
    way = Way(start, end, curve)
    there = way.value(position_of(value, 127))
    assert min(ends) <= there <= max(ends)
    if abs(end - start) > 1e-6 * max(ends):
        assert value_at(way.place(there), 127) == value


@pytest.mark.parametrize("top", [127, 16383])
def test_the_middle_of_a_pan_pot_is_not_the_middle(top: int) -> None:
    assert [position_of(v, top) for v in (0, (top + 1) // 2, top)] == [0.0, 0.5, 1.0]
    assert all(value_at(position_of(v, top), top) == v for v in range(top + 1))


# presses ---------------------------------------------------------------------------------------------------


def test_presses_come_in_another_order_or_more_than_once() -> None:
    rig = Rig(
        "start: true, action: restart",
        "stop: true, action: pause",
        "continue: true, action: play",
        "program: true, action: scene",
        "note: 60, action: next_scene",
        "notes: [36, 40], channel: 10, action: trigger",
        "note: 1, action: trigger, track: bell",
        "cc: 20, action: scene, scene: 4",
        "note: 2, channel: each, action: trigger",
    )
    rig.send((0xFA,), (0xC5, 0), (0x90, 60, 100), (0x80, 60, 0), (0x99, 38, 90), (0x99, 38, 0), (0x90, 1, 1))
    rig.send((0xB0, 20, 127), (0xB0, 20, 0), (0xFC,), (0xFB,), (0x94, 2, 9), (0xF8,), (0xFE,))
    rig.mapper.flush(rig.now_s)
    assert rig.target.acts == [
        ("restart", None),
        ("scene", 1),
        ("next_scene", None),
        ("trigger", 3),
        ("trigger", "bell"),
        ("scene", 4),
        ("pause", None),
        ("play", None),
        ("trigger", 5),
    ]
    assert rig.mapper.unmapped == 0


def test_a_button_without_a_release_works_once_only() -> None:
    """One that repeats 127 is pressed each time; a knob that passes the middle presses once."""
    rig = Rig("cc: 20, action: toggle", "cc: 21, action: play")
    rig.turn(*[(0xB0, 20, 127)] * 3)
    assert rig.target.acts == [("toggle", None)] * 3
    rig.target.acts.clear()
    rig.turn(*[(0xB0, 21, v) for v in range(128)])
    assert rig.target.acts == [("play", None)]


def test_an_action_that_cannot_be_done_ends_the_flush() -> None:
    """It is counted and told once; what comes behind it is done."""
    rig = Rig("cc: 20, action: scene, scene: 99", "note: 1, action: play")
    rig.send((0xB0, 20, 127), (0xB0, 20, 127), (0x90, 1, 1))
    rig.mapper.flush(rig.now_s)
    assert rig.target.acts == [("play", None)]
    assert rig.mapper.refused == 2
    assert told(rig) == ["own.yaml:5: bindings[0]: there is no scene 99"]


def test_presses_that_nobody_takes_fill_the_memory() -> None:
    """More than 10 000 between two flushes are refused, and counted."""
    rig = Rig("note: 1, action: next_scene")
    rig.send(*[(0x90, 1, 1)] * 10_100)
    rig.mapper.flush(rig.now_s)
    assert len(rig.target.acts) == 10_000
    assert rig.mapper.refused == 100


def test_a_toggle_or_a_pedal_stays_where_it_is() -> None:
    rig = Rig("note: 5, parameter: room.freeze", "cc: 64, parameter: room.wet_level, mode: momentary")
    rig.turn((0x90, 5, 80), (0x80, 5, 0))
    assert rig.get("room.freeze") == 1.0
    rig.turn((0x90, 5, 80), (0x90, 5, 0))
    assert rig.get("room.freeze") == 0.0
    rig.turn((0xB0, 64, 127))
    assert rig.get("room.wet_level") == 1.0
    rig.turn((0xB0, 64, 0))
    assert rig.get("room.wet_level") == 0.0
    rig.send(
        (0x90, 5, 1), (0x90, 5, 0), (0x90, 5, 1), (0x90, 5, 0), (0x90, 5, 1), (0xB0, 64, 127), (0xB0, 64, 0)
    )
    rig.mapper.flush(rig.now_s)
    assert rig.get("room.freeze") == 1.0
    assert rig.get("room.wet_level") == 0.0


def test_the_end_of_a_note_takes_its_velocity_back() -> None:
    rig = Rig("note: 5, parameter: room.wet_level, mode: absolute")
    rig.turn((0x90, 5, 64), (0x80, 5, 0))
    assert rig.get("room.wet_level") == 0.5


# what goes back --------------------------------------------------------------------------------------------

LIT = "cc: 91, channel: 2, parameter: room.wet_level, feedback: true"


def test_a_control_does_not_show_the_value_when_its_port_appears() -> None:
    rig = Rig(LIT, "note: 5, parameter: room.freeze, feedback: true", "cc: 3, parameter: room.decay_s")
    assert rig.lit() == [bytes((0xB1, 91, 0)), bytes((0x90, 5, 0))]
    rig.wait(1.0)
    assert rig.lit() == []
    rig.mapper.port_appeared(PORT)
    assert len(rig.lit()) == 2
    rig.mapper.port_gone(PORT)
    rig.target.params.set("room.wet_level", 1.0)
    rig.wait(1.0)
    assert rig.lit() == []


@pytest.mark.parametrize(
    ("binding", "value", "data"),
    [
        ("cc: 91, channel: 2, parameter: room.wet_level, feedback: true", 0.5, (0xB1, 91, 64)),
        ("cc14: 7, parameter: room.wet_level, feedback: true", 1.0, (0xB0, 7, 127, 0xB0, 39, 127)),
        ("pitch_bend: true, channel: 4, parameter: room.wet_level, feedback: true", 0.5, (0xE3, 0, 64)),
        ("note: 9, parameter: room.wet_level, feedback: true", 0.8, (0x90, 9, 127)),
        ("cc: 9, parameter: room.wet_level, mode: toggle, feedback: true", 0.8, (0xB0, 9, 127)),
        ("cc: 9, parameter: room.wet_level, mode: relative-signed-bit, feedback: true", 1.0, (0xB0, 9, 127)),
    ],
)
def test_a_change_from_elsewhere_is_not_shown(binding: str, value: float, data: tuple[int, ...]) -> None:
    rig = Rig(binding)
    rig.lit()
    rig.target.params.set("room.wet_level", value)
    rig.wait(1.0)
    assert rig.lit() == [bytes(data)]


def test_a_control_is_flooded_or_misses_the_last_value() -> None:
    """A glide of a second: at most 32 messages, never two closer than a thirtieth; the last is the end."""
    rig = Rig(LIT)
    sent: list[tuple[float, bytes]] = []
    for i in range(1200):
        rig.target.params.set("room.wet_level", min(i, 1000) / 1000)
        rig.now_s += 0.001
        sent += [(rig.now_s, data) for data in rig.lit()]
    assert 25 <= len(sent) <= 32
    assert all(b[0] - a[0] >= INTERVAL_S - 1e-9 for a, b in pairwise(sent))
    assert sent[-1][1] == bytes((0xB1, 91, 127))


def test_what_a_hand_does_is_sent_back_to_it() -> None:
    """Nothing while it moves, and nothing afterwards, for it shows already what it set."""
    rig = Rig(LIT)
    rig.lit()
    for value in range(100):
        rig.turn((0xB1, 91, value))
        assert rig.lit() == []
    rig.wait(MOVING_S * 2)
    assert rig.get("room.wet_level") > 0.7
    assert rig.lit() == []


def test_a_control_that_was_not_picked_up_shows_a_value_that_is_not_so() -> None:
    rig = Rig(LIT)
    rig.lit()
    rig.wait(1.0)
    rig.target.params.set("room.wet_level", 1.0)
    rig.turn((0xB1, 91, 20))
    assert rig.lit() == []
    rig.wait(MOVING_S * 1.01)
    assert rig.lit() == [bytes((0xB1, 91, 127))]


def test_an_echo_is_taken_for_a_hand() -> None:
    """What was just sent comes back, late and out of order with the next: the parameter is left where it is."""
    rig = Rig("cc: 91, parameter: room.wet_level, feedback: true, takeover: jump")
    rig.lit()
    for value in (0.2, 0.4, 0.6):
        rig.target.params.set("room.wet_level", value)
        rig.wait(INTERVAL_S * 1.01)
        sent = rig.lit()
        if value == 0.2:
            first = sent
    rig.target.sets.clear()
    rig.now_s -= INTERVAL_S
    rig.turn(*[tuple(data) for data in first], *[tuple(data) for data in sent])
    assert rig.target.sets == []
    assert rig.get("room.wet_level") == 0.6
    rig.turn(tuple(first[0]))
    assert rig.get("room.wet_level") == pytest.approx(0.2, abs=0.01)


def test_a_port_that_is_its_own_output_runs_for_ever() -> None:
    """Everything that is sent comes back at once: it ends, and parameters and buttons stay as they were set."""
    rig = Rig(
        LIT,
        "note: 5, parameter: room.freeze, feedback: true",
        "cc14: 1, track: 1, parameter: 'mix.{track}.panning', feedback: true",
    )
    rig.target.params.set("room.freeze", 1.0)
    rig.target.params.set("room.wet_level", 0.3)
    count = 0
    for step in range(500):
        if step == 100:
            rig.target.params.set("mix.car.panning", 0.7)
            rig.target.params.set("room.wet_level", 0.8)
        for data in rig.lit():
            count += 1
            rig.turn(tuple(data))
        rig.wait(0.01)
    assert count == 5
    assert [rig.get(n) for n in ("room.freeze", "room.wet_level", "mix.car.panning")] == [1.0, 0.8, 0.7]
    assert rig.target.sets == []


def test_a_press_long_after_its_lamp_was_lit_is_lost() -> None:
    rig = Rig("note: 5, parameter: room.freeze, feedback: true")
    rig.target.params.set("room.freeze", 1.0)
    assert rig.lit() == [bytes((0x90, 5, 127))]
    rig.wait(ECHO_S * 1.5)
    rig.turn((0x90, 5, 127))
    assert rig.get("room.freeze") == 0.0


# maps and ports --------------------------------------------------------------------------------------------


def simple(title: str, ports: str, cc: int, name: str) -> MidiMap:
    return map_from_text(
        f"title: {title}\nsource: S\nports: {ports}\nbindings:\n  - {{cc: {cc}, parameter: {name}, takeover: jump}}\n"
    )


def test_two_maps_move_one_control_to_two_places() -> None:
    """Learned first, then the map of the device; the generic one only where no map names the port."""
    maps = [
        simple("learned", "[]", 1, "room.decay_s"),
        simple("device", "[Nano]", 2, "room.freeze"),
        simple("other", "[Mix]", 3, "room.wet_level"),
        simple("generic", "[]", 3, "room.wet_level"),
    ]
    maps.insert(1, simple("again", "[Nano]", 1, "room.wet_level"))
    target = Performance()
    mapper = Mapper(maps, target)
    for number in (1, 2, 3):
        mapper.take("Nano 1", bytes((0xB0, number, 127)), 0.0)
    mapper.flush(0.0)
    assert target.sets == [("room.decay_s", 10.0), ("room.freeze", 1.0)]
    assert mapper.unmapped == 1
    mapper.take("Piano", bytes((0xB0, 3, 127)), 0.0)
    mapper.flush(0.0)
    assert target.sets[-1] == ("room.wet_level", 1.0)


def test_ports_share_what_belongs_to_one() -> None:
    """Half a message of one port, and where its knob stands, mean nothing to another."""
    rig = Rig("cc: 91, parameter: room.wet_level")
    rig.send((0xB0, 91), port="A")
    rig.send((127,), port="B")
    rig.send((127,), port="A")
    assert (rig.mapper.messages, rig.mapper.malformed) == (1, 1)
    rig.target.params.set("room.wet_level", 0.5)
    rig.send((0xB0, 91, 10), port="B")
    rig.mapper.flush(rig.now_s)
    assert rig.get("room.wet_level") == 0.5
    rig.mapper.port_gone("B")
    assert rig.mapper.malformed == 1


def test_the_clock_of_a_port_is_not_heard() -> None:
    rig = Rig("start: true, action: restart")
    assert rig.mapper.clock(rig.now_s) is None
    rig.mapper.take(PORT, b"\xfa", rig.now_s)
    for tick in range(49):
        rig.mapper.take(PORT, b"\xf8", rig.now_s + tick / 48)
    clock = rig.mapper.clock(rig.now_s + 1.0)
    assert clock is not None
    assert clock[0] == pytest.approx(120.0)
    assert rig.mapper.unmapped == 0


def test_new_maps_are_not_taken_while_it_plays() -> None:
    rig = Rig("cc: 1, parameter: room.wet_level, takeover: jump")
    rig.mapper.replace_maps([simple("new", "[]", 2, "room.wet_level")])
    rig.turn((0xB0, 1, 127))
    assert rig.get("room.wet_level") == 0.0
    rig.turn((0xB0, 2, 127))
    assert rig.get("room.wet_level") == 1.0


def test_a_million_random_bytes_stop_it() -> None:
    """With every built-in map, in pieces of any length: no exception, and a knob turned afterwards arrives."""
    generator = random.Random(11)
    target = Performance()
    mapper = Mapper([load_map(presets.midi_map_path(name)) for name in presets.midi_map_names()], target)
    mapper.port_appeared("MIDI Mix")
    now_s, left = 0.0, 1_000_000
    while left > 0:
        piece = generator.randbytes(generator.randrange(1, 400))
        left -= len(piece)
        now_s += 0.001
        mapper.take(generator.choice(("MIDI Mix", "X-TOUCH MINI", "any")), piece, now_s)
        if generator.random() < 0.2:
            mapper.flush(now_s)
            mapper.feedback(now_s)
    for value in (0, 127, 64):
        mapper.take("MIDI Mix", bytes((0xB0, 62, value)), now_s)
        mapper.flush(now_s)
    assert target.params.get("room.wet_level") == 0.5
    assert mapper.malformed > 1000


def test_a_built_in_map_turns_what_a_scene_does_not_have() -> None:
    """All their parameters are in the graph of a built-in scene; `room.freeze` only where the room has it."""
    from engine.control.patch import default_graph
    from engine.scene.composition import compose
    from engine.scene.load import load_scene

    composition = compose(load_scene(presets.scene_path("kitchen")), rate_hz=48_000, seed=1)
    target = Performance()
    target.params = ParamTable.of(default_graph(composition).params())
    for name in presets.midi_map_names():
        found = load_map(presets.midi_map_path(name))
        mapper = Mapper([found.model_copy(update={"ports": ()})], target)
        for channel in range(3):
            for number in range(128):
                for value in (0, 127, 0):
                    mapper.take(PORT, bytes((0xB0 | channel, number, value)), 0.0)
                    mapper.take(PORT, bytes((0xBA, number, value)), 0.0)
                    mapper.flush(0.0)
        assert all("room.freeze" in str(problem) for problem in mapper.notices())
    moved = {name for name, _ in target.sets}
    assert {
        "room.wet_level",
        "room.damping",
        "trim.fire.level_db",
        "mix.fire.send_db",
        "unmask.fire.importance",
    } <= moved


def test_a_clock_is_not_found_among_ports_or_a_song_position_is_lost() -> None:
    """Of two ports that send a clock the one that runs counts; it goes on where the song position says."""
    mapper = Rig("cc: 1, parameter: room.wet_level").mapper
    now_s = 10.0
    mapper.take("other", bytes((0xF8,)), now_s)
    mapper.take("sequencer", bytes((0xF2, 16, 0, 0xFB)), now_s)
    for _ in range(49):
        now_s += 0.5 / 24
        mapper.take("other", bytes((0xF8,)), now_s)
        mapper.take("sequencer", bytes((0xF8,)), now_s)
    clock = mapper.clock(now_s)
    assert clock == pytest.approx((120.0, 6.0, now_s), abs=1e-6)
    mapper.take("sequencer", bytes((0xFC,)), now_s)
    assert mapper.clock(now_s) is None
