"""Sounds that an equaliser and a compressor have gone over, and what these did to them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.model.clip import RATE, Clip, Floats
from benchmarks.peers.mixed_pairs import Mix, at_level, draw, looped
from engine.learn.bands import BANDS, CENTRES_HZ, fast_length
from engine.learn.equaliser import curve_db, usable
from engine.learn.features import features

Samples = NDArray[np.float32]

BLOCK = 44
ACTIVE_DB = 50.0
PERCENTILE = 95.0
LEFT_ALONE = 4
"""Of so many treatments of a sound one is none: most sounds that are given have nothing to be undone."""


@dataclass(frozen=True, eq=False)
class Treatments:
    """Treated sounds: features `[n, features]`, curves of their equalisers `[n, 31]` in dB, zero mean, and more.

    `reductions_db` are the gain reductions that 5 % of the active milliseconds exceed; `alone` where nothing was done.
    """

    features: Floats
    curves_db: Floats
    reductions_db: Floats
    alone: NDArray[np.bool_]
    groups: NDArray[np.str_]

    def __add__(self, other: "Treatments") -> "Treatments":
        return Treatments(*(np.concatenate(pair) for pair in zip(_parts(self), _parts(other), strict=True)))

    def __getitem__(self, rows: NDArray[np.int64]) -> "Treatments":
        return Treatments(*(part[rows] for part in _parts(self)))


def _parts(of: Treatments) -> list[NDArray[Any]]:
    return [of.features, of.curves_db, of.reductions_db, of.alone, of.groups]


def mixes(clip: Clip, count: int, seed: int) -> Iterator[tuple[Samples, Mix]]:
    """Yield the sound at a level, looped to 4 s, with the mix that is to be made of it, `count` times."""
    rng = np.random.default_rng([seed, *f"{clip.group} {len(clip.samples)}".encode()])
    once = looped(clip.samples[:, :1])
    for k in range(count):
        mix = draw(rng)
        if k % LEFT_ALONE == LEFT_ALONE - 1:
            mix = replace(mix, eq_db=np.zeros(BANDS), threshold_db=0.0, ratio=1.0)
        yield at_level(once, mix.level_dbfs), mix


def band_limited(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return the sound as an older or smaller recorder leaves it: nothing above 3 to 16 kHz, or below 40 to 400."""
    low_hz = np.exp(rng.uniform(np.log(40.0), np.log(400.0))) if rng.random() < 0.5 else 0.0
    high_hz = np.exp(rng.uniform(np.log(3000.0), np.log(16_000.0))) if rng.random() < 0.75 else RATE
    length = fast_length(len(samples))
    hz = np.fft.rfftfreq(length, 1.0 / RATE)
    spectrum = np.fft.rfft(samples, length, axis=0)
    spectrum[(hz < low_hz) | (hz > high_hz)] *= 1e-3
    made = np.fft.irfft(spectrum, length, axis=0)[: len(samples)]
    return at_level(made.astype(np.float32), 20.0 * np.log10(max(float(samples.std()), 1e-9)))


def table(clips: Iterable[Clip], count: int, seed: int, limited: float = 0.0) -> Treatments:
    """Return the rows of many sounds, each under `count` treatments, a share of them `limited` in band before."""
    with ProcessPoolExecutor() as pool:
        parts = list(pool.map(_rows, ((clip, count, seed, limited) for clip in clips), chunksize=4))
    return Treatments(*(np.concatenate(column) for column in zip(*map(_parts, parts), strict=True)))


def _rows(job: tuple[Clip, int, int, float]) -> Treatments:
    clip, count, seed, limited = job
    rng = np.random.default_rng([seed, 1, *clip.group.encode()])
    rows = []
    for raw, mix in mixes(clip, count, seed):
        if rng.random() < limited:
            raw = band_limited(raw, rng)
        equalised = mix.equalised(raw)
        made = mix.compressed(equalised)
        alone = mix.ratio == 1.0
        taken_db = 0.0 if alone else reduction_db(equalised, made)
        rows.append((features(made, RATE), shape_db(mix), taken_db, alone, clip.group))
    return Treatments(*(np.array(column) for column in zip(*rows, strict=True)))


def shape_db(mix: Mix) -> Floats:
    """Return the curve of a mix's equaliser at the bands, float64 `[31]`, zero mean."""
    made = np.zeros(BANDS)
    count = usable(RATE)
    made[:count] = curve_db(mix.eq_db, CENTRES_HZ[:count], RATE)
    made[count:] = made[count - 1]
    return np.asarray(made - made.mean())


def reduction_db(before: Samples, after: Samples) -> float:
    """Return the gain reduction that 5 % of the active milliseconds exceed."""
    levels = [_levels_db(x) for x in (before, after)]
    active = levels[0] > levels[0].max() - ACTIVE_DB
    return max(0.0, float(np.percentile((levels[0] - levels[1])[active], PERCENTILE)))


def _levels_db(x: Samples) -> Floats:
    count = len(x) // BLOCK
    power = np.square(x[: count * BLOCK], dtype=np.float64).reshape(count, -1).mean(axis=1)
    return np.asarray(10.0 * np.log10(power + 1e-30))
