"""The impulse response of a scene's room: its file, decoded, checked and levelled."""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.decay import loudness_energy
from dsp.units import ms_to_frames
from engine.errors import Problem, SoundError
from engine.impulse import ImpulseResponse
from engine.media import decode
from engine.scene.schema import Scene
from engine.scene.sounds import FileSound, resolve_sound

MAX_FRAMES = 192_000
"""4 s at 48 kHz, 2 s at 96 kHz: some 20 % and 40 % of the time there is at 128 frames; it grows with the length."""

INAUDIBLE = 1e-6
"""Where the energy that is still to come is 60 dB below the whole, a response ends: what follows is mostly noise."""

END_FADE_MS = 10.0

MIN_LOUDNESS = 1e-9
"""Of a response, as a power beside that of an impulse of 1: -90 dB, below which it is mostly noise."""

FIELD = "room.impulse"


def load_impulse(scene: Scene, rate_hz: int) -> ImpulseResponse | None:
    """Return the impulse response that `scene` names, at `rate_hz`; None if it names none, or is outdoors.

    It ends where what would follow has 60 dB less energy than the whole. Raises SoundError naming the field for a file
    that is missing, is no sound, is silent or too long.
    """
    reference = scene.room.impulse
    if reference is None or not scene.room.detected:
        return None
    sound = resolve_sound(reference, scene.folder, scene.library, field=FIELD)
    if not isinstance(sound, FileSound):
        raise SoundError(Problem(f"{reference} is no file", "must be an impulse response", FIELD))
    try:
        samples = decode(sound.path, rate_hz)
    except SoundError as error:
        raise SoundError(
            [Problem(f"{reference} {p.what}", p.allowed, FIELD) for p in error.problems]
        ) from None
    samples = _shortened(samples, ms_to_frames(END_FADE_MS, rate_hz))
    if len(samples) > MAX_FRAMES:
        what = f"{reference} lasts {len(samples) / rate_hz:.1f} s"
        allowed = f"an impulse response of at most {MAX_FRAMES / rate_hz:.1f} s at {rate_hz} Hz"
        raise SoundError(Problem(what, allowed, FIELD))
    power = loudness_energy(samples.astype(np.float64), rate_hz)
    if not power > MIN_LOUDNESS:
        raise SoundError(Problem(f"{reference} is silent", "must have something to hear", FIELD))
    return ImpulseResponse(reference, np.ascontiguousarray(samples), 1.0 / math.sqrt(power))


def _shortened(samples: NDArray[np.float32], fade_frames: int) -> NDArray[np.float32]:
    """Return the response up to where it is inaudible, faded out there; a silent one as it is."""
    left = np.cumsum(np.sum(samples.astype(np.float64) ** 2, axis=1)[::-1])[::-1]
    end = int(np.count_nonzero(left > INAUDIBLE * left[0])) + fade_frames
    if left[0] == 0.0 or end >= len(samples):
        return samples
    made = samples[:end].copy()
    made[-fade_frames:] *= np.linspace(1.0, 0.0, fade_frames, dtype=np.float32)[:, None]
    return made
