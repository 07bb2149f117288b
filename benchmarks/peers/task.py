"""The work that is compared, in words every peer can be told in: sections, bands, bells."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.kernels import noise
from dsp.bark import EDGES_HZ, time_constants_s, usable_bands
from dsp.dynamic_eq import Q
from dsp.svf import bandpass_sections, bell

Samples = npt.NDArray[np.float32]

BELLS = 4
"""Bells per track."""
NOISE_BANDWIDTH = math.pi / (2.0 * math.sqrt(2.0))
"""Noise bandwidth of an order-2 Butterworth band-pass over its -3 dB width."""


@dataclass(frozen=True, slots=True)
class Section:
    """A band-pass of second order: y = scale (x - x''), over 1 + a1 z^-1 + a2 z^-2; peak gain 1 / k."""

    a1: float
    a2: float
    scale: float

    @classmethod
    def of(cls, g: float, k: float) -> "Section":
        """Return the section of `dsp.svf` with these parameters as a biquad."""
        whole = 1.0 + g * (g + k)
        return cls(2.0 * (g * g - 1.0) / whole, (1.0 - g * k + g * g) / whole, g / whole)


@dataclass(frozen=True, slots=True)
class Band:
    """One critical band: E = decay E + (1 - decay) weight v^2, v the output of both sections in series."""

    low_hz: float
    high_hz: float
    first: Section
    second: Section
    weight: float
    decay: float
    """The one-pole factor of one frame."""


@dataclass(frozen=True, slots=True)
class Bell:
    """A bell with constant poles, y = x - (1 - G) k v: its depth, in dB, goes from `from_db` to `to_db`."""

    centre_hz: float
    q: float
    section: Section
    from_db: float
    to_db: float

    @classmethod
    def of(cls, centre_hz: float, from_db: float, to_db: float, rate_hz: int) -> "Bell":
        """Return the bell of `dsp.bells` at this centre."""
        return cls(centre_hz, Q, Section.of(*bell(centre_hz, Q, rate_hz)), from_db, to_db)

    def amount(self, depth_db: float) -> float:
        """Return what the unscaled section is multiplied by before it is taken away."""
        gain = float(10.0 ** (-depth_db / 20.0))
        return (1.0 - gain) / self.q * self.section.scale


def bands(rate_hz: int) -> tuple[Band, ...]:
    """Return the critical bands that fit the rate, 25 from 40.9 kHz."""
    decay = np.exp(-1.0 / (rate_hz * time_constants_s()))
    found = []
    for number in range(usable_bands(rate_hz)):
        low_hz, high_hz = float(EDGES_HZ[number]), float(EDGES_HZ[number + 1])
        first, second, gain = bandpass_sections(low_hz, high_hz, rate_hz)
        weight = gain * gain / NOISE_BANDWIDTH
        found.append(
            Band(low_hz, high_hz, Section.of(*first), Section.of(*second), weight, float(decay[number]))
        )
    return tuple(found)


@dataclass(frozen=True)
class Task:
    """T stereo tracks of noise: the energies of the bands of each mono sum, and bells on both channels."""

    tracks: int
    quantum_frames: int
    rate_hz: int
    period_frames: int
    """The control period: every so many frames energies are read, and bells get another depth to go to."""
    bands: tuple[Band, ...]
    bells: tuple[tuple[Bell, ...], ...]
    """For each track."""

    def noise(self, frames: int) -> Samples:
        """Return float32[T, 2, frames], another noise in each channel."""
        lanes = noise(self.tracks, frames).T.reshape(2, self.tracks, frames)
        return np.ascontiguousarray(lanes.transpose(1, 0, 2))

    def duration_s(self, quanta: int) -> float:
        """Return how long so many quanta last."""
        return quanta * self.quantum_frames / self.rate_hz
