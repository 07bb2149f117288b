"""Where in a recording a sweep begins: what a round trip is measured with.

The sweep is the exponential one of Farina (AES 108th Convention, 2000, preprint 5093). What was heard is divided by
what was played, which gives the impulse response of all that lies between: a narrow peak, and how far it stands out
tells whether to believe it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SWEEP_S = 1.0
LOWEST_HZ = 50.0
HIGHEST_SHARE = 0.4
"""The highest frequency of the sweep, as a share of the rate."""

SWEEP_FADE_S = 0.01

FLOOR = 1e-4
"""Power below which the sweep is taken to hold nothing, as a share of its strongest frequency."""

GUARD_MS = 1.0
"""What belongs to the peak, on both sides of it."""

CLEAR_DB = 6.0
"""How far the peak must stand out of all else to be believed: in a hundred trials noise alone came to 2 dB."""

FINE = 16
"""Places between two frames at which the peak is evaluated, before a parabola is laid through the highest three."""


def sweep(rate_hz: int, seconds: float = SWEEP_S, late_frames: float = 0.0) -> NDArray[np.float32]:
    """Return an exponential sweep from 50 Hz to 0.4 of the rate, peak 1, float32 `[frames]`.

    It begins `late_frames` late, which need not be whole.
    """
    frames = round(seconds * rate_hz)
    highest_hz = HIGHEST_SHARE * rate_hz
    span = math.log(highest_hz / LOWEST_HZ)
    t = (np.arange(frames + math.ceil(late_frames)) - late_frames) / rate_hz
    wave = np.sin(2.0 * np.pi * LOWEST_HZ * seconds / span * np.expm1(t * span / seconds))
    edge = np.clip(np.minimum(t, seconds - t) / SWEEP_FADE_S, 0.0, 1.0)
    faded: NDArray[np.float32] = (wave * np.sin(0.5 * np.pi * edge) ** 2).astype(np.float32)
    return faded


@dataclass(frozen=True, slots=True)
class Delay:
    """By how many `frames` the sweep is late, to a fraction of one, and how far to believe it.

    `clarity_db` is the peak of the impulse response over the next highest, more than 1 ms away; 0 where nothing at all
    was heard. `inverted` says that the peak is negative.
    """

    frames: float
    clarity_db: float
    inverted: bool

    @property
    def clear(self) -> bool:
        """Whether there is one peak."""
        return self.clarity_db >= CLEAR_DB


def find_delay(
    played: NDArray[np.float32], heard: NDArray[np.float32], rate_hz: int, most_frames: int
) -> Delay:
    """Return where in `heard` (float32 `[frames]`) `played` begins, from 0 to `most_frames`.

    `heard` holds `most_frames` more than `played`.
    """
    size = 1 << (len(played) + len(heard) - 1).bit_length()
    spectrum = np.fft.rfft(played.astype(np.float64), size)
    power = np.abs(spectrum) ** 2
    quotient = np.fft.rfft(heard.astype(np.float64), size) * np.conj(spectrum)
    quotient /= power + FLOOR * float(power.max())
    response = np.fft.irfft(quotient, size)[: most_frames + 1]
    height = np.abs(response)
    at = int(height.argmax())
    peak = float(height[at])
    if peak < 1e-9:
        return Delay(0.0, 0.0, False)
    guard = math.ceil(GUARD_MS * 1e-3 * rate_hz)
    rest = np.concatenate([height[: max(0, at - guard)], height[at + guard + 1 :]])
    clarity_db = 20.0 * math.log10(peak / max(float(rest.max(initial=0.0)), 1e-9))
    sign = math.copysign(1.0, float(response[at]))
    return Delay(_refine(sign * quotient, at, size), clarity_db, sign < 0.0)


def _refine(quotient: NDArray[np.complex128], at: int, size: int) -> float:
    """Return where between frames the response is highest, by its Fourier sum round frame `at`."""
    places = at + np.arange(-FINE, FINE + 1) / FINE
    angles = 2.0 * np.pi / size * np.arange(len(quotient))
    turned = quotient * np.exp(1j * angles * places[0])
    step = np.exp(1j * angles / FINE)
    values = np.zeros(len(places))
    for n in range(len(places)):
        values[n] = 2.0 / size * float(turned.real.sum())
        turned *= step
    best = int(np.clip(values.argmax(), 1, len(values) - 2))
    before, top, after = values[best - 1 : best + 2]
    bend = before - 2.0 * top + after
    offset = 0.5 * (before - after) / bend if bend != 0.0 else 0.0
    return float(places[best] + offset / FINE)
