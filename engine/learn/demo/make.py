"""Makes the songs one by one: rows of a table and, if wanted, the recordings they were measured on."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.bands import band_powers, to_db
from engine.learn.dataset import Row, Table
from engine.learn.demo.catalogue import ENGINEERS, SONGS, Recording, plan
from engine.learn.demo.colours import make_place, recorded
from engine.learn.demo.engineers import mixed
from engine.learn.demo.instruments import RATE_HZ, played
from engine.learn.features import features
from engine.media.encode import AudioWriter

Samples = NDArray[np.float32]
Progress = Callable[[str, int, int], None]

TABLE_NAME = "demo.csv"
WORKERS = 4


@dataclass(frozen=True)
class Track:
    """One made track: its row, raw and mixed sound, float32 `[frames, 1]`."""

    row: Row
    raw: Samples
    mixed: Samples


def make_song(seed: int, number: int, recordings: list[Recording]) -> list[Track]:
    """Return the tracks of one song, always the same for a seed."""
    name, engineer = f"song {number + 1:02d}", ENGINEERS[number % len(ENGINEERS)]
    children = np.random.SeedSequence([seed, number]).spawn(len(recordings) + 1)
    rng = np.random.default_rng(children[-1])
    own = int(rng.integers(1 << 31))
    beat_s = 60.0 / float(rng.uniform(80.0, 150.0))
    rngs = [np.random.default_rng(child) for child in children[:-1]]
    dry = [played(r.instrument, own, beat_s, g) for r, g in zip(recordings, rngs, strict=True)]
    place = make_place(own, np.sum(dry, axis=0))
    made = []
    for recording, sound, g in zip(recordings, dry, rngs, strict=True):
        raw = recorded(sound, recording.equipment, place, g).astype(np.float32)[:, None]
        mix = mixed(raw, recording.instrument, engineer, g)
        delta = to_db(band_powers(mix.samples, RATE_HZ)) - to_db(band_powers(raw, RATE_HZ))
        row = Row(
            name,
            recording.name,
            features(raw, RATE_HZ),
            delta,
            mix.curve_db,
            mix.settings,
            mix.known,
            recording.instrument,
            recording.equipment,
            engineer,
            "demo",
        )
        made.append(Track(row, raw, mix.samples))
    return made


def make_demo(
    seed: int, songs: int = SONGS, audio: Path | None = None, progress: Progress | None = None
) -> Table:
    """Return the table of a seed's data set, about 250 rows of 24 songs; bit-equal for equal seeds on one machine.

    With `audio` the recordings go into its folders `raw` and `mixed`, which must not hold anything. Raises InputError.
    """
    if audio is not None:
        check_audio(audio)
    plans = plan(np.random.default_rng([seed, 1]), songs)
    rows: list[Row] = []
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1), "demo") as pool:
        try:
            for number, song in enumerate(_in_order(pool, seed, plans)):
                for track in song:
                    rows.append(track.row)
                    if audio is not None:
                        _write(audio, track)
                if progress is not None:
                    progress(f"song {number + 1}", number + 1, len(plans))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Table(tuple(rows))


def _in_order(pool: ThreadPoolExecutor, seed: int, plans: list[list[Recording]]) -> Iterator[list[Track]]:
    """Yield song after song, a few being made ahead."""
    ahead = [pool.submit(make_song, seed, k, plans[k]) for k in range(min(WORKERS, len(plans)))]
    for number in range(len(plans)):
        song = ahead.pop(0).result()
        following = number + WORKERS
        if following < len(plans):
            ahead.append(pool.submit(make_song, seed, following, plans[following]))
        yield song


def check_audio(folder: Path) -> None:
    """Raise InputError if a folder the recordings are to go into holds something."""
    for name in ("raw", "mixed"):
        inside = folder / name
        if inside.exists() and (not inside.is_dir() or any(inside.iterdir())):
            raise InputError(Problem("is there already", "another folder, or none there", file=str(inside)))


def _write(folder: Path, track: Track) -> None:
    for kind, samples in (("raw", track.raw), ("mixed", track.mixed)):
        place = folder / kind / track.row.group.replace(" ", "_")
        place.mkdir(parents=True, exist_ok=True)
        with AudioWriter(place / f"{track.row.track}.flac", RATE_HZ) as writer:
            writer.write(np.repeat(samples, 2, axis=1))
