"""The taxonomy: what is shipped is whole, and the way up ends wherever it leads."""

import itertools
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import presets
from dsp.synth import SOUNDS, find
from engine.errors import SceneError
from engine.scene.labels import words
from engine.scene.taxonomy import MOST_UP, Node, Taxonomy, load_taxonomy, taxonomy

RAW = yaml.safe_load(presets.taxonomy_path().read_text("utf-8"))["nodes"]
PARENTS = {row["label"]: row.get("parents", []) for row in RAW}


def test_fewer_nodes_are_shipped_than_the_readme_says() -> None:
    """250 or more, each with its own label."""
    assert len(RAW) >= 250
    assert len(PARENTS) == len(RAW) == len(taxonomy().nodes)


def test_a_parent_does_not_exist_or_leads_back() -> None:
    assert {parent for parents in PARENTS.values() for parent in parents} <= set(PARENTS)
    left = dict(PARENTS)
    while free := [label for label, parents in left.items() if not set(parents) & set(left)]:
        for label in free:
            del left[label]
    assert not left, "a cycle"


def test_a_word_stands_for_two_things() -> None:
    claimed: dict[tuple[str, ...], str] = {}
    for row in RAW:
        for name in (row["label"], *row.get("synonyms", [])):
            assert claimed.setdefault(words(name), row["label"]) == row["label"], name


def test_a_procedural_sound_cannot_be_reached() -> None:
    """22 of them, each by the label of a node; and every word the procedural library knows is in the taxonomy."""
    reached = {sound.name for label in PARENTS if (sound := find(label)) is not None}
    assert reached == set(SOUNDS)
    assert len(SOUNDS) == 22
    assert not [n for s in SOUNDS.values() for n in (s.name, *s.names) if taxonomy().node(words(n)) is None]


def test_a_gap_is_of_a_bed_or_missing_for_an_event() -> None:
    for row in RAW:
        assert row["role"] == "atmo" if "role" in row else "gap" in row, row["label"]
        assert not ("gap" in row and row.get("role") == "atmo"), row["label"]


def test_the_tiger_does_not_become_an_animal() -> None:
    """tiger -> big cat -> roaring cat -> animal, and on to a root."""
    steps = list(taxonomy().climb("tiger"))
    assert steps[3].path == ("tiger", "big cat", "roaring cat", "animal")
    assert [step.up for step in steps] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("label", "way"),
    [
        ("Maples", ["maple", "broadleaf", "tree"]),
        ("white-tailed deer", ["deer", "hoofed animal"]),
        ("dog_barking", ["dog", "canine"]),
        ("xyzzy", []),
    ],
)
def test_a_label_is_not_understood(label: str, way: list[str]) -> None:
    climbed = [step.node.label for step in taxonomy().climb(label)]
    assert climbed[: len(way)] == way
    assert bool(climbed) == bool(way)


def _shortest(parents: dict[str, list[str]], start: str) -> dict[str, int]:
    """Bellman-Ford, one edge at a time."""
    far = {start: 0}
    for _ in range(len(parents)):
        for label, above in parents.items():
            for parent in above:
                if label in far and parent in parents:
                    far[parent] = min(far.get(parent, 99), far[label] + 1)
    return far


@given(st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=1, max_size=12))
def test_the_way_up_does_not_end_or_is_not_the_shortest(above: list[list[int]]) -> None:
    """Any graph, with cycles and parents that do not exist: 4 steps at most, no node twice, nearest first."""
    names = [f"n{chr(97 + i)}" for i in range(12)]
    parents = {names[i]: [names[j] for j in row] for i, row in enumerate(above)}
    tree = Taxonomy.of(Node(label=label, parents=tuple(row)) for label, row in parents.items())
    steps = list(tree.climb(names[0]))
    far = {label: up for label, up in _shortest(parents, names[0]).items() if up <= MOST_UP}
    assert {step.node.label: step.up for step in steps} == far
    assert len(steps) == len(far)
    assert [step.up for step in steps] == sorted(step.up for step in steps)
    for step in steps:
        assert all(after in parents[before] for before, after in itertools.pairwise(step.path))
    for step in tree.kinds(tree.nodes[names[0]]):
        assert all(before in parents[after] for before, after in itertools.pairwise(step.path))


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("nodes:\n  - {label: a}\n  - {label: b, parents: [c]}\n", 3, 'no node is called "c"'),
        ("nodes:\n  - {label: cat}\n  - {label: dog, synonyms: [Cats]}\n", 3, "stands for cat already"),
        ("nodes:\n  - {label: a, gap: [5, 1]}\n", 2, "gap is 5 to 1"),
        ("nodes:\n  - {label: a}\n  - {label: b, role: bed}\n", 3, "object"),
        ("nodes:\n  - {label: '--'}\n", 2, "holds no word"),
        ("nodes:\n  - &a {label: a}\n", 2, "anchors"),
    ],
)
def test_a_fault_is_not_told_with_its_line(text: str, line: int, what: str, tmp_path: Path) -> None:
    file = tmp_path / "taxonomy.yaml"
    file.write_text(text)
    with pytest.raises(SceneError, match=what) as caught:
        load_taxonomy(file)
    assert caught.value.problems[0].line == line
