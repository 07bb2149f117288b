"""Moves: each one is noted with the frame and the value the engine used, and a render makes them again."""

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsp.moves import take_params
from engine.control.bounce import bounce
from engine.control.deck import PlayingDeck
from engine.control.moves import MoveKeeper
from engine.control.offline import OfflineEngine
from engine.control.patch import Deck, default_graph
from engine.control.show import Show
from engine.control.take import Take
from engine.errors import InputError
from engine.events import EventQueue
from engine.moves import MOVES_CAPACITY, MoveLog
from engine.params import Param, ParamTable
from engine.slots import SLOT_CAPACITY
from engine.spec import StreamSpec
from tests.command import TINY, run
from tests.scenes import small

SIDECAR: dict[str, Any] = {
    "recording": "take.wav",
    "frames": 256,
    "first_frame": 0,
    "sha256": "0" * 64,
    "rate": 48_000,
    "quantum": 128,
    "scene": "Small",
    "seed": 3,
    "underruns": [],
    "incidents": [],
    "fade": None,
    "changes": [],
    "moves": [[128, "room.wet_level", 0.5]],
    "lost_moves": 0,
}
SPEC = StreamSpec(48_000, 64)


def appended(log: MoveLog, moves: list[tuple[int, int, float]]) -> None:
    """Append as the renderer would."""
    for frame, slot, value in moves:
        row = int(log.counters[0]) % MOVES_CAPACITY
        log.places[row], log.values[row] = (frame, slot), value
        log.counters[0] += 1


@given(
    st.lists(st.dictionaries(st.integers(0, 99), st.floats(-1e6, 1e6), max_size=5), max_size=20),
    st.integers(1, 100),
)
def test_a_move_is_missed_misplaced_or_noted_twice(quanta: list[dict[int, float]], slots: int) -> None:
    """Beside a slow twin: what is copied, and what is noted, over any number of slots."""
    now, snapshot, noted = np.zeros(slots), np.full(slots, -1.0), np.full(slots, np.nan)
    log = MoveLog()
    wanted: list[tuple[int, int, float]] = []
    last: list[float | None] = [None] * slots
    for number, changes in enumerate(quanta):
        for slot, value in changes.items():
            if slot < slots:
                now[slot] = value
        take_params(now, snapshot, noted, 64 * number, log.counters, log.places, log.values)
        assert snapshot.tolist() == now.tolist()
        for slot in range(slots):
            if last[slot] != now[slot]:
                last[slot] = float(now[slot])
                wanted.append((64 * number, slot, float(now[slot])))
    count = int(log.counters[0])
    assert [(*p, v) for p, v in zip(log.places[:count].tolist(), log.values[:count], strict=True)] == wanted


def test_the_renderer_takes_over_what_it_does_not_note() -> None:
    """The first quantum notes every slot of the plan, each further one what has moved, once."""
    composition = small()
    offline = OfflineEngine(default_graph(composition), composition, SPEC)
    reader = offline._engine.moves.reader()
    block = np.zeros((64, 2), np.float32)
    offline.renderer.render(block)
    first = reader.read()
    slots = {row.slot: row.default for row in offline.params}
    assert {m.slot: m.value for m in first if m.slot in slots} == slots
    assert {m.frame for m in first} == {0}
    offline.params.set("room.wet_level", 0.125)
    offline.renderer.render(block)
    offline.renderer.render(block)
    assert reader.read() == [(64, offline.params.row("room.wet_level").slot, 0.125)]


def test_a_reader_that_lags_reads_what_was_overwritten() -> None:
    """Of more moves than the log holds the newest are read, but for 32768 that may be being written."""
    log = MoveLog()
    reader = log.reader()
    many = MOVES_CAPACITY + 5000
    rows = np.arange(many) % MOVES_CAPACITY
    log.places[rows] = np.stack([np.arange(many), np.arange(many)], axis=1)
    log.values[rows] = np.arange(many)
    log.counters[0] = many
    read = reader.read()
    assert reader.lost == many - len(read) == many + SLOT_CAPACITY - MOVES_CAPACITY
    assert [m.frame for m in read] == list(range(reader.lost, many))
    assert all(m.frame == m.slot == m.value for m in read)
    appended(log, [(7, 8, 9.0)])
    assert reader.read() == [(7, 8, 9.0)]
    assert reader.read() == []


def table() -> ParamTable:
    return ParamTable.of(
        [("room", (Param("wet", "", 0.0, 1.0, 0.3, ""), Param("size", "", 0.0, 1.0, 0.0, "")))]
    )


def test_what_a_scene_begins_with_is_a_move() -> None:
    """Only what differs from the scene's own value, or from the move before, is kept; 0 may be such a value."""
    log, params = MoveLog(), table()
    keeper = MoveKeeper(log)
    appended(log, [(0, 0, 0.3), (0, 1, 0.0), (0, 99, 5.0)])
    keeper.take(params)
    assert keeper.moves == []
    appended(log, [(128, 0, 0.0), (256, 0, 0.0), (256, 1, 0.5)])
    keeper.take(params)
    assert keeper.moves == [(128, "room.wet", 0.0), (256, "room.size", 0.5)]


def test_a_replay_is_early_late_or_out_of_order() -> None:
    params = table()
    moves = [(256, "room.wet", 0.9), (0, "room.wet", 0.1), (128, "room.size", 1.0)]
    replay = Take.model_validate_json(json.dumps({**SIDECAR, "moves": moves})).replay()
    seen = []
    deck = PlayingDeck(Deck(small()), (), EventQueue(), 1)
    for frame in range(0, 384, 64):
        replay.play(params, deck, frame)
        seen.append((params.get("room.wet"), params.get("room.size")))
    assert seen == [(0.1, 0.0)] * 2 + [(0.1, 1.0)] * 2 + [(0.9, 1.0)] * 2


def take_of(show: Show, path: Path) -> Take:
    """Close the show, and read what it has kept."""
    show.close()
    return Take.read(path.with_name(f"{path.name}.json"))


def moved(show: Show, moves: int, seconds: float, seed: int = 1) -> None:
    """Turn everything there is, at odd moments."""
    draw = random.Random(seed)
    rows = [row for row in show.params if row.param.hi > row.param.lo]
    for _ in range(moves):
        row = draw.choice(rows)
        p = row.param
        value = p.lo + (p.hi - p.lo) * draw.random()
        show.set(row.name, float(round(value)) if p.choices else value)
        show.wait(seconds / moves)


def test_a_live_take_with_500_moves_is_rendered_otherwise(tmp_path: Path) -> None:
    """500 moves of all parameters there are, and settings before: the same SHA-256."""
    path = tmp_path / "take.wav"
    show = Show(small(), driver="null", record=path, settings={"room.wet_level": 0.0}, log=None)
    with show:
        moved(show, 500, 4.0)
    take = take_of(show, path)
    assert take.moves[0] == (0, "room.wet_level", 0.0)
    assert 400 < len(take.moves) <= 501
    assert len({frame for frame, _, _ in take.moves}) > 100
    assert bounce(small(), take=take).sha256 == take.sha256
    assert bounce(small(), take=take, quantum_frames=32).sha256 == take.sha256
    fewer = take.model_copy(update={"moves": take.moves[:20] + take.moves[40:]})
    assert bounce(small(), take=fewer).sha256 != take.sha256


@pytest.mark.live
def test_a_take_on_a_device_is_rendered_otherwise(jack_server: object, tmp_path: Path) -> None:
    path = tmp_path / "take.flac"
    show = Show(small(), driver="portaudio", safety_quanta=16, record=path, log=None)
    with show:
        moved(show, 100, 1.5, seed=2)
        show.stop(at_frame=show.frame + 4000, fade_ms=30.0)
        show.wait(5.0)
    take = take_of(show, path)
    assert take.fade is not None
    assert take.fade.frames == 1440
    assert bounce(small(), take=take).sha256 == take.sha256


def written(path: Path, **changed: Any) -> Path:
    file = path / "take.wav.json"
    file.write_text(json.dumps({**SIDECAR, **changed}))
    return file


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"moves": [[128, "room.wet_level"]]}, r"take\.wav\.json: moves\[0\]\[2\]: is missing"),
        ({"moves": [[-1, "room.wet_level", 0.5]]}, r"moves\[0\]\[0\]: input should be greater"),
        ({"seed": -1}, "seed: "),
        ({"frames": 0}, "frames: "),
        ({"rate": "fast"}, "rate: "),
        ({"first_frame": 128}, "begins at frame 128"),
        ({"lost_moves": 3}, "3 moves are missing"),
        (
            {"changes": [{"frame": 5, "what": "seek", "to_frame": 9}]},
            "has a 'seek' at frame 5; only a take of one",
        ),
    ],
)
def test_a_sidecar_that_will_not_do_is_not_told_by_its_field(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        Take.read(written(tmp_path, **changed))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "[" * 100_000,
        "1" * 5000,
        json.dumps(SIDECAR).replace("0.5", "1e400"),
        "\x00",
        "[NaN]",
    ],
)
def test_what_is_no_sidecar_is_a_traceback(tmp_path: Path, text: str) -> None:
    file = tmp_path / "take.wav.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"take\.wav\.json"):
        Take.read(file)
    with pytest.raises(InputError, match="no such sidecar"):
        Take.read(tmp_path / "other.json")
    with pytest.raises(InputError, match="not a regular file"):
        Take.read(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"scene": "Large"}, "is a take of 'Large'; not of 'Small'"),
        ({"seed": 4}, "played with seed 4; not 3"),
        ({"rate": 44_100}, "played with rate 44100; not 48000"),
    ],
)
def test_the_take_of_another_scene_is_rendered(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    file = written(tmp_path, **changed)
    with pytest.raises(InputError, match=told):
        Take.read(file).check_fits(small(), file)


def test_a_trigger_of_no_sound_of_the_scene_reaches_the_players(tmp_path: Path) -> None:
    """A track, a clip, a length and an offset the scene does not have; events had no balance once, and may lack it."""
    good = [100, 1, 0, 0, 1000, 10, 10, 1.0, 0.0, 0.0, -(2**62)]
    for place, wrong in ((1, 4), (2, 99), (4, 10**7), (3, 2**40)):
        event = [*good[:place], wrong, *good[place + 1 :]]
        file = written(tmp_path, changes=[{"frame": 0, "what": "trigger", "event": event}])
        with pytest.raises(InputError, match=r"changes\[0\]\.event: is no sound of this scene"):
            Take.read(file).check_fits(small(), file)
    for event in (good, [*good, 0.0]):
        file = written(tmp_path, changes=[{"frame": 0, "what": "trigger", "event": event}])
        Take.read(file).check_fits(small(), file)


@pytest.mark.parametrize(
    ("place", "wrong"), [(7, -1.0), (7, 201.0), (8, -0.1), (9, 1.1), (11, -1.1), (11, math.inf)]
)
def test_a_trigger_that_no_show_had_runs_away(place: int, wrong: float, tmp_path: Path) -> None:
    """Gains are 0 to 200, correlations 0 to 1, the balance -1 to 1; what is beyond is named by its place."""
    event = [100, 1, 0, 0, 1000, 10, 10, 1.0, 0.0, 0.0, -(2**62), 0.0]
    event[place] = wrong
    file = written(tmp_path, changes=[{"frame": 0, "what": "trigger", "event": event}])
    with pytest.raises(InputError, match=rf"changes\[0\]\.event\[{place}\]"):
        Take.read(file)


def test_a_change_that_was_noted_late_is_done_late(tmp_path: Path) -> None:
    """A trigger noted after its sound began, and a pause after it acts, are done when they acted."""
    event = [1000, 1, 0, 0, 1000, 10, 10, 1.0, 0.0, 0.0, -(2**62)]
    changes = [
        {"frame": 1280, "what": "trigger", "event": event},
        {"frame": 4000, "what": "pause", "at_frame": 3000},
        {"frame": 4000, "what": "play", "at_frame": 5900},
    ]
    take = Take.read(written(tmp_path, changes=changes))
    assert [change.due_frame for change in take.changes] == [1000, 3000, 4000]


def test_a_take_is_rendered_where_its_moves_do_not_fit(tmp_path: Path) -> None:
    take = Take.read(written(tmp_path))
    with pytest.raises(InputError, match="quantum: 96 frames; must divide the 128 of the take"):
        bounce(small(), take=take, quantum_frames=96)


def test_a_take_with_transport_and_triggers_is_rendered_otherwise(tmp_path: Path) -> None:
    """Pauses, seeks while it stands and while it runs, triggers in all of them, and moves: the same SHA-256."""
    path = tmp_path / "take.wav"
    show = Show(small(), driver="null", record=path, log=None)
    with show:
        show.wait(0.4)
        show.trigger("bell")
        show.pause()
        show.trigger("car")
        show.wait(0.2)
        show.seek(72_000)
        show.set("room.wet_level", 0.9)
        show.trigger("bird")
        show.wait(0.1)
        show.play()
        show.wait(0.3)
        show.seek(24_000)
        show.seek(36_000)
        show.trigger("bird")
        show.wait(0.3)
        show.pause()
        show.play()
        show.pause()
        show.wait(0.2)
        show.play()
        show.wait(0.3)
    take = take_of(show, path)
    assert [change.what for change in take.changes].count("trigger") == 4
    assert len(take.changes) == 13
    rendered = bounce(small(), take=take)
    assert rendered.sha256 == take.sha256
    assert sum(len(track["events"]) for track in rendered.report()["tracks"]) > 4
    fewer = take.model_copy(update={"changes": take.changes[:-1]})
    assert bounce(small(), take=fewer).sha256 != take.sha256


def test_what_cannot_be_done_again_is_not_told(tmp_path: Path) -> None:
    with Show(small(), driver="null", record=tmp_path / "take.wav", log=None) as show:
        show.wait(0.1)
        show.go(small(seed=4), 0.1)
        show.wait(0.2)
        show.edit(small(seed=4, extra="  - {label: door}\n"))
        show.wait(0.3)
    told = json.loads((tmp_path / "take.wav.json").read_text())
    assert [change["what"] for change in told["changes"]] == ["go", "edit"]
    with pytest.raises(InputError, match="has a 'go'"):
        Take.read(tmp_path / "take.wav.json")


def test_the_command_renders_a_take_again_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    played = run(
        *(
            "play",
            "tiny.yaml",
            "--driver",
            "null",
            "--duration",
            "1",
            "--seed",
            "9",
            "--set",
            "unmask.amount=0.5",
        ),
        *("--record", "take.wav", "--json"),
        cwd=tmp_path,
    )
    assert played.returncode == 0, played.stderr
    again = run("render", "tiny.yaml", "--moves", "take.wav.json", "-o", "again.wav", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.endswith("1 moves; the samples are those of the take\n")
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "take.wav").read_bytes()
    for refused in (["--endless"], ["--duration", "1"], ["--set", "unmask.amount=0"], ["--seed", "8"]):
        done = run("render", "tiny.yaml", "--moves", "take.wav.json", "-o", "not.wav", *refused, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert refused[0].strip("-") in done.stderr
    assert not (tmp_path / "not.wav").exists()


def test_triggered_sounds_are_lost_late_or_rendered_otherwise(tmp_path: Path) -> None:
    """Eight triggers, among moves: each begins 6 ms after what was rendered then, and none is late."""
    path = tmp_path / "take.wav"
    show = Show(small(), driver="null", record=path, log=None)
    with show:
        show.wait(0.2)
        for number in range(8):
            before = show.frame
            show.trigger(("car", "bird", 4, "bell")[number % 4])
            assert before + 288 <= show._log.triggers[-1].start_frame <= show.frame + 288
            show.set("room.wet_level", number / 8)
            show.wait(0.1)
        for wrong in ("tram", 0, 5):
            with pytest.raises(InputError, match=r"there is no track .*; atmo, car, bird, bell, or 1 to 4"):
                show.trigger(wrong)
        assert show.meters.read("tracks", "late")[0] == 0
    take = take_of(show, path)
    assert len(take.changes) == 8
    assert bounce(small(), take=take).sha256 == take.sha256
    assert bounce(small(), take=take.model_copy(update={"changes": take.changes[1:]})).sha256 != take.sha256


def test_triggers_take_the_place_of_the_scene() -> None:
    """256 triggered sounds that are not over refuse the next; the scene goes on."""
    with Show(small(), driver="null", log=None) as show:
        for _ in range(256):
            show.trigger("atmo")
        with pytest.raises(InputError, match="256 triggered sounds are not over"):
            show.trigger("atmo")
        show.seek(0)
        assert show._stage.newest.feeder._heap


def test_a_track_with_several_sounds_repeats_one(tmp_path: Path) -> None:
    show = Show(small(), driver="null", log=None)
    try:
        for _ in range(6):
            show.trigger("bird")
        clips = [event.clip for event in show._log.triggers]
        assert clips[:3] == clips[3:]
        assert len(set(clips)) == 3
    finally:
        show.close()
