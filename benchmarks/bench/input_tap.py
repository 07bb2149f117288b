"""A recorder of what comes in at the device, on the control side."""

import numpy as np
from numpy.typing import NDArray

from engine.inputs import INPUT_FRAMES, InputRing


class InputTap:
    """A recorder of the device's input: every frame from now on exactly once.

    Attributes: `frame`, the frame of the input that `read` continues at; `lost`, whether it lagged behind by more than
    the ring holds.
    """

    def __init__(self, inputs: InputRing, margin_frames: int) -> None:
        self._inputs = inputs
        self._most = INPUT_FRAMES - margin_frames
        self.frame = int(inputs.counters[0])
        self.lost = False

    def read(self) -> NDArray[np.float32]:
        """Return what has come in since the last call, float32 `[frames, channels]`, perhaps nothing."""
        written = int(self._inputs.counters[0])
        places = np.arange(self.frame, written) % INPUT_FRAMES
        frames = self._inputs.samples[places, : max(1, int(self._inputs.counters[1]))]
        self.lost |= int(self._inputs.counters[0]) - self.frame > self._most
        self.frame = written
        return frames
