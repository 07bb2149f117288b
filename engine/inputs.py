"""Live input on its way from the audio device to the nodes that play it: one writer (the callback), any readers.

The same class over plain memory offline, where nothing is ever written, and over shared memory live.
"""

import numpy as np
from numpy.typing import NDArray

INPUT_FRAMES = 2**14
"""Frames the ring holds, a power of two: 341 ms at 48 kHz."""

INPUT_CHANNELS = 8
"""Channels it holds; those that the device does not have are silent."""

INPUT_BYTES = 4 * INPUT_FRAMES * INPUT_CHANNELS + 64


class InputRing:
    """The newest `INPUT_FRAMES` frames of the device's input.

    Attributes: `samples` float32 `[INPUT_FRAMES, INPUT_CHANNELS]`, frame n at n modulo `INPUT_FRAMES`, finite and
    within +24 dBFS; `counters` int64 `[2]`: frames written so far (ever growing), and how many channels the device
    has (0 without an input).
    """

    def __init__(self, memory: NDArray[np.uint8] | None = None) -> None:
        memory = np.zeros(INPUT_BYTES, np.uint8) if memory is None else memory[:INPUT_BYTES]
        self.counters: NDArray[np.int64] = memory[:16].view(np.int64)
        self.samples: NDArray[np.float32] = memory[64:].view(np.float32).reshape(INPUT_FRAMES, INPUT_CHANNELS)
