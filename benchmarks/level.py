"""What a track lost in loudness: BS.1770-5 integrated loudness, after over before, over the very same blocks."""

import numpy as np
from numpy.typing import NDArray

from dsp.loudness import ABSOLUTE_GATE_LUFS, OFFSET_LUFS, RELATIVE_GATE_LU, k_weighting

Floats = NDArray[np.float64]

BLOCK_S, STEPS_PER_BLOCK = 0.4, 4


class GatedLoudness:
    """The K-weighted power of a mono track in the 400 ms blocks that pass the gates *before* processing.

    Gates that were measured anew would forget blocks that became quieter, and so report less loss. A track too
    quiet for the absolute gate, or shorter than a block, counts as a whole.
    """

    def __init__(self, track: NDArray[np.floating], rate_hz: int) -> None:
        # set once
        self._frames = len(track)
        self._step = round(BLOCK_S / STEPS_PER_BLOCK * rate_hz)
        self._size = int(2 ** np.ceil(np.log2(self._frames + rate_hz // 4)))
        self._response = _k_response(np.arange(self._size // 2 + 1) / self._size, rate_hz)
        blocks = self._blocks(track)
        self._gate = np.ones(len(blocks), np.bool_)
        loud = OFFSET_LUFS + 10.0 * np.log10(np.maximum(blocks, 1e-30)) > ABSOLUTE_GATE_LUFS
        if loud.any():
            self._gate = loud & (blocks >= blocks[loud].mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0))
        self._before = float(blocks[self._gate].mean())

    def _blocks(self, track: NDArray[np.floating]) -> Floats:
        """Return the mean K-weighted power of every 400 ms, one each 100 ms."""
        weighted = np.fft.irfft(np.fft.rfft(track, self._size) * self._response, self._size)[: self._frames]
        steps = np.add.reduceat(weighted**2, np.arange(0, self._frames, self._step)) / self._step
        if len(steps) < STEPS_PER_BLOCK:
            return np.asarray([steps.mean()])
        return np.convolve(steps, np.full(STEPS_PER_BLOCK, 1.0 / STEPS_PER_BLOCK), "valid")

    def lost_lu(self, after: NDArray[np.floating]) -> float:
        """Return by how many LU `after` is quieter, 0 for a silent track, infinite for one that fell silent."""
        if self._before <= 0.0:
            return 0.0
        now = float(self._blocks(after)[self._gate].mean())
        return -10.0 * float(np.log10(now / self._before)) if now > 0.0 else float("inf")


def _k_response(cycles: Floats, rate_hz: int) -> NDArray[np.complex128]:
    """Return the frequency response of K-weighting at so many cycles a sample."""
    z = np.exp(-2j * np.pi * cycles)
    response = np.ones(len(z), np.complex128)
    for b0, b1, b2, a1, a2 in k_weighting(rate_hz):
        response *= (b0 + b1 * z + b2 * z * z) / (1.0 + a1 * z + a2 * z * z)
    return response
