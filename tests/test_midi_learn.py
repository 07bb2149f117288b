"""Learning: noise taken for a knob, half of a control, the wrong encoding; and a file of bindings that is lost."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import presets
from engine.control.midi.learn import Learned, Learner
from engine.control.midi.map_file import learned_path, map_text, save_binding
from engine.control.midi.map_schema import Binding
from engine.control.midi.maps import load_map, map_from_text
from engine.errors import InputError, MapError

WET = "room.wet_level"


class Desk:
    """A learner with a clock."""

    def __init__(self, parameter: str = WET, track: int | str | None = None) -> None:
        self.learner, self.now_s = Learner(), 5.0
        self.learner.arm(parameter, track=track)

    def send(self, *data: int, port: str = "A", wait_s: float = 0.01) -> None:
        self.now_s += wait_s
        self.learner.take(port, bytes(data), self.now_s)

    def result(self) -> Learned | None:
        self.now_s += 1.0
        return self.learner.result(self.now_s)

    @property
    def binding(self) -> Binding:
        found = self.result()
        assert found is not None
        return found.binding


def binding(**fields: object) -> Binding:
    return Binding.model_validate({"parameter": WET, **fields})


def test_a_knob_is_not_learned_among_noise() -> None:
    """The one that travels, at its port and channel; not one that trembles, nor a lone message, nor the clock."""
    desk = Desk()
    generator = random.Random(2)
    for step in range(40):
        desk.send(0xF8)
        desk.send(0xB0, 1, 64 + generator.randrange(2), port="B")
        desk.send(0xB4, 91, 20 + step)
        if step == 7:
            desk.send(0xB0, 7, 100)
            desk.send(0xC0, 3)
    found = desk.result()
    assert found == Learned("A", binding(cc=91, channel=5))
    assert not desk.learner.armed


def test_a_lone_noise_message_is_learned() -> None:
    """Nothing is, and what was seen does not count for the next second, in which the knob is moved."""
    desk = Desk()
    assert desk.result() is None
    desk.send(0xB0, 7, 100)
    assert desk.learner.result(desk.now_s + 0.5) is None
    assert desk.result() is None
    assert desk.learner.armed
    for value in (10, 20, 30, 40):
        desk.send(0xB0, 8, value)
    assert desk.binding == binding(cc=8, channel=1)


def test_a_knob_that_was_brushed_is_learned() -> None:
    desk = Desk()
    for value in (60, 61, 62):
        desk.send(0xB0, 7, value)
    assert desk.result() is None
    assert desk.learner.armed


def test_half_of_a_14_bit_fader_is_learned() -> None:
    desk = Desk()
    for value in range(0, 6000, 150):
        desk.send(0xB1, 7, value >> 7, 0xB1, 39, value & 127)
    assert desk.binding == binding(cc14=7, channel=2)


def test_a_knob_below_32_is_learned_as_a_14_bit_fader() -> None:
    desk = Desk()
    for value in range(60):
        desk.send(0xB1, 7, value)
    assert desk.binding == binding(cc=7, channel=2)


def test_a_part_of_an_nrpn_is_learned() -> None:
    desk = Desk()
    for value in range(0, 16000, 400):
        desk.send(0xB0, 99, 2, 0xB0, 98, 44, 0xB0, 6, value >> 7, 0xB0, 38, value & 127)
    assert desk.binding == binding(nrpn=300, channel=1)


def test_increments_of_an_nrpn_are_not_learned() -> None:
    desk = Desk()
    for _ in range(8):
        desk.send(0xB0, 99, 2, 0xB0, 98, 44, 0xB0, 96, 0)
    assert desk.binding == binding(nrpn=300, channel=1)


def test_a_pitch_bend_or_a_pressure_is_not_learned() -> None:
    desk = Desk()
    for value in (64, 80, 100, 127, 90, 64):
        desk.send(0xE2, 0, value)
    assert desk.binding == binding(pitch_bend=True, channel=3)
    desk = Desk()
    for value in (1, 40, 80):
        desk.send(0xD2, value)
    assert desk.binding == binding(pressure=True, channel=3)


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ([1, 1, 1, 2, 2, 1, 1, 127, 127, 126, 127, 127], "relative-twos-complement"),
        ([127] * 12, "relative-twos-complement"),
        ([1] * 8, "relative-twos-complement"),
        ([65, 65, 66, 66, 65, 65, 63, 63, 62, 62, 63, 63], "relative-binary-offset"),
        ([63] * 8, "relative-binary-offset"),
        ([1, 1, 1, 2, 2, 1, 65, 65, 66, 66, 65, 65], "relative-signed-bit"),
    ],
)
def test_an_encoder_is_learned_as_a_knob_or_turns_the_wrong_way(values: list[int], mode: str) -> None:
    desk = Desk()
    for value in values:
        desk.send(0xB0, 16, value)
    assert desk.binding == binding(cc=16, channel=1, mode=mode)


@pytest.mark.parametrize(
    "values", [range(1, 12), range(116, 128), range(60, 70), range(127, 100, -3), range(68, 58, -1)]
)
def test_a_knob_turned_where_encoders_are_is_learned_as_one(values: range) -> None:
    """Near either end and near the middle, upwards and downwards: a knob's values do not repeat."""
    desk = Desk()
    for value in values:
        desk.send(0xB0, 16, value)
    assert desk.binding == binding(cc=16, channel=1)


def test_a_button_is_learned_as_a_knob() -> None:
    desk = Desk()
    desk.send(0x99, 40, 100)
    desk.send(0x89, 40, 0)
    assert desk.binding == binding(note=40, channel=10, mode="toggle")
    for values in ([127, 0], [127], [127, 127]):
        desk = Desk()
        for value in values:
            desk.send(0xB0, 20, value)
        assert desk.binding == binding(cc=20, channel=1, mode="toggle")


def test_a_track_is_lost_in_what_is_learned() -> None:
    desk = Desk("trim.{track}.level_db", track="car")
    for value in range(9):
        desk.send(0xB0, 16, value * 9)
    assert desk.binding == Binding(cc=16, channel=1, parameter="trim.{track}.level_db", track="car")
    with pytest.raises(InputError, match="track"):
        Learner().arm("trim.{track}.level_db")


def test_a_learner_that_is_not_armed_learns_or_loses_its_place() -> None:
    """Moves before it is armed do not count; half a message before is completed after."""
    learner = Learner()
    for value in range(50):
        learner.take("A", bytes((0xB0, 7, value)), 1.0)
    learner.take("A", b"\xb0", 1.0)
    assert learner.result(9.0) is None
    learner.arm(WET)
    for value in (1, 30, 60, 90):
        learner.take("A", bytes((8, value)), 10.0)
    found = learner.result(11.0)
    assert found is not None
    assert found.binding.cc == 8


def test_random_bytes_stop_the_learner_or_fill_its_memory() -> None:
    generator = random.Random(6)
    desk = Desk()
    for _ in range(100):
        desk.send(*generator.randbytes(2000), wait_s=0.001)
    desk.result()
    desk.learner.arm(WET)
    for value in range(0, 127, 2):
        desk.send(0xB0, 16, value)
    assert desk.binding.cc == 16


# the file -------------------------------------------------------------------------------------------------------


def test_a_saved_binding_is_lost_or_doubled(tmp_path: Path) -> None:
    """A control learned anew and a parameter learned anew take the place of what they had; the others stay."""
    path = tmp_path / "new" / "learned.yaml"
    first = binding(cc=1, channel=1)
    other = Binding(cc=2, channel=1, parameter="room.damping")
    third = Binding(cc=1, channel=2, parameter="room.width", range=(0.25, 1.0), curve="square")
    for one in (first, other, third):
        save_binding(path, one)
    assert load_map(path).bindings == (first, other, third)
    moved = binding(cc=9, channel=1)
    assert save_binding(path, moved).bindings == (other, third, moved)
    taken = Binding(cc=2, channel=1, parameter="room.room_size")
    assert save_binding(path, taken).bindings == (third, moved, taken)
    assert load_map(path).bindings == (third, moved, taken)
    assert [p.name for p in path.parent.iterdir()] == ["learned.yaml"]


def test_tracks_of_one_parameter_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "learned.yaml"
    for number in (1, 2, 3):
        save_binding(path, Binding(cc=number, channel=1, parameter="trim.{track}.level_db", track=number))
    assert len(load_map(path).bindings) == 3


@pytest.mark.parametrize(
    "text", ["title: [\n", "", "title: T\nsource: S\nbindings:\n  - {cc: 999, parameter: a}\n", "\x00"]
)
def test_a_damaged_file_is_overwritten(tmp_path: Path, text: str) -> None:
    """It is an error with the place, and not a byte of it is changed."""
    path = tmp_path / "learned.yaml"
    path.write_text(text)
    with pytest.raises(MapError, match=r"learned\.yaml"):
        save_binding(path, binding(cc=1))
    assert path.read_text() == text


def test_a_folder_that_cannot_be_written_ends_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MapError, match="cannot be written"):
        save_binding(tmp_path / "file" / "learned.yaml", binding(cc=1))


def test_a_write_that_fails_leaves_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full at the last moment: the old file is whole, and nothing lies beside it."""
    path = tmp_path / "learned.yaml"
    save_binding(path, binding(cc=1))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(MapError, match="No space left"):
        save_binding(path, binding(cc=2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text("title: T\nsource: S\n")
    link = tmp_path / "learned.yaml"
    link.symlink_to(tmp_path / "real.yaml")
    save_binding(link, binding(cc=1))
    assert link.is_symlink()
    assert len(load_map(tmp_path / "real.yaml").bindings) == 1


@pytest.mark.parametrize("name", presets.midi_map_names())
def test_a_map_that_is_written_is_another_map_when_read(name: str) -> None:
    found = load_map(presets.midi_map_path(name))
    assert map_from_text(map_text(found)).model_dump() == found.model_dump()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameter=st.text(min_size=1, max_size=20), track=st.text(min_size=1, max_size=20))
def test_an_odd_name_breaks_the_file(tmp_path: Path, parameter: str, track: str) -> None:
    """Quotes, colons, line ends, emoji: what is written is what is read, or it is refused and the file stays."""
    path = tmp_path / "learned.yaml"
    path.write_text("title: T\nsource: S\n")
    try:
        one = Binding(cc=1, parameter=parameter + "{track}", track=track)
    except ValidationError:
        return
    try:
        save_binding(path, one)
    except MapError:
        assert load_map(path).bindings == ()
    else:
        assert load_map(path).bindings == (one,)


def test_what_is_learned_is_kept_where_it_is_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.control.midi.maps import default_maps

    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path))
    save_binding(learned_path(), binding(cc=1))
    assert default_maps()[0].bindings == (binding(cc=1),)
