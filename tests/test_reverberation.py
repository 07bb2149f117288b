"""Sends that reverberation of a sound's own leaves: the energy they are to balance, files and store, scenes, edits."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import one_room
from benchmarks.reverberant import RATE_HZ, SOURCES, convolved, generator, recorded, response
from engine.control.bounce import bounce
from engine.control.local_engine import LocalEngine
from engine.control.stage import Stage
from engine.impulse import ImpulseResponse
from engine.scene import reverberation
from engine.scene.composition import compose
from engine.scene.feature_store import FeatureStore, content_hash
from engine.scene.load import loads
from engine.scene.reverberation import EARLY_S, Reverberation, reverberation_of, send_db
from engine.scene.schema import Atmo, Room, SceneObject
from engine.scene.sends import ATMO_SEND_DB, Answer, room_answer, track_send_db
from engine.spec import StreamSpec
from tests.command import as_json, run_here

TIMES_S = st.floats(0.05, 10.0)
RATIOS_DB = st.floats(-12.0, 30.0)
SHARES = st.floats(0.0, 1.0)
CHURCH = Answer(3.76, 4.4)


def write(path: Path, rt60_s: float, drr_db: float, seed: int = 1) -> Path:
    """Write eight seconds of blows, dry at 0 s."""
    rng = generator("recording", rt60_s, drr_db, seed)
    sound = SOURCES["impulsive"]["impacts"](seed, 8.0)
    if rt60_s > 0.0:
        sound = convolved(sound, response(rt60_s, drr_db, 1.0, rng))
    soundfile.write(path, recorded(sound, 50.0, rng), RATE_HZ, subtype="FLOAT")
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the tests measure out of the user's store, and measure it in every test."""
    file = tmp_path_factory.mktemp("store") / "features.sqlite"
    monkeypatch.setattr(reverberation, "FeatureStore", lambda: FeatureStore(file))
    monkeypatch.setattr(reverberation, "_known", {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "dry.wav", 0.0, 0.0)
    write(tmp_path / "wet.wav", 1.2, 3.0)
    return tmp_path


@given(a=TIMES_S, b=TIMES_S, drr_db=st.none() | RATIOS_DB, c=SHARES, room_s=TIMES_S, room_db=RATIOS_DB)
def test_a_longer_tail_gets_more_room(
    a: float, b: float, drr_db: float | None, c: float, room_s: float, room_db: float
) -> None:
    """The send falls with the sound's time and stays within -12 and 0 dB."""
    short, long = (send_db(t, c, drr_db, room_s, room_db) for t in sorted((a, b)))
    assert -12.0 <= long <= short + 1e-9 <= 1e-9


@given(rt60_s=TIMES_S, drr_db=st.none() | RATIOS_DB, a=SHARES, b=SHARES, room_s=TIMES_S, room_db=RATIOS_DB)
def test_more_confidence_takes_away_less(
    rt60_s: float, drr_db: float | None, a: float, b: float, room_s: float, room_db: float
) -> None:
    """The send falls with the confidence, and is 0 dB without any."""
    unsure, sure = (send_db(rt60_s, c, drr_db, room_s, room_db) for c in sorted((a, b)))
    assert sure <= unsure + 1e-9
    assert send_db(rt60_s, 0.0, drr_db, room_s, room_db) == 0.0


@given(rt60_s=TIMES_S, drr_db=st.none() | RATIOS_DB, c=SHARES, a=TIMES_S, b=TIMES_S, room_db=RATIOS_DB)
def test_a_longer_room_gets_less(
    rt60_s: float, drr_db: float | None, c: float, a: float, b: float, room_db: float
) -> None:
    """At the same DRR of the room the send rises with its time."""
    short, long = (send_db(rt60_s, c, drr_db, room_s, room_db) for room_s in sorted((a, b)))
    assert short <= long + 1e-9


@given(rt60_s=TIMES_S, drr_db=RATIOS_DB, room_s=TIMES_S, room_db=RATIOS_DB)
def test_the_late_energy_is_not_that_of_a_dry_sound(
    rt60_s: float, drr_db: float, room_s: float, room_db: float
) -> None:
    """Above -12 dB, own and added tail are as loud after 50 ms, for what comes before, as a dry sound's is."""
    send = send_db(rt60_s, 1.0, drr_db, room_s, room_db)
    tail, room = 10.0 ** (-0.1 * drr_db), 10.0 ** (-0.1 * room_db)
    left, room_left = 10.0 ** (-6.0 * EARLY_S / rt60_s), 10.0 ** (-6.0 * EARLY_S / room_s)
    added = 10.0 ** (0.1 * send) * (1.0 + tail) * room
    late = tail * left + added * room_left
    ratio = late / (1.0 + tail + added - late)
    dry = room * room_left / (1.0 + room * (1.0 - room_left))
    if send > -12.0:
        assert ratio == pytest.approx(dry, rel=1e-6)
    else:
        assert ratio >= dry * (1.0 - 1e-6)


def test_without_a_room_something_is_taken_away() -> None:
    assert send_db(1.0, 1.0, 0.0, 1.0, math.inf) == 0.0
    assert Reverberation(None, 0.0, None, None, 0.0, (), "it is silent").send_db(*CHURCH) == 0.0


def test_an_uncertain_drr_is_believed() -> None:
    """Below a confidence of 0.3 it is as good as unknown: then 60 % of the room is taken to be there."""
    unsure = Reverberation(2.0, 1.0, 25.0, 9.0, 0.2, (), "")
    assert unsure.send_db(2.0, 6.0) == pytest.approx(10.0 * math.log10(0.4), abs=0.05)


def test_sounds_of_many_rooms_do_not_end_up_in_one(tmp_path: Path) -> None:
    """Blows and speech from rooms of 0.2 s to 1.5 s: in a church and a hall the spread of late over early energy is at
    most half of that with equal sends, among those that can be brought there."""
    energies = one_room.write_recordings(
        tmp_path, 1, ("impacts", "speech"), (0.2, 0.7, 1.5), (3.0, 9.0, 15.0)
    )
    for placed in one_room.place(tmp_path, energies, ("church", "concert-hall")):
        assert placed.late.feasible >= 15
        assert placed.late.chosen_db <= 0.5 * placed.late.uniform_db
        assert placed.late.all_chosen_db < placed.late.all_uniform_db


def test_a_file_is_measured_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name, or after a start, it is read from the store; with other bytes it is measured."""
    first = reverberation_of(folder / "wet.wav")
    monkeypatch.setattr(reverberation, "_known", {})
    (folder / "same.wav").write_bytes((folder / "wet.wav").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(reverberation, "measured", lambda path: pytest.fail("measured"))
        assert reverberation_of(folder / "wet.wav") == first
        assert reverberation_of(folder / "same.wav") == first
    write(folder / "same.wav", 0.5, 3.0)
    assert reverberation_of(folder / "same.wav").rt60_s == pytest.approx(0.5, rel=0.1)


def test_a_store_that_is_broken_breaks_the_scene(folder: Path, tmp_path: Path) -> None:
    """A folder in its place, a file that is no database, and measures of another shape change nothing."""
    found = reverberation_of(folder / "wet.wav")
    (tmp_path / "folder.sqlite").mkdir()
    (tmp_path / "text.sqlite").write_text("no database " * 100)
    for name in ("folder.sqlite", "text.sqlite"):
        assert reverberation_of(folder / "wet.wav", FeatureStore(tmp_path / name)) == found
    store = FeatureStore(tmp_path / "odd.sqlite")
    content = content_hash(folder / "wet.wav")
    for odd in ({}, {"bands": 3}, {"bands": [{"a": 1}]}, {"bands": [], "more": 1}):
        store.put(content, reverberation.KIND, reverberation.VERSION, odd)
        assert reverberation_of(folder / "wet.wav", store) == found


SCENE = """
room: church
atmo: {sound: wet.wav}
objects:
  - {label: dry, sound: dry.wav}
  - {label: wet, sound: wet.wav}
  - {label: own, sound: wet.wav, send_db: -20}
  - {label: bell}
  - {label: steps, sound: synth:footsteps, send_db: -3}
"""


def sends(text: str, folder: Path, rate_hz: int = 48_000) -> dict[str, float]:
    composition = compose(loads(text, folder=folder), rate_hz=rate_hz)
    return {track.name: track.send_db for track in composition.tracks}


def test_a_scene_sends_all_sounds_alike(folder: Path) -> None:
    """A dry file gets 0 dB, one with 1.2 s at 3 dB less, the atmo at most -9 dB, and what is written holds."""
    made = sends(SCENE, folder)
    exact = send_db(1.2, 1.0, 3.0, *CHURCH)
    assert 10.0 ** (0.1 * made["wet"]) == pytest.approx(10.0 ** (0.1 * exact), abs=0.15)
    assert made["wet"] < -3.0
    assert made["atmo"] == min(ATMO_SEND_DB, made["wet"])
    assert {name: made[name] for name in ("dry", "own", "bell", "steps")} == {
        "dry": 0.0,
        "own": -20.0,
        "bell": 0.0,
        "steps": -3.0,
    }
    assert sends(SCENE, folder, 44_100) == made


def test_outdoors_and_in_a_dead_room_files_are_listened_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reverberation, "measured", lambda path: pytest.fail("measured"))
    for change in ("room: street", "room: church\nwet_level: 0", "room_detected: false"):
        made = sends(SCENE.replace("room: church", change), folder)
        assert (made["dry"], made["wet"], made["own"], made["atmo"]) == (0.0, 0.0, -20.0, ATMO_SEND_DB)


def test_of_several_sounds_the_driest_counts() -> None:
    """The lowest send that one of them asks for is the track's; one that nobody knows asks for nothing."""
    long, short = (Reverberation(t, 1.0, 6.0, 2.0, 0.9, (), "") for t in (3.0, 0.5))
    item = SceneObject(label="car")
    low_db = long.send_db(*CHURCH)
    assert low_db < short.send_db(*CHURCH)
    assert track_send_db(item, (short, None, long), CHURCH) == low_db
    assert track_send_db(item, (None,), CHURCH) == 0.0
    assert track_send_db(item, (long,), None) == 0.0
    assert track_send_db(Atmo(), (short,), CHURCH) == ATMO_SEND_DB


def test_a_measured_room_is_taken_for_another() -> None:
    """The time of an impulse response is its T30 at 500 Hz and 1 kHz within 5 %; one that is too short says nothing."""
    room = Room(detected=True, size=0.5, damping=0.5, wet_level=0.5, width=1.0, impulse="hall.wav")
    tail = response(1.4, 0.0, 1.0, generator("impulse")).astype(np.float32)[:, None]
    answer = room_answer(room, ImpulseResponse("hall.wav", tail, 1.0), RATE_HZ)
    assert answer is not None
    assert answer.rt60_s == pytest.approx(1.4, rel=0.05)
    assert answer.drr_db == pytest.approx(6.02, abs=0.01)
    assert room_answer(room, ImpulseResponse("dot.wav", tail[:1], 1.0), RATE_HZ) is None


def test_an_edited_send_is_not_heard(folder: Path) -> None:
    """What an edit changes of a send, written or found, is the parameter of the playing mix."""
    before = compose(loads(SCENE, folder=folder), rate_hz=48_000)
    stage = Stage(LocalEngine(StreamSpec(48_000, 128)), 48_000, lambda kind, text: None)
    stage.open(before)
    assert stage.params.get("mix.own.send_db") == -20.0
    assert stage.params.get("mix.wet.send_db") == before.tracks[2].send_db
    edited = SCENE.replace("send_db: -20", "send_db: -7").replace("room: church", "room: bathroom")
    after = compose(loads(edited, folder=folder), rate_hz=48_000, reuse=before.materials)
    assert after.tracks[2].send_db != before.tracks[2].send_db
    stage.edit(after)
    assert stage.params.get("mix.own.send_db") == -7.0
    assert stage.params.get("mix.wet.send_db") == after.tracks[2].send_db


def test_the_command_tells_of_another_sound(folder: Path) -> None:
    """JSON holds what the scene uses; people read the same; a broken file ends with exit code 2 and one line."""
    facts = as_json(run_here("analyze", "wet.wav", "--room", "church", "--json", cwd=folder))
    assert facts["rt60_s"] == pytest.approx(1.2, rel=0.1)
    assert facts["drr_db"] == pytest.approx(3.0, abs=facts["drr_uncertainty_db"])
    assert facts["send_db"] == sends(SCENE, folder)["wet"]
    assert (facts["why"], len(facts["bands"]), facts["channels"]) == ("", 4, 1)
    assert facts["room"]["rt60_s"] == pytest.approx(3.76, abs=0.01)
    told = run_here("analyze", "wet.wav", cwd=folder).stdout
    assert f"RT60 {facts['rt60_s']:.2f} s" in told
    assert "reverberation: unknown, because" in run_here("analyze", "dry.wav", cwd=folder).stdout
    (folder / "text.wav").write_text("no sound")
    done = run_here("analyze", "text.wav", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("roomtone: text.wav: ")


def test_the_render_has_the_room_that_it_had(folder: Path) -> None:
    """Behind the end of a clip the church rings on lower by the send, within 1 dB (0.17 s to 0.54 s behind)."""
    text = "room: church\nloudness: off\nduration: 11\natmo: {{level_db: -60}}\nobjects:\n"
    text += "  - {{label: a, sound: wet.wav{}, schedule: {{at: 0}}}}"
    made = [
        compose(loads(text.format(more), folder=folder), rate_hz=48_000)
        for more in (", send_db: 0", ", send_db: -60", "")
    ]
    begin = made[0].tracks[1].clips[0].frames + 8000
    rendered = [np.asarray(bounce(composition).samples)[begin : begin + 18_000] for composition in made]
    equal, none, chosen = (float(np.mean(part**2)) for part in rendered)
    send = made[2].tracks[1].send_db
    assert send < -6.0
    assert 10.0 * math.log10((chosen - none) / (equal - none)) == pytest.approx(send, abs=1.0)
