"""No text, however hostile, gets more out of the reader than plain data or a SceneError."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import presets
from engine.errors import SceneError
from engine.scene import reader
from engine.scene.load import loads
from engine.scene.reader import read
from engine.scene.schema import Scene

GOOD = [presets.scene_path(name).read_bytes() for name in presets.scene_names()]
GOOD += [b"objects: [car, bird]\nimportance: [0.9, 0.4]\npanning: [-0.4, 0.6]\nsound: [null, 'synth:bird']\n"]

HOSTILE: dict[str, tuple[str | bytes, int, str]] = {
    "python object": ("!!python/object/apply:os.system [id]", 1, "tags"),
    "python name": ("title: !!python/name:os.system", 1, "tags"),
    "str tag": ("title: !!str 3", 1, "tags"),
    "bare tag": ("title: ! x", 1, "tags"),
    "billion laughs": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", 1, "anchors"),
    "self reference": ("a: &a [*a]", 1, "anchors"),
    "unknown alias": ("a: 1\nb: *nobody", 2, "aliases"),
    "merge key": ("a: {x: 1}\n<<: {y: 2}", 2, "merge keys"),
    "500 deep": ("[" * 500 + "]" * 500, 1, "nested too deeply; at most 32 levels"),
    "1 million deep": ("[" * 1_000_000, 1, "nested too deeply"),
    "deep blocks": ("- " * 500_000, 1, "nested too deeply"),
    "deep mappings": ("{a: " * 200_000, 1, "nested too deeply"),
    "mappings as keys": ("{{{a: 1}: 2}: 3}", 1, "a key is not plain text"),
    "900 000 mappings as keys": (
        "{" * 900_000,
        1,
        "",
    ),  # a key, or too deep: which one is found first depends on PyYAML
    "list as key": ("[1, 2]: 3", 1, "a key is not plain text"),
    "question marks": ("? " * 400_000, 1, "a key is not plain text"),
    "20 001 nodes": ("[" + "a," * 20_001 + "]", 1, "too many values; at most 20000"),
    "long string": ("a: " + "b" * 4097, 1, "a text is too long; at most 4096 characters"),
    "long key": ("a" * 1000 + "b" * 4000 + ": 1", 1, "too long"),
    "too large": ("#" * (1 << 20) + "#", 0, "at most 1048576 bytes"),
    "second document": ("a: 1\n---\nb: 2", 2, "a second document"),
    "three duplicates": ("a: 1\na: 2\na: 3\n", 2, "given twice; the first stands in line 1"),
    "duplicate in a list": ("- {a: 1}\n- {b: 1,\n   b: 2}", 3, "given twice"),
    "unclosed list": ("a: [1,\n  2 }", 2, "begun in line 1"),
    "unclosed quote": ("a: 'x", 1, "not valid YAML"),
    "tab": ("a:\n\tb: 1", 2, "cannot start any token"),
    "two values": ("a: b: c", 1, "mapping values are not allowed"),
    "bad escape": ('a: "\\x"', 1, "not valid YAML"),
    "YAML 9": ("%YAML 9.9\n---\na: 1", 1, "incompatible"),
    "commas": ("," * 1_000_000, 1, "not valid YAML"),
    "NUL byte": ("a: 1\nb: \0", 2, "U+0000"),
    "escape sequence": ("a: \x1b[31m", 1, "U+001B"),
    "lone surrogate": ("a: \ud800", 1, "U+D800"),
    "line separator": ("a: 1\u2028b: 2", 1, "U+2028"),
    "second byte order mark": ("a: \ufeff", 1, "U+FEFF"),
    "not UTF-8": (b"a: 1\nb: \xff", 2, "not UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), 1, "not UTF-8"),
    "overlong slash": (b"a: \xc0\xaf", 1, "not UTF-8"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_with_its_line(name: str) -> None:
    text, line, part = HOSTILE[name]
    with pytest.raises(SceneError) as caught:
        read(text, "scene.yaml")
    problem = caught.value.problems[0]
    assert (problem.file, problem.line) == ("scene.yaml", line)
    assert part in str(problem)
    assert len(str(problem)) < 300


def test_the_limits_themselves_are_still_allowed() -> None:
    """1 MiB, depth 32, 20 000 nodes and 4096 characters are read; one more is not (see the hostile list)."""
    assert (reader.MAX_BYTES, reader.MAX_DEPTH, reader.MAX_NODES, reader.MAX_STRING) == (
        1 << 20,
        32,
        20_000,
        4096,
    )
    assert read("a: 1 " + "#" * ((1 << 20) - 5), "f").data == {"a": 1}
    read("[" * 32 + "]" * 32, "f")
    with pytest.raises(SceneError, match="32 levels"):
        read("[" * 33 + "]" * 33, "f")
    assert len(read("[" + "a," * 19_999 + "]", "f").data) == 19_999
    assert len(read("b" * 4096, "f").data) == 4096


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("010", 10),
        ("-7", -7),
        ("+0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.e-3", 0.001),
        ("9" * 5, 99999),
        ("1e400", float("inf")),
        ("-.inf", float("-inf")),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("12:30:00", "12:30:00"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("2024-99-99", "2024-99-99"),
        ("=", "="),
        ("'true'", "true"),
        ('"1"', "1"),
        ("|\n 1", "1"),
        ("٣", "٣"),
    ],
)
def test_a_plain_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    # Inside a mapping, so that the empty text is a value as well.
    found = read(f"a: {text}", "f").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_read_as_such_for_the_schema_to_refuse() -> None:
    assert math.isnan(read(".nan", "f").data)


def test_keys_are_never_turned_into_booleans_or_numbers() -> None:
    assert read("on: 1\n1: 2\nnull: 3\n? x\n", "f").data == {"on": 1, "1": 2, "null": 3, "x": None}


def test_every_value_knows_its_line_and_column() -> None:
    document = read("a: 1\nb:\n  - x\n  - {c: 2,\n     d: [3]}\n", "f")
    assert document.positions == {
        (): (1, 1),
        ("a",): (1, 1),
        ("b",): (2, 1),
        ("b", 0): (3, 5),
        ("b", 1): (4, 5),
        ("b", 1, "c"): (4, 6),
        ("b", 1, "d"): (5, 6),
        ("b", 1, "d", 0): (5, 10),
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    # U+0085 and the other characters that the reader refuses by name are escaped by ensure_ascii.
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(data=st.dictionaries(st.text(max_size=20), JSON, max_size=4), indent=st.sampled_from([None, 2]))
def test_json_is_read_as_json(data: dict[str, object], indent: int | None) -> None:
    assert read(json.dumps(data, indent=indent), "f").data == data


def is_scene_or_scene_error(text: str | bytes) -> None:
    try:
        answer: Scene | SceneError = loads(text, folder=Path(__file__).parent)
    except SceneError as error:
        answer = error
    assert isinstance(answer, Scene) or answer.problems
    assert str(answer).encode("utf-8")


@settings(max_examples=300, deadline=None)
@given(text=st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_at_all_give_a_scene_or_a_scene_error(text: str | bytes) -> None:
    is_scene_or_scene_error(text)


INSERTS = [
    b"\0",
    b"\xff",
    b"&a ",
    b"*a",
    b"!!x ",
    b"<<: ",
    b"[",
    b"]",
    b"{",
    b"}",
    b": ",
    b"- ",
    b"? ",
    b"'",
    b'"',
]
INSERTS += [
    b"\n",
    b"\t",
    b"|",
    b"#",
    b"---\n",
    b"...\n",
    b"%",
    b"@",
    b"\xe2\x80\xa8",
    b"1e999",
    b".nan",
    b"../",
]


@settings(max_examples=500, deadline=None)
@given(scene=st.sampled_from(GOOD), data=st.data())
def test_a_good_scene_with_bytes_changed_gives_a_scene_or_a_scene_error(
    scene: bytes, data: st.DataObject
) -> None:
    text = scene
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        new = data.draw(st.sampled_from(INSERTS) | st.binary(max_size=4) | st.just(text[start:end] * 2))
        text = text[:start] + new + text[end:]
    is_scene_or_scene_error(text)


def places(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(data: object, path: tuple[str | int, ...], value: object) -> object:
    if not path:
        return value
    if isinstance(data, dict):
        return {**data, path[0]: replaced(data[path[0]], path[1:], value)}
    assert isinstance(data, list)
    index = int(path[0])
    return [*data[:index], replaced(data[index], path[1:], value), *data[index + 1 :]]


@settings(max_examples=300, deadline=None)
@given(scene=st.sampled_from(GOOD), data=st.data())
def test_a_good_scene_with_values_changed_gives_a_scene_or_a_scene_error(
    scene: bytes, data: st.DataObject
) -> None:
    tree = read(scene, "f").data
    for _ in range(data.draw(st.integers(1, 3))):
        tree = replaced(tree, data.draw(st.sampled_from(places(tree))), data.draw(JSON))
    is_scene_or_scene_error(json.dumps(tree))
