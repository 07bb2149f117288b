"""Names for sounds by what they are taken for: `guitar-1.wav` instead of `track 7.wav`."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import RoomtoneError
from engine.learn.mix_settings import UNKNOWN, MixSettings, Name

Hearing = Callable[[Path], MixSettings]
Progress = Callable[[str, int, int], None]

LEAST_CONFIDENCE = 0.5
"""A name that is less probable than this is not given."""

SIDECARS = (".yaml", ".credit.txt")
"""What may lie beside a sound under its name and goes with it."""

_GENERIC = re.compile(
    r"((new|audio|stereo|mono)[ _.-]*)?"
    r"(track|trk|audio|untitled|unnamed|recording|record|rec|take|channel|chan|ch|input|in|file|sound|sample|stem|clip"
    r"|wav|voice memo|memo|zoom|tascam|dr|tr|ste|stereo|mono|noname|unknown|region|bounce|export)?"
    r"[ _.#()-]*(\d[\d _.#()-]*)?(lr|ms|xy|l|r|mono|stereo)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Renaming:
    """One sound and its sidecars, by their names in the folder, each (old, new); and why it is called that."""

    moves: tuple[tuple[str, str], ...]
    taken_for: str
    confidence: float
    source: str

    @property
    def old(self) -> str:
        """The name of the sound as it is."""
        return self.moves[0][0]

    @property
    def new(self) -> str:
        """The name it is to have."""
        return self.moves[0][1]


@dataclass
class Labels:
    """What is to be renamed in a folder, and what is left as it is, each with the reason."""

    renamings: list[Renaming] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


def is_generic(stem: str) -> bool:
    """Return whether a name without its ending says nothing: `track1`, `Audio 3`, `07`, `new recording`."""
    return _GENERIC.fullmatch(unicodedata.normalize("NFC", stem).strip()) is not None


def find_labels(
    folder: Path,
    sounds: Sequence[Path],
    hear: Hearing,
    *,
    every_name: bool = False,
    progress: Progress | None = None,
) -> Labels:
    """Return new names for those of `sounds`, all in `folder`, that have a generic name, or for all of them.

    `hear` returns what a sound is taken for; a RoomtoneError of it leaves the sound as it is. Nothing is renamed here.
    No new name is one that something in the folder has, under any ending.
    """
    labels = Labels()
    there = [entry.name for entry in folder.iterdir()]
    taken = {_stem_key(name) for name in there}
    shared = _shared_stems(sounds)
    wanted: dict[str, list[tuple[Path, Name]]] = {}
    ordered = sorted(sounds, key=lambda path: natural(path.name))
    for done, sound in enumerate(ordered):
        if progress:
            progress(sound.name, done, len(ordered))
        found = _told(sound, hear, every_name, shared)
        if isinstance(found, str):
            labels.left.append((sound.name, found))
            continue
        name, taken_for = found
        if re.fullmatch(rf"{re.escape(name)}(-\d+)?", sound.stem):
            labels.left.append((sound.name, "is called so already"))
            continue
        wanted.setdefault(name, []).append((sound, taken_for))
    for name, together in wanted.items():
        stems = _free_stems(name, len(together), taken)
        for (sound, taken_for), stem in zip(together, stems, strict=True):
            moves = [(sound.name, stem + sound.suffix)]
            moves += [(sound.stem + end, stem + end) for end in SIDECARS if sound.stem + end in there]
            labels.renamings.append(
                Renaming(tuple(moves), taken_for.value, taken_for.confidence, taken_for.source)
            )
    labels.renamings.sort(key=lambda renaming: natural(renaming.old))
    return labels


def _told(sound: Path, hear: Hearing, every_name: bool, shared: Mapping[str, str]) -> str | tuple[str, Name]:
    """Return the name a sound is to have and what it is taken for, or why it is left as it is."""
    if not every_name and not is_generic(sound.stem):
        return "has a name of its own; --all renames it too"
    if sound.is_symlink() or not sound.is_file():
        return "is not a regular file"
    if sound.stem in shared:
        return f"shares its name with {shared[sound.stem]}, and so what lies beside it"
    try:
        heard = hear(sound)
    except RoomtoneError as error:
        return str(error)
    taken_for = next((n for n in (heard.instrument, heard.family) if _sure(n)), None)
    if taken_for is None:
        return _unsure(heard)
    parts = [taken_for.value, heard.equipment.value if _sure(heard.equipment) else ""]
    name = "_".join(filter(None, map(slug, parts)))
    return (name, taken_for) if name else f'"{taken_for.value}" makes no file name'


def _sure(name: Name) -> bool:
    return name.value != UNKNOWN and name.confidence >= LEAST_CONFIDENCE


def _unsure(heard: MixSettings) -> str:
    best = next((n for n in (heard.instrument, heard.family) if n.candidates or n.value != UNKNOWN), None)
    if best is None:
        return "nothing is known of it"
    value, confidence = best.candidates[0] if best.candidates else (best.value, best.confidence)
    return f"perhaps {value}, at {100 * confidence:.0f} %; {100 * LEAST_CONFIDENCE:.0f} % are needed"


def _shared_stems(sounds: Sequence[Path]) -> dict[str, str]:
    """Return the stems that several sounds have, with the names of them all."""
    by_stem: dict[str, list[str]] = {}
    for sound in sounds:
        by_stem.setdefault(sound.stem, []).append(sound.name)
    return {stem: " and ".join(sorted(names)) for stem, names in by_stem.items() if len(names) > 1}


def _free_stems(name: str, count: int, taken: set[str]) -> Iterator[str]:
    """Yield `count` stems that are not taken: the name itself for a single one, else numbered from 1."""
    if count == 1 and name not in taken:
        taken.add(name)
        yield name
        return
    number = 0
    for _ in range(count):
        number += 1
        while f"{name}-{number}" in taken:
            number += 1
        taken.add(f"{name}-{number}")
        yield f"{name}-{number}"


def _stem_key(name: str) -> str:
    """Return what no new name may be equal to: not only on file systems that tell no case, and under no ending."""
    return unicodedata.normalize("NFC", name).casefold().split(".")[0]


def slug(text: str) -> str:
    """Return text as it stands in a name: lower case, words joined by `_`, as labels are read from names."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts `track2` before `track10`."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
