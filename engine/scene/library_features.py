"""What is measured of the sounds of a library, once for each content, and the scan that does it."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsp.stft import BandEnergies
from dsp.units import SILENCE_DB
from engine.errors import Problem, SoundError
from engine.scene import reverberation
from engine.scene.feature_store import FeatureStore, FileState, content_hash
from engine.scene.library import Entry
from engine.scene.reader import shorten

KIND, VERSION = "library", 1
"""What the measures are kept under; another version is measured anew."""

DOMINANT_BANDS = 3

ENVELOPE_S = 0.010
ACTIVE_DB = -40.0
EVENT_GAP_S = 0.25
"""Two events are parted by this much below -40 dB of the loudest 10 ms."""

KEEP_EVERY_S = 1.0
MAX_FAULT = 500

REVERBERATION = reverberation.KIND, reverberation.VERSION

Progress = Callable[[str, int, int], None]


def measure(path: Path) -> dict[str, Any]:
    """Return what is kept of a sound file.

    duration_s, channels, rate_hz    of the file
    loudness_lufs                    of its active part; `dsp.loudness.active_loudness`
    events                           how many parts of it are parted by silence
    band_mean_db, band_peak_db       mean square in each of the 25 Bark bands (`dsp.stft`), dB re full scale, over all
                                     frames and in the loudest one; -144 is silence
    dominant_bands                   the three bands with most power, strongest first, from 0

    Raises SoundError for a file that cannot be decoded or is silent.
    """
    # Imported late: it brings kernels, which finding a sound does not need.
    from dsp.clip_loudness import active_loudness
    from engine.media import decode_as_is
    from engine.scene.material import MIN_LOUDNESS_LUFS

    samples, file_rate_hz, channels = decode_as_is(path)
    rate_hz = round(file_rate_hz)
    loudness_lufs = float(active_loudness(samples, rate_hz))
    if loudness_lufs <= MIN_LOUDNESS_LUFS:
        raise SoundError(Problem("is silent", "must have something to hear", file=shorten(str(path), 4096)))
    means, peaks = _band_powers(samples, rate_hz)
    order = np.argsort(-means, kind="stable")[:DOMINANT_BANDS]
    return {
        "duration_s": round(len(samples) / rate_hz, 4),
        "channels": channels,
        "rate_hz": rate_hz,
        "loudness_lufs": round(loudness_lufs, 2),
        "events": _events(samples, rate_hz),
        "band_mean_db": _to_db(means),
        "band_peak_db": _to_db(peaks),
        "dominant_bands": [int(band) for band in order if means[band] > 0.0],
    }


def features_of(store: FeatureStore, entries: Iterable[Entry]) -> dict[Path, dict[str, Any]]:
    """Return what is known of files that have not changed since they were measured, by path; nothing is measured.

    It is what `measure` returns, and `rt60_s` where the reverberation in the sound is known; of a file that cannot be
    used it is a `fault` in words, and what is allowed instead.
    """
    contents = store.contents([entry.state for entry in entries])
    hashes = list(dict.fromkeys(contents.values()))
    found = store.get_many(hashes, KIND, VERSION)
    for content, known in store.get_many(hashes, *REVERBERATION).items():
        if content in found:
            found[content]["rt60_s"] = known.get("rt60_s")
    return {path: found[content] for path, content in contents.items() if content in found}


@dataclass(slots=True)
class Scan:
    """How a scan went: how many files there are, were measured, had known content, had not changed, are unreadable."""

    files: int = 0
    measured: int = 0
    recognised: int = 0
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)


def scan(entries: Sequence[Entry], store: FeatureStore, progress: Progress | None = None) -> Scan:
    """Measure what is new or has changed, on all cores; a file that cannot be used is among the `problems`.

    What was measured is kept every second and in the end, so that an interrupted scan goes on where it was.
    """
    done = Scan(files=len(entries))
    known = features_of(store, entries)
    todo = [entry for entry in entries if not known.get(entry.path, {}).keys() & {"fault", "rt60_s"}]
    done.problems += [fault_of(known[e.path], e) for e in entries if "fault" in known.get(e.path, {})]
    done.unchanged = len(entries) - len(todo) - len(done.problems)
    keep = _Keep(store)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [(entry, pool.submit(_take, entry, store)) for entry in todo]
        try:
            for count, (entry, future) in enumerate(futures):
                if progress:
                    progress(entry.shown, count, len(todo))
                try:
                    taken = future.result()
                except SoundError as error:
                    done.problems.extend(error.problems)
                    continue
                keep.take(taken)
                if "fault" in taken.known:
                    done.problems.append(fault_of(taken.known, entry))
                else:
                    done.measured += taken.is_new
                    done.recognised += not taken.is_new
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            keep.flush()
    return done


class _Taken(NamedTuple):
    state: FileState
    content: str
    known: dict[str, Any]
    is_new: bool
    reverberation: dict[str, Any] | None


class _Keep:
    """Keeps measures, many at a time: each time the store is written to takes it 10 ms and more."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._waiting: list[_Taken] = []
        self._flushed_s = time.monotonic()

    def take(self, taken: _Taken) -> None:
        self._waiting.append(taken)
        if time.monotonic() - self._flushed_s > KEEP_EVERY_S:
            self.flush()

    def flush(self) -> None:
        files = [(taken.state, taken.content) for taken in self._waiting]
        data = {taken.content: taken.known for taken in self._waiting if taken.is_new}
        tails = {t.content: t.reverberation for t in self._waiting if t.reverberation is not None}
        if files:
            # What a file holds is noted last: then it counts as measured.
            self._store.note([], *REVERBERATION, tails)
            self._store.note(files, KIND, VERSION, data)
        self._waiting.clear()
        self._flushed_s = time.monotonic()


def _take(entry: Entry, store: FeatureStore) -> _Taken:
    """Return what a file holds, measured if its content is not known by another name. Errors: SoundError."""
    shown = shorten(str(entry.path), 4096)
    try:
        before = _state(entry.path)
        content = content_hash(entry.path)
        known = store.get(content, KIND, VERSION)
        measured = _measured(entry.path) if known is None else known
        tail = None
        if "fault" not in measured and store.get(content, *REVERBERATION) is None:
            tail = asdict(reverberation.measured(entry.path))
        if _state(entry.path) != before:
            raise SoundError(Problem("is being written to", "scan again later", file=shown))
    except OSError as error:
        raise SoundError(Problem(f"cannot be read: {error.strerror or error}", file=shown)) from None
    return _Taken(before, content, measured, known is None, tail)


def _measured(path: Path) -> dict[str, Any]:
    """Return the measures of a file, or what is wrong with it: that is kept too, so that nobody chooses it."""
    try:
        return measure(path)
    except SoundError as error:
        return {"fault": error.problems[0].what[:MAX_FAULT], "allowed": error.problems[0].allowed}


def fault_of(known: dict[str, Any], entry: Entry) -> Problem:
    """Return the fault of a file that cannot be used."""
    return Problem(known["fault"], known["allowed"], file=shorten(str(entry.path), 4096))


def _state(path: Path) -> FileState:
    status = path.stat()
    return FileState(path, status.st_mtime_ns, status.st_size)


def _band_powers(
    samples: NDArray[np.float32], rate_hz: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return float64[25] twice: the mean square in each Bark band over all frames, and in its loudest one."""
    bands = BandEnergies(1, rate_hz, samples.shape[1])
    bands.push(samples)
    energies = bands.finish()[0].astype(np.float64)
    return energies.mean(axis=0), energies.max(axis=0)


def _to_db(power: NDArray[np.float64]) -> list[float]:
    level = 10.0 * np.log10(np.maximum(power, 10.0 ** (SILENCE_DB / 10.0)))
    return [round(float(value), 1) for value in level]


def _events(samples: NDArray[np.float32], rate_hz: int) -> int:
    hop = max(1, round(ENVELOPE_S * rate_hz))
    power = np.square(samples.astype(np.float64)).mean(axis=1)
    power = np.add.reduceat(power, np.arange(0, len(power), hop))
    active = np.flatnonzero(power > power.max() * 10.0 ** (ACTIVE_DB / 10.0))
    if len(active) == 0:
        return 0
    return 1 + int(np.count_nonzero(np.diff(active) > EVENT_GAP_S / ENVELOPE_S))
