"""Recordings whose names say their family: Debian's `sonic-pi-samples`. For the report, never for a choice."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.model.clip import RATE, Clip
from engine.media.decode import decode

FOLDER = Path("/usr/share/sonic-pi/samples")

PATTERNS = (
    ("kick", r"bd_|drum_(heavy_kick|bass_)|elec_.*kick"),
    ("snare", r"sn_|drum_snare|elec_.*snare"),
    ("hat", r"drum_(cymbal|splash)|elec_cymbal"),
    ("percussion", r"perc_|tabla_|drum_(tom|cowbell)"),
    ("bass", r"bass_"),
    ("plucked", r"guit_"),
    ("ambience", r"ambi_"),
)


def family_of(name: str) -> str | None:
    """Return the family that a file's name says, None where it says none."""
    return next((family for family, pattern in PATTERNS if re.match(pattern, name)), None)


def clips() -> Iterator[Clip]:
    """Yield every recording with a family, a group each."""
    for path in sorted(FOLDER.glob("*.flac")):
        family = family_of(path.stem)
        if family is not None:
            samples = decode(path, RATE).mean(axis=1, keepdims=True)
            yield Clip(family, path.stem, np.ascontiguousarray(samples, np.float32))
