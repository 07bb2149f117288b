"""The equaliser and the high-pass of a sound, which act on its clip once before anything is heard."""

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import measure_clip
from engine.learn.bands import CENTRES_HZ
from engine.scene.energy import ENERGY_VERSION, Energy, energy_of
from engine.scene.kept_sounds import kept
from engine.scene.material import MIN_LOUDNESS_LUFS, Material, on_both_lanes
from engine.scene.trim import TRIM_VERSION

TONE_VERSION = 1
"""Of how a curve becomes a filter; kept sounds of another version are made anew."""

ORDER = 2
"""Of the high-pass: 12 dB an octave."""

LEAST_DB = -100.0
"""No frequency is turned down by more: a logarithm is taken on the way."""

RESPONSE_S = 0.3
"""How long the filter rings at least before it is cut off."""

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]


class Tone(NamedTuple):
    """What a clip goes through: gains in dB at the 31 bands, none for a flat curve; 0 Hz for no high-pass."""

    eq_db: tuple[float, ...] = ()
    highpass_hz: float = 0.0

    @property
    def flat(self) -> bool:
        """Whether it leaves every sample as it is."""
        return not (self.eq_db or self.highpass_hz)


AS_IT_IS = Tone()


def magnitude_db(tone: Tone, at_hz: Floats) -> Floats:
    """Return what each frequency is turned up by, in dB, at least -100.

    The curve goes straight from band to band over the logarithm of the frequency, and level beyond both ends.
    Source    Butterworth 1930: |H|² = 1 / (1 + (fc / f)^4)
    """
    safe_hz = np.maximum(at_hz, 1e-3)
    made = np.interp(np.log(safe_hz), np.log(CENTRES_HZ), tone.eq_db) if tone.eq_db else np.zeros(len(at_hz))
    if tone.highpass_hz:
        made = made - 10.0 * np.log10(1.0 + (tone.highpass_hz / safe_hz) ** (2 * ORDER))
    return np.maximum(made, LEAST_DB)


@lru_cache(maxsize=16)
def impulse_response(tone: Tone, rate_hz: int) -> Floats:
    """Return the minimum-phase response of that magnitude, float64 `[frames]`: nothing comes before its sound.

    Source    Oppenheim and Schafer, Discrete-Time Signal Processing: the real cepstrum, folded
    """
    frames = 1 << int(np.ceil(np.log2(RESPONSE_S * rate_hz)))
    length = 4 * frames
    at_hz = np.fft.rfftfreq(length, 1.0 / rate_hz).astype(np.float64)
    cepstrum = np.fft.irfft(magnitude_db(tone, at_hz) * (np.log(10.0) / 20.0), length)
    cepstrum[1 : length // 2] *= 2.0
    cepstrum[length // 2 + 1 :] = 0.0
    response = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), length)[:frames]
    fade = frames // 4
    response[-fade:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    return response


def filtered_samples(samples: Samples, tone: Tone, rate_hz: int) -> Samples:
    """Return float32 `[frames, channels]` through the filters, as long as it was: what rings on beyond is cut off."""
    response = impulse_response(tone, rate_hz)
    length = 4 * len(response)
    hop = length - len(response) + 1
    spectrum = np.fft.rfft(response, length)
    frames, channels = samples.shape
    made = np.empty_like(samples)
    block = np.empty((channels, length))
    for begin in range(0, frames, hop):
        first = max(0, begin - len(response) + 1)
        end = min(frames, begin + hop)
        lead = len(response) - 1
        block[:] = 0.0
        block[:, lead - (begin - first) : lead + (end - begin)] = samples[first:end].T
        through = np.fft.irfft(np.fft.rfft(block, axis=1) * spectrum, length, axis=1)
        made[begin:end] = through[:, lead : lead + (end - begin)].T
    return made


def toned(material: Material, tone: Tone, rate_hz: int) -> Material:
    """Return a sound through its filters, with its loudness and energy as they are then.

    That of a procedural sound is kept in the user's cache folder.
    """
    if tone.flat:
        return material
    origin = toned_origin(material.origin, tone)
    own = np.ascontiguousarray(material.samples[:, :1]) if material.mono else material.samples

    def make() -> Samples:
        return filtered_samples(own, tone, rate_hz)

    procedural = material.path is None and origin is not None
    made_from = f"{origin} trim {TRIM_VERSION} tone {TONE_VERSION}"
    made = kept(make, made_from) if procedural else make()
    loudness_lufs, powers = measure_clip(made, rate_hz)

    def measure() -> Samples:
        return energy_of(made, rate_hz, loudness_lufs).as_array()

    energy = None
    if loudness_lufs > MIN_LOUDNESS_LUFS:
        known = kept(measure, f"{made_from} energy {ENERGY_VERSION}") if procedural else measure()
        energy = Energy.from_array(known)
    return replace(
        material,
        samples=on_both_lanes(made) if material.mono else made,
        loudness_lufs=loudness_lufs,
        powers=powers,
        energy=energy,
        origin=origin,
    )


def toned_origin(origin: tuple[object, ...] | None, tone: Tone) -> tuple[object, ...] | None:
    """Return what a sound is made from that goes through these filters."""
    return origin if origin is None or tone.flat else (*origin, *tone)
