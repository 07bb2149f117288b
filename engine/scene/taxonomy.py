"""The taxonomy of sounds: what a label means, what that is a kind of, and the way from a sound to the next best one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, ValidationError

import presets
from engine.errors import Problem, SceneError
from engine.scene.files import read_bytes
from engine.scene.labels import MAX_LABEL, Words, parts, words
from engine.scene.reader import Document, field_name, read, shorten
from engine.scene.strict import Part, rule

MOST_UP, MOST_DOWN = 4, 2
"""How far from a label a sound is looked for: towards what it is a kind of, and towards its kinds."""

Role = Literal["object", "atmo"]


def _check_name(name: str) -> str:
    if not words(name):
        raise rule(f'"{shorten(name)}" holds no word', "letters or digits")
    return name


def _check_gap(gap: tuple[float, float]) -> tuple[float, float]:
    if not gap[0] <= gap[1] or gap[1] <= 0.0:
        raise rule(
            f"gap is {gap[0]:g} to {gap[1]:g}", "the minimum may not exceed the maximum, nor both be 0"
        )
    return gap


_Name = Annotated[str, Field(min_length=1, max_length=MAX_LABEL), AfterValidator(_check_name)]
_Names = Annotated[tuple[_Name, ...], Field(strict=False, max_length=64)]
_Seconds = Annotated[float, Field(ge=0.0, le=86_400.0)]
_Gap = Annotated[tuple[_Seconds, _Seconds], Field(strict=False), AfterValidator(_check_gap)]


class Node(Part):
    """One sound by its label, with what else it is called and what it is a kind of, the nearest first.

    `gap` is the silence in seconds that suits it between two events. The kinds of a `broad` one do not stand for one
    another.
    """

    label: _Name
    synonyms: _Names = ()
    parents: _Names = ()
    role: Role = "object"
    gap: _Gap | None = None
    broad: bool = False


class _File(Part):
    nodes: Annotated[tuple[Node, ...], Field(strict=False)]


class Step(NamedTuple):
    """A node on the way up from a label, and all labels on the way to it, its own included."""

    node: Node
    path: tuple[str, ...]

    @property
    def up(self) -> int:
        """How many steps it is away."""
        return len(self.path) - 1


@dataclass(frozen=True)
class Taxonomy:
    """Nodes by label, in the order of the file; `by_words` leads from labels and synonyms to them."""

    nodes: dict[str, Node]
    by_words: dict[Words, Node]
    children: dict[str, tuple[Node, ...]]

    @classmethod
    def of(cls, nodes: Iterable[Node]) -> "Taxonomy":
        """Return a taxonomy; of two nodes that claim a word the first has it, parents that do not exist count not."""
        by_label: dict[str, Node] = {}
        by_words: dict[Words, Node] = {}
        for node in nodes:
            by_label.setdefault(node.label, node)
        for node in by_label.values():
            by_words.setdefault(words(node.label), node)
        for node in by_label.values():
            for name in node.synonyms:
                by_words.setdefault(words(name), node)
        children: dict[str, list[Node]] = {}
        for node in by_label.values():
            for parent in node.parents:
                children.setdefault(parent, []).append(node)
        return cls(by_label, by_words, {label: tuple(kinds) for label, kinds in children.items()})

    def node(self, label: Words) -> Node | None:
        """Return what the label means, by its label or a synonym."""
        return self.by_words.get(label)

    def nearest(self, label: Words) -> Node | None:
        """Return what the longest end of the label means, or else the longest beginning: a red fox is a fox."""
        return next((self.by_words[part] for part in parts(label) if part in self.by_words), None)

    def climb(self, label: str) -> Iterator[Step]:
        """Yield what the label means and then what that is a kind of, breadth first, at most `MOST_UP` steps.

        A label that means nothing as a whole begins with what a part of it means, one step away. No node comes twice,
        so it ends whatever the parents are.
        """
        meant = words(label)
        node = self.node(meant)
        if node is not None:
            frontier = [Step(node, (node.label,))]
        elif (node := self.nearest(meant)) is not None:
            frontier = [Step(node, (label, node.label))]
        else:
            return
        seen = {node.label}
        while frontier:
            yield from frontier
            above = []
            for step in frontier:
                for name in step.node.parents if step.up < MOST_UP else ():
                    if name not in seen and name in self.nodes:
                        seen.add(name)
                        above.append(Step(self.nodes[name], (*step.path, name)))
            frontier = above

    def kinds(self, node: Node, most: int = MOST_DOWN) -> Iterator[Step]:
        """Yield the kinds of a node that have its role, breadth first, with the labels from its own to theirs."""
        frontier, seen = [Step(node, (node.label,))], {node.label}
        for _ in range(most):
            below = []
            for step in frontier:
                for kind in self.children.get(step.node.label, ()):
                    if kind.label not in seen and kind.role == node.role:
                        seen.add(kind.label)
                        below.append(Step(kind, (*step.path, kind.label)))
            yield from below
            frontier = below


@lru_cache(maxsize=1)
def taxonomy() -> Taxonomy:
    """Return the built-in taxonomy. Raises SceneError for a damaged file."""
    return load_taxonomy(presets.taxonomy_path())


def load_taxonomy(path: Path) -> Taxonomy:
    """Return the taxonomy in a file.

    Raises SceneError with every fault: what is not as `Node` says, a word that two nodes claim, a parent that does not
    exist.
    """
    shown = shorten(str(path), 4096)
    document = read(read_bytes(path, shown, "taxonomy"), shown)
    try:
        nodes = _File.model_validate(document.data).nodes
    except ValidationError as error:
        raise SceneError(
            [
                _at(document, fault["loc"], fault["msg"], shown)
                for fault in error.errors(include_url=False)[:100]
            ]
        ) from None
    if faults := list(_faults(nodes, document, shown)):
        raise SceneError(faults)
    return Taxonomy.of(nodes)


def _faults(nodes: tuple[Node, ...], document: Document, file: str) -> Iterator[Problem]:
    labels = {node.label for node in nodes}
    claimed: dict[Words, str] = {}
    for index, node in enumerate(nodes):
        place = ("nodes", index)
        for name in (node.label, *node.synonyms):
            if (other := claimed.setdefault(words(name), node.label)) != node.label:
                yield _at(document, place, f'"{shorten(name)}" stands for {other} already', file)
        for parent in node.parents:
            if parent not in labels:
                yield _at(document, place, f'no node is called "{shorten(parent)}"', file)


def _at(document: Document, place: tuple[str | int, ...], what: str, file: str) -> Problem:
    return Problem(what, "", field_name(place), file, document.line(place))
