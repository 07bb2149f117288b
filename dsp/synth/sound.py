"""What the library knows of one sound, and how a sound longer than one event is made of several."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.synth.layers import F32

Make = Callable[[int, int, np.random.Generator], NDArray[np.float32]]
"""(frames, rate_hz, rng) to a raw sound (frames, channels) of any level; `synthesise` finishes it."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One entry of the library.

    name       key in `SOUNDS`
    names      synonyms, lower case
    about      one line on what is heard
    nominal_s  natural length in seconds
    texture    True: a stationary bed that may be looped; False: an event that ends in silence
    make       the raw sound (see `Make`)
    """

    name: str
    names: tuple[str, ...]
    about: str
    nominal_s: float
    texture: bool
    make: Make


def in_turn(one: Make, nominal_s: float) -> Make:
    """Return a maker that fills a long time with several events of about `nominal_s`, one after the other."""

    def make(frames: int, rate_hz: int, rng: np.random.Generator) -> F32:
        count = max(1, math.floor(frames / rate_hz / nominal_s))
        edges = np.linspace(0, frames, count + 1).astype(np.int64)
        parts = []
        for begin, end in itertools.pairwise(edges.tolist()):
            part = one(end - begin, rate_hz, rng)
            fade_out(part, min(0.1, 0.2 * part.shape[0] / rate_hz), rate_hz)
            parts.append(part)
        return parts[0] if count == 1 else np.concatenate(parts)

    return make


def fade_out(out: F32, fade_s: float, rate_hz: int, silent_s: float = 0.0) -> None:
    """Fade the end of `out` in place along a squared cosine, with `silent_s` of nothing after it."""
    silent = min(out.shape[0], math.ceil(silent_s * rate_hz))
    fade = min(out.shape[0] - silent, math.ceil(fade_s * rate_hz))
    begin = out.shape[0] - silent - fade
    shape = np.cos(np.linspace(0.0, math.pi / 2.0, fade, dtype=np.float32)) ** 2
    out[begin : begin + fade] *= shape[:, np.newaxis]
    out[begin + fade :] = 0.0
