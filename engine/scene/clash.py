"""How much sounds that overlap hide of each other, known from their energies before anything is mixed.

Time is cut into cells of a tenth of a second or more. What hides a sound is the excitation of all others in a cell,
less the masking offset (`dsp.bark`). In band b, of a sound with the energy E under the threshold T of the others, the
share T / (T + E) is hidden: all of what is far below the threshold, half at it. Of a sound only its dominant bands
count, those within 10 dB of its strongest specific loudness, each by its specific loudness, and only the cells in which
it is within 35 dB of its loudest. A sound has one spectrum, which rises and falls by its course.

There are two measures. The *cost* of a place is what all sounds lose if a sound lies there, each as a share of its own
time: a short one that is covered loses all of it, a long one little. The *clash* of a sound is how much is hidden while
it sounds.

What atmosphere and loops hide of a sound they hide wherever it lies: it is left out, and only what other events hide
beyond that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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

MOST_EXACT = 80_000
"""Cells times places that are looked at to find one place, about."""

DOMINANT_DB = 10.0
ACTIVE_RANGE_DB = 35.0
"""A sound that is further below its loudest is not there to be hidden."""
LEAST_WEIGHT = 0.1
"""What a sound of importance 0 counts, before all weights are brought to 1 for importance 1."""
CONCERN = 1.5
"""The power of a weight by which it counts what is hidden: one important sound goes before two that are half of it."""

_ACTIVE = 10.0 ** (-0.1 * ACTIVE_RANGE_DB)

_SPREAD = spreading_matrix()[:LOUDNESS_BANDS, :LOUDNESS_BANDS]
_OFFSET = 10.0 ** (-0.1 * masking_offset_db()[:LOUDNESS_BANDS])


def weight_of(importance: float) -> float:
    """Return what a sound counts for, 0.09 to 1."""
    return (importance + LEAST_WEIGHT) / (1.0 + LEAST_WEIGHT)


def concern_of(importance: float) -> float:
    """Return what is hidden of a sound counts for, 0.03 to 1."""
    return float(weight_of(importance) ** CONCERN)


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
    """Something that sounds: its mean energy at its level, when, and what it counts for.

    `steady` is what is always there. `course` is its power over time against the mean, float64 `[n]` of mean 1, in
    equal pieces of `whole_frames`, of which it may be only the beginning; None if it is not known to change. It is that
    `part` of what its track loses, 1 if it is all of it.
    """

    bands: Bands
    weight: float
    start_frame: int
    frames: int
    steady: bool = False
    course: Floats | None = None
    whole_frames: int = 0
    part: float = 1.0


@dataclass(frozen=True, eq=False)
class Meeting:
    """What a sound has with one other: its share of the clash, and float64 `[24]`, where."""

    other: int
    clash: float
    bands: Bands


class _Span(NamedTuple):
    """Where a sound lies: its power in each cell against its mean, and which share of its active time that is."""

    cells: slice
    power: Floats
    share: Floats
    active: float


class _Rows(NamedTuple):
    """Every sound in every cell, in the order of the cells: int64, int64, float64, float64 `[rows]`."""

    cell: NDArray[np.int64]
    sound: NDArray[np.int64]
    power: Floats
    share: Floats

    def where(self, which: slice | NDArray[np.bool_]) -> "_Rows":
        """Return some of the rows."""
        return _Rows(self.cell[which], self.sound[which], self.power[which], self.share[which])


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
        self._spans: list[_Span] = []
        self._bands = np.zeros((0, LOUDNESS_BANDS))
        self._masks = np.zeros((0, LOUDNESS_BANDS))
        self._shares = np.zeros((0, LOUDNESS_BANDS))
        self._is_steady = np.zeros(0, bool)
        self._weights, self._parts, self._active = np.zeros((3, 0))
        none = np.zeros(0, np.int64)
        self._rows = _Rows(none, none, np.zeros(0), np.zeros(0))

    @property
    def rows(self) -> int:
        """How many cells all sounds fill together."""
        return len(self._rows.cell)

    def bed(self, bands: Bands) -> None:
        """Add what is always there and of which nothing counts as hidden: the atmosphere."""
        self._steady += threshold(bands)

    def add(self, sounds: Sequence[Sounding]) -> None:
        """Add sounds."""
        if not sounds:
            return
        first = len(self._sounds)
        spans = [self._span(s) for s in sounds]
        self._sounds += sounds
        self._whole += [s.bands for s in sounds]
        self._spans += spans
        self._bands = np.concatenate([self._bands, [s.bands for s in sounds]])
        self._masks = np.concatenate([self._masks, [threshold(s.bands) for s in sounds]])
        self._shares = np.concatenate([self._shares, [dominance(s.bands) for s in sounds]])
        self._is_steady = np.concatenate([self._is_steady, [s.steady for s in sounds]])
        self._weights = np.concatenate([self._weights, [s.weight for s in sounds]])
        self._parts = np.concatenate([self._parts, [s.part for s in sounds]])
        self._active = np.concatenate([self._active, [span.active for span in spans]])
        for number in range(first, len(self._sounds)):
            self._mask(number, self._masks[number])
        self._insert(self._rows, range(first, len(self._sounds)))

    def move(self, number: int, start_frame: int, frames: int) -> None:
        """Have a sound that is not steady lie elsewhere."""
        self._mask(number, -self._masks[number])
        self._sounds[number] = replace(self._sounds[number], start_frame=start_frame, frames=frames)
        self._spans[number] = self._span(self._sounds[number])
        self._active[number] = self._spans[number].active
        self._mask(number, self._masks[number])
        self._insert(self._rows.where(self._rows.sound != number), [number])

    def replace(self, number: int, bands: Bands) -> None:
        """Give a sound that is not steady other energies: it was turned down, or filtered."""
        mask = threshold(bands)
        self._mask(number, mask - self._masks[number])
        self._sounds[number] = replace(self._sounds[number], bands=bands)
        self._bands[number], self._masks[number] = bands, mask
        self._shares[number] = dominance(bands)

    def remove(self, number: int) -> None:
        """Have a sound that is not steady hide nothing any more, and nothing hide it."""
        self.replace(number, np.zeros(LOUDNESS_BANDS))

    def _insert(self, rows: _Rows, numbers: Sequence[int]) -> None:
        spans = [self._spans[n] for n in numbers]
        cell = np.concatenate([rows.cell, *(np.arange(s.cells.start, s.cells.stop) for s in spans)])
        sound = np.concatenate([rows.sound, np.repeat(numbers, [len(s.power) for s in spans])])
        power = np.concatenate([rows.power, *(s.power for s in spans)])
        share = np.concatenate([rows.share, *(s.share for s in spans)])
        order = np.lexsort([sound, cell])
        self._rows = _Rows(cell[order], sound[order], power[order], share[order])

    def _mask(self, number: int, mask: Bands) -> None:
        if self._is_steady[number]:
            self._steady += mask
            return
        span = self._spans[number]
        self._total[span.cells] += span.power[:, None] * mask

    def covered(self, start_frame: int, frames: int) -> tuple[slice, Floats]:
        """Return the cells a sound lies in, and which share of each it fills."""
        length = self._cell_frames
        first = min(self.cells - 1, start_frame // length)
        last = min(self.cells, max(first + 1, -(-(start_frame + frames) // length)))
        edges = np.arange(first, last + 1) * length
        filled = np.minimum(edges[1:], start_frame + frames) - np.maximum(edges[:-1], start_frame)
        return slice(first, last), np.maximum(filled, 1) / length

    def _span(self, sound: Sounding) -> _Span:
        if sound.steady:
            every = np.ones(self.cells)
            return _Span(slice(0, self.cells), every, every / self.cells, float(self.cells))
        cells, cover = self.covered(sound.start_frame, sound.frames)
        if sound.course is None:
            return _Span(cells, cover, cover / cover.sum(), float(cover.sum()))
        edges = np.arange(cells.start, cells.stop + 1) * self._cell_frames - sound.start_frame
        pieces = np.clip(edges, 0, sound.frames) * (len(sound.course) / sound.whole_frames)
        sums = np.concatenate([[0.0], np.cumsum(sound.course)])
        energy = np.diff(np.interp(pieces, np.arange(len(sums)), sums))
        power = energy * (sound.whole_frames / len(sound.course) / self._cell_frames)
        level = power / cover
        here = np.where((level > 0.0) & (level >= _ACTIVE * level.max()), cover, 0.0)
        active = max(float(here.sum()), 1e-9)
        return _Span(cells, power, here / active, active)

    def costs(self, sound: Sounding, places: Sequence[tuple[int, int]], but: int = -1) -> Floats:
        """Return float64 `[n]`, the cost of a sound at each of `places`, (start, length) in frames.

        Where much sounds it is infinite for all but the most promising.
        """
        there = [replace(sound, start_frame=start, frames=frames) for start, frames in places]
        exact = max(1, MOST_EXACT // max(1, self.rows))
        likely = np.arange(len(there))
        if exact < len(there):
            likely = np.argsort(self._about(there, but), kind="stable")[:exact]
        found = np.full(len(there), np.inf)
        for place in likely:
            found[place] = self.cost(there[place], but)
        return found

    def _about(self, places: Sequence[Sounding], but: int) -> Floats:
        """Return float64 `[n]`, about the cost of a sound at each of its places.

        What it hides is reckoned as if it were on or off, at its mean while it is active.
        """
        total = self._without(but, slice(0, self.cells))
        spans = [self._span(sound) for sound in places]
        on = float(spans[0].power[spans[0].share > 0.0].sum()) / spans[0].active
        mask, always = on * threshold(places[0].bands), np.ones(self.cells)
        rows, more = self._harm(mask, always, slice(0, self.cells), but, total)
        lost = self._weights[rows.sound] * self._parts[rows.sound] * rows.share * more.sum(axis=1)
        harm = np.bincount(rows.cell, lost, self.cells)
        found = []
        for sound, span in zip(places, spans, strict=True):
            hidden = self._hidden(sound.bands, span.power, total[span.cells]) @ dominance(sound.bands)
            own = sound.weight * sound.part * (span.share @ hidden)
            found.append(float(own + harm[span.cells] @ (span.share * span.active)))
        return np.array(found)

    def cost(self, sound: Sounding, but: int = -1) -> float:
        """Return what all sounds lose if a sound lies where it does, as if number `but` were not there.

        It is the share of its own active time that is hidden of the sound and, because of it, of the others, each by
        its weight.
        """
        span = self._span(sound)
        total = self._without(but, span.cells)
        own = span.share @ (self._hidden(sound.bands, span.power, total) @ dominance(sound.bands))
        rows, more = self._harm(threshold(sound.bands), span.power, span.cells, but, total)
        counts = self._weights[rows.sound] * self._parts[rows.sound] * rows.share
        return float(sound.weight * sound.part * own + counts @ more.sum(axis=1))

    def clash(self, sound: Sounding, but: int = -1, whole: Bands | None = None) -> float:
        """Return how much is hidden while a sound is active, of it and because of it of the others, by their weights.

        Of what is hidden anyway only as much is left out as was of the `whole` sound, before it was turned down or
        filtered.
        """
        span = self._span(sound)
        total = self._without(but, span.cells)
        own = span.share @ (self._hidden(sound.bands, span.power, total, whole) @ dominance(sound.bands))
        rows, more = self._harm(threshold(sound.bands), span.power, span.cells, but, total)
        return float(
            sound.weight * own + self._while(span, rows) * self._weights[rows.sound] @ more.sum(axis=1)
        )

    def clash_of(self, number: int, bands: Bands | None = None) -> float:
        """Return the clash of a sound that is there, or of one with other energies in its place."""
        sound = self._sounds[number]
        heard = sound if bands is None else replace(sound, bands=bands)
        return self.clash(heard, number, self._whole[number])

    def worst(self, sound: Sounding, but: int = -1) -> Meeting | None:
        """Return with which other sound a sound clashes most; None if it meets no other."""
        span = self._span(sound)
        rows, more = self._harm(
            threshold(sound.bands), span.power, span.cells, but, self._without(but, span.cells)
        )
        if not len(rows.cell):
            return None
        met, which = np.unique(rows.sound, return_inverse=True)
        both = self._while(span, rows)
        parts = np.zeros((len(met), LOUDNESS_BANDS))
        np.add.at(parts, which, (self._weights[rows.sound] * both)[:, None] * more)
        alone = self._hidden(sound.bands, np.ones(len(met)), self._masks[met]) * dominance(sound.bands)
        lengths = np.bincount(which, both, len(met))
        parts += np.where(self._is_steady[met], 0.0, sound.weight * lengths)[:, None] * alone
        most = int(np.argmax(parts.sum(axis=1)))
        return Meeting(int(met[most]), float(parts[most].sum()), parts[most])

    def sound(self, number: int) -> Sounding:
        """Return a sound that was added."""
        return self._sounds[number]

    def _while(self, span: _Span, rows: _Rows) -> Floats:
        """Return which share of the sound's active time each row is active in, too."""
        shared: Floats = span.share[rows.cell - span.cells.start] * rows.share * self._active[rows.sound]
        return shared

    def _without(self, but: int, within: slice) -> Floats:
        total = self._total[within].copy()
        if but >= 0 and not self._is_steady[but]:
            own = self._spans[but]
            first, last = max(own.cells.start, within.start), min(own.cells.stop, within.stop)
            if first < last:
                part = own.power[first - own.cells.start : last - own.cells.start, None] * self._masks[but]
                total[first - within.start : last - within.start] -= part
        return np.maximum(total, 0.0)

    def _hidden(self, bands: Bands, power: Floats, masks: Floats, whole: Bands | None = None) -> Floats:
        """Return `[n, 24]`, what `masks` hide of a sound in every band beyond what is hidden anyway."""
        under = np.maximum(self._steady + masks, 1e-30)
        steady = np.maximum(self._steady, 1e-30)
        heard, before = power[:, None] * bands, power[:, None] * (bands if whole is None else whole)
        hidden: Floats = under / (under + heard) - steady / (steady + before)
        return hidden

    def _harm(
        self, mask: Bands, power: Floats, within: slice, but: int, total: Floats
    ) -> tuple[_Rows, Floats]:
        """Return the rows in `within` but those of `but`, and `[n, 24]`, what more of each is hidden.

        It is hidden by `mask` with the `power` it has in each cell, besides what is hidden already.
        """
        low, high = np.searchsorted(self._rows.cell, [within.start, within.stop])
        rows = self._rows.where(slice(low, high))
        counted = (rows.share > 0.0) & (rows.sound != but)
        rows = rows if counted.all() else rows.where(counted)
        cell, sound = rows.cell - within.start, rows.sound
        own = self._masks[sound] * rows.power[:, None]
        before = np.maximum(total[cell] + self._steady - own, 1e-30)
        after = before + power[cell, None] * mask
        bands = rows.power[:, None] * self._bands[sound]
        more: Floats = self._shares[sound] * (after / (after + bands) - before / (before + bands))
        return rows, more
