"""The impulse response of a scene's room: its file, decoded, checked and levelled."""

import math

import numpy as np

from dsp.decay import loudness_energy
from engine.errors import Problem, SoundError
from engine.impulse import ImpulseResponse
from engine.media import decode
from engine.scene.schema import Scene
from engine.scene.sounds import FileSound, resolve_sound

MAX_IMPULSE_S = 10.0
"""A longer response is no room, and takes the processor longer than there is time."""

MIN_LOUDNESS = 1e-9
"""Of a response, as a power beside that of an impulse of 1: -90 dB, below which it is mostly noise."""

FIELD = "room.impulse"


def load_impulse(scene: Scene, rate_hz: int) -> ImpulseResponse | None:
    """Return the impulse response that `scene` names, at `rate_hz`; None if it names none, or is outdoors.

    Raises SoundError naming the field for a file that is missing, is no sound, is silent or too long.
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
    if len(samples) > MAX_IMPULSE_S * rate_hz:
        what = f"{reference} lasts {len(samples) / rate_hz:.1f} s"
        raise SoundError(Problem(what, f"an impulse response of at most {MAX_IMPULSE_S:g} s", FIELD))
    power = loudness_energy(samples.astype(np.float64), rate_hz)
    if not power > MIN_LOUDNESS:
        raise SoundError(Problem(f"{reference} is silent", "must have something to hear", FIELD))
    return ImpulseResponse(reference, np.ascontiguousarray(samples), 1.0 / math.sqrt(power))
