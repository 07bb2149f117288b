"""Which raw and which mixed recording are two versions of one track: by name, or else by how alike they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.pair import MOST_LAG_S, coherence, find_lag
from engine.learn.track_names import GENERIC, key_of, words_of
from engine.media.decode import decode_as_is, resample

Samples = NDArray[np.float32]
Progress = Callable[[str, int, int], None]

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
MOST_FILES = 5_000
LOOK_HZ, LOOK_S = 11_025.0, 20.0
"""What two sounds are compared by: so many seconds from the first that is heard."""
LEAST_ALIKE, CLEARLY = 0.6, 0.1
"""Coherence that makes two sounds a pair, and by how much it must exceed that of any other."""
MOST_COMPARED = 400
"""Pairs of one song."""


@dataclass(frozen=True)
class Stem:
    """A file: of which song, by what name."""

    group: str
    track: str
    path: Path


@dataclass(frozen=True)
class Found:
    """Two files that belong together; `alike` is their coherence if it was not the name that told."""

    raw: Stem
    mixed: Stem
    alike: float | None = None


def list_stems(folder: Path, option: str) -> list[Stem]:
    """Return the sounds in a folder and all below it. Raises InputError if there is none, or more than 5000.

    The first folder below is the song; sounds that lie in none are one song, called as the folder.
    """
    if not folder.is_dir():
        raise InputError(Problem(f"{folder} is no folder", "a folder of sounds", option))
    made = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            group = inside.parts[0] if len(inside.parts) > 1 else song_name(folder)
            own = inside.parts[1:] if len(inside.parts) > 1 else inside.parts
            made.append(Stem(group, "/".join((*own[:-1], path.stem)), path))
        if len(made) > MOST_FILES:
            raise InputError(Problem(f"{folder} holds too many sounds", f"at most {MOST_FILES}", option))
    if not made:
        raise InputError(Problem(f"{folder} holds no sound", ", ".join(SUFFIXES), option))
    return made


def song_name(folder: Path) -> str:
    """Return what the song in a folder is called: the folder, or the one around it if it is only `raw` or `mixed`."""
    folder = folder.resolve()
    plain = all(word in GENERIC or word.isdigit() for word in words_of(folder.name))
    return (folder.parent.name if plain else folder.name) or "song"


def match_stems(
    raw: Sequence[Stem], mixed: Sequence[Stem], progress: Progress | None = None
) -> tuple[list[Found], list[Problem]]:
    """Return which belong together, and why others were left out.

    Songs are brought together by their names, or all are one if there is one of each. In a song equal names decide;
    what is left is compared by ear.
    """
    songs = _songs(raw, mixed)
    found: list[Found] = []
    problems: list[Problem] = []
    for k, (ours, theirs) in enumerate(songs):
        if progress is not None:
            progress("looking for pairs", k, len(songs))
        left, right = _by_name(ours, theirs, found)
        if left and right:
            left, right = _by_ear(left, right, found)
        for stem in left:
            allowed = "one of the same name, or one that is clearly alike"
            problems.append(Problem("there is no mixed version of it", allowed, file=str(stem.path)))
        for stem in right:
            allowed = "one of the same name, or one that is clearly alike"
            problems.append(Problem("there is no raw version of it", allowed, file=str(stem.path)))
    found.sort(key=lambda f: (f.raw.group, f.raw.track))
    return found, problems


def _songs(raw: Sequence[Stem], mixed: Sequence[Stem]) -> list[tuple[list[Stem], list[Stem]]]:
    ours, theirs = _grouped(raw), _grouped(mixed)
    if len(ours) == len(theirs) == 1:
        return [(next(iter(ours.values())), next(iter(theirs.values())))]
    return [(ours.get(key, []), theirs.get(key, [])) for key in sorted({*ours, *theirs})]


def _grouped(stems: Sequence[Stem]) -> dict[str, list[Stem]]:
    made: dict[str, list[Stem]] = {}
    for stem in stems:
        made.setdefault(key_of(stem.group) or stem.group, []).append(stem)
    return made


def _by_name(
    ours: Sequence[Stem], theirs: Sequence[Stem], found: list[Found]
) -> tuple[list[Stem], list[Stem]]:
    """Pair what is called alike and only once on either side; return what is left."""
    left, right = list(ours), list(theirs)
    for name in (lambda s: s.track, lambda s: key_of(s.track), lambda s: key_of(s.path.stem)):
        by_name: dict[str, tuple[list[Stem], list[Stem]]] = {}
        for side, stems in enumerate((left, right)):
            for stem in stems:
                by_name.setdefault(name(stem), ([], []))[side].append(stem)
        for key, (a, b) in by_name.items():
            if key and len(a) == len(b) == 1:
                found.append(Found(a[0], b[0]))
                left.remove(a[0])
                right.remove(b[0])
    return left, right


def _by_ear(left: Sequence[Stem], right: Sequence[Stem], found: list[Found]) -> tuple[list[Stem], list[Stem]]:
    """Pair what is clearly more alike than anything else on either side; return what is left."""
    ours, theirs = list(left), list(right)
    if len(ours) * len(theirs) > MOST_COMPARED:
        return ours, theirs
    a, b = [_look(s.path) for s in ours], [_look(s.path) for s in theirs]
    alike = np.array([[_alike(x, y) for y in b] for x in a])
    pairs = []
    for i, k in np.argwhere(alike >= LEAST_ALIKE):
        rivals = [*np.delete(alike[i], k), *np.delete(alike[:, k], i)]
        if alike[i, k] - max(rivals, default=0.0) >= CLEARLY:
            pairs.append((ours[i], theirs[k], float(alike[i, k])))
    for one, other, value in pairs:
        found.append(Found(one, other, round(value, 3)))
    taken = {stem.path for one, other, _ in pairs for stem in (one, other)}
    return [s for s in ours if s.path not in taken], [s for s in theirs if s.path not in taken]


def _look(path: Path) -> Samples | None:
    """Return a mono excerpt of a sound at 11 kHz, `[frames, 1]`; None for one that cannot be read."""
    try:
        decoded = decode_as_is(path)
    except InputError:
        return None
    most = round((LOOK_S + 10.0) * decoded.rate_hz)
    mono = np.ascontiguousarray(decoded.samples[:most].mean(axis=1, keepdims=True), np.float32)
    return resample(mono, decoded.rate_hz, LOOK_HZ)[: round(LOOK_S * LOOK_HZ)]


def _alike(x: Samples | None, y: Samples | None) -> float:
    if x is None or y is None:
        return 0.0
    lag = find_lag(x, y, LOOK_HZ)
    if abs(lag) > MOST_LAG_S * LOOK_HZ:
        return 0.0
    x, y = x[max(-lag, 0) :], y[max(lag, 0) :]
    frames = min(len(x), len(y))
    return coherence(x[:frames], y[:frames]) if frames >= LOOK_HZ / 4.0 else 0.0
