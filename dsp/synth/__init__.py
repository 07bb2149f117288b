"""The built-in sound library: every sound is computed, and its seed gives it back bit for bit."""

import difflib
import math
import zlib

import numpy as np
from numpy.typing import NDArray

from dsp.synth import animals, fire, kernels, objects, people, vehicles, water, weather
from dsp.synth.sound import Make, Sound, fade_out
from dsp.units import db_to_amplitude, seconds_to_frames

__all__ = ["SOUNDS", "Make", "Sound", "find", "synthesise"]

PEAK_DB = -3.0
"""Every sound's highest sample, in dBFS."""

RATES_HZ = (22_050, 192_000)
DURATIONS_S = (0.05, 600.0)

LEAD_S = 0.5
"""A texture is computed from this much earlier, so that its filters are in full swing when it begins."""

START_S = 0.0005
"""An event's first sample is 0 and its attack complete after this."""

SILENT_END_S = 0.010
LONGEST_FADE_S = 0.5
DC_CORNER_HZ = 18.0

CHUNK_FRAMES = 65_536
QUIET = 1e-15
"""-300 dBFS: anything nearer to 0 is set to it, far above the subnormals of float32."""

SOUNDS: dict[str, Sound] = {
    sound.name: sound
    for family in (weather, water, fire, vehicles, animals, people, objects)
    for sound in family.SOUNDS
}
"""Every sound of the library by name."""


def find(label: str) -> Sound | None:
    """Return the sound that `label` names, directly or by synonym, or None.

    Case, spaces, underscores, hyphens and an English plural make no difference: "Church_Bells" is a bell.
    """
    for form in _forms(label):
        if form in _INDEX:
            return _INDEX[form]
    return None


def synthesise(name: str, *, rate_hz: int, seed: int, duration_s: float | None = None) -> NDArray[np.float32]:
    """Return a sound as float32 (frames, channels), C-contiguous, peak at -3 dBFS, mean 0.

    name        key in `SOUNDS` or anything `find` knows
    rate_hz     22 050 to 192 000
    seed        0 or more; the same seed gives the same bytes, another seed another take
    duration_s  0.05 to 600; None takes the sound's nominal length

    Textures have two channels where the source is wide, and no fade at either end. Events begin at zero and
    their last 10 ms are silent. Raises ValueError for a name, rate, seed or duration outside this.
    """
    sound = SOUNDS.get(name) or find(name)
    if sound is None:
        near = difflib.get_close_matches(name.lower(), sorted(SOUNDS), n=3, cutoff=0.0)
        raise ValueError(f"no sound is called {name!r}; the nearest are {', '.join(near)}")
    length_s = sound.nominal_s if duration_s is None else duration_s
    if not (math.isfinite(rate_hz) and RATES_HZ[0] <= rate_hz <= RATES_HZ[1]):
        raise ValueError(f"rate_hz must be {RATES_HZ[0]} to {RATES_HZ[1]}, not {rate_hz}")
    if not (math.isfinite(length_s) and DURATIONS_S[0] <= length_s <= DURATIONS_S[1]):
        raise ValueError(f"duration_s must be {DURATIONS_S[0]} to {DURATIONS_S[1]}, not {length_s}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}")
    rng = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(sound.name.encode())]))
    )
    frames = seconds_to_frames(length_s, rate_hz)
    lead = seconds_to_frames(LEAD_S, rate_hz) if sound.texture else 0
    out = sound.make(frames + lead, rate_hz, rng)
    return _finish(out, lead, rate_hz)


def _finish(out: NDArray[np.float32], lead: int, rate_hz: int) -> NDArray[np.float32]:
    kernels.block_dc(out, rate_hz, DC_CORNER_HZ)
    if lead:
        out = out[lead:]
        out -= out.mean(axis=0, dtype=np.float64).astype(np.float32)
    else:
        frames = out.shape[0]
        start = min(frames, math.ceil(START_S * rate_hz))
        out[:start] *= np.linspace(0.0, 1.0, start, endpoint=False, dtype=np.float32)[:, np.newaxis]
        fade_out(out, min(LONGEST_FADE_S, 0.4 * frames / rate_hz), rate_hz, SILENT_END_S)
        # What is left of a mean is taken away in the shape of a hump, so that both ends stay at zero.
        hump = np.zeros((frames, 1), np.float32)
        silent = math.ceil(SILENT_END_S * rate_hz)
        hump[: frames - silent, 0] = np.sin(np.linspace(0.0, math.pi, frames - silent, dtype=np.float32)) ** 2
        out -= hump * (out.mean(axis=0, dtype=np.float64) / hump.mean(dtype=np.float64)).astype(np.float32)
    peak = max(float(out.max()), -float(out.min()))
    gain = np.float32(db_to_amplitude(PEAK_DB) / max(peak, QUIET))
    for begin in range(0, out.shape[0], CHUNK_FRAMES):
        part = out[begin : begin + CHUNK_FRAMES]
        part *= gain
        part[np.abs(part) < QUIET] = 0.0
    return out


def _forms(label: str) -> tuple[str, ...]:
    bare = "".join(letter for letter in label.casefold() if letter.isalnum())
    forms = [bare]
    for ending, instead in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if bare.endswith(ending) and len(bare) > len(ending) + 1:
            forms.append(bare[: -len(ending)] + instead)
    return tuple(forms)


_INDEX = {form: sound for sound in SOUNDS.values() for form in _forms(sound.name)}
_INDEX |= {_forms(alias)[0]: sound for sound in SOUNDS.values() for alias in sound.names}
