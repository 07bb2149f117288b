"""The signature of a FLAC file: what tells a file that was cut off or damaged from a whole one.

The decoder gives silence for what is missing, without a word.
"""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STREAM_INFO_BYTES = 34
EXACT_BITS = 24
"""float32 holds integers of up to 24 bits exactly."""


class FlacSignature:
    """Compares decoded samples with the MD5 in the file's STREAMINFO (RFC 9639, 8.2: of the samples, interleaved)."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as raw:
            head = raw.read(8 + STREAM_INFO_BYTES)
        whole = head[:4] == b"fLaC" and len(head) == 8 + STREAM_INFO_BYTES
        self._bits = (((head[20] & 1) << 4) | (head[21] >> 4)) + 1 if whole else 0
        self._wanted = head[26:42] if whole and self._bits <= EXACT_BITS else b""
        self._digest = hashlib.md5(usedforsecurity=False)

    def take(self, chunk: NDArray[np.float32]) -> None:
        """Add decoded samples, float32 `[channels, frames]`."""
        if not any(self._wanted):
            return
        # pedalboard reads the largest positive number as 1.0.
        numbers = np.rint(chunk.T * float((1 << (self._bits - 1)) - 1)).astype("<i4", order="C")
        width = (self._bits + 7) // 8
        self._digest.update(numbers.view(np.uint8).reshape(-1, 4)[:, :width].tobytes())

    def broken(self) -> bool:
        """Say whether the samples are not those that were encoded; False where the file has no signature."""
        return any(self._wanted) and self._digest.digest() != self._wanted
