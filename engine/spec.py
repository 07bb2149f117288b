"""What a stream is: a rate, a quantum, and the one shape every signal has."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem

Block: TypeAlias = NDArray[np.float32]
"""One quantum of a signal: float32 `[frames, lanes]`, C-contiguous, full scale 1.0.

A stereo bus has lanes (L, R). A bank of T stereo tracks has lanes (L0 … LT-1, R0 … RT-1).
"""

RATES_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000)
"""The rates a stream may have. pedalboard's Reverb kills the interpreter at absurd ones, hence a closed list."""

QUANTA_FRAMES = (16, 2048)
"""The smallest and the largest quantum."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Rate and quantum of a stream; neither ever varies while it runs.

    Raises InputError for a rate that is not in `RATES_HZ` or a quantum outside `QUANTA_FRAMES`.
    """

    rate_hz: int = 48_000
    quantum_frames: int = 128

    def __post_init__(self) -> None:
        problems = []
        if self.rate_hz not in RATES_HZ:
            allowed = ", ".join(map(str, RATES_HZ))
            problems.append(Problem(f"{self.rate_hz} Hz is not a usual rate", f"one of {allowed}", "rate"))
        low, high = QUANTA_FRAMES
        if not low <= self.quantum_frames <= high:
            problems.append(
                Problem(f"a quantum of {self.quantum_frames} frames", f"must be {low} to {high}", "quantum")
            )
        if problems:
            raise InputError(problems)

    @property
    def quantum_s(self) -> float:
        """How long one quantum lasts: the time there is to render it, in seconds."""
        return self.quantum_frames / self.rate_hz
