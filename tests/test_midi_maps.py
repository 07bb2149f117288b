"""MIDI maps: mistakes that are taken, told without their place, or told as a traceback."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import presets
from engine.control.midi.map_schema import MidiMap
from engine.control.midi.maps import config_folder, default_maps, find_map, load_map, map_from_text, map_names
from engine.errors import MapError, Problem

HEAD = "title: T\nsource: S\nbindings:\n"


def one(binding: str) -> MidiMap:
    return map_from_text(f"{HEAD}  - {{{binding}}}\n", "own.yaml")


def refused(text: str) -> str:
    with pytest.raises(MapError) as caught:
        map_from_text(text, "own.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROOMTONE_CONFIG", str(tmp_path))
    made = config_folder()
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("binding", "field", "word"),
    [
        ("cc: 128, parameter: a.b", "bindings[0].cc", "0 to 127"),
        ("cc: -1, parameter: a.b", "bindings[0].cc", "0 to 127"),
        ("cc: 7.5, parameter: a.b", "bindings[0].cc", "0 to 127"),
        ('cc: "7", parameter: a.b', "bindings[0].cc", "0 to 127"),
        ("cc14: 32, parameter: a.b", "bindings[0].cc14", "0 to 31"),
        ("nrpn: 16383, parameter: a.b", "bindings[0].nrpn", "0 to 16382"),
        ("pitch_bend: false, parameter: a.b", "bindings[0].pitch_bend", "true"),
        ("cc: 7, channel: 0, parameter: a.b", "bindings[0].channel", "1 to 16, any, or each"),
        ("cc: 7, channel: all, parameter: a.b", "bindings[0].channel", "1 to 16, any, or each"),
        ("cc: 7, action: jump", "bindings[0].action", "play, pause, toggle, restart"),
        ("cc: 7, parameter: a.b, mode: relative", "bindings[0].mode", "relative-twos-complement"),
        ("cc: 7, parameter: a.b, range: [0]", "bindings[0].range", "lower end"),
        ("cc: 7, parameter: a.b, range: [0, .inf]", "bindings[0].range", "lower end"),
        ("cc: 7, parameter: a.b, range: [1, 1]", "bindings[0].range", "two different"),
        ("cc: 7, parameter: a.b, curve: log, range: [0, 1]", "bindings[0].curve", "above 0"),
        ("cc: 7, parameter: a.b, step: 0.1", "bindings[0].step", "mode"),
        ("cc: 7, parameter: a.b, mode: relative-signed-bit, step: 0", "bindings[0].step", "above 0"),
        ("cc: 7, parameter: a.b, mode: toggle, takeover: pickup", "bindings[0].takeover", "absolute"),
        ("cc14: 7, parameter: a.b, mode: relative-signed-bit", "bindings[0].mode", "`cc`"),
        ("cc: 7, paramter: a.b", "bindings[0].paramter", "did you mean `parameter`?"),
        ("cc: 7, fruit: apple", "bindings[0].fruit", "known keys are cc, cc14"),
        ("cc: 7", "bindings[0]", "either `parameter` or `action`"),
        ("cc: 7, parameter: a.b, action: play", "bindings[0]", "either `parameter` or `action`"),
        ("parameter: a.b", "bindings[0]", "exactly one of cc, cc14"),
        ("cc: 7, note: 7, parameter: a.b", "bindings[0]", "exactly one of cc, cc14"),
        ("cc: 7, channel: each, parameter: a.b", "bindings[0].parameter", "{track}"),
        ('cc: 7, parameter: "a.{track}.b"', "bindings[0].parameter", "channel: each"),
        ('cc: 7, track: 1, channel: each, parameter: "a.{track}.b"', "bindings[0].track", "channel: each"),
        ('cc: 7, track: 0, parameter: "a.{track}.b"', "bindings[0].track", "number, 1 to"),
        ('cc: 7, parameter: "a.{t}.b"', "bindings[0].parameter", "braces"),
        ("program: true, parameter: a.b", "bindings[0].parameter", "action: scene"),
        ("start: true, parameter: a.b", "bindings[0].parameter", "action"),
        ("start: true, channel: 3, action: play", "bindings[0].channel", "remove"),
        ("cc: 7, action: scene", "bindings[0].scene", "with a number"),
        ("program: true, action: scene, scene: 3", "bindings[0].scene", "with a number"),
        ("note: 7, action: trigger", "bindings[0].track", "`notes`"),
        ("notes: [50, 40], action: trigger", "bindings[0].notes", "[lowest, highest]"),
        ("notes: [40, 50], action: play", "bindings[0].notes", "trigger"),
        ("cc: 7, action: play, range: [0, 1]", "bindings[0].range", "remove"),
        ("cc: 7, action: play, track: car", "bindings[0].action", "track"),
    ],
)
def test_a_mistake_in_a_binding_is_taken_or_told_without_its_place(
    binding: str, field: str, word: str
) -> None:
    told = refused(f"{HEAD}  - {{{binding}}}\n")
    assert told.startswith(f"own.yaml:4: {field}: ")
    assert word in told
    assert "\n" not in told


def test_only_the_first_of_several_mistakes_is_told() -> None:
    """All of them are, each once, in the order of the file."""
    told = refused("title: 3\nbindings:\n  - {cc: 300, parameter: a.b}\n  - {cc: 1, action: fly}\n  - cc\n")
    places = [tuple(line.split(": ")[:2]) for line in told.splitlines()]
    assert sorted(places[:2]) == [("own.yaml:1", "source"), ("own.yaml:1", "title")]
    assert places[2:] == [
        ("own.yaml:3", "bindings[0].cc"),
        ("own.yaml:4", "bindings[1].action"),
        ("own.yaml:5", "bindings[2]"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1\n",
        "bindings: 7\n",
        "a: &b 1\n",
        "{",
        "\x00",
        "title: {a: 1}\nsource: []\nports: 3\n",
        "true\n",
    ],
)
def test_what_is_no_map_ends_in_a_traceback(text: str) -> None:
    assert refused(text).startswith("own.yaml:")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_map_ends_in_a_traceback(data: st.DataObject) -> None:
    """Built-in maps with a piece cut out or overwritten: a map, or an error that names the file."""
    name = data.draw(st.sampled_from(presets.midi_map_names()))
    text = presets.midi_map_path(name).read_bytes()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 40)))
    damaged = (
        text[:start]
        + data.draw(st.binary(max_size=8) | st.sampled_from([b"*", b"[", b": ", b"{x: "]))
        + text[stop:]
    )
    problems: tuple[Problem, ...] = ()
    try:
        map_from_text(damaged, "own.yaml")
    except MapError as error:
        problems = error.problems
    assert all(problem.file == "own.yaml" for problem in problems)


@pytest.mark.parametrize("name", presets.midi_map_names())
def test_a_built_in_map_is_wrong_or_binds_one_control_twice(name: str) -> None:
    found = load_map(presets.midi_map_path(name))
    controls = [(b.kind, b.channel, number) for b in found.bindings for number in b.numbers]
    assert len(controls) == len(set(controls))
    assert len(found.source) > 40
    file, line = found.place(0)
    assert Path(file).read_text("utf-8").splitlines()[line - 1].lstrip().startswith("- {")


def test_a_built_in_map_turns_what_no_scene_has() -> None:
    """Every parameter that a built-in map names is in a composed scene; `room.freeze` only where the room has it."""
    from engine.control.midi.map_schema import TRACK

    known = {"trim.{}.level_db", "mix.{}.panning", "mix.{}.send_db", "unmask.{}.importance"}
    known |= {"room.wet_level", "room.damping", "room.freeze"}
    for name in presets.midi_map_names():
        for binding in load_map(presets.midi_map_path(name)).bindings:
            assert binding.parameter is None or binding.parameter.replace(TRACK, "{}") in known


def test_a_map_is_not_found_where_the_user_keeps_it(folder: Path) -> None:
    """A path, then the user's folder, then the built-in ones; a name like none gets a hint."""
    (folder / "generic.yaml").write_text(HEAD + "  - {cc: 1, parameter: room.width}\n")
    (folder / "mine.yaml").write_text(HEAD)
    assert find_map("generic") == folder / "generic.yaml"
    assert find_map("akai-midimix") == presets.midi_map_path("akai-midimix")
    assert find_map("./x/generic.yaml") == Path("x/generic.yaml")
    assert {"mine", "generic", "akai-midimix"} <= set(map_names())
    with pytest.raises(MapError, match="did you mean mine"):
        find_map("mime")
    with pytest.raises(MapError, match="no such MIDI map"):
        load_map(find_map("./nowhere.yaml"))
    with pytest.raises(MapError, match="folder"):
        load_map(folder)


def test_the_generic_map_comes_before_what_was_learned(folder: Path) -> None:
    """Learned first, then the user's own and the built-in ones, the generic one last."""
    (folder / "learned.yaml").write_text("title: learned\nsource: S\n")
    (folder / "zz.yaml").write_text("title: zz\nsource: S\n")
    titles = [found.title for found in default_maps()]
    assert titles[0] == "learned"
    assert titles[1] == "zz"
    assert titles[-1] == "Generic"
    assert len(titles) == 2 + len(presets.midi_map_names())


@pytest.mark.parametrize(
    ("pattern", "port", "meant"),
    [
        ("nanoKONTROL2", "nanoKONTROL2:nanoKONTROL2 _ CTRL 28:0", True),
        ("NANOkontrol2", "nanoKONTROL2", True),
        ("X-TOUCH MINI", "X-TOUCH COMPACT", False),
        ("MIDI?Mix", "USB MIDI Mix 1", True),
        ("[1]", "Port [1]", True),
        ("[1]", "Port 1", False),
    ],
)
def test_a_map_takes_the_port_of_another_device(pattern: str, port: str, meant: bool) -> None:
    assert map_from_text(f'title: T\nsource: S\nports: ["{pattern}"]\n').names(port) == meant


def test_a_note_or_a_number_is_read_as_another_control() -> None:
    binding = one("notes: [36, 38], channel: 10, action: trigger").bindings[0]
    assert (binding.kind, binding.numbers) == ("note", (36, 37, 38))
    binding = one("continue: true, action: play").bindings[0]
    assert (binding.kind, binding.numbers) == ("continue", (0,))
    assert one("note: 60, parameter: room.freeze").bindings[0].way == "toggle"
    assert one("cc: 0, parameter: room.damping").bindings[0].picks_up
    assert not one("cc: 0, parameter: room.damping, takeover: jump").bindings[0].picks_up
