"""A wrong scene is answered with the line, the field, what is wrong and what is allowed, all at once."""

from pathlib import Path

import pytest

from engine.errors import Problem, SceneError
from engine.scene.load import MAX_PROBLEMS, load_scene, loads, locate, scene_from_data

CAR = "objects:\n  - {label: car}\n"
INPUT = "objects:\n  - label: mic\n    sound: input:1\n"
RANDOM = "objects:\n  - label: car\n    schedule:\n      kind: random\n      gap: "
LOOP = "objects:\n  - label: car\n    schedule:\n      kind: loop\n      beats: "

# text, line, field, a part of the message
SETTINGS = "objects:\n  - label: car\n    settings: "
BAD_SCENES = [
    ("", 1, "", "the scene is empty"),
    ("rain", 1, "", 'the scene is "rain"'),
    ("- car\n- bird", 1, "", "the scene is a list"),
    ("title: A\nsed: 3", 2, "sed", "did you mean `seed`?"),
    ("objcts: []", 1, "objcts", "did you mean `objects`?"),
    ("title: A\nxyzzy: 3", 2, "xyzzy", "known keys are title, seed"),
    ("title: 1984", 1, "title", "title is 1984; must be text of 1 to 120 characters"),
    ("title:", 1, "title", "title is empty"),
    ("title: ''", 1, "title", 'title is ""'),
    ("title: ' A'", 1, "title", "title begins or ends with a space"),
    (f"title: {'a' * 121}", 1, "title", "title has 121 characters"),
    ('title: "a\\u202eb"', 1, "title", "title holds the character U+202E"),
    ("title: A\nseed: -1", 2, "seed", "seed is -1; must be a whole number"),
    ("seed: 1.5", 1, "seed", "seed is 1.5"),
    ("seed: true", 1, "seed", "seed is true"),
    ("seed: 9223372036854775808", 1, "seed", "0 to 9223372036854775807"),
    ("seed: " + "9" * 4000, 1, "seed", "seed is infinite"),
    ("duration: 0", 1, "duration", "duration is 0; must be auto, or 0.1 to 86400 seconds"),
    ("duration: 86401", 1, "duration", "duration is 86401"),
    ("duration: long", 1, "duration", 'duration is "long"'),
    ("duration: 12:30", 1, "duration", 'duration is "12:30"'),
    ("duration: .inf", 1, "duration", "duration is infinite"),
    ("tempo_bpm: 301", 1, "tempo_bpm", "tempo_bpm is 301; must be 20 to 300 beats a minute"),
    ("tempo_bpm: fast", 1, "tempo_bpm", 'tempo_bpm is "fast"'),
    ("clock: midi\nclok: midi", 2, "clok", "did you mean `clock`?"),
    ("clock: usb", 1, "clock", 'clock is "usb"; must be internal or midi'),
    (LOOP + "16", 5, "objects[0].schedule.beats", "a loop has beats and the scene no tempo; add `tempo_bpm`"),
    ("tempo_bpm: 90\n" + LOOP + "0", 6, "objects[0].schedule.beats", "0.25 to 1024 quarter notes"),
    ("tempo_bpm: 90\n" + LOOP + "[4]", 6, "objects[0].schedule.beats", "beats is a list"),
    (
        "tempo_bpm: 90\n" + INPUT + "    schedule: {kind: loop,\n     beats: 4}",
        6,
        "objects[0].schedule.beats",
        "input:1 is a live input, which does not begin again; leave `beats` out",
    ),
    (
        "tempo_bpm: 90\nobjects:\n  - label: car\n    schedule: {kind: once, beats: 4}",
        4,
        "objects[0].schedule.beats",
        "`beats` with kind loop",
    ),
    ("room_detected: yes", 1, "room_detected", 'room_detected is "yes"; must be true or false'),
    ("room_detected: on", 1, "room_detected", 'room_detected is "on"'),
    ("room_detected: 1", 1, "room_detected", "room_detected is 1"),
    ("room_size: .nan", 1, "room_size", "room_size is not a number; must be 0 to 1"),
    ("\n\nroom_size: 1.01", 3, "room_size", "room_size is 1.01"),
    ("damping: -0.1", 1, "damping", "damping is -0.1; must be 0 to 1"),
    ("wet_level: '0.5'", 1, "wet_level", 'wet_level is "0.5"'),
    ("width:\n  0.5:\n", 1, "width", "width is a mapping"),
    ("room:\n  size: 0.5", 2, "room.size", "write `room_size` beside `room`, not in it"),
    ("room: chruch", 1, "room.preset", 'no room is called "chruch"; did you mean church?'),
    ("room: 5", 1, "room", "room is 5; must be the name of a built-in room"),
    ("room: {early: yes}", 1, "room.early", 'early is "yes"; must be true, false, or 0 to 1'),
    ("room:\n  early: 1.5", 2, "room.early", "early is 1.5"),
    ("room: {engine: convolver}", 1, "room.engine", "must be freeverb or fdn"),
    ("room: {impulse: synth:rain}", 1, "room.impulse", "must be the file of an impulse response"),
    ("room: {impulse: ../hall.wav}", 1, "room.impulse", "a path may not hold `..`"),
    ("room: {echo_ms: 0.5}", 1, "room.echo_ms", "echo_ms is 0.5; must be 1 to 2000 ms"),
    ("room: {preset: church, echo_ms: 80}", 1, "room.echo_ms", "a closed room has a tail, and no echo"),
    ("room: {presets: church}", 1, "room.presets", "did you mean `preset`?"),
    ("atmo: rain", 1, "atmo", 'atmo is "rain"; must be a mapping such as {sound: synth:rain}'),
    ("atmo:\n  label: rain", 1, "atmo", "atmo has a label but no sound"),
    ("atmo:\n  level_db: -9.9", 2, "atmo.level_db", "level_db is -9.9; must be -60 to -10 LUFS"),
    ("atmo:\n  level_db: -61", 2, "atmo.level_db", "level_db is -61"),
    ("atmo:\n  level: -30", 2, "atmo.level", "did you mean `level_db`?"),
    ("atmo:\n  sound:", 2, "atmo.sound", "sound is empty"),
    ("objects: car", 1, "objects", 'objects is "car"; must be a list'),
    ("objects:\n  car: 1", 1, "objects", "objects is a mapping"),
    ("objects:\n  - {label: car}\n  - bird", 3, "objects[1]", 'objects[1] is "bird"; must be a mapping'),
    ("objects:\n  - 7", 2, "objects[0]", "objects[0] is 7"),
    ("objects:\n  - importance: 1", 2, "objects[0].label", "label is missing"),
    ("objects:\n  - label: 7", 2, "objects[0].label", "label is 7; must be text of 1 to 64 characters"),
    ("objects:\n  - label: ''", 2, "objects[0].label", 'label is ""'),
    ("objects:\n  - label: '  '", 2, "objects[0].label", "label begins or ends with a space"),
    ('objects:\n  - label: "a\\u0007"', 2, "objects[0].label", "label holds the character U+0007"),
    (f"objects:\n  - label: {'a' * 65}", 2, "objects[0].label", "label has 65 characters"),
    (CAR + "  - {label: car,\n     importance: 3}", 4, "objects[1].importance", "3; must be 0 to 1"),
    (CAR + "    importance: high", 3, "", "not valid YAML"),
    ("objects:\n  - label: car\n    importance: high", 3, "objects[0].importance", 'importance is "high"'),
    ("objects:\n  - label: car\n    importance: 0x1", 3, "objects[0].importance", 'importance is "0x1"'),
    ("objects:\n  - label: car\n    importance: no", 3, "objects[0].importance", 'importance is "no"'),
    ("objects:\n  - label: car\n    importance:", 3, "objects[0].importance", "importance is empty"),
    ("objects:\n  - label: car\n    importence: 1", 3, "objects[0].importence", "`importance`?"),
    ("objects:\n  - label: car\n    panning: -1.5", 3, "objects[0].panning", "must be -1 to 1"),
    ("objects:\n  - label: car\n    panning: left", 3, "objects[0].panning", 'panning is "left"'),
    ("objects:\n  - label: car\n    gain_db: 13", 3, "objects[0].gain_db", "must be -24 to 12 dB"),
    ("objects:\n  - label: car\n    send_db: 1", 3, "objects[0].send_db", "must be -60 to 0 dB"),
    (
        "objects:\n  - label: car\n    send_db: low",
        3,
        "objects[0].send_db",
        'send_db is "low"; must be -60 to 0 dB',
    ),
    ("objects:\n  - label: car\n    sound: ''", 3, "objects[0].sound", "sound is blank"),
    ("objects:\n  - label: car\n    sound: car.exe", 3, "objects[0].sound", "wav, flac, ogg, mp3"),
    ("objects:\n  - label: car\n    sound: {a: 1}", 3, "objects[0].sound", "sound is a mapping"),
    ("objects:\n  - label: car\n    sound: []", 3, "objects[0].sound", "sound has 0 values"),
    ("objects:\n  - label: car\n    sound: [a.wav,\n      3]", 4, "objects[0].sound[1]", "sound[1] is 3"),
    (
        "objects:\n  - label: car\n    sound: [a.wav,\n      b.exe]",
        4,
        "objects[0].sound[1]",
        "wav, flac, ogg, mp3",
    ),
    (
        "objects:\n  - label: car\n    sound: [a.wav,\n      input:1]",
        4,
        "objects[0].sound[1]",
        "stands alone",
    ),
    (
        "objects:\n  - label: car\n    schedule: {kind: loop}\n    sound: [a.wav, b.wav]",
        4,
        "objects[0].sound",
        "a list goes with kind once and random",
    ),
    ("objects: [a, b]\nsound: [a.wav,\n  [b.wav]]", 3, "sound[1]", "one sound for each label"),
    ("objects:\n  - label: car\n    vary: 1.5", 3, "objects[0].vary", "0 to 1"),
    (
        "objects:\n  - label: car\n    schedule: {kind: loop}\n    vary: 0.5",
        4,
        "objects[0].vary",
        "goes with once and random",
    ),
    ("max_events: 0", 1, "max_events", "1 to 512"),
    ("predict: yes", 1, "predict", 'predict is "yes"; must be true or false'),
    (SETTINGS + "4", 3, "objects[0].settings", "a mapping such as {threshold_db: -30, ratio: 3}"),
    (SETTINGS + "{eqdb: [1]}", 3, "objects[0].settings.eqdb", "did you mean `eq_db`?"),
    (SETTINGS + "\n      ratio: 21", 4, "objects[0].settings.ratio", "ratio is 21; must be 1 to 20"),
    (SETTINGS + "{attack_ms: fast}", 3, "objects[0].settings.attack_ms", "must be 0.1 to 1000 ms"),
    (SETTINGS + "{release_ms: 0}", 3, "objects[0].settings.release_ms", "must be 10 to 20000 ms"),
    (SETTINGS + "{threshold_db: 3}", 3, "objects[0].settings.threshold_db", "must be -60 to 0 dBFS"),
    (SETTINGS + "{highpass_hz: -1}", 3, "objects[0].settings.highpass_hz", "must be 0 (none) to 8000 Hz"),
    (SETTINGS + "{gain_db: 13}", 3, "objects[0].settings.gain_db", "must be -24 to 12 dB"),
    (SETTINGS + "{compressor: 1}", 3, "objects[0].settings.compressor", "must be true or false"),
    (
        SETTINGS + "{compressor: false,\n      ratio: 3}",
        4,
        "objects[0].settings.ratio",
        "leave out `compressor: false`",
    ),
    (SETTINGS + "{eq_db: 3}", 3, "objects[0].settings.eq_db", "or 31 values, each -12 to 12 dB"),
    (SETTINGS + "{eq_db: [1, 2]}", 3, "objects[0].settings.eq_db", "eq_db has 2 values"),
    (
        SETTINGS + "{eq_db: {\n      100: 1,\n      200: 13}}",
        5,
        "objects[0].settings.eq_db.200",
        "-12 to 12 dB",
    ),
    (SETTINGS + "{eq_db: {1k: 1}}", 3, "objects[0].settings.eq_db.1k", "1k is no frequency"),
    (SETTINGS + "{eq_db: {30000: 1}}", 3, "objects[0].settings.eq_db.30000", "20 to 20000 Hz"),
    (
        SETTINGS + "{eq_db: {100: 1, 101: 2}}",
        3,
        "objects[0].settings.eq_db.101",
        "both in the band at 100 Hz",
    ),
    (INPUT + "    settings: {eq_db: {100: 1}}", 4, "objects[0].settings.eq_db", "a live input has no eq_db"),
    (
        "atmo: {sound: input:1, settings: {highpass_hz: 80}}",
        1,
        "atmo.settings.highpass_hz",
        "has no highpass_hz",
    ),
    ("objects:\n  - label: car\n    sound: 'synth: car'", 3, "objects[0].sound", "synth:NAME"),
    *(
        (
            f"objects:\n  - label: mic\n    sound: '{sound}'",
            3,
            "objects[0].sound",
            f'sound is "{sound}"; {allowed}',
        )
        for sound, allowed in [
            ("input:0", "the channels of the input are 1 to 8"),
            ("input:9", "the channels of the input are 1 to 8"),
            ("input:8-9", "the channels of the input are 1 to 8"),
            ("input:2-1", "a stereo input is two neighbours, left and right, such as input:2-3"),
            ("input:1-4", "a stereo input is two neighbours, left and right, such as input:1-2"),
            ("input:8-8", "a stereo input is two neighbours, left and right, such as input:7-8"),
            ("input:", "a live input is written input:N, such as input:3, or input:1-2 for stereo"),
            ("input:1-2-3", "a live input is written input:N"),
            ("input:-1", "a live input is written input:N"),
            ("input:mic", "a live input is written input:N"),
            ("input:12345", "a live input is written input:N"),
        ]
    ),
    ("atmo: {sound: input:0}", 1, "atmo.sound", "the channels of the input are 1 to 8"),
    ("{objects: [mic], sound: [input:9]}", 1, "sound[0]", "the channels of the input are 1 to 8"),
    (INPUT + "    schedule: {}", 4, "objects[0].schedule", "input:1 is a live input, which is always on"),
    (INPUT + "    schedule: {at: 2}", 4, "objects[0].schedule", "the schedule is once; leave `schedule` out"),
    (INPUT + "    schedule: {kind: random, gap: [1, 2]}", 4, "objects[0].schedule", "the schedule is random"),
    (INPUT + "    schedule: {kind: rnd}", 4, "objects[0].schedule.kind", "once, loop or random"),
    ("objects:\n  - label: car\n    schedule: loop", 3, "objects[0].schedule", 'schedule is "loop"'),
    (RANDOM.replace("random", "rnd") + "[1, 2]", 4, "objects[0].schedule.kind", "once, loop or random"),
    (RANDOM.replace("random", "[a]") + "[1, 2]", 4, "objects[0].schedule.kind", "kind is a list"),
    (RANDOM.replace("random", "loop") + "[1, 2]", 5, "objects[0].schedule.gap", "`gap` with kind random"),
    (RANDOM + "[3, 1]", 5, "objects[0].schedule.gap", "gap is 3 to 1"),
    (RANDOM + "[0, 0]", 5, "objects[0].schedule.gap", "nor both be 0"),
    (RANDOM + "[1]", 5, "objects[0].schedule.gap", "gap does not have two values"),
    (RANDOM + "[1, 2, 3]", 5, "objects[0].schedule.gap", "gap has 3 values"),
    (RANDOM + "5", 5, "objects[0].schedule.gap", "gap is 5; must be [minimum, maximum] in seconds"),
    (RANDOM + "\n      - 1\n      - -2", 7, "objects[0].schedule.gap[1]", "gap[1] is -2"),
    (RANDOM + "[1, 86401]", 5, "objects[0].schedule.gap[1]", "must be 0 to 86400 seconds"),
    ("objects:\n  - label: a\n    schedule: {kind: random}", 3, "objects[0].schedule.gap", "gap is missing"),
    ("objects:\n  - label: a\n    schedule: {at: -1}", 3, "objects[0].schedule.at", "at is -1"),
    ("objects:\n  - label: a\n    schedule: {every: 2}", 3, "objects[0].schedule.every", "keys are kind, at"),
    ("objects: [car, 7]", 1, "objects[1]", "label is 7"),
    ("objects: [car, bird]\nimportance: [0.9]", 2, "importance", "importance has 1 and objects 2 entries"),
    ("objects: [car]\npanning: [0, 0, 0]", 2, "panning", "panning has 3 and objects 1 entries"),
    ("objects: [a, b]\nimportance:\n - 0\n - 3", 4, "importance[1]", "importance is 3; must be 0 to 1"),
    ("objects: [a, b]\npanning: [0,\n  left]", 3, "panning[1]", 'panning is "left"'),
    ("objects: [a, b]\nsound: [null,\n  ../a.wav]", 3, "sound[1]", "a path may not hold `..`"),
    ("objects: [a, b]\nimportance: 0.5", 2, "importance", "importance is not a list"),
    (CAR + "importance: [0.5]", 3, "importance", "write it inside each object"),
    ("importance: [0.5]", 1, "importance", "it goes with `objects`"),
    ("title: A\ntitle: B", 2, "title", "the key `title` is given twice; the first stands in line 1"),
    (CAR + "  - {label: car, label: bird}", 3, "objects[1].label", "given twice"),
]


@pytest.mark.parametrize(("text", "line", "name", "part"), BAD_SCENES, ids=range(len(BAD_SCENES)))
def test_a_wrong_scene_is_answered_with_line_and_field(text: str, line: int, name: str, part: str) -> None:
    with pytest.raises(SceneError) as caught:
        loads(text, "street.yaml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.field) == ("street.yaml", line, name)
    assert part in f"{problem.what}; {problem.allowed}"


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        "seed: -1\nobjects:\n  - {panning: 2, label: car, importance: 3}\n  - {label: 4}\n"
        "wet_level: 2\natmo: {sound: x}\n"
    )
    with pytest.raises(SceneError) as caught:
        loads(text)
    fields = [(problem.line, problem.field) for problem in caught.value.problems]
    assert fields == [
        (1, "seed"),
        (3, "objects[0].panning"),
        (3, "objects[0].importance"),
        (4, "objects[1].label"),
        (5, "wet_level"),
        (6, "atmo.sound"),
    ]


def test_thousands_of_problems_are_cut_after_200_and_counted() -> None:
    """200 problems are worded; one line counts the other 300."""
    with pytest.raises(SceneError) as caught:
        loads("\n".join(f"key_{number}: 1" for number in range(500)))
    assert MAX_PROBLEMS == 200
    assert len(caught.value.problems) == 201
    assert caught.value.problems[-1].what == "and 300 more problems"


def test_more_than_512_objects_are_refused() -> None:
    """512 objects load, 513 do not."""
    assert len(loads("objects: [" + "car, " * 512 + "]").objects) == 512
    with pytest.raises(SceneError, match="objects has 513 values; at most 512"):
        loads("objects: [" + "car, " * 513 + "]")


def test_the_message_reads_as_a_sentence() -> None:
    with pytest.raises(SceneError) as caught:
        loads("objects:\n  - {label: car, importance: 3}", "street.yaml")
    assert str(caught.value) == "street.yaml:2: objects[0].importance: importance is 3; must be 0 to 1"


@pytest.mark.parametrize("path", ["/nowhere/street.yaml", "", ".", "a\0b", "/dev/null", "a" * 5000, "\ud800"])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(SceneError) as caught:
        load_scene(path)
    (problem,) = caught.value.problems
    assert problem.file
    assert problem.what.encode("utf-8")


@pytest.mark.parametrize(
    "data", [None, 3, [], {1: 2}, {"objects": [{1: 2}]}, {"title": object()}, {"seed": 10**5000}]
)
def test_data_of_a_kind_no_file_can_hold_is_refused_the_same_way(data: object) -> None:
    with pytest.raises(SceneError):
        scene_from_data(data)


@pytest.mark.parametrize(
    ("text", "name", "line", "written"),
    [
        ("objects:\n  - label: car\n    sound: a.wav", "objects[0].sound", 3, "objects[0].sound"),
        ("objects:\n  - label: car", "objects[0].sound", 2, "objects[0].sound"),
        ("objects: [a, b]\nsound: [a.wav,\n  b.wav]", "objects[1].sound", 3, "sound[1]"),
        ("objects: [a,\n  b]", "objects[1].label", 2, "objects[1]"),
        ("title: A\natmo: {sound: a.wav}", "atmo.sound", 2, "atmo.sound"),
        ("title: A", "atmo.sound", 1, "atmo.sound"),
    ],
)
def test_a_problem_found_after_loading_is_given_its_line(
    tmp_path: Path, text: str, name: str, line: int, written: str
) -> None:
    file = tmp_path / "street.yaml"
    file.write_text(text)
    (problem,) = locate(file, [Problem("cannot be decoded", field=name)])
    assert problem == Problem("cannot be decoded", field=written, file=str(file), line=line)


def test_a_problem_found_after_the_file_is_gone_still_names_it(tmp_path: Path) -> None:
    (problem,) = locate(tmp_path / "gone.yaml", [Problem("cannot be decoded", field="atmo.sound")])
    assert (problem.file, problem.field) == (str(tmp_path / "gone.yaml"), "atmo.sound")
