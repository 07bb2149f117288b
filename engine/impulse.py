"""An impulse response on its way from the control side to the node that plays through it."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImpulseResponse:
    """`samples` float32 `[frames, 1 or 2]` at the stream's rate; `level` what brings its loudness to 1.

    Two are equal if their samples are.
    """

    name: str
    samples: NDArray[np.float32]
    level: float

    @property
    def digest(self) -> bytes:
        """What tells two of them apart."""
        return hashlib.sha256(self.samples.tobytes()).digest()

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, ImpulseResponse)
            and self.samples.shape == other.samples.shape
            and self.digest == other.digest
        )

    def __hash__(self) -> int:
        return hash(self.digest)
