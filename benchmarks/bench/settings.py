"""What is to be measured."""

import math
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench.live_setting import DEFAULT_MINUTES, MINUTES, MOST_THREADS, LiveSetting
from benchmarks.bench.load import Load
from engine.errors import InputError, Problem
from engine.spec import QUANTA_FRAMES, RATES_HZ

TRACKS, QUANTA, SECONDS = (8, 32, 128, 512), (128,), 4.0
"""What is measured unless it is said otherwise, in less than a minute all together."""

MOST_SECONDS = 600.0

PARTS = ("quanta", "nodes", "capacity", "latency", "overhead", "offline", "allocations", "starts", "memory")
"""What there is to measure, in order."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Banks, quanta and rate; `seconds` of sound are measured of each bank at each quantum.

    With `live` the engine plays `minutes` on a `device`; with `contend` also beside so many busy Python threads, and
    with `callback` then in the architecture that the engine process avoids.

    Raises InputError, naming the option, for what can't be measured.
    """

    tracks: tuple[int, ...] = TRACKS
    quanta_frames: tuple[int, ...] = QUANTA
    rate_hz: int = 48_000
    seconds: float = SECONDS
    cold: bool = False
    parts: tuple[str, ...] = PARTS
    peers: bool = False
    live: bool = False
    contend: int | None = None
    callback: bool = False
    device: LiveSetting = field(default_factory=LiveSetting)
    minutes: float = DEFAULT_MINUTES

    def __post_init__(self) -> None:
        low, high = QUANTA_FRAMES
        problems = [
            Problem(f"{tracks} tracks", "must be at least 1", "--tracks")
            for tracks in self.tracks
            if tracks < 1
        ]
        problems += [
            Problem(f"a quantum of {frames} frames", f"must be {low} to {high}", "--quantum")
            for frames in self.quanta_frames
            if not low <= frames <= high
        ]
        if self.rate_hz not in RATES_HZ:
            allowed = ", ".join(map(str, RATES_HZ))
            problems.append(Problem(f"{self.rate_hz} Hz is not a usual rate", f"one of {allowed}", "--rate"))
        if not (math.isfinite(self.seconds) and 0.0 < self.seconds <= MOST_SECONDS):
            allowed = f"more than 0, at most {MOST_SECONDS:g}"
            problems.append(Problem(f"{self.seconds:g} seconds", allowed, "--seconds"))
        shortest, longest = MINUTES
        if not shortest <= self.minutes <= longest:
            problems.append(Problem(f"{self.minutes:g} minutes", f"{shortest:g} to {longest:g}", "--minutes"))
        if self.contend is not None and not 1 <= self.contend <= MOST_THREADS:
            problems.append(Problem(f"{self.contend} threads", f"1 to {MOST_THREADS}", "--contend"))
        if self.callback and self.contend is None:
            problems.append(Problem("there is nothing to compare it with", "give --contend N", "--callback"))
        problems += [
            Problem(f"there is no part {part!r}", f"one of {', '.join(PARTS)}", "--only")
            for part in self.parts
            if part not in PARTS
        ]
        if problems:
            raise InputError(problems)

    @property
    def loads(self) -> tuple[Load, ...]:
        """Every bank at every quantum, once, the smaller first."""
        rows = {Load(frames, tracks, self.rate_hz) for frames in self.quanta_frames for tracks in self.tracks}
        return tuple(sorted(rows))

    def as_json(self) -> dict[str, Any]:
        """Return them as the report has them."""
        return {
            "tracks": sorted(set(self.tracks)),
            "quanta_frames": sorted(set(self.quanta_frames)),
            "rate_hz": self.rate_hz,
            "seconds": self.seconds,
            "cold": self.cold,
            "peers": self.peers,
            "live": self.live,
            "contend": self.contend,
            "callback": self.callback,
            "parts": [part for part in PARTS if part in self.parts],
        }
