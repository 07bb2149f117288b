"""What the pictures of a mix show, as plain numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PlacedSound:
    """One event of a track.

    `envelope` is float32 `[n]`, the peaks of n equal parts of its length, 0 to 1, fades included. `dominant_hz` is
    where its energy is greatest, 0 if unknown. One that `goes_on` joins the one before, as the rounds of a loop do.
    `note` says what was done to place it; empty for nothing.
    """

    start_s: float
    length_s: float
    fade_in_s: float
    fade_out_s: float
    envelope: Array
    dominant_hz: float
    goes_on: bool = False
    note: str = ""


@dataclass(frozen=True, eq=False)
class Lane:
    """One track: its sounds, and float32 `[rows, 25]`, the deepest cut in every band over each row's time, dB <= 0.

    `importance` is None for the atmosphere.
    """

    name: str
    importance: float | None
    level_db: float
    reduction_db: float
    sounds: tuple[PlacedSound, ...]
    cut_db: Array


@dataclass(frozen=True, eq=False)
class MixPicture:
    """A render as it is drawn.

    `spectrum_db` is float32 `[columns, len(frequencies_hz)]`, dBFS, at equal steps over `length_s`; `band_edges_hz`
    are the 26 edges of the bands of the cuts.
    """

    title: str
    length_s: float
    lanes: tuple[Lane, ...]
    spectrum_db: Array
    frequencies_hz: Array
    band_edges_hz: Array
