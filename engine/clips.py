"""Decoded sound the players read: float32 `[frames, 2]` arrays, addressed by number."""

import numpy as np
from numpy.typing import NDArray

from engine.errors import SoundError

CLIP_CAPACITY = 4096
"""Clips one engine can hold."""


class ClipStore:
    """The clips of an engine, by number, as addresses a compiled kernel can read.

    Attributes: `addresses` int64 `[CLIP_CAPACITY]` of float32 `[frames, 2]` memory, `frames` int64
    `[CLIP_CAPACITY]`; a clip that is not there has 0 frames, and an event that names it is silent.
    """

    def __init__(self) -> None:
        self.addresses = np.zeros(CLIP_CAPACITY, np.int64)
        self.frames = np.zeros(CLIP_CAPACITY, np.int64)
        self._arrays: dict[int, NDArray[np.float32]] = {}

    def add(self, number: int, samples: NDArray[np.float32]) -> None:
        """Hold `samples` (float32 `[frames, 2]`, C-contiguous) as clip `number` until `remove`."""
        if not 0 <= number < CLIP_CAPACITY:
            raise SoundError(f"more than {CLIP_CAPACITY} sounds")
        if samples.dtype != np.float32 or samples.ndim != 2 or samples.shape[1] != 2:
            raise ValueError(f"a clip is float32 [frames, 2], not {samples.dtype} {samples.shape}")
        if not samples.flags.c_contiguous:
            raise ValueError("a clip must be C-contiguous")
        self._arrays[number] = samples
        self.addresses[number] = samples.ctypes.data
        self.frames[number] = len(samples)

    def remove(self, number: int) -> None:
        """Let go of clip `number`; no event that reads it may still be sounding."""
        self.frames[number] = 0
        self.addresses[number] = 0
        self._arrays.pop(number, None)

    def __len__(self) -> int:
        return len(self._arrays)
