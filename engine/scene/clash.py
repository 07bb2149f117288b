"""How much sounds that overlap hide of each other, known from their energies before anything is mixed.

Time is cut into cells of a tenth of a second or more. What hides a sound is the excitation of all others in a cell,
less the masking offset (`dsp.bark`). In band b, of a sound with the energy E under the threshold T of the others, the
share T / (T + E) is hidden: all of what is far below the threshold, half at it. Of a sound only its dominant bands
count, those within 10 dB of its strongest specific loudness, each by its specific loudness.

What atmosphere and loops hide of a sound they hide wherever it lies: it is left out, and only what other events hide
beyond that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.bark import masking_offset_db, spreading_matrix
from dsp.perceived_loudness import EXPONENT, LOUDNESS_BANDS, specific_loudness

Floats = NDArray[np.float64]
Bands = NDArray[np.float64]
"""float64 `[24]`, mean squares; full scale 1.0."""

CELL_S = 0.1
MOST_CELLS, FEWEST_CELLS = 2048, 64
MOST_ROWS = 200_000
"""Cells times events, about: with many events the cells are longer."""

DOMINANT_DB = 10.0
LEAST_WEIGHT = 0.1
"""What a sound of importance 0 counts, before all weights are brought to 1 for importance 1."""

_SPREAD = spreading_matrix()[:LOUDNESS_BANDS, :LOUDNESS_BANDS]
_OFFSET = 10.0 ** (-0.1 * masking_offset_db()[:LOUDNESS_BANDS])


def weight_of(importance: float) -> float:
    """Return what is hidden of a sound counts for, 0.09 to 1."""
    return (importance + LEAST_WEIGHT) / (1.0 + LEAST_WEIGHT)


def threshold(bands: Bands) -> Bands:
    """Return float64 `[24]`, the energy that `bands` just hide."""
    masked: Bands = _OFFSET * (_SPREAD @ bands)
    return masked


def dominance(bands: Bands) -> Bands:
    """Return float64 `[24]`, what each band counts of a sound: 0 where it is not dominant, together 1."""
    specific = specific_loudness(bands)
    most = float(specific.max())
    if most <= 0.0:
        return np.full(LOUDNESS_BANDS, 1.0 / LOUDNESS_BANDS)
    counted = np.where(specific >= most * 10.0 ** (-0.1 * EXPONENT * DOMINANT_DB), specific, 0.0)
    shares: Bands = counted / counted.sum()
    return shares


@dataclass(frozen=True, eq=False)
class Sounding:
    """Something that sounds: its energy at its level, when, and what it counts for; `steady` if it is always there."""

    bands: Bands
    weight: float
    start_frame: int
    frames: int
    steady: bool = False


@dataclass(frozen=True, eq=False)
class Meeting:
    """What a sound has with one other: its share of the clash, and float64 `[24]`, where."""

    other: int
    clash: float
    bands: Bands


class Clashes:
    """All that sounds up to `end_frame`, and what a further sound would hide of it, and it of that sound.

    Sounds have numbers, in the order in which they are added.
    """

    def __init__(self, end_frame: int, rate_hz: int, events: int) -> None:
        most = min(MOST_CELLS, max(FEWEST_CELLS, MOST_ROWS // max(1, events)))
        self._cell_frames = max(1, round(CELL_S * rate_hz), -(-end_frame // most))
        self.cells = max(1, -(-end_frame // self._cell_frames))
        self._total = np.zeros((self.cells, LOUDNESS_BANDS))
        self._steady = np.zeros(LOUDNESS_BANDS)
        self._sounds: list[Sounding] = []
        self._whole: list[Bands] = []
        self._bands = np.zeros((0, LOUDNESS_BANDS))
        self._masks = np.zeros((0, LOUDNESS_BANDS))
        self._shares = np.zeros((0, LOUDNESS_BANDS))
        self._own_steady = np.zeros((0, LOUDNESS_BANDS))
        self._rows: tuple[NDArray[np.int64], NDArray[np.int64], Floats] | None = None

    def bed(self, bands: Bands) -> None:
        """Add what is always there and of which nothing counts as hidden: the atmosphere."""
        self._steady += threshold(bands)

    def add(self, sounds: Sequence[Sounding]) -> None:
        """Add sounds."""
        if not sounds:
            return
        masks = np.array([threshold(s.bands) for s in sounds])
        steady = np.array([s.steady for s in sounds])[:, None]
        self._sounds += sounds
        self._whole += [s.bands for s in sounds]
        self._bands = np.concatenate([self._bands, [s.bands for s in sounds]])
        self._masks = np.concatenate([self._masks, masks])
        self._shares = np.concatenate([self._shares, [dominance(s.bands) for s in sounds]])
        self._own_steady = np.concatenate([self._own_steady, np.where(steady, masks, 0.0)])
        self._rows = None
        for sound, mask in zip(sounds, masks, strict=True):
            self._spread(sound, mask)

    def replace(self, number: int, bands: Bands) -> None:
        """Give a sound that is not steady other energies: it was turned down, or filtered."""
        sound = self._sounds[number]
        self._spread(sound, threshold(bands) - self._masks[number])
        self._sounds[number] = Sounding(bands, sound.weight, sound.start_frame, sound.frames)
        self._bands[number], self._masks[number] = bands, threshold(bands)
        self._shares[number] = dominance(bands)

    def remove(self, number: int) -> None:
        """Have a sound that is not steady hide nothing any more, and nothing hide it."""
        self.replace(number, np.zeros(LOUDNESS_BANDS))

    def _spread(self, sound: Sounding, mask: Bands) -> None:
        if sound.steady:
            self._steady += mask
            return
        cells, cover = self.covered(sound.start_frame, sound.frames)
        self._total[cells] += cover[:, None] * mask

    def covered(self, start_frame: int, frames: int) -> tuple[slice, Floats]:
        """Return the cells a sound lies in, and which share of each it fills."""
        length = self._cell_frames
        first = min(self.cells - 1, start_frame // length)
        last = min(self.cells, max(first + 1, -(-(start_frame + frames) // length)))
        edges = np.arange(first, last + 1) * length
        filled = np.minimum(edges[1:], start_frame + frames) - np.maximum(edges[:-1], start_frame)
        return slice(first, last), np.maximum(filled, 1) / length

    def _table(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Return (cell, sound, cover) of every sound in every cell, in the order of the cells."""
        if self._rows is None:
            places = [
                (slice(0, self.cells), np.ones(self.cells))
                if s.steady
                else self.covered(s.start_frame, s.frames)
                for s in self._sounds
            ]
            none = np.zeros(0, np.int64)
            cell = np.concatenate([none, *(np.arange(c.start, c.stop) for c, _ in places)])
            sound = np.repeat(np.arange(len(places)), [len(cover) for _, cover in places])
            cover = np.concatenate([np.zeros(0), *(cover for _, cover in places)])
            order = np.argsort(cell, kind="stable")
            self._rows = cell[order], sound[order], cover[order]
        return self._rows

    def by_cell(
        self,
        bands: Bands,
        weight: float,
        within: slice | None = None,
        but: int = -1,
        whole: Bands | None = None,
    ) -> Floats:
        """Return float64 `[cells]`, the clash of a sound in every cell of `within`, as if number `but` were not there.

        It is what would be hidden of the sound and, because of it, of the others, each by its weight. Of what is
        hidden anyway only as much is left out as was of the `whole` sound, before it was turned down or filtered.
        """
        within = slice(0, self.cells) if within is None else within
        total = self._without(but, within)
        clash = weight * (self._hidden(bands, total, whole) @ dominance(bands))
        cell, sound, cover, more = self._harm(threshold(bands), within, but, total)
        if len(cell):
            harm = np.array([s.weight for s in self._sounds])[sound] * cover * more.sum(axis=1)
            clash += np.bincount(cell - within.start, harm, within.stop - within.start)
        return clash

    def clash(
        self,
        bands: Bands,
        weight: float,
        start_frame: int,
        frames: int,
        but: int = -1,
        whole: Bands | None = None,
    ) -> float:
        """Return the mean clash of a sound over the time it sounds."""
        within, cover = self.covered(start_frame, frames)
        return float(cover @ self.by_cell(bands, weight, within, but, whole) / cover.sum())

    def clash_of(self, number: int, bands: Bands | None = None) -> float:
        """Return the mean clash of a sound that is there, or of one with other energies in its place."""
        s = self._sounds[number]
        heard = s.bands if bands is None else bands
        return self.clash(heard, s.weight, s.start_frame, s.frames, number, self._whole[number])

    def worst(
        self, bands: Bands, weight: float, start_frame: int, frames: int, but: int = -1
    ) -> Meeting | None:
        """Return with which other sound a sound clashes most; None if it meets no other."""
        within, own_cover = self.covered(start_frame, frames)
        total = self._without(but, within)
        cell, sound, cover, more = self._harm(threshold(bands), within, but, total)
        if not len(cell):
            return None
        share = own_cover[cell - within.start] * cover / own_cover.sum()
        parts = np.zeros((len(self._sounds), LOUDNESS_BANDS))
        weights = np.array([s.weight for s in self._sounds])
        np.add.at(parts, sound, (weights[sound] * share)[:, None] * more)
        alone = self._hidden(bands, self._masks) * dominance(bands)
        lengths = np.bincount(sound, share, len(self._sounds))
        steady = np.array([s.steady for s in self._sounds])
        parts += np.where(steady, 0.0, weight * lengths)[:, None] * alone
        other = int(np.argmax(parts.sum(axis=1)))
        return Meeting(other, float(parts[other].sum()), parts[other])

    def sound(self, number: int) -> Sounding:
        """Return a sound that was added."""
        return self._sounds[number]

    def _without(self, but: int, within: slice) -> Floats:
        total = self._total[within].copy()
        if but >= 0 and not self._sounds[but].steady:
            cells, cover = self.covered(self._sounds[but].start_frame, self._sounds[but].frames)
            first, last = max(cells.start, within.start), min(cells.stop, within.stop)
            if first < last:
                part = cover[first - cells.start : last - cells.start, None] * self._masks[but]
                total[first - within.start : last - within.start] -= part
        return np.maximum(total, 0.0)

    def _hidden(self, bands: Bands, masks: Floats, whole: Bands | None = None) -> Floats:
        """Return `[n, 24]`, what `masks` hide of a sound in every band beyond what is hidden anyway."""
        under = np.maximum(self._steady + masks, 1e-30)
        steady = np.maximum(self._steady, 1e-30)
        hidden: Floats = under / (under + bands) - steady / (steady + (bands if whole is None else whole))
        return hidden

    def _harm(
        self, mask: Bands, within: slice, but: int, total: Floats
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
        """Return (cell, sound, cover, `[n, 24]` what `mask` hides of it besides what is hidden already)."""
        cell, sound, cover = self._table()
        low, high = np.searchsorted(cell, [within.start, within.stop])
        cell, sound, cover = cell[low:high], sound[low:high], cover[low:high]
        if but >= 0:
            others = sound != but
            cell, sound, cover = cell[others], sound[others], cover[others]
        own = self._own_steady[sound]
        moving = np.where(own.any(axis=1), 0.0, cover)[:, None] * self._masks[sound]
        before = np.maximum(total[cell - within.start] + self._steady - own - moving, 1e-30)
        after = before + mask
        bands = self._bands[sound]
        more: Floats = self._shares[sound] * (after / (after + bands) - before / (before + bands))
        return cell, sound, cover, more
