"""High- and low-passed versions of a clip: fourth-order Butterworth in magnitude, without a shift of phase."""

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dsp.bark import CENTRES_HZ
from dsp.clip_loudness import active_loudness
from dsp.perceived_loudness import LOUDNESS_BANDS
from engine.scene.energy import energy_of
from engine.scene.material import MIN_LOUDNESS_LUFS, Material

ORDER = 4
Pass = Literal["high-passed", "low-passed"]


@dataclass(frozen=True, order=True)
class PassFilter:
    """Which clip is filtered, how, and at which corner (-3 dB)."""

    clip: int
    kind: Pass
    corner_hz: float

    def power(self, frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return |H|², 0 to 1, at every frequency."""
        ratio = np.asarray(frequency_hz, np.float64) / self.corner_hz
        if self.kind == "high-passed":
            ratio = 1.0 / np.maximum(ratio, 1e-9)
        response: NDArray[np.float64] = 1.0 / (1.0 + ratio ** (2 * ORDER))
        return response

    @property
    def bands(self) -> NDArray[np.float64]:
        """|H|² at the centres of the 24 bands."""
        return self.power(CENTRES_HZ[:LOUDNESS_BANDS])


def filtered(material: Material, by: PassFilter, rate_hz: int) -> Material:
    """Return the filtered sound, as long as it was and no louder than the filter leaves it.

    Source    Butterworth 1930: |H|² = 1 / (1 + (f / fc)^8)
    """
    frames = len(material.samples)
    # Room for the tails of the response, so that the end of the sound does not come out at its start.
    length = 1 << (frames + round(0.25 * rate_hz) - 1).bit_length()
    gain = np.sqrt(by.power(np.fft.rfftfreq(length, 1.0 / rate_hz).astype(np.float64)))
    made = np.empty_like(material.samples)
    for lane in range(made.shape[1]):
        if lane and material.mono:
            made[:, lane] = made[:, 0]
            continue
        spectrum = np.fft.rfft(material.samples[:, lane].astype(np.float64), length)
        made[:, lane] = np.fft.irfft(spectrum * gain, length)[:frames]
    heard = made[:, :1] if material.mono else made
    loudness_lufs = active_loudness(np.ascontiguousarray(heard), rate_hz)
    origin = None if material.origin is None else (*material.origin, by.kind, by.corner_hz)
    return replace(
        material,
        source=f"{material.source} {by.kind} at {by.corner_hz:g} Hz",
        samples=made,
        loudness_lufs=loudness_lufs,
        origin=origin,
        energy=energy_of(made, rate_hz, loudness_lufs) if loudness_lufs > MIN_LOUDNESS_LUFS else None,
    )


def samples_sha256(material: Material) -> str:
    """Return the SHA-256 of the float32 samples, little-endian."""
    return hashlib.sha256(material.samples.astype("<f4", copy=False).tobytes()).hexdigest()
