"""The sound for a label that names none: the library's, a procedural one, or the nearest there is.

The order is fixed, so that the same library, scene and seed give the same sounds:

1  a file of that very label or synonym
2  the procedural sound of that label
3  what is nearest in the taxonomy: towards what the label is a kind of, breadth first, up to four steps, or towards its
   kinds; a file before a procedural sound that is as near

Among files the score decides, and the seed among equal scores. It is 1, less 0.2 for each step up and 0.15 for each
step down, with 0.03 for the very words of the label and up to 0.1 for quality. A file of step 1 is above all others
whatever its quality.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from engine.scene.feature_store import FeatureStore
from engine.scene.labels import Words, parts, words
from engine.scene.library import Entry, Library, read_library
from engine.scene.sounds import FileSound, Found, SynthSound, find_synth
from engine.scene.taxonomy import Role, Step, Taxonomy, taxonomy

UP, DOWN, TITLE, QUALITY = 0.2, 0.15, 0.03, 0.1
"""What a step up and a step down cost, and what the same words and the best quality earn."""
DIGITS = 3
"""Scores that are equal to so many decimals are equal."""

RATING, DOWNLOADS, FIT = 0.5, 0.15, 0.35
"""The parts of quality."""
MEAN_RATING, MEAN_VOTES = 3.5, 5
"""What a sound without ratings counts as, and how many votes that is worth: one vote of 5 must not win."""
MOST_DOWNLOADS = 1e6
UNKNOWN_FIT = 0.5

OBJECT_S, ATMO_S = (0.3, 15.0), 20.0
"""Lengths that suit an event, and the least that suits a bed."""
DRY_RT60_S = 0.488
"""Above this a recording brings a room of its own."""
WRONG = 0.5
"""How much a fault of its length, its events or its room leaves of the fit."""

FindSynth = Callable[[str], str | None]
FeaturesOf = Callable[[Iterable[Entry]], dict[Path, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Match:
    """A file that may stand for a label: the labels on the way to it, its steps up and down, score and reasons."""

    entry: Entry
    way: tuple[str, ...]
    up: int
    down: int
    score: float
    why: tuple[str, ...]

    @property
    def distance(self) -> int:
        """How many steps it is away."""
        return self.up + self.down


class Finder:
    """Finds sounds for labels in the folders of a library, which it looks at once, and among the procedural sounds."""

    def __init__(
        self,
        folders: Sequence[Path],
        seed: int = 0,
        *,
        find: FindSynth = find_synth,
        known: Taxonomy | None = None,
        features: FeaturesOf | None = None,
    ) -> None:
        self.folders = tuple(folders)
        self.seed = seed
        self._find = find
        self._known = known
        self._features = features

    @cached_property
    def library(self) -> Library:
        """What lies in the folders."""
        return read_library(self.folders)

    @property
    def labels(self) -> list[str]:
        """The labels of all files, in the order of the files."""
        return list(dict.fromkeys(entry.label for entry in self.library.entries if entry.label))

    @property
    def taxonomy(self) -> Taxonomy:
        """What is a kind of what."""
        return taxonomy() if self._known is None else self._known

    def choose(self, label: str, *, loops: bool = False) -> FileSound | SynthSound | None:
        """Return the sound for `label`, with how it was found; None if there is nothing near.

        One that `loops` should be long. A procedural sound of that very label has nothing to tell.
        """
        matches = self.matches(label, loops=loops)
        if matches and matches[0].distance == 0:
            return self._take(label, matches)
        if (name := self._find(label)) is not None:
            return SynthSound(name)
        near = self._near_synth(label)
        if matches and (near is None or matches[0].distance <= near[1].up):
            return self._take(label, matches)
        if near is None:
            return None
        name, step = near
        way = step.path if step.up else (label,)
        return SynthSound(name, Found(label, f"synth:{name}", way, round(1.0 - UP * step.up, DIGITS)))

    def matches(self, label: str, *, loops: bool = False) -> list[Match]:
        """Return every file that may stand for `label`, the best first, those of equal score by seed.

        What a scan found to be no sound or silent is left out.
        """
        found: dict[Path, tuple[float, _Candidate]] = {}
        for candidate in self._candidates(label) if self.library.entries else ():
            score = 1.0 - UP * candidate.up - DOWN * candidate.down + (TITLE if candidate.title else 0.0)
            before = found.get(candidate.entry.path)
            if before is None or score > before[0]:
                found[candidate.entry.path] = (score, candidate)
        if not found:
            return []
        features = self._known_features([candidate.entry for _, candidate in found.values()])
        node = self.taxonomy.node(words(label))
        role: Role = "atmo" if loops or (node is not None and node.role == "atmo") else "object"
        rated = []
        for path, (score, candidate) in found.items():
            if "fault" in features.get(path, {}):
                continue
            quality, why = _quality(candidate.entry, role, features.get(path, {}))
            entry, way, up, down, title = candidate
            reason = (
                "the same label"
                if title
                else "the same meaning"
                if up + down == 0
                else f"{up} up, {down} down"
            )
            total = round(score + QUALITY * quality, DIGITS)
            rated.append(Match(entry, way, up, down, total, (reason, *why)))
        return sorted(
            rated, key=lambda match: (-match.score, self._draw(label, match.entry), match.entry.path)
        )

    def way(self, label: str) -> tuple[str, ...]:
        """Return the labels that are looked for, nearest first."""
        return tuple(step.node.label for step in self.taxonomy.climb(label))

    def _take(self, label: str, matches: list[Match]) -> FileSound:
        best = matches[0]
        found = Found(label, best.entry.shown, best.way, best.score, best.why)
        return FileSound(best.entry.path, found)

    def _draw(self, label: str, entry: Entry) -> int:
        """Return the lot of a file: its own, so that another file changes the order of no two."""
        keys = [
            self.seed,
            zlib.crc32(label.encode()),
            zlib.crc32(entry.place.encode("utf-8", "surrogatepass")),
        ]
        return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0])

    def _known_features(self, entries: list[Entry]) -> dict[Path, dict[str, Any]]:
        if self._features is not None:
            return self._features(entries)
        from engine.scene.library_features import features_of

        return features_of(FeatureStore(), entries)

    def _near_synth(self, label: str) -> tuple[str, Step] | None:
        """Return the nearest procedural sound, and the step where it is; nothing broad stands for its kinds."""
        for step in self.taxonomy.climb(label):
            if not (step.up and step.node.broad) and (name := self._find(step.node.label)) is not None:
                return name, step
        return None

    @cached_property
    def _index(self) -> "_Index":
        return _Index(self.library.entries, self.taxonomy)

    def _candidates(self, label: str) -> "Iterator[_Candidate]":
        index, meant = self._index, words(label)
        for entry, title in index.named.get(meant, ()):
            yield _Candidate(entry, (label,), 0, 0, title)
        for entry in index.partly.get(meant, ()):
            yield _Candidate(entry, (label, entry.label), 0, 1, False)
        for part in parts(meant):
            for entry, _ in index.named.get(part, ()):
                yield _Candidate(entry, (label, " ".join(part)), 1, 0, False)
        for step in self.taxonomy.climb(label):
            way = step.path if step.up else (label,)
            closed = step.up > 0 and step.node.broad
            most_down = 0 if closed else 1 if step.up else 2
            for entry, down in index.meaning.get(step.node.label, ()):
                if down <= most_down:
                    last = (entry.label,) if down else ()
                    yield _Candidate(entry, way + last, step.up, down, False)
            for kind in self.taxonomy.kinds(step.node, most_down) if most_down else ():
                for entry, down in index.meaning.get(kind.node.label, ()):
                    if kind.up + down <= most_down:
                        last = (entry.label,) if down else ()
                        yield _Candidate(entry, way + kind.path[1:] + last, step.up, kind.up + down, False)


@dataclass(frozen=True, slots=True)
class _Candidate:
    entry: Entry
    way: tuple[str, ...]
    up: int
    down: int
    title: bool

    def __iter__(self) -> Iterator[Any]:
        return iter((self.entry, self.way, self.up, self.down, self.title))


class _Index:
    """Entries by their labels and synonyms, by parts of their labels or tags, and by what they mean."""

    def __init__(self, entries: Iterable[Entry], known: Taxonomy) -> None:
        self.named: dict[Words, list[tuple[Entry, bool]]] = {}
        self.partly: dict[Words, list[Entry]] = {}
        self.meaning: dict[str, list[tuple[Entry, int]]] = {}
        for entry in entries:
            label = words(entry.label)
            tags = [words(tag) for tag in entry.sidecar.tags]
            synonyms = [words(synonym) for synonym in entry.sidecar.synonyms]
            for name in dict.fromkeys((label, *synonyms)):
                if not name:
                    continue
                self.named.setdefault(name, []).append((entry, name == label))
                if (node := known.node(name)) is not None:
                    self.meaning.setdefault(node.label, []).append((entry, 0))
                elif (node := known.nearest(name)) is not None:
                    self.meaning.setdefault(node.label, []).append((entry, 1))
            for part in dict.fromkeys((*parts(label), *tags)):
                self.partly.setdefault(part, []).append(entry)
            for tag in tags:
                if (node := known.node(tag)) is not None:
                    self.meaning.setdefault(node.label, []).append((entry, 1))


def _quality(entry: Entry, role: Role, measured: dict[str, Any]) -> tuple[float, list[str]]:
    """Return how good a file is for the role, 0 to 1, and why; what is not known counts as neither good nor bad."""
    told = entry.sidecar
    votes = 0 if told.rating is None else MEAN_VOTES if told.votes is None else told.votes
    rating = (votes * (told.rating or 0.0) + MEAN_VOTES * MEAN_RATING) / (votes + MEAN_VOTES)
    downloads = min(1.0, math.log10(1 + (told.downloads or 0)) / math.log10(MOST_DOWNLOADS))
    why = [] if told.rating is None else [f"rating {told.rating:g}"]
    why += [] if told.downloads is None else [f"{told.downloads} downloads"]
    fit, reasons = _fit(entry, role, measured)
    return RATING * rating / 5.0 + DOWNLOADS * downloads + FIT * fit, why + reasons


def _fit(entry: Entry, role: Role, measured: dict[str, Any]) -> tuple[float, list[str]]:
    told, why = entry.sidecar, []
    if told.role is not None and told.role != role:
        return 0.0, [f"meant as {told.role}"]
    fit = UNKNOWN_FIT
    if (length_s := measured.get("duration_s")) is not None:
        why.append(f"{length_s:.1f} s")
        if role == "atmo":
            fit = 1.0 if told.loopable else min(1.0, length_s / ATMO_S)
        else:
            fit = 1.0 if OBJECT_S[0] <= length_s <= OBJECT_S[1] else WRONG
            if measured.get("events", 1) != 1:
                fit *= WRONG
                why.append(f"{measured['events']} events")
    elif role == "atmo" and told.loopable:
        fit = 1.0
    rt60_s = measured.get("rt60_s") if told.rt60_s is None else told.rt60_s
    if role == "object" and rt60_s is not None and rt60_s > DRY_RT60_S:
        fit *= WRONG
        why.append(f"reverberant, {rt60_s:g} s")
    return fit, why + (["loopable"] if told.loopable and role == "atmo" else [])
