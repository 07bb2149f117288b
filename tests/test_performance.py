"""Keys, loading and edits meet: the scene that plays is the one that is edited, and nothing holds up the end."""

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from engine.cli.performance import Performance
from engine.control.show import Show
from engine.errors import InputError, SoundError
from engine.params import Param, ParamTable
from engine.scene.composition import Composition
from engine.spec import StreamSpec

SCENES = ("a.yaml", "b.yaml", "c.yaml")
PATIENCE_S = 10.0
NODES = [
    ("mix", (Param("panning", "", -1.0, 1.0, (0.5, 0.0), "", keys=("car", "bell")),)),
    ("unmask", (Param("delta", "", 0.0, 1.0, 0.0, "", choices=("off", "on")),)),
    ("glue", (Param("attack_ms", "ms", 1.0, 100.0, 10.0, "", curve="log"),)),
    ("room", (Param("damping", "", 0.0, 1.0, 0.5, ""), Param("wet_level", "", 0.0, 1.0, 0.3, ""))),
]


class ToyShow:
    """Notes what is done to it; `go` waits for `hold` if there is one, and raises `refusal`."""

    def __init__(self) -> None:
        self.done: list[tuple[str, object]] = []
        self.told: list[tuple[str, str]] = []
        self.refusal: Exception | None = None
        self.hold: threading.Event | None = None
        self.inside = threading.Event()
        self.paused = False
        self.position_s = 25.0
        self.spec = StreamSpec(48_000)
        self.params = ParamTable.of(NODES)

    def go(self, composition: object, seconds: float) -> None:
        self.inside.set()
        assert self.hold is None or self.hold.wait(PATIENCE_S)
        if self.refusal:
            raise self.refusal
        self.done.append(("go", composition))

    def edit(self, composition: object) -> None:
        self.done.append(("edit", composition))

    def tell(self, kind: str, text: str) -> None:
        self.told.append((kind, text))

    def set(self, name: str, value: float) -> None:
        self.params.set(name, value)

    def seek(self, frame: int) -> None:
        self.done.append(("seek", frame))

    def play(self) -> None:
        self.paused = False

    def trigger(self, track: str | int) -> None:
        self.done.append(("trigger", track))

    def pause(self) -> None:
        self.paused = True


class Loader:
    """Loads when it is let go on, or fails."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.places: list[int] = []
        self.failure: Exception | None = None

    def __call__(self, place: int) -> Composition:
        self.places.append(place)
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        if self.failure:
            raise self.failure
        return as_composition(SCENES[place])


def as_composition(name: str) -> Composition:
    return cast(Composition, name)


def loading() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "scene change"]


def settle() -> None:
    for thread in loading():
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def show() -> ToyShow:
    return ToyShow()


@pytest.fixture
def load() -> Loader:
    return Loader()


@pytest.fixture
def performance(show: ToyShow, load: Loader) -> Iterator[Performance]:
    yield Performance(cast(Show, show), SCENES, load, 4.0)
    load.go_on.set()
    settle()


def edit(performance: Performance, place: int) -> None:
    performance.edit(place, SCENES[place], lambda: as_composition(f"{SCENES[place]} edited"))


def test_the_place_is_that_of_the_scene_that_plays_also_while_the_next_is_loaded(
    performance: Performance, load: Loader
) -> None:
    load.go_on.clear()
    performance.key("n")
    assert load.begun.wait(PATIENCE_S)
    assert performance.place == 0
    performance.key("n")
    load.go_on.set()
    settle()
    assert (performance.place, load.places) == (1, [1])
    performance.key("p")
    settle()
    performance.key("p")
    settle()
    assert (performance.place, load.places) == (2, [1, 0, 2])


@pytest.mark.parametrize("by", ["load", "show"])
@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (SoundError("the bell is cracked"), "the bell is cracked"),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_scene_that_cannot_be_used_is_told_and_the_one_that_plays_is_still_edited(
    performance: Performance, show: ToyShow, load: Loader, failure: Exception, told: str, by: str
) -> None:
    """Whatever is raised is one line with its type; the place stays 0, and the next wish is heeded."""
    if by == "load":
        load.failure = failure
    else:
        show.refusal = failure
    performance.key("n")
    settle()
    assert show.told == [("scene-refused", f"b.yaml is not used: {told}")]
    edit(performance, 1)
    edit(performance, 0)
    assert show.done == [("edit", "a.yaml edited")]
    assert show.told[1:] == [("scene-edited", "a.yaml: the edit is taken over")]
    load.failure = show.refusal = None
    performance.key("n")
    settle()
    assert (performance.place, show.done[1:]) == (1, [("go", "b.yaml")])


def test_a_scene_that_does_not_play_is_not_made_ready_for_an_edit(
    performance: Performance, show: ToyShow
) -> None:
    def ready() -> Composition:
        raise AssertionError("seconds of work for nothing")

    performance.edit(2, "c.yaml", ready)
    assert (show.done, show.told) == ([], [])


def test_an_edit_that_is_ready_when_another_scene_plays_is_dropped(
    performance: Performance, show: ToyShow
) -> None:
    def ready() -> Composition:
        performance.key("n")
        settle()
        return as_composition("a.yaml edited")

    performance.edit(0, "a.yaml", ready)
    assert (show.done, show.told) == ([("go", "b.yaml")], [])


def test_an_edit_that_meets_the_change_of_scenes_waits_and_then_is_dropped(
    performance: Performance, show: ToyShow
) -> None:
    """The show is in the middle of `go` when the edit of the scene before is ready."""
    show.hold = threading.Event()
    performance.key("n")
    assert show.inside.wait(PATIENCE_S)
    ready = threading.Event()

    def make_ready() -> Composition:
        ready.set()
        return as_composition("a.yaml edited")

    editing = threading.Thread(target=performance.edit, args=(0, "a.yaml", make_ready))
    editing.start()
    assert ready.wait(PATIENCE_S)
    editing.join(0.2)
    assert show.done == []
    show.hold.set()
    editing.join(PATIENCE_S)
    settle()
    assert (show.done, show.told) == ([("go", "b.yaml")], [])


def test_an_edit_while_its_scene_is_loaded_is_what_is_gone_to(
    performance: Performance, show: ToyShow, load: Loader
) -> None:
    """Its file may have been read before the edit; the next change takes the file again."""
    load.go_on.clear()
    performance.key("n")
    assert load.begun.wait(PATIENCE_S)
    edit(performance, 1)
    load.go_on.set()
    settle()
    performance.key("n")
    settle()
    assert show.done == [("go", "b.yaml edited"), ("go", "c.yaml")]
    assert show.told == [("scene-edited", "b.yaml: the edit is taken over")]


@pytest.mark.parametrize("failure", [None, SoundError("too late")])
def test_the_end_does_not_wait_for_a_scene_that_is_loaded_and_nothing_comes_of_it(
    performance: Performance, show: ToyShow, load: Loader, failure: Exception | None
) -> None:
    load.go_on.clear()
    load.failure = failure
    performance.key("n")
    assert load.begun.wait(PATIENCE_S)
    performance.close()
    (thread,) = loading()
    assert thread.daemon  # else the program waits for it after all
    load.go_on.set()
    settle()
    edit(performance, 0)
    performance.refuse("a.yaml: the edit is not used")
    performance.key("n")
    assert (show.done, show.told, load.places) == ([], [], [1])


def test_the_end_does_not_wait_for_a_show_that_does_not_answer(
    performance: Performance, show: ToyShow
) -> None:
    """`close` returns while `go` still stands."""
    show.hold = threading.Event()
    performance.key("n")
    assert show.inside.wait(PATIENCE_S)
    performance.close()
    assert loading()
    show.hold.set()


def press(performance: Performance, keys: str) -> None:
    for key in keys.split():
        assert performance.key(key)


def test_up_and_down_go_through_all_parameters_and_round_again(performance: Performance) -> None:
    """The room first, then what there is once, then the tracks."""
    names = []
    for _ in range(7):
        press(performance, "down")
        names.append(performance.knob.chosen)
    assert names == [
        *("room.wet_level", "room.damping", "unmask.delta", "glue.attack_ms"),
        *("mix.car.panning", "mix.bell.panning", "room.wet_level"),
    ]
    press(performance, "escape up")
    assert performance.knob.chosen == "mix.bell.panning"


def test_arrows_turn_the_chosen_parameter_and_move_in_time_without_one(
    performance: Performance, show: ToyShow
) -> None:
    press(performance, "right left home")
    assert show.done == [("seek", 35 * 48_000), ("seek", 15 * 48_000), ("seek", 0)]
    press(performance, "down right")
    assert show.params.get("room.wet_level") == pytest.approx(0.31)
    press(performance, "shift-right > <")
    assert show.params.get("room.wet_level") == pytest.approx(0.41)
    press(performance, "left escape right")
    assert show.params.get("room.wet_level") == pytest.approx(0.40)
    assert show.done[3:] == [("seek", 35 * 48_000)]


def test_home_gives_the_scene_s_value_and_ends_hold(performance: Performance, show: ToyShow) -> None:
    press(performance, "up up left")
    assert show.params.get("mix.car.panning") == pytest.approx(0.48)
    press(performance, "home")
    assert show.params.get("mix.car.panning") == 0.5
    press(performance, "shift-right " * 12)
    assert show.params.get("mix.car.panning") == 1.0
    press(performance, "< " * 30)
    assert show.params.get("mix.car.panning") == -1.0


def test_a_switch_goes_on_by_one_word_and_a_log_parameter_by_a_hundredth_of_the_knob(
    performance: Performance, show: ToyShow
) -> None:
    press(performance, "down down down right right")
    assert show.params.get("unmask.delta") == 1.0
    press(performance, "<")
    assert show.params.get("unmask.delta") == 0.0
    press(performance, "down right")
    assert show.params.get("glue.attack_ms") == pytest.approx(10.0 * 100.0**0.01)


def test_a_parameter_that_the_next_scene_does_not_have_is_let_go(
    performance: Performance, show: ToyShow
) -> None:
    press(performance, "up")
    assert "turn" in performance.keys
    show.params = ParamTable.of(NODES[1:])
    assert performance.knob.lines() == ()
    assert "10 s" in performance.keys
    press(performance, "right")
    assert show.done == [("seek", 35 * 48_000)]


def test_what_is_turned_is_shown_between_its_neighbours(performance: Performance) -> None:
    assert performance.knob.lines() == ()
    press(performance, "down down right")
    lines = performance.knob.lines()
    assert [line.name for line in lines] == ["room.wet_level", "room.damping", "unmask.delta"]
    assert [line.value for line in lines] == ["0.30", "0.51", "off"]
    assert [line.turned for line in lines] == [False, True, False]
    assert [line.chosen for line in lines] == [False, True, False]


def test_l_learns_the_chosen_parameter_and_says_so_where_there_is_no_midi(
    performance: Performance, show: ToyShow
) -> None:
    press(performance, "l")
    assert show.told == []
    press(performance, "down l")
    assert show.told == [("notice", "there is no MIDI controller to learn room.wet_level from")]
    learned: list[str] = []
    performance.learn = learned.append
    press(performance, "l")
    assert learned == ["room.wet_level"]


def test_hands_do_what_keys_do(performance: Performance, show: ToyShow, load: Loader) -> None:
    performance.act("pause")
    assert show.paused
    performance.act("toggle")
    assert not show.paused
    performance.act("seek", 2.5)
    performance.act("restart")
    assert show.done == [("seek", 120_000), ("seek", 0)]
    performance.act("scene", 3)
    settle()
    performance.act("next_scene")
    settle()
    assert load.places == [2, 0]
    for action, argument in (("scene", 4), ("scene", 0), ("scene", "x"), ("trigger", None), ("seek", None)):
        with pytest.raises(InputError):
            performance.act(action, argument)
    performance.set("room.damping", 0.25)
    assert performance.params.get("room.damping") == 0.25
