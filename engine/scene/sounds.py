"""Sound references: `synth:NAME`, a live input `input:1-2`, or a file below the scene's or a library folder."""

import os
import re
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from engine.errors import Problem, SoundError
from engine.inputs import INPUT_CHANNELS
from engine.scene.reader import CONTROL, shorten

if TYPE_CHECKING:
    from engine.scene.retrieval import Finder

SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff", "aif")
_COMMON = frozenset(
    (
        *("rain", "wind", "stream", "sea", "fire", "thunder", "engine", "car"),
        *("footsteps", "babble", "bird", "crickets", "bell", "clock", "door"),
    )
)

_SYNTH = "synth:"
_INPUT = "input:"
_CONTROL = re.compile(f"[{CONTROL}\ud800-\udfff]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ALLOWED = "must be synth:NAME, input:N or a path below the scene's folder or a library folder"

MOST_LABELS = 2_000
"""Labels of a library that a wrong one is compared with."""

FindSynth = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Found:
    """How a sound was found for a label that names none.

    `place` is what to write as `sound` to have it always; `way` are the labels from the one looked for to the one that
    is found; `why` says in words what the score, 1 and more for the label itself, is made of.
    """

    label: str
    place: str
    way: tuple[str, ...]
    score: float
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it on one line."""
        way = " -> ".join(self.way)
        return f"{way}: {shorten(self.place, 4096)} ({', '.join((*self.why, f'score {self.score:g}'))})"


@dataclass(frozen=True, slots=True)
class SynthSound:
    """A sound the procedural library makes; `found` where the label alone did not name it."""

    name: str
    found: Found | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class FileSound:
    """A sound file: a resolved path to a regular file inside an allowed folder; `found` if a label led to it."""

    path: Path
    found: Found | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class InputSound:
    """What comes in at the audio device: one channel, or two neighbours as left and right, counted from 0."""

    channels: tuple[int, ...]


Sound: TypeAlias = SynthSound | FileSound | InputSound


def input_channels(reference: str | None) -> tuple[int, ...]:
    """The channels, from 0, of a reference without fault; none if it is not a live input."""
    if reference is None or not reference.startswith(_INPUT):
        return ()
    return tuple(int(number) - 1 for number in reference.removeprefix(_INPUT).split("-"))


def synth_names() -> Collection[str]:
    """The names of all procedural sounds."""
    # Imported late here and below: it brings the kernels, which a scene of common sounds need not wait for.
    from dsp.synth import SOUNDS

    return SOUNDS.keys()


def find_synth(label: str) -> str | None:
    """The procedural sound that stands for a label ("dog barking"), or None."""
    if label in _COMMON:
        return label
    from dsp.synth import find

    sound = find(label)
    return None if sound is None else sound.name


def reference_fault(reference: str) -> tuple[str, str] | None:
    """What is wrong with the text of a reference and what is allowed, without looking at the disk."""
    shown = f'sound is "{shorten(reference)}"'
    if found := _CONTROL.search(reference):
        return f"sound holds the character U+{ord(found[0]):04X}", _ALLOWED
    if reference.startswith(_SYNTH):
        if re.fullmatch(r"synth:[a-z][a-z0-9-]{0,31}", reference):
            return None
        return shown, "a procedural sound is written synth:NAME, such as synth:rain"
    if reference.startswith(_INPUT):
        return _input_fault(reference, shown)
    if not reference.strip():
        return "sound is blank", _ALLOWED
    if "\\" in reference:
        return shown, "folders are separated by /"
    if reference.startswith(("/", "~")) or _SCHEME.match(reference):
        return shown, _ALLOWED
    if ".." in reference.split("/"):
        return shown, "a path may not hold `..`"
    if reference.rpartition(".")[2].lower() not in SUFFIXES or not Path(reference).stem.strip("."):
        return shown, "must be a file of type " + ", ".join(SUFFIXES)
    return None


def _input_fault(reference: str, shown: str) -> tuple[str, str] | None:
    written = re.fullmatch(r"input:([0-9]{1,4})(?:-([0-9]{1,4}))?", reference)
    if written is None:
        return shown, "a live input is written input:N, such as input:3, or input:1-2 for stereo"
    first, last = int(written[1]), int(written[2] or written[1])
    if not (1 <= first <= INPUT_CHANNELS and 1 <= last <= INPUT_CHANNELS):
        return shown, f"the channels of the input are 1 to {INPUT_CHANNELS}"
    if written[2] and last != first + 1:
        left = min(first, INPUT_CHANNELS - 1)
        return shown, f"a stereo input is two neighbours, left and right, such as input:{left}-{left + 1}"
    return None


def resolve_sound(
    reference: str,
    scene_folder: Path,
    library: Sequence[Path] = (),
    *,
    names: Collection[str] | None = None,
    field: str = "sound",
) -> Sound:
    """The sound a reference names; the scene's folder is searched first, then the library in its order.

    `names` are the procedural sounds there are; None takes the built-in library's.

    Errors: SoundError naming `field`: bad reference, unknown procedural name, no such file, a link that leads
    outside every folder, or something that is not a regular file.
    """
    if fault := reference_fault(reference):
        raise SoundError(Problem(*fault, field=field))
    if reference.startswith(_SYNTH):
        name = reference.removeprefix(_SYNTH)
        if names is None:
            names = _COMMON if name in _COMMON else synth_names()
        if name not in names:
            raise SoundError(Problem(f'no procedural sound is called "{name}"', _near(name, names), field))
        return SynthSound(name)
    if channels := input_channels(reference):
        return InputSound(channels)
    roots = [Path(os.path.realpath(root)) for root in (scene_folder, *library)]
    for root in roots:
        if (path := _regular_file(root / reference, roots, field)) is not None:
            return FileSound(path)
    where = "looked in the scene's folder" + (" and the library" if library else "")
    raise SoundError(Problem(f'no sound file "{shorten(reference)}"', where, field))


class Lookup:
    """Finds sounds for labels: what the library and the procedural sounds have, or the nearest to it.

    Neither the library is looked at nor the code for it imported before a label needs it.
    """

    def __init__(self, library: Sequence[Path] = (), seed: int = 0, find: FindSynth = find_synth) -> None:
        self.library = tuple(library)
        self._seed = seed
        self._find = find
        self._finder: Finder | None = None

    @property
    def finder(self) -> "Finder":
        """What looks into the library and the taxonomy."""
        if self._finder is None:
            from engine.scene.retrieval import Finder

            self._finder = Finder(self.library, self._seed, find=self._find)
        return self._finder

    def find(self, label: str, loops: bool = False) -> SynthSound | FileSound | None:
        """Return the sound for a label, which may have to be a long one; None if there is nothing near."""
        if not self.library and (name := self._find(label)) is not None:
            return SynthSound(name)
        return self.finder.choose(label, loops=loops)

    def fault(self, label: str, names: Collection[str] | None) -> tuple[str, str]:
        """Return what to say of a label that has no sound, and what would have one."""
        where = (
            "neither the library nor a procedural sound has" if self.library else "no procedural sound has"
        )
        what = f'"{shorten(label)}" has no sound, and {where} that name'
        way = self.finder.way(label)
        if len(way) > 1:
            what += f", nor is there one of what it is near to ({', '.join(way[1:])})"
        labels = self.finder.labels[:MOST_LABELS] if self.library else ()
        return what, f"{_near(label, names, labels)}; or add a `sound`"


def track_sound(
    label: str,
    reference: str | None,
    scene_folder: Path,
    library: Sequence[Path] = (),
    *,
    names: Collection[str] | None = None,
    find: FindSynth = find_synth,
    field: str = "sound",
    lookup: Lookup | None = None,
    loops: bool = False,
) -> Sound:
    """The sound of a track: its reference, or what the library or the procedural sounds have for its label.

    `lookup` saves looking into the library for every track; see `engine.scene.retrieval` for what is chosen.

    Errors: SoundError naming `field`; for a label nothing is near to, with the closest known names.
    """
    if reference is not None:
        return resolve_sound(reference, scene_folder, library, names=names, field=field)
    lookup = Lookup(library, find=find) if lookup is None else lookup
    sound = lookup.find(label, loops)
    if sound is None:
        raise SoundError(Problem(*lookup.fault(label, names), field))
    return sound


def _near(name: str, names: Collection[str] | None, labels: Collection[str] = ()) -> str:
    names = synth_names() if names is None else names
    close = get_close_matches(name.lower(), sorted({*names, *labels}), n=3, cutoff=0.6)
    return "did you mean " + " or ".join(close) + "?" if close else "known are " + ", ".join(sorted(names))


def _regular_file(path: Path, roots: Sequence[Path], field: str) -> Path | None:
    """The resolved path, None if nothing is there. Errors: SoundError if it must not or cannot be used."""
    shown = shorten(path.name)
    try:
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(root) for root in roots):
            raise SoundError(Problem(f'"{shown}" leads outside the scene\'s folder', _ALLOWED, field))
        mode = real.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise SoundError(Problem(f'"{shown}" cannot be read: {reason}', _ALLOWED, field)) from None
    if not stat.S_ISREG(mode):
        raise SoundError(Problem(f'"{shown}" is not a regular file', _ALLOWED, field))
    if not os.access(real, os.R_OK):
        raise SoundError(Problem(f'"{shown}" cannot be read: no permission', _ALLOWED, field))
    return real
