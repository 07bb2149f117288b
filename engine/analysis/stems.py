"""Tracks to analyse, and a folder of sound files as such."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsp.stft import BandEnergies, Energies, hop_frames
from dsp.units import frames_to_seconds, seconds_to_frames
from engine.analysis.pairs import weights
from engine.errors import InputError, Problem, SoundError
from engine.media import decode

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
MAX_TRACKS = 512
MAX_DURATION_S = 86_400.0
MAX_BYTES = 2 * 2**30
"""How much memory band energies may take."""

DEFAULT_IMPORTANCE = 0.5
"""Of a file, which says nothing about it."""

FOLDER = "a folder with .wav, .flac, .ogg, .mp3 or .aiff files, or with pre/ and post/ as `render --stems` writes them"

Progress = Callable[[str, int, int], None]
"""Called as (what is being read, how many are done, how many there are)."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """What is analysed: T tracks, their band energies `before` and, where there is such a thing, `after` unmasking."""

    title: str
    names: tuple[str, ...]
    importance: tuple[float, ...]
    rate_hz: int
    samples: int
    before: Energies
    after: Energies | None

    @property
    def hop_s(self) -> float:
        """Time between two analysis frames, in seconds."""
        return hop_frames(self.rate_hz) / self.rate_hz

    @property
    def duration_s(self) -> float:
        """Length of the longest track."""
        return frames_to_seconds(self.samples, self.rate_hz)


def check_size(tracks: int, samples: int, rate_hz: int) -> None:
    """Raise InputError if the energies of so many tracks before and after and their weights would not fit."""
    # 25 bands of 4 bytes, three times
    needed = 300 * tracks * (samples // hop_frames(rate_hz) + 1)
    if needed > MAX_BYTES:
        longest_s = MAX_BYTES / needed * samples / rate_hz
        raise InputError(
            Problem(
                f"{tracks} tracks of {samples / rate_hz:g} s are too much",
                f"at most {longest_s:.0f} s, with --duration",
                "duration",
            )
        )


def read_stems(
    folder: Path,
    *,
    rate_hz: int,
    duration_s: float | None = None,
    importance: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Tracks:
    """Read the sound files in `folder`, or in its pre/ and post/ if it has both, as tracks of equal importance.

    Every file is brought to `rate_hz`; `duration_s` cuts it off, `importance` goes by track name. Raises InputError
    (SoundError) for a folder without two sounds, for pre/ and post/ that hold different ones, for a file that cannot
    be used, and for one that is silent unless it is in pre/ and post/: a render may end before a sound begins.
    """
    if duration_s is not None and not 0.0 < duration_s <= MAX_DURATION_S:
        allowed = f"more than 0, at most {MAX_DURATION_S:g}"
        raise InputError(Problem(f"{duration_s:g} seconds", allowed, "duration"))
    parts = (folder / "pre", folder / "post")
    paired = all(part.is_dir() for part in parts)
    before_files = _files(parts[0] if paired else folder)
    after_files = _files(parts[1]) if paired else {}
    if paired and before_files.keys() != after_files.keys():
        odd = ", ".join(sorted(before_files.keys() ^ after_files.keys()))
        raise InputError(
            Problem(f"pre/ and post/ differ in {odd}", "the same tracks in both", file=str(folder))
        )
    names = tuple(before_files)
    _check_count(folder, names)
    total = len(before_files) + len(after_files)
    steps = iter(range(1, total + 1))

    def read(path: Path) -> tuple[Energies, int]:
        if progress:
            progress(path.name, next(steps) - 1, total)
        sound = decode(path, rate_hz)
        if duration_s is not None:
            sound = sound[: max(1, seconds_to_frames(duration_s, rate_hz))]
        check_size(len(names), len(sound), rate_hz)
        bands = BandEnergies(1, rate_hz, sound.shape[1])
        bands.push(sound)
        energy = bands.finish()
        if not paired and not weights(energy).any():
            raise SoundError(Problem("is silent", "must have something to hear", file=str(path)))
        return energy, len(sound)

    before = [read(path) for path in before_files.values()]
    after = [read(path) for path in after_files.values()]
    frames = max(energy.shape[1] for energy, _ in before + after)
    return Tracks(
        folder.resolve().name,
        names,
        _importance(names, importance or {}),
        rate_hz,
        max(samples for _, samples in before + after),
        _stack(before, frames),
        _stack(after, frames) if paired else None,
    )


def _files(folder: Path) -> dict[str, Path]:
    """Return the sound files of a folder by track name, in the order of their names."""
    try:
        found = sorted(
            p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "." and p.is_file()
        )
    except OSError as error:
        raise InputError(Problem(f"cannot be read ({error.strerror})", FOLDER, file=str(folder))) from None
    if not found:
        raise InputError(Problem("holds no sound files", FOLDER, file=str(folder)))
    stems = [_printable(p.stem) for p in found]
    # car.wav beside car.flac: then the suffix tells them apart.
    return {_printable(p.name) if stems.count(s) > 1 else s: p for s, p in zip(stems, found, strict=True)}


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)


def _check_count(folder: Path, names: tuple[str, ...]) -> None:
    if not 2 <= len(names) <= MAX_TRACKS:
        what = f"holds only {names[0]}" if len(names) == 1 else f"holds {len(names)} sound files"
        raise InputError(
            Problem(what, f"2 to {MAX_TRACKS} sounds that could mask each other", file=str(folder))
        )


def _importance(names: tuple[str, ...], given: Mapping[str, float]) -> tuple[float, ...]:
    unknown = [name for name in given if name not in names]
    if unknown:
        shown = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        raise InputError(Problem(f"no track is called {unknown[0]}", f"one of {shown}", "importance"))
    return tuple(given.get(name, DEFAULT_IMPORTANCE) for name in names)


def _stack(read: list[tuple[Energies, int]], frames: int) -> Energies:
    stacked = np.zeros((len(read), frames, read[0][0].shape[2]), np.float32)
    for row, (energy, _) in zip(stacked, read, strict=True):
        row[: energy.shape[1]] = energy[0]
    return stacked
