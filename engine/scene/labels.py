"""What sounds are called: labels as words that compare equal, and the label that the name of a file holds."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePath

from engine.scene.reader import CONTROL

Words = tuple[str, ...]
"""A label as it is compared: in lower case, singular, without separators."""

MAX_LABEL = 64
"""Characters; longer names are cut between two words."""
MAX_WORDS = 8

_IRREGULAR = {
    "leaves": "leaf",
    "wolves": "wolf",
    "knives": "knife",
    "hooves": "hoof",
    "calves": "calf",
    "loaves": "loaf",
    "mice": "mouse",
    "geese": "goose",
    "feet": "foot",
    "children": "child",
    "women": "woman",
    "men": "man",
    "buses": "bus",
    "gases": "gas",
}
_SAME = frozenset(
    ("gas", "bus", "us", "news", "series", "species", "chess", "lens", "tennis", "brass", "bass")
)

NOISE_WORDS = frozenset(
    (
        *(
            "sfx",
            "fx",
            "sound",
            "sounds",
            "soundeffect",
            "effect",
            "effects",
            "recording",
            "recorded",
            "rec",
            "audio",
        ),
        *(
            "sample",
            "samples",
            "clip",
            "track",
            "take",
            "loop",
            "loops",
            "looped",
            "loopable",
            "seamless",
            "oneshot",
        ),
        *(
            "mono",
            "stereo",
            "mix",
            "mixed",
            "edit",
            "edited",
            "final",
            "master",
            "mastered",
            "version",
            "ver",
            "copy",
        ),
        *(
            "wav",
            "flac",
            "mp3",
            "ogg",
            "aiff",
            "aif",
            "hq",
            "lq",
            "preview",
            "khz",
            "hz",
            "bit",
            "free",
            "cc0",
            "ll",
        ),
        *("misc", "various", "untitled", "new"),
    )
)
"""Words in the names of files that do not tell what is heard."""

_NUMBERED = re.compile(r"v?[0-9]+(?:st|nd|rd|th|k|khz|hz|bit|b|bpm|s|sec|m|min|db)?|[0-9]+(?:\.[0-9]+)?")
_FREESOUND = re.compile(r"^[0-9]+__.+?__(?=.)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=[0-9])")
_BAD = re.compile(f"[{CONTROL}\ud800-\udfff]")


@lru_cache(maxsize=1 << 16)
def words(label: str) -> Words:
    """Return the words of a label as they are compared: "Church_Bells" is `("church", "bell")`."""
    plain = unicodedata.normalize("NFKC", label[: 4 * MAX_LABEL]).casefold()
    return tuple(_singular(word) for word in re.findall(r"[^\W_]+", plain.replace("'", "").replace("’", "")))


def label_of(path: PurePath) -> str:
    """Return the label in the name of a sound file: `dog_bark-03.wav` is "dog bark"; "" if it holds none.

    Numbers, separators, what Freesound puts before names, and words such as "loop" or "stereo" are left out. A name
    without any other word is taken from the folder.
    """
    return _label(path.stem) or _label(path.parent.name)


def parts(label: Words) -> Iterator[Words]:
    """Yield the ends of a label, then its beginnings, the longest first: an old iron gate is an iron gate is a gate."""
    for first in range(1, len(label)):
        yield label[first:]
    for last in range(len(label) - 1, 0, -1):
        yield label[:last]


def _label(name: str) -> str:
    name = _BAD.sub("", unicodedata.normalize("NFC", name[:1024].encode("utf-8", "ignore").decode()))
    spaced = _CAMEL.sub(" ", _FREESOUND.sub("", name))
    found = [word.lower() for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)?", spaced)]
    told = [word for word in found if not _NUMBERED.fullmatch(word) and word not in NOISE_WORDS]
    # A single letter left of a number or a camel's hump names nothing.
    told = [word for word in told if len(word) > 1][:MAX_WORDS]
    while told and len(" ".join(told)) > MAX_LABEL:
        told.pop()
    return " ".join(told)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word in _SAME or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    return word[:-1]
