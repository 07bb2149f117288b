"""Scenes made ready: levels against pyloudnorm, files that won't do, sounds that are shared."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.control.bounce import bounce
from engine.control.patch import default_graph
from engine.errors import SoundError
from engine.media import decode
from engine.params import ParamTable
from engine.scene.composition import (
    REFERENCE_LUFS,
    Composition,
    compose,
    importance_to_level_db,
    loop_correlation,
)
from engine.scene.load import loads
from engine.scene.schema import Atmo, Loop, Once, Random, Scene, SceneObject
from engine.scene.sends import ATMO_SEND_DB

RATE_HZ = 48_000


def noise(seconds: float, level_db: float, channels: int = 1, seed: int = 440) -> NDArray[np.float32]:
    frames = round(seconds * RATE_HZ)
    samples = np.random.default_rng(seed).standard_normal((frames, channels), np.float32)
    return samples * np.float32(10.0 ** (level_db / 20.0))


def write(folder: Path, name: str, samples: NDArray[np.float32]) -> str:
    soundfile.write(folder / name, samples, RATE_HZ, subtype="FLOAT")
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "noise.wav", noise(3.0, -40.0))
    write(tmp_path, "wide.wav", noise(2.0, -20.0, 2))
    return tmp_path


def scene(*objects: SceneObject, atmo: str = "noise.wav", level_db: float = -32.0, **more: Any) -> Scene:
    return Scene(atmo=Atmo(sound=atmo, level_db=level_db), objects=objects, reduction_db=0.0, **more)


def thing(sound: str, importance: float = 0.5, label: str = "car", **more: Any) -> SceneObject:
    return SceneObject(label=label, importance=importance, sound=sound, **more)


def ready(made: Scene, folder: Path, **more: Any) -> Composition:
    return compose(made.found_in(folder), rate_hz=RATE_HZ, **more)


def measured_lufs(composition: Composition, number: int) -> float:
    """What BS.1770-4 as implemented by pyloudnorm reads of a track at its level."""
    track = composition.tracks[number]
    clip = track.clips[0]
    gain = clip.gain * 10.0 ** ((track.level_db - REFERENCE_LUFS) / 20.0)
    samples = gain * composition.materials[clip.number].samples.astype(np.float64)
    return float(pyloudnorm.Meter(RATE_HZ, filter_class="DeMan").integrated_loudness(samples))


@pytest.mark.parametrize(
    ("importance", "level_db"), [(0.0, -30.0), (0.2, -28.0), (0.5, -25.0), (0.9, -21.0), (1.0, -20.0)]
)
def test_importance_sets_another_level_than_worked_out(importance: float, level_db: float) -> None:
    """0.9 is -21 LUFS, 0.2 is -28 LUFS; the ends are -30 and -20."""
    assert importance_to_level_db(importance) == pytest.approx(level_db, abs=1e-12)


@given(a=st.floats(0.0, 1.0), b=st.floats(0.0, 1.0))
def test_importance_is_not_linear(a: float, b: float) -> None:
    """The level of the mean of two importances is the mean of their levels."""
    mean = 0.5 * (importance_to_level_db(a) + importance_to_level_db(b))
    assert importance_to_level_db(0.5 * (a + b)) == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize(("importance", "level_lufs"), [(0.9, -21.0), (0.2, -28.0)])
@pytest.mark.parametrize(("file_db", "channels"), [(-60.0, 1), (-30.0, 2), (-6.0, 1), (0.0, 2)])
def test_a_steady_sound_plays_louder_or_softer_than_its_importance(
    importance: float, level_lufs: float, file_db: float, channels: int, folder: Path
) -> None:
    """Noise files of any level, mono or stereo, measure their importance's level within 0.5 LU."""
    write(folder, "steady.wav", noise(3.0, file_db, channels))
    made = ready(scene(thing("steady.wav", importance)), folder)
    assert measured_lufs(made, 1) == pytest.approx(level_lufs, abs=0.5)
    assert made.tracks[1].mono == (channels == 1)


def test_gain_db_is_forgotten() -> None:
    """An object's gain of -7.5 dB comes on top of the -25 LUFS of importance 0.5."""
    made = ready(Scene(objects=(SceneObject(label="door", gain_db=-7.5),), reduction_db=0.0), Path())
    assert made.tracks[1].level_db == -32.5


@pytest.mark.parametrize("importance", [0.9, 0.2])
def test_the_whole_engine_changes_the_level_of_a_lone_sound(importance: float, folder: Path) -> None:
    """Rendered as it is over an atmo at -60 LUFS, noise measures its importance's level within 0.5 LU."""
    made = scene(thing("noise.wav", importance), level_db=-60.0, loudness=None)
    rendered = bounce(ready(made, folder)).samples
    assert rendered is not None
    meter = pyloudnorm.Meter(RATE_HZ, filter_class="DeMan")
    expected = importance_to_level_db(importance)
    assert meter.integrated_loudness(rendered.astype(np.float64)) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("file_db", [-60.0, -20.0, 6.0])
def test_the_atmo_is_as_loud_as_its_file(file_db: float, folder: Path) -> None:
    """Whatever the level of its file the atmo measures the -37 LUFS it was given within 0.5 LU."""
    write(folder, "air.wav", noise(3.0, file_db, 2))
    made = ready(scene(atmo="air.wav", level_db=-37.0), folder)
    assert measured_lufs(made, 0) == pytest.approx(-37.0, abs=0.5)
    assert isinstance(made.tracks[0].schedule, Loop)
    assert (made.tracks[0].number, made.tracks[0].send_db) == (0, ATMO_SEND_DB)


def test_a_noise_floor_is_brought_up_to_full_level(folder: Path) -> None:
    """A sound at about -80 LUFS is brought up by 40 dB, which is 100 times, and no more."""
    write(folder, "faint.wav", noise(1.0, -80.0))
    made = ready(scene(thing("faint.wav")), folder)
    assert made.tracks[1].clips[0].gain == pytest.approx(100.0, rel=1e-12)
    assert made.materials[1].loudness_lufs == pytest.approx(-74.5, abs=1.5)


@pytest.mark.parametrize("level_db", [-math.inf, -110.0])
def test_a_silent_file_is_played(level_db: float, folder: Path) -> None:
    """Zeros, and noise below -90 LUFS, are refused by field and file."""
    write(folder, "silent.wav", noise(1.0, level_db))
    with pytest.raises(SoundError, match="is silent") as caught:
        ready(scene(thing("noise.wav", label="a"), thing("silent.wav", label="b")), folder)
    (problem,) = caught.value.problems
    assert problem.field == "objects[1].sound"
    assert problem.what == "silent.wav is silent"
    with pytest.raises(SoundError, match="is silent") as caught:
        ready(scene(atmo="silent.wav"), folder)
    assert caught.value.problems[0].field == "atmo.sound"


def test_only_the_first_of_several_bad_files_is_named(folder: Path) -> None:
    """Three objects with files that cannot be used are three problems, each at its own `objects[i].sound`."""
    (folder / "text.wav").write_text("this is not a sound")
    (folder / "empty.flac").write_bytes(b"")
    names = ("text.wav", "noise.wav", "empty.flac", "none.ogg")
    with pytest.raises(SoundError) as caught:
        ready(scene(*(thing(name, label=f"o{i}") for i, name in enumerate(names))), folder)
    assert [p.field for p in caught.value.problems] == [f"objects[{i}].sound" for i in (0, 2, 3)]
    for name, problem in zip(("text.wav", "empty.flac", "none.ogg"), caught.value.problems, strict=True):
        assert name in problem.what
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("objects", "duration_s"),
    [
        ((), 3.0),
        ((thing("wide.wav"),), 3.0),
        ((thing("wide.wav", schedule=Once(at=0.5)),), 3.0),
        ((thing("wide.wav", schedule=Once(at=7.25)),), 9.25),
        ((thing("long.wav", schedule=Random(kind="random", gap=(1.0, 2.0))),), 4.5),
        ((thing("long.wav", schedule=Loop(kind="loop")), thing("wide.wav", label="b")), 4.5),
    ],
)
def test_auto_duration_cuts_the_longest_sound(
    objects: tuple[SceneObject, ...], duration_s: float, folder: Path
) -> None:
    """The atmo of 3 s, a clip of 2 or 4.5 s and the start of a `once` decide: the latest end is the duration."""
    write(folder, "long.wav", noise(4.5, -30.0))
    assert ready(scene(*objects), folder).duration_frames == round(duration_s * RATE_HZ)


def test_a_written_duration_is_overruled(folder: Path) -> None:
    """A duration of 0.7 s is 33 600 frames, though the atmo has 3 s."""
    assert ready(scene(duration=0.7), folder).duration_frames == 33_600


def test_a_file_is_decoded_for_every_object_that_uses_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The atmo and three objects, one through a link, one with ./, share two clips and two decodings."""
    decoded: list[str] = []

    def counting(path: Path, rate_hz: int) -> NDArray[np.float32]:
        decoded.append(path.name)
        return decode(path, rate_hz)

    monkeypatch.setattr("engine.scene.material.decode", counting)
    (folder / "link.wav").symlink_to("noise.wav")
    names = ("noise.wav", "./noise.wav", "link.wav", "wide.wav")
    made = ready(scene(*(thing(name, label=f"o{i}") for i, name in enumerate(names))), folder)
    assert sorted(decoded) == ["noise.wav", "wide.wav"]
    assert [t.clips[0].number for t in made.tracks] == [0, 0, 0, 0, 1]
    assert len(made.materials) == 2


def test_soundings_of_a_procedural_sound_are_alike_or_differ_between_runs() -> None:
    """A random door has 3 takes at 3 rates each, a door heard once the first of them; the seed alone decides them."""
    doors = (
        SceneObject(label="door", schedule=Random(kind="random", gap=(1.0, 2.0))),
        SceneObject(label="door", schedule=Once()),
    )
    made, again, other = (
        compose(Scene(objects=doors, predict=False), rate_hz=RATE_HZ, seed=seed) for seed in (4, 4, 5)
    )
    assert [t.name for t in made.tracks] == ["atmo", "door", "door-2"]
    takes = [made.materials[c.number].samples for c in made.tracks[1].clips]
    assert len({take.tobytes() for take in takes}) == 9
    assert [c.number for c in made.tracks[2].clips] == [made.tracks[1].clips[0].number]
    for a, b, c in zip(made.materials, again.materials, other.materials, strict=True):
        assert a.samples.tobytes() == b.samples.tobytes() != c.samples.tobytes()


def test_a_clip_is_not_what_the_players_can_read(folder: Path) -> None:
    """Mono or stereo, a clip is contiguous float32 [frames, 2]; mono plays the same on both lanes."""
    made = ready(scene(thing("wide.wav")), folder)
    for sound in made.materials:
        assert sound.samples.dtype == np.float32
        assert sound.samples.flags.c_contiguous
        assert sound.samples.shape[1] == 2
        assert np.array_equal(sound.samples[:, 0], sound.samples[:, 1]) == sound.mono
    assert [sound.mono for sound in made.materials] == [True, False]


def test_whom_to_credit_is_lost(folder: Path) -> None:
    """The first line of NAME.credit.txt is the credit; without it, or where it cannot be read, the file's name."""
    credit = folder / "wide.credit.txt"
    made = scene(thing("wide.wav"))
    assert [m.credit for m in ready(made, folder).materials] == ["noise.wav", "wide.wav"]
    credit.write_text("Rain by A. Nyone, CC0\nmore\n")
    assert ready(made, folder).materials[1].credit == "Rain by A. Nyone, CC0"
    credit.write_bytes(b"\xff\xfe\xff")
    assert ready(made, folder).materials[1].credit == "wide.wav"


def test_a_crossfade_is_made_for_another_correlation() -> None:
    """Equal ends give 1, unrelated ones less than 0.02, opposite ones and silence 0, half and half about 0.707."""
    one, other = noise(1.0, 0.0, 2, 1), noise(1.0, 0.0, 2, 2)
    cross = len(one)
    assert loop_correlation(np.concatenate([one, other, one]), cross) == pytest.approx(1.0, abs=1e-9)
    assert loop_correlation(np.concatenate([one, other]), cross) < 0.02
    assert loop_correlation(np.concatenate([one, -one]), cross) == 0.0
    assert loop_correlation(np.zeros((100, 2), np.float32), 25) == 0.0
    assert loop_correlation(np.concatenate([one, one + other]), cross) == pytest.approx(
        math.sqrt(0.5), abs=0.02
    )
    assert loop_correlation(one[:3], 0) == 0.0


def test_progress_is_not_told_or_never_ends(folder: Path) -> None:
    """Both sounds are announced with their place among 2, and the end is (2, 2)."""
    told: list[tuple[str, int, int]] = []
    ready(scene(thing("wide.wav")), folder, progress=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(0, 2), (1, 2), (2, 2)]
    assert {step[0] for step in told[:2]} == {"noise.wav", "wide.wav"}


def test_a_sound_too_short_to_loop_makes_a_storm_of_events(tmp_path: Path) -> None:
    """Less than 0.05 s is refused, naming the field; 0.05 s loops."""
    write(tmp_path, "noise.wav", noise(1.0, -30.0))
    for seconds, fine in ((0.049, False), (0.05, True)):
        write(tmp_path, "tick.wav", noise(seconds, -30.0))
        made = scene(thing("tick.wav", schedule=Loop(kind="loop")))
        if fine:
            assert ready(made, tmp_path).tracks[1].clips[0].frames == 2400
        else:
            with pytest.raises(SoundError, match=r"objects\[0\]\.sound: tick\.wav is too short to loop"):
                ready(made, tmp_path)


def test_problems_with_sounds_come_in_the_order_of_the_scene(tmp_path: Path) -> None:
    write(tmp_path, "noise.wav", noise(1.0, -30.0))
    (tmp_path / "bad.wav").write_bytes(b"RIFF" + bytes(100))
    made = scene(thing("bad.wav"), thing("missing.wav"), thing("bad.wav"))
    with pytest.raises(SoundError) as caught:
        ready(made, tmp_path)
    fields = [p.field for p in caught.value.problems]
    assert fields == ["objects[0].sound", "objects[1].sound", "objects[2].sound"]
    assert "bad.wav is not a sound" in caught.value.problems[0].what or "bad.wav is damaged" in str(
        caught.value
    )


def test_who_never_yields_is_asked_to(folder: Path) -> None:
    """What a scene says of `yield` is where its parameter starts: never 0, normal 1, always 2."""
    made = loads(
        "atmo: {sound: noise.wav, yield: never}\n"
        "objects: [{label: a, sound: noise.wav}, {label: b, sound: noise.wav, yield: always}]",
        folder=folder,
    )
    params = ParamTable.of(default_graph(compose(made, rate_hz=RATE_HZ)).params())
    assert [params.get(f"unmask.{name}.yield") for name in ("atmo", "a", "b")] == [0.0, 1.0, 2.0]
    assert Scene(atmo=Atmo(sound="noise.wav", yields="never")).atmo == made.atmo


def test_an_input_is_decoded_or_has_events(folder: Path) -> None:
    """Inputs have channels from 0 and neither clips, materials nor events; the tracks around them are as ever."""
    objects = (
        SceneObject(label="mic", sound="input:3", gain_db=-5.0, panning=0.5),
        thing("wide.wav", label="car"),
        SceneObject(label="line", sound="input:1-2"),
    )
    made = ready(scene(*objects), folder)
    assert [t.input_channels for t in made.tracks] == [(), (2,), (), (0, 1)]
    assert [len(t.clips) for t in made.tracks] == [1, 0, 1, 0]
    assert [t.mono for t in made.tracks] == [True, True, False, False]
    assert [m.source for m in made.materials] == ["noise.wav", "wide.wav"]
    assert (made.tracks[1].level_db, made.tracks[1].panning) == (-30.0, 0.5)
    assert made.duration_frames == 3 * RATE_HZ
    assert {e.track for e in made.timeline(made.duration_frames)} == {0, 2}
    endless = made.timeline()
    assert {next(endless).track for _ in range(20)} == {0, 2}


def test_an_input_as_the_atmo_is_refused(tmp_path: Path) -> None:
    """An atmo of input 1-2 has its level and send; with a file beside it, that one's 2 s are the duration."""
    write(tmp_path, "wide.wav", noise(2.0, -20.0, 2))
    made = ready(scene(thing("wide.wav"), atmo="input:1-2", level_db=-30.0), tmp_path)
    assert made.tracks[0].input_channels == (0, 1)
    assert (made.tracks[0].level_db, made.tracks[0].send_db, made.tracks[0].mono) == (
        -30.0,
        ATMO_SEND_DB,
        False,
    )
    assert isinstance(made.tracks[0].schedule, Loop)
    assert made.duration_frames == 2 * RATE_HZ
    made.spare(tmp_path / "out.wav")


def test_inputs_alone_have_some_length_of_their_own(tmp_path: Path) -> None:
    """With duration auto the finite form is refused and asks for `duration`; the endless one has no event."""
    mic = SceneObject(label="mic", sound="input:1")
    told: list[tuple[str, int, int]] = []
    made = ready(scene(mic, atmo="input:1-2"), tmp_path, progress=lambda *step: told.append(step))
    with pytest.raises(SoundError, match="no length; give the scene a `duration`") as caught:
        _ = made.duration_frames
    assert (caught.value.problems[0].field, caught.value.exit_code) == ("duration", 2)
    assert list(made.timeline()) == []
    assert made.materials == ()
    assert told == [("", 0, 0)]
    assert ready(scene(mic, atmo="input:1-2", duration=2.5), tmp_path).duration_frames == 120_000
