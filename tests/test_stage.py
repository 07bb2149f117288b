"""Changes of what plays while it plays: nothing steps, what stays goes on bit for bit, nothing is left behind."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from benchmarks.edited_show import ACTIONS, RATE_HZ, STEP_LIMIT, EditedShow, StepMeter
from engine.control.local_engine import LocalEngine
from engine.control.stage import Stage
from engine.errors import GraphError, InputError, ParamError
from engine.events import Event
from engine.messages import Built, Refused
from engine.scene.composition import Composition, Track
from engine.scene.material import Material
from engine.scene.schedule import Clip
from engine.scene.schema import Loop, Once, Random, Scene
from engine.spec import StreamSpec

QUANTUM = 128


def tone(frequency_hz: float, seconds: float = 2.0, amplitude: float = 0.1) -> Material:
    """A sine of whole periods."""
    frames = round(round(seconds * frequency_hz) / frequency_hz * RATE_HZ)
    wave = amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(frames) / RATE_HZ)
    samples = np.repeat(wave[:, None], 2, axis=1).astype(np.float32)
    return Material(f"{frequency_hz:g}", f"{frequency_hz:g}", samples, True, -23.0, "")


def scene_of(
    sounds: dict[str, Material], schedule: Once | Loop | Random | None = None, seed: int = 1
) -> Composition:
    tracks = tuple(
        Track(
            number=number,
            name=name,
            importance=0.5,
            yields="never",
            panning=0.0,
            level_db=-23.0,
            send_db=-90.0,
            mono=True,
            schedule=schedule or Loop(),
            clips=(Clip(number, len(material.samples), 1.0, 1.0),),
        )
        for number, (name, material) in enumerate(sounds.items())
    )
    scene = Scene.model_validate({"title": "+".join(sounds)[:100], "room_detected": False, "loudness": None})
    return Composition(scene, seed, RATE_HZ, tracks, tuple(sounds.values()), RATE_HZ)


LOW, HIGH, THIRD = tone(100.0), tone(330.0), tone(210.0)


class Rig:
    def __init__(self, composition: Composition) -> None:
        self.engine = LocalEngine(StreamSpec(RATE_HZ, QUANTUM))
        self.told: list[str] = []
        self.stage = Stage(self.engine, RATE_HZ, lambda kind, text: self.told.append(text))
        self.stage.open(composition)

    def render(self, seconds: float) -> NDArray[np.float32]:
        quanta = round(seconds * RATE_HZ / QUANTUM)
        out = np.zeros((quanta * QUANTUM, 2), np.float32)
        for n in range(quanta):
            self.engine.render(out[n * QUANTUM : (n + 1) * QUANTUM])
            for message in self.engine.poll():
                self.stage.take(message)
            self.stage.tick()
        return out


def level(samples: NDArray[np.float32], frequency_hz: float) -> float:
    """The amplitude of a sine in the left channel."""
    turn = np.exp(-2j * np.pi * frequency_hz * np.arange(len(samples)) / RATE_HZ)
    window = np.hanning(len(samples))
    return float(2 * abs(np.sum(samples[:, 0] * window * turn)) / window.sum())


def steps(samples: NDArray[np.float32]) -> float:
    """The height of the largest step there is."""
    return float(StepMeter(RATE_HZ).heights(samples[:, 0]).max())


def test_a_step_is_measured_as_high_as_it_is() -> None:
    """Within 1 %, beside a tone."""
    samples = 0.2 * np.sin(2 * np.pi * 390.0 * np.arange(4800) / RATE_HZ)
    samples[2400:] += 1e-3
    assert StepMeter(RATE_HZ).heights(samples).max() == pytest.approx(1e-3, rel=0.01)


def test_a_scene_crosses_to_another_with_equal_power_and_no_step() -> None:
    """The powers of both tones add up to that of one, within 6 %, in every 0.1 s; no step above -60 dBFS."""
    rig = Rig(scene_of({"low": LOW}))
    before = rig.render(1.0)
    rig.stage.go(scene_of({"high": HIGH}), RATE_HZ)
    crossing = rig.render(1.6)
    after = rig.render(1.0)
    one = level(before[-9600:], 100.0)
    assert level(after[-9600:], 330.0) == pytest.approx(one, rel=0.02)
    assert level(after[-9600:], 100.0) < 1e-4 * one
    for begin in range(0, len(crossing) - 9600, 4800):
        piece = crossing[begin : begin + 9600]
        assert level(piece, 100.0) ** 2 + level(piece, 330.0) ** 2 == pytest.approx(one**2, rel=0.06)
    assert steps(np.concatenate([before, crossing, after])[4800:]) < STEP_LIMIT
    assert rig.stage.scenes == 1
    assert not rig.stage.changing


def test_a_cut_to_another_scene_does_not_click() -> None:
    """Not even in no time at all: no step above -60 dBFS."""
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.5)
    rig.stage.go(scene_of({"high": HIGH}), 0)
    assert steps(rig.render(1.0)) < STEP_LIMIT


def test_what_a_scene_took_is_given_back_when_it_is_gone() -> None:
    rig = Rig(scene_of({"low": LOW, "third": THIRD}))
    rig.render(0.2)
    for name, material in (("high", HIGH), ("low", LOW)) * 6:
        rig.stage.go(scene_of({name: material}), 2400)
        rig.render(0.6)
    assert len(rig.engine.clips) == 1
    assert len(rig.stage.params.slot_map.spans) == len(rig.stage.params.slot_map.settled().spans)
    assert rig.stage.params.slot_map.reserved == ()
    assert rig.stage.params.slot_map.used < 60


def test_scenes_may_come_faster_than_they_fade_until_there_is_no_room() -> None:
    """Eight at a time; the ninth is refused and nothing has changed; no step above -60 dBFS."""
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    heard = []
    for turn in range(7):
        rig.stage.go(scene_of({f"t{turn}": (HIGH, THIRD, LOW)[turn % 3]}), 2 * RATE_HZ)
        heard.append(rig.render(0.1))
    with pytest.raises(InputError, match="too many scenes are still fading out"):
        rig.stage.go(scene_of({"more": LOW}), RATE_HZ)
    heard.append(rig.render(3.0))
    assert steps(np.concatenate(heard)) < STEP_LIMIT
    assert rig.stage.scenes == 1
    assert rig.stage.newest.composition.tracks[0].name == "t6"


def test_a_parameter_belongs_to_the_scene_that_came_last() -> None:
    """The fading scene keeps the value it had."""
    rig = Rig(scene_of({"low": LOW}))
    rig.stage.set("trim.low.level_db", -29.0)
    quiet = level(rig.render(1.0)[-9600:], 100.0)
    rig.stage.go(scene_of({"low": HIGH}), 4 * RATE_HZ)
    rig.render(0.3)
    assert rig.stage.params.get("trim.low.level_db") == -23.0
    rig.stage.set("trim.low.level_db", -90.0)
    piece = rig.render(0.6)[-9600:]
    assert level(piece, 330.0) < 1e-4
    assert level(piece, 100.0) == pytest.approx(quiet, rel=0.1)


def test_an_edit_leaves_tracks_alone_that_it_does_not_change() -> None:
    """The track that stays has the same bits as without the edit."""
    rig, other = Rig(scene_of({"low": LOW})), Rig(scene_of({"low": LOW}))
    rig.render(0.4), other.render(0.4)
    rig.stage.edit(scene_of({"low": LOW, "silent": tone(300.0, amplitude=0.0)}))
    np.testing.assert_array_equal(rig.render(2.0), other.render(2.0))


def test_an_edit_adds_takes_away_and_changes_sounds_without_a_step() -> None:
    """No step above -60 dBFS; afterwards the right tones at the right level, within 2 %."""
    rig = Rig(scene_of({"low": LOW, "other": HIGH}))
    before = rig.render(1.0)
    rig.stage.edit(scene_of({"other": THIRD, "new": tone(75.0)}))
    after = rig.render(2.0)
    one = level(before[-9600:], 100.0)
    assert steps(np.concatenate([before, after])[4800:]) < STEP_LIMIT
    piece = after[-9600:]
    assert level(piece, 100.0) < 1e-4
    assert level(piece, 330.0) < 1e-4
    assert level(piece, 210.0) == pytest.approx(one, rel=0.02)
    assert level(piece, 75.0) == pytest.approx(one, rel=0.02)
    assert len(rig.engine.clips) == 2


def test_of_edits_that_come_too_fast_the_newest_is_what_plays() -> None:
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.2)
    for material in (HIGH, THIRD, HIGH, THIRD):
        rig.stage.edit(scene_of({"low": material}))
    after = rig.render(1.0)
    assert level(after[-9600:], 210.0) > 0.02
    assert level(after[-9600:], 330.0) < 1e-4
    assert not rig.stage.changing


def test_what_was_turned_by_hand_stays_and_what_the_file_changes_is_taken() -> None:
    first = scene_of({"low": LOW, "high": HIGH})
    rig = Rig(first)
    rig.render(0.1)
    rig.stage.set("trim.low.level_db", -30.0)
    rig.stage.set("mix.high.panning", 0.5)
    low, high = first.tracks
    rig.stage.edit(replace(first, tracks=(low, replace(high, panning=-0.5))))
    rig.render(0.2)
    assert rig.stage.params.get("trim.low.level_db") == -30.0
    assert rig.stage.params.get("mix.high.panning") == -0.5


def test_a_pause_holds_time_and_goes_on_where_it_was() -> None:
    """After 1.3 s of pause the tone goes on at the very frame of the scene, within the 5 ms of the rise."""
    rig, other = Rig(scene_of({"low": LOW})), Rig(scene_of({"low": LOW}))
    reference = other.render(3.0)
    heard = rig.render(0.5)
    rig.stage.pause()
    quiet = rig.render(1.3)
    assert np.abs(quiet[9600:]).max() < 1e-6
    position = rig.stage.newest.position_frames(rig.engine.frame)
    rig.stage.play()
    again = rig.render(1.0)
    shift = rig.engine.frame - rig.stage.newest.position_frames(rig.engine.frame)
    assert 0 <= rig.stage.newest.position_frames(rig.engine.frame) - position <= RATE_HZ
    begin = rig.engine.frame - len(again)
    np.testing.assert_allclose(
        again[9600:], reference[begin + 9600 - shift : begin + len(again) - shift], atol=1e-5
    )
    assert steps(np.concatenate([heard, quiet, again])[4800:]) < STEP_LIMIT


def test_seek_goes_to_the_frame_that_is_asked_for() -> None:
    """What is heard after it is what a render has there."""
    composition = scene_of({"low": LOW, "other": HIGH}, Random(kind="random", gap=(0.1, 1.0)))
    rig, other = Rig(composition), Rig(composition)
    reference = other.render(8.0)
    rig.render(0.7)
    rig.stage.seek(4 * RATE_HZ)
    heard = rig.render(2.0)
    begin = rig.stage.newest.position_frames(rig.engine.frame) - len(heard)
    np.testing.assert_allclose(heard[24_000:], reference[begin + 24_000 : begin + len(heard)], atol=1e-5)
    assert steps(heard) < STEP_LIMIT


def test_a_paused_scene_can_be_sought_in() -> None:
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.pause()
    rig.render(0.2)
    rig.stage.seek(96_000)
    assert rig.stage.newest.position_frames(rig.engine.frame) == 96_000
    rig.stage.play()
    rig.render(0.5)
    assert rig.stage.newest.position_frames(rig.engine.frame) > 96_000 + 12_000


def test_a_setting_that_is_refused_says_so() -> None:
    engine = LocalEngine(StreamSpec(RATE_HZ, QUANTUM))
    with pytest.raises(ParamError, match=r"did you mean"):
        Stage(engine, RATE_HZ, lambda kind, text: None).open(
            scene_of({"low": LOW}), {"trim.lwo.level_db": -20}
        )


def test_what_a_scene_had_still_to_play_is_not_heard_in_another() -> None:
    """Its queue is used again after eight scenes: the tone that was to come in it does not."""
    rig = Rig(scene_of({"low": LOW}, Once(at=4.0)))
    rig.render(0.3)
    for _ in range(8):
        rig.stage.go(scene_of({"silent": tone(300.0, amplitude=0.0)}), 0)
        rig.render(0.5)
    assert np.abs(rig.render(3.0)).max() < 1e-6


def test_scenes_that_are_too_large_together_are_refused_and_nothing_has_changed() -> None:
    """Tracks that take more meter slots than there are: the sound stays, bit for bit."""
    rig, other = Rig(scene_of({"low": LOW})), Rig(scene_of({"low": LOW}))
    rig.render(0.3), other.render(0.3)
    large = scene_of({f"t{n}": HIGH for n in range(2600)})
    with pytest.raises(GraphError, match="slots"):
        rig.stage.go(large, 480)
    with pytest.raises(GraphError, match="slots"):
        rig.stage.edit(large)
    np.testing.assert_array_equal(rig.render(1.0), other.render(1.0))
    assert rig.told == []
    assert len(rig.engine.clips) == 1
    rig.stage.go(scene_of({"high": HIGH}), 480)
    assert level(rig.render(1.0)[-9600:], 330.0) > 0.02


def test_an_engine_that_took_over_builds_only_the_newest_of_two_changes() -> None:
    """The first is part of it: both scenes begin, and the first gives way to the second."""
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.go(scene_of({"third": THIRD}), 4800)
    rig.stage.go(scene_of({"high": HIGH}), 4800)
    built = [m for m in rig.engine.poll() if isinstance(m, Built)]
    rig.stage.take(built[-1])
    piece = rig.render(1.5)[-9600:]
    assert level(piece, 330.0) > 0.02
    assert level(piece, 100.0) < 1e-4
    assert rig.stage.scenes == 1


def test_a_step_of_a_crossfade_that_an_engine_died_over_is_made_again() -> None:
    """The second swap, which has the fades, is refused once: the scene comes all the same. Twice, and it is told."""
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.go(scene_of({"high": HIGH}), 4800)
    for message in rig.engine.poll():
        rig.stage.take(message)
    fades = [m.number for m in rig.engine.poll() if isinstance(m, Built)]
    rig.stage.take(Refused(fades[-1], "the engine crashed over it"))
    again = [m.number for m in rig.engine.poll() if isinstance(m, Built)]
    assert again[-1] == fades[-1] + 1
    assert rig.told == []
    rig.stage.take(Refused(again[-1], "the engine crashed over it"))
    assert len(rig.told) == 1
    assert level(rig.render(1.0)[-9600:], 330.0) > 0.02


def test_a_seek_with_many_tracks_draws_each_tracks_events_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(scene_of({f"t{n}": LOW for n in range(40)}))
    asked: list[int] = []
    events = Composition._events

    def count(self: Composition, track: Track, window_frames: int) -> Iterator[Event]:
        asked.append(track.number)
        return events(self, track, window_frames)

    monkeypatch.setattr(Composition, "_events", count)
    rig.stage.seek(48_000)
    assert sorted(asked) == list(range(40))


def built(rig: Rig) -> list[int]:
    """Take nothing of what the engine answers; return which swaps it has built."""
    return [m.number for m in rig.engine.poll() if isinstance(m, Built)]


def test_an_edit_that_is_refused_does_not_take_back_the_fade_of_its_scene() -> None:
    """A scene comes, is edited before it is there, and the edit is refused: the scene is heard all the same."""
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.go(scene_of({"high": HIGH}), 4800)
    rig.stage.edit(scene_of({"high": HIGH, "third": THIRD}))
    go, edit = built(rig)[-2:]
    rig.stage.take(Built(go, 0))
    rig.stage.take(Refused(edit, "the engine crashed over it"))
    piece = rig.render(1.5)[-9600:]
    assert level(piece, 330.0) > 0.02
    assert level(piece, 100.0) < 1e-4


def test_a_scene_and_its_edit_that_are_both_refused_leave_nothing() -> None:
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.go(scene_of({"high": HIGH}), 4800)
    rig.stage.edit(scene_of({"high": HIGH, "third": THIRD}))
    for number in built(rig)[-2:]:
        rig.stage.take(Refused(number, "the engine crashed over it"))
    assert len(rig.engine.clips) == 1
    assert rig.stage.scenes == 1
    assert not rig.stage.changing
    assert sorted(rig.stage.graph.nodes) == [
        "fader",
        "glue",
        "limiter",
        "meter",
        "mix",
        "tracks",
        "trim",
        "unmask",
    ]


def test_an_edit_that_waits_is_made_when_the_one_before_it_is_refused() -> None:
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.edit(scene_of({"low": LOW, "third": THIRD}))
    rig.stage.edit(scene_of({"low": LOW, "high": HIGH}))
    rig.stage.take(Refused(built(rig)[-1], "the engine crashed over it"))
    assert level(rig.render(1.0)[-9600:], 330.0) > 0.02
    assert not rig.stage.changing


def test_a_scene_that_comes_during_a_pause_stands_until_it_is_played() -> None:
    """Also if the pause comes while it is being built; a seek meanwhile says where it begins."""
    rig = Rig(scene_of({"low": LOW}))
    rig.render(0.3)
    rig.stage.go(scene_of({"high": HIGH}), 4800)
    rig.stage.pause()
    rig.stage.seek(24_000)
    assert np.abs(rig.render(1.0)[24_000:]).max() < 1e-6
    assert rig.stage.newest.position_frames(rig.engine.frame) == 24_000
    rig.stage.play()
    assert level(rig.render(1.0)[-9600:], 330.0) > 0.02
    assert 24_000 < rig.stage.newest.position_frames(rig.engine.frame) <= 24_000 + RATE_HZ


class Edited(RuleBasedStateMachine):
    """A show edited in every order there is: nothing not finite, nothing subnormal, no step above -60 dBFS."""

    def __init__(self) -> None:
        super().__init__()
        self.show = EditedShow(5)

    @rule(name=st.sampled_from(sorted(ACTIONS)), quanta=st.integers(1, 60))
    def do(self, name: str, quanta: int) -> None:
        self.show.do(name)
        self.show.render(quanta)

    @rule(quanta=st.integers(60, 400))
    def wait(self, quanta: int) -> None:
        self.show.render(quanta)

    @invariant()
    def nothing_is_heard_that_should_not(self) -> None:
        assert self.show.non_finite == self.show.subnormal == 0
        assert self.show.largest_step < STEP_LIMIT, self.show.step_at
        assert not self.show.engine.faults


Edited.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None, derandomize=True)
TestEdited = Edited.TestCase
