"""Sound → energy in 25 Bark bands over time, by short-time Fourier transform."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.bark import BANDS, EDGES_HZ

HOP_S = 1024 / 48_000
"""Time between two analysis frames, half a window: the framing of the FFT ear of ITU-R BS.1387-1."""

BATCH = 16
"""Analysis frames transformed at a time."""

Energies = NDArray[np.float32]
"""float32 `[tracks, frames, 25]`, mean squares; full scale 1.0."""


def hop_frames(rate_hz: int) -> int:
    """Return how many samples lie between two analysis frames; the window is twice as long (2048 at 48 kHz)."""
    return round(HOP_S * rate_hz)


def hann(length: int) -> NDArray[np.float64]:
    """Return the periodic Hann window, float64 `[length]`."""
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)


def band_weights(window: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """Return float64 `[bins, 25]`, what turns the squared magnitudes of a windowed transform into band mean squares.

    A bin reaches half a bin to both sides; one that an edge cuts is shared out by width. So white noise reads true
    in every band at every rate, and a tone does wherever its band is wider than the window's main lobe, 94 Hz.
    """
    bins = len(window) // 2 + 1
    width_hz = rate_hz / len(window)
    low = (np.arange(bins) - 0.5) * width_hz
    overlap = np.minimum(low[:, None] + width_hz, EDGES_HZ[1:]) - np.maximum(low[:, None], EDGES_HZ[:-1])
    power = np.full(bins, 2.0 / (len(window) * float(window @ window)))
    power[[0, -1]] *= 0.5
    weights: NDArray[np.float64] = np.maximum(overlap, 0.0) / width_hz * power[:, None]
    return weights


class BandEnergies:
    """Band energies of T tracks, fed a block at a time; holds 25 numbers a track for every 21 ms.

    Analysis frame k is centred on sample k `hop_frames`; before and after the sound there is silence. The energy of a
    track is the mean over its channels, which equal-power panning does not change.
    """

    def __init__(self, tracks: int, rate_hz: int, channels: int = 2) -> None:
        hop = hop_frames(rate_hz)
        self._shape = channels, tracks
        self._hop = hop
        self._window = hann(2 * hop)
        self._weights = band_weights(self._window, rate_hz) / channels
        self._pending = np.zeros(((BATCH + 1) * hop, channels * tracks), np.float32)
        self._filled = hop
        self._done: list[Energies] = []

    def push(self, block: NDArray[np.float32]) -> None:
        """Take in float32 `[n, channels x tracks]`, lanes as in a bank: all left ones, then all right ones."""
        start = 0
        while start < len(block):
            stop = min(len(block), start + len(self._pending) - self._filled)
            self._pending[self._filled : self._filled + stop - start] = block[start:stop]
            self._filled += stop - start
            start = stop
            if self._filled == len(self._pending):
                self._transform()

    def finish(self) -> Energies:
        """Return float32 `[tracks, frames, 25]` of all that was pushed: n samples give n // hop + 1 frames."""
        self.push(np.zeros((self._hop, self._pending.shape[1]), np.float32))
        if self._filled >= 2 * self._hop:
            self._transform()
        return np.ascontiguousarray(np.concatenate(self._done).swapaxes(0, 1))

    def _transform(self) -> None:
        frames = self._filled // self._hop - 1
        views = sliding_window_view(self._pending[: self._filled], 2 * self._hop, axis=0)[:: self._hop]
        spectrum = np.fft.rfft(views[:frames] * self._window)
        energy = (spectrum.real**2 + spectrum.imag**2) @ self._weights
        self._done.append(energy.reshape(frames, *self._shape, BANDS).sum(axis=1).astype(np.float32))
        used = frames * self._hop
        self._pending[: self._filled - used] = self._pending[used : self._filled].copy()
        self._filled -= used
