"""What is recorded how often: 54 pairs of instrument and equipment over 24 songs, some of them rare."""

from typing import NamedTuple

import numpy as np

SONGS = 24
ENGINEERS = ("ada", "bela", "chen", "dora")

DYNAMIC, CONDENSER, DI, DIGITAL = "dynamic", "condenser", "DI", "digital"

COUNTS: dict[str, dict[str, int]] = {
    "kick": {DYNAMIC: 12, CONDENSER: 4, DIGITAL: 3},
    "snare": {DYNAMIC: 14, CONDENSER: 4, DIGITAL: 3},
    "tom": {DYNAMIC: 8, CONDENSER: 3, DIGITAL: 1},
    "floor tom": {DYNAMIC: 6, CONDENSER: 2},
    "hi-hat": {DYNAMIC: 2, CONDENSER: 8, DIGITAL: 2},
    "overhead": {DYNAMIC: 2, CONDENSER: 14},
    "room": {DYNAMIC: 2, CONDENSER: 7},
    "percussion": {DYNAMIC: 4, CONDENSER: 4, DIGITAL: 2},
    "bass guitar": {DI: 11, DYNAMIC: 5, CONDENSER: 1},
    "double bass": {DI: 2, CONDENSER: 4},
    "bass synth": {DI: 3, DIGITAL: 5},
    "electric guitar": {DYNAMIC: 14, CONDENSER: 5, DI: 4, DIGITAL: 2},
    "acoustic guitar": {CONDENSER: 8, DI: 6},
    "piano": {CONDENSER: 6, DI: 2, DIGITAL: 3},
    "electric piano": {DI: 5, DIGITAL: 2},
    "organ": {DI: 3, DYNAMIC: 2},
    "synth": {DI: 6, DIGITAL: 6},
    "strings": {CONDENSER: 4, DIGITAL: 2},
    "brass": {DYNAMIC: 4, CONDENSER: 2},
    "saxophone": {DYNAMIC: 3, CONDENSER: 2},
    "flute": {CONDENSER: 3},
    "vocal": {DYNAMIC: 9, CONDENSER: 7},
    "backing vocal": {DYNAMIC: 5, CONDENSER: 4},
}
"""How often each is recorded in all songs together."""
PAIRS = {(name, kind): count for name, kinds in COUNTS.items() for kind, count in kinds.items()}


class Recording(NamedTuple):
    """A track that is to be made; `take` counts those of one instrument in one song from 1."""

    instrument: str
    equipment: str
    take: int

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.instrument} {self.equipment} {self.take}".replace(" ", "_")


def plan(rng: np.random.Generator, songs: int = SONGS) -> list[list[Recording]]:
    """Return what is recorded in each song: a pair that is common comes twice in some, like a guitar played double."""
    chosen: list[list[tuple[str, str]]] = [[] for _ in range(SONGS)]
    for pair, count in PAIRS.items():
        sizes = []
        while count > 0:
            size = min(count, 2 if rng.random() < 0.4 else 1)
            sizes.append(size)
            count -= size
        fullness = np.array([len(song) for song in chosen]) + rng.uniform(0.0, 4.0, SONGS)
        for song, size in zip(np.argsort(fullness), sizes, strict=False):
            chosen[int(song)] += [pair] * size
    made = []
    for song_pairs in chosen[:songs]:
        takes: dict[str, int] = {}
        recordings = []
        for instrument, equipment in song_pairs:
            takes[instrument] = takes.get(instrument, 0) + 1
            recordings.append(Recording(instrument, equipment, takes[instrument]))
        made.append(recordings)
    return made
