"""The masking of a render as a JSON file: who hides whom, how much, where, and what unmasking does about it."""

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from dsp.bark import CENTRES_HZ, EDGES_HZ
from dsp.unmask import PERIOD_S, SHOWN_PERIODS
from engine.control.masking_log import TENTHS, MaskingLog
from engine.control.offline import OfflineEngine, Progress
from engine.errors import InputError, Problem, RoomtoneError
from engine.scene.composition import Composition

Floats = NDArray[np.float64]

MASKERS = 3
"""How many maskers of a track are named."""
DIGITS = 4
"""Decimals of shares."""


class MaskingReport:
    """Watches a render and writes `path` (.json), which gets its name when the block of `with` ends well.

    The moments are those at which the unmask node shows energies and cuts: every 16 control periods, 85.3 ms at
    48 kHz, whatever the quantum. `bands` adds the pairs band by band. Raises InputError for a name that won't do,
    RoomtoneError if the disk is full; then, and when interrupted, no file is left.
    """

    def __init__(self, path: Path, composition: Composition, *, bands: bool = False) -> None:
        if path.suffix.lower() != ".json":
            raise InputError(
                Problem(f"cannot write {path.suffix or 'a file without a suffix'}", ".json", file=str(path))
            )
        if path.is_dir():
            raise InputError(Problem("is a folder", "a file name", file=str(path)))
        composition.spare(path)
        self._path = path
        self._part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part.json")
        self._composition = composition
        self._bands = bands
        self._hop_frames = SHOWN_PERIODS * max(1, round(PERIOD_S * composition.rate_hz))
        self._log = MaskingLog(len(composition.tracks))
        self._file: TextIO | None = None
        self.progress: Progress | None = None
        """Called as (parts written, parts in all) by `finish`, which takes seconds for hundreds of tracks."""

    def __enter__(self) -> "MaskingReport":
        try:
            self._file = self._part.open("x", encoding="utf-8")
        except OSError as error:
            raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(self._path))) from None
        except BaseException:
            self.discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._file is not None:
                self._file.close()
                os.replace(self._part, self._path)
        except OSError as failure:
            raise self._failure(failure) from None
        finally:
            self.discard()

    def __del__(self) -> None:
        # An interrupt may come before `with` holds the report.
        self.discard()

    def discard(self) -> None:
        """Remove the unfinished file, if there is one: an interrupt may have come while it was opened."""
        with suppress(AttributeError, OSError):
            if self._file is not None:
                self._file.close()
        with suppress(AttributeError, OSError):
            self._part.unlink()

    @property
    def longest_quantum_frames(self) -> int:
        """With longer quanta, moments would be missed."""
        return self._hop_frames

    def watch(self, engine: OfflineEngine, end_frame: int) -> None:
        """Take what the meters show after a quantum, if the next moment lies in it and not beyond `end_frame`."""
        if end_frame // self._hop_frames > self._log.moments:
            read = engine.meters.read
            self._log.take(read("unmask", "energy"), read("unmask", "kept"))

    def finish(self) -> None:
        """Write it all, still under another name."""
        if self._file is None:
            raise RuntimeError("the report is not open")
        try:
            for text in self._texts():
                self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> RoomtoneError:
        return RoomtoneError(f"{self._path}: cannot be written ({error.strerror})")

    def _texts(self) -> Iterator[str]:
        """Yield the file piece by piece: it may be far larger than what is in it as numbers."""
        c, log = self._composition, self._log
        hop_s = self._hop_frames / c.rate_hz
        head = {
            "scene": c.scene.title,
            "seed": c.seed,
            "rate": c.rate_hz,
            "hop_s": round(hop_s, 6),
            "cut_hop_s": round(hop_s * log.moments_a_row, 6),
            "snapshots": log.moments,
            "bands_hz": EDGES_HZ.round(1).tolist(),
        }
        shares = log.pairs()
        before, after = shares.sum(axis=1)
        tracks = range(len(c.tracks))
        yield _text(head)[:-1]
        yield ',\n"tracks": '
        yield from _listed(self._track(i, hop_s, before, after, shares[1]) for i in self._told(tracks))
        yield ',\n"pairs": {\n"before": '
        yield from _listed(_shares(row) for row in before)
        yield ',\n"after": '
        yield from _listed(_shares(row) for row in after)
        if self._bands:
            for name, stage in zip(("before_bands", "after_bands"), shares, strict=True):
                yield f',\n"{name}": '
                yield from _listed(_shares(stage[:, j].T) for j in self._told(tracks))
        yield "\n}}\n"

    def _told(self, tracks: range) -> Iterator[int]:
        """Yield `tracks`, and tell the progress after each."""
        for number in tracks:
            yield number
            if self.progress:
                self.progress(number + 1, len(tracks))

    def _track(self, i: int, hop_s: float, before: Floats, after: Floats, bands: Floats) -> str:
        c, log = self._composition, self._log
        heard = log.active[i] > 0
        worst = [j for j in np.argsort(-after[:, i], kind="stable")[:MASKERS] if after[j, i] > 0.0]
        facts: dict[str, Any] = {
            "label": c.tracks[i].name,
            "importance": c.tracks[i].importance,
            "yield": c.tracks[i].yields,
            "active_s": round(float(log.active[i]) * hop_s, 3),
            "time_in_cut_s": round(float(log.in_cut[i]) * hop_s, 3),
            "share_of_time_in_cut": round(float(log.in_cut[i]) / max(1, log.moments), DIGITS),
            "deepest_cut_db": _decibels(log.deepest_db[i]),
            "mean_cut_db_by_band": [_decibels(cut_db) for cut_db in log.mean_cut_db[:, i]],
            "buried_before": round(float(before[:, i].sum()), DIGITS) if heard else None,
            "buried_after": round(float(after[:, i].sum()), DIGITS) if heard else None,
            "maskers": [
                {
                    "label": c.tracks[j].name,
                    "share": round(float(after[j, i]), DIGITS),
                    "share_before": round(float(before[j, i]), DIGITS),
                    "seconds": round(float(log.masking[j, i]) * hop_s, 3),
                    "main_band_hz": round(float(CENTRES_HZ[bands[:, j, i].argmax()])),
                }
                for j in worst
            ],
        }
        # As text at once: as Python numbers they would take thirty times the memory.
        words = [_text(-n / TENTHS) if n else "0" for n in range(129)]
        rows = (",".join([words[-tenths] for tenths in row]) for row in log.cut_tenths_db[:, i].tolist())
        return f'{_text(facts)[:-1]}, "cut_db": [{",".join(f"[{row}]" for row in rows)}]}}'


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _shares(values: Floats) -> str:
    return json.dumps(values.round(DIGITS).tolist(), separators=(",", ":"), allow_nan=False)


def _decibels(cut_db: float) -> float:
    return round(float(cut_db), 2) or 0.0


def _listed(items: Iterable[str]) -> Iterator[str]:
    """Yield a JSON list, an item to a line."""
    yield "["
    for number, item in enumerate(items):
        yield ",\n" if number else "\n"
        yield item
    yield "\n]"
