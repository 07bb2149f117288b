"""The schema means what it says: defaults, ranges, the flat form, and the same in JSON Schema."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import presets
from engine.errors import SceneError
from engine.scene.load import load_scene, loads
from engine.scene.reader import read
from engine.scene.schema import Atmo, Loop, Once, Random, Scene, SceneObject, scene_schema, track_names

STREET = """
title: Rainy street
seed: 7
duration: auto
room_detected: true
room_size: 0.45
damping: 0.5
wet_level: 0.3
width: 0.8
atmo: {sound: synth:rain}
objects:
  - {label: car, importance: 0.9, panning: -0.4, sound: sounds/car.wav}
  - {label: bird, importance: 0.4, panning: 0.6, sound: synth:bird, schedule: {kind: random, gap: [3, 12]}}
"""


def test_every_value_of_a_scene_arrives() -> None:
    scene = loads(STREET)
    car, bird = scene.objects
    assert (scene.title, scene.seed, scene.duration) == ("Rainy street", 7, "auto")
    assert (scene.room.detected, scene.room.size, scene.room.damping) == (True, 0.45, 0.5)
    assert (scene.room.wet_level, scene.room.width) == (0.3, 0.8)
    assert scene.atmo == Atmo(sound="synth:rain")
    assert car == SceneObject(
        label="car", importance=0.9, panning=-0.4, sound="sounds/car.wav", schedule=Once()
    )
    assert bird.schedule == Random(gap=(3.0, 12.0))


def test_what_is_left_out_has_its_documented_default() -> None:
    """Atmo: synth:wind at -32 LUFS. Object: importance 0.5, panning 0, 0 dB, once. Seed 0, duration auto."""
    scene = loads("objects: [{label: car}]", "some/busy street.yaml")
    (car,) = scene.objects
    assert (scene.title, scene.seed, scene.duration) == ("busy street", 0, "auto")
    assert (scene.atmo.label, scene.atmo.sound, scene.atmo.level_db) == ("atmo", "synth:wind", -32.0)
    assert (car.importance, car.panning, car.gain_db, car.sound) == (0.5, 0.0, 0.0, None)
    assert car.schedule == Once(at=None)
    assert scene.room.model_dump() == {
        "detected": False,
        "size": 0.5,
        "damping": 0.5,
        "wet_level": 0.2,
        "width": 1.0,
        "engine": "freeverb",
        "early": 0.0,
        "impulse": None,
        "echo_ms": None,
    }
    assert loads("{}").title == "scene"
    assert loads("{}", "\x1b[31m.yaml").title == "[31m"


@pytest.mark.parametrize(
    ("schedule", "value"),
    [
        ("{}", Once()),
        ("{at: 0}", Once(at=0.0)),
        ("{kind: once, at: 1e1}", Once(at=10.0)),
        ("{kind: once, at: null}", Once()),
        ("{kind: loop}", Loop()),
        ("{kind: loop, beats: null}", Loop()),
        ("{kind: random, gap: [0, 1]}", Random(gap=(0.0, 1.0))),
        ("{kind: random, gap: [5, 5]}", Random(gap=(5.0, 5.0))),
    ],
)
def test_a_schedule_is_the_kind_it_says(schedule: str, value: object) -> None:
    assert loads(f"objects: [{{label: a, schedule: {schedule}}}]").objects[0].schedule == value


def test_an_input_is_on_without_being_told() -> None:
    """A live input has the schedule loop, written or left out, in both forms, and after a way out and back."""
    made = loads(
        "objects: [{label: a, sound: input:1-2}, {label: b, sound: input:3, schedule: {kind: loop}}, {label: c}]"
    )
    assert [part.schedule for part in made.objects] == [Loop(), Loop(), Once()]
    assert loads("{objects: [a], sound: [input:1]}").objects[0].schedule == Loop()
    assert SceneObject(label="a", sound="input:1").schedule == Loop()
    dumped = made.model_dump(by_alias=True)
    assert Scene.model_validate(dumped) == made
    assert loads("atmo: {sound: input:1-2}").atmo == Atmo(sound="input:1-2")
    with pytest.raises(ValidationError, match="always on"):
        SceneObject(label="a", sound="input:1", schedule=Once())


def test_a_scene_cannot_be_changed_and_can_be_compared() -> None:
    scene = loads(STREET)
    with pytest.raises(ValidationError, match="frozen"):
        scene.seed = 8  # type: ignore[misc]
    assert loads(STREET) == scene
    assert hash(loads(STREET)) == hash(scene)


numbers = st.floats(0, 1)
rows = st.lists(
    st.tuples(
        st.sampled_from(["car", "bird", "Café 1"]), numbers, numbers, st.none() | st.just("synth:rain")
    ),
    max_size=6,
)


@given(rows=rows)
def test_the_flat_form_says_the_same_as_the_long_form(
    rows: list[tuple[str, float, float, str | None]],
) -> None:
    names = ("label", "importance", "panning", "sound")
    long_form = {"objects": [dict(zip(names, row, strict=True)) for row in rows]}
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    flat = dict(zip(("objects", *names[1:]), columns, strict=True))
    assert loads(json.dumps(flat)) == loads(json.dumps(long_form))


def test_a_list_of_labels_alone_is_the_flat_form() -> None:
    assert loads("objects: [car, bird]") == loads("objects: [{label: car}, {label: bird}]")


def test_equal_labels_get_different_track_names() -> None:
    assert track_names(["car", "bird", "car", "car"]) == ("car", "bird", "car-2", "car-3")
    assert track_names(["car", "car", "car-2", "car-2", "car"]) == (
        "car",
        "car-2",
        "car-2-2",
        "car-2-3",
        "car-3",
    )
    assert track_names([]) == ()


@given(st.lists(st.sampled_from(["a", "a-2", "a-2-2", "a-3", "b"]), max_size=12))
def test_track_names_are_unique_and_do_not_change_when_one_is_appended(labels: list[str]) -> None:
    names = track_names(labels)
    assert len(set(names)) == len(labels)
    assert track_names([*labels, "a"])[:-1] == names


def ranges(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "minimum" in schema:
            yield path, schema
        for key, value in schema.items():
            yield from ranges(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from ranges(value, f"{path}/{index}")


RANDOM = "objects: [{label: a, schedule: {kind: random, gap: "
BEATS = "objects: [{label: a, schedule: {kind: loop, beats: "
TEXTS = {
    "/$defs/Atmo/properties/level_db": "atmo: {level_db: VALUE}",
    "/$defs/Loop/properties/beats/anyOf/0": "tempo_bpm: 60\n" + BEATS + "VALUE}}]",
    "/$defs/Once/properties/at/anyOf/0": "objects: [{label: a, schedule: {at: VALUE}}]",
    "/$defs/Random/properties/gap/prefixItems/0": RANDOM + "[VALUE, 86400]}}]",
    "/$defs/Random/properties/gap/prefixItems/1": RANDOM + "[0, VALUE]}}]",
    "/$defs/SceneObject/properties/importance": "objects: [{label: a, importance: VALUE}]",
    "/$defs/SceneObject/properties/panning": "objects: [{label: a, panning: VALUE}]",
    "/$defs/SceneObject/properties/gain_db": "objects: [{label: a, gain_db: VALUE}]",
    "/$defs/SceneObject/properties/send_db/anyOf/0": "objects: [{label: a, send_db: VALUE}]",
    "/$defs/SceneObject/properties/vary/anyOf/0": "objects: [{label: a, vary: VALUE}]",
    "/properties/seed": "seed: VALUE",
    "/properties/max_events": "max_events: VALUE",
    "/properties/duration/anyOf/0": "duration: VALUE",
    "/properties/loudness/anyOf/0": "loudness: VALUE",
    "/properties/tempo_bpm/anyOf/0": "tempo_bpm: VALUE",
    "/properties/levels_db/prefixItems/0": "levels_db: [VALUE, -10]",
    "/properties/levels_db/prefixItems/1": "levels_db: [-60, VALUE]",
    "/properties/reduction_db": "reduction_db: VALUE",
    "/properties/room_size": "room_size: VALUE",
    "/properties/damping": "damping: VALUE",
    "/properties/wet_level": "wet_level: VALUE",
    "/properties/width": "width: VALUE",
    "/$defs/RoomSetup/properties/early/anyOf/1": "room: {early: VALUE}",
    "/$defs/RoomSetup/properties/echo_ms/anyOf/0": "room: {echo_ms: VALUE}",
    **{
        f"/$defs/WrittenSettings/properties/{name}/anyOf/{place}": f"objects: [{{label: a, settings: {{{text}}}}}]"
        for name, place, text in [
            ("eq_db", "0/additionalProperties", "eq_db: {1000: VALUE}"),
            ("eq_db", "1/items", f"eq_db: [VALUE{30 * ', 0'}]"),
            *((n, "0", f"{n}: VALUE") for n in ("highpass_hz", "threshold_db", "ratio", "attack_ms")),
            *((n, "0", f"{n}: VALUE") for n in ("release_ms", "gain_db")),
        ]
    },
    "/properties/importance/items": "{objects: [a], importance: [VALUE]}",
    "/properties/panning/items": "{objects: [a], panning: [VALUE]}",
}
EXPECTED = {
    "level_db": (-60, -10),
    "at": (0, 86400),
    "gap": (0, 86400),
    "importance": (0, 1),
    "panning": (-1, 1),
    "gain_db": (-24, 12),
    "send_db": (-60, 0),
    "seed": (0, 2**63 - 1),
    "max_events": (1, 512),
    "duration": (0.1, 86400),
    "beats": (0.25, 1024),
    "tempo_bpm": (20, 300),
    "loudness": (-40, -10),
    "early": (0, 1),
    "echo_ms": (1, 2000),
    "levels_db": (-60, -10),
    "reduction_db": (0, 6),
    "eq_db": (-12, 12),
    "highpass_hz": (0, 8000),
    "threshold_db": (-60, 0),
    "ratio": (1, 20),
    "attack_ms": (0.1, 1000),
    "release_ms": (10, 20000),
}


def test_json_schema_and_model_agree_on_every_range() -> None:
    """Both ends of each range load, the next value outside is refused; 34 ranges in all."""
    found = dict(ranges(scene_schema()))
    assert found.keys() == TEXTS.keys()
    assert len(found) == 34
    for path, schema in found.items():
        low, high = schema["minimum"], schema["maximum"]
        name = path.split("properties/")[1].split("/")[0]
        assert (low, high) == EXPECTED.get(name, (0, 1))
        step = 1 if name in ("seed", "max_events") else 1e-6
        for value in (low, high):
            if not (path.endswith("prefixItems/1") and value == 0):  # a gap of 0 to 0 breaks another rule
                loads(TEXTS[path].replace("VALUE", repr(value)))
        for value in (low - step, high + step):
            with pytest.raises(SceneError, match="must be"):
                loads(TEXTS[path].replace("VALUE", repr(value)))


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """Validate by the part of JSON Schema that the scene's schema uses; an unknown keyword is an error."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    number = isinstance(value, int | float) and not isinstance(value, bool)
    properties = schema.get("properties", {})
    for key, rule in schema.items():
        match key:
            case "type" if rule in ("number", "integer"):
                good = number and (rule == "number" or value == int(value))
            case "type":
                good = isinstance(value, kinds[rule])
            case "$ref":
                good = accepts(root["$defs"][rule.removeprefix("#/$defs/")], value, root)
            case "anyOf":
                good = any(accepts(choice, value, root) for choice in rule)
            case "oneOf":
                good = sum(accepts(choice, value, root) for choice in rule) == 1
            case "const":
                good = value == rule
            case "minimum" | "maximum":
                good = not number or (value >= rule if key == "minimum" else value <= rule)
            case "minLength" | "maxLength":
                good = not isinstance(value, str) or (
                    len(value) >= rule if key == "minLength" else len(value) <= rule
                )
            case "minItems" | "maxItems":
                good = not isinstance(value, list) or (
                    len(value) >= rule if key == "minItems" else len(value) <= rule
                )
            case "pattern":
                good = not isinstance(value, str) or re.search(rule, value) is not None
            case "items":
                good = not isinstance(value, list) or all(accepts(rule, item, root) for item in value)
            case "prefixItems":
                good = not isinstance(value, list) or all(map(accepts, rule, value, [root] * len(rule)))
            case "required":
                good = not isinstance(value, dict) or all(name in value for name in rule)
            case "properties":
                good = not isinstance(value, dict) or all(
                    accepts(rule[name], item, root) for name, item in value.items() if name in rule
                )
            case "additionalProperties":
                others = value.keys() - properties.keys() if isinstance(value, dict) else ()
                good = all(rule is not False and accepts(rule, value[name], root) for name in others)
            case "dependentSchemas":
                good = not isinstance(value, dict) or all(
                    accepts(inner, value, root) for name, inner in rule.items() if name in value
                )
            case "$schema" | "$defs" | "title" | "description" | "default" | "unit":
                good = True
            case _:
                raise AssertionError(f"unknown keyword {key}")
        if not good:
            return False
    return True


GOOD = [presets.scene_path(name).read_text() for name in presets.scene_names()]
GOOD += [
    STREET,
    "{}",
    "objects: [car]",
    "{objects: [car, bird], importance: [0.9, 0.4], sound: [null, synth:bird]}",
    "{atmo: {sound: input:1-2}, objects: [{label: mic, sound: input:3, schedule: {kind: loop}}]}",
    "{predict: false, objects: [{label: car, settings: {eq_db: {250: -2}, ratio: 3, compressor: true}}]}",
    "{objects: [{label: mic, sound: input:3, settings: {threshold_db: -30, gain_db: 2, highpass_hz: 0}}]}",
    f"{{atmo: {{settings: {{eq_db: [1{30 * ', 0'}], highpass_hz: 40}}}}}}",
]
BAD = [
    "[]",
    "sed: 3",
    "seed: 1.5",
    "room_detected: yes",
    "duration: long",
    "objects: [{label: car, importence: 1}]",
    "objects: [{importance: 1}]",
    "objects: [{label: ' a'}]",
    "objects: [{label: car}, bird]",
    "objects: [{label: car, schedule: {gap: [1, 2]}}]",
    "objects: [{label: car, schedule: {kind: random}}]",
    "objects: [{label: car, schedule: {kind: random, gap: [1]}}]",
    "objects: [{label: car, schedule: {kind: loop, at: 1}}]",
    "objects: [{label: car, schedule: loop}]",
    "{objects: [{label: car}], importance: [0.5]}",
    "importance: [0.5]",
    "{objects: [car], panning: [left]}",
    "atmo: rain",
    "predict: 1",
    "objects: [{label: car, settings: {eq_db: {250: loud}}}]",
    "objects: [{label: car, settings: {eq_db: [1, 2]}}]",
    "objects: [{label: car, settings: {treshold_db: -3}}]",
]


def test_json_schema_accepts_what_the_program_accepts() -> None:
    schema = scene_schema()
    for text in GOOD:
        loads(text)
        assert accepts(schema, read(text, "f").data, schema), text


@pytest.mark.parametrize("text", BAD)
def test_json_schema_refuses_what_the_program_refuses(text: str) -> None:
    schema = scene_schema()
    assert not accepts(schema, read(text, "f").data, schema)
    with pytest.raises(SceneError):
        loads(text)


def test_json_schema_describes_every_field_and_is_plain_json() -> None:
    schema = scene_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "Scene"
    assert "$id" not in schema
    assert json.loads(json.dumps(schema)) == schema
    models = [schema, *schema["$defs"].values()]
    fields = [(name, field) for model in models for name, field in model["properties"].items()]
    assert [name for name, field in fields if "description" not in field and name != "kind"] == []


@pytest.mark.parametrize("name", presets.scene_names())
def test_every_built_in_scene_loads_and_needs_no_file(name: str) -> None:
    scene = Scene.load(presets.scene_path(name))
    assert scene == load_scene(str(presets.scene_path(name)))
    assert 5 <= len(scene.objects) <= 8
    sounds = [scene.atmo.sound, *(part.sound for part in scene.objects if not isinstance(part.sound, tuple))]
    assert all(sound and sound.startswith("synth:") for sound in sounds)


def test_a_built_in_scene_that_does_not_exist_is_named() -> None:
    assert "rainy-street" in presets.scene_names()
    for name in ("rainy", "../scenes/rainy-street", ""):
        with pytest.raises(LookupError, match="rainy-street"):
            presets.scene_path(name)


def test_importing_scenes_brings_neither_kernels_nor_effects() -> None:
    code = (
        "import sys, presets; from engine.scene.load import load_scene;"
        "load_scene(presets.scene_path('rainy-street'));"
        "assert not {'numba', 'pedalboard', 'dsp.synth'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], timeout=60)
