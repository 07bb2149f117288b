"""How much of each sound goes into the room of a scene: less of what brings reverberation of its own."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dsp.room_acoustics import room_target
from engine.impulse import ImpulseResponse
from engine.scene.reverberation import Reverberation
from engine.scene.schema import Atmo, Room, SceneObject

ATMO_SEND_DB = -9.0
"""An atmosphere is mostly recorded with its own room around it."""


class Answer(NamedTuple):
    """What a room does to a dry sound: its reverberation time, and the direct energy over that of the return."""

    rt60_s: float
    drr_db: float


def has_answer(room: Room) -> bool:
    """Whether a room has a tail that anything could be sent to."""
    return room.detected and room.wet_level > 0.0


def room_answer(room: Room, impulse: ImpulseResponse | None, rate_hz: int) -> Answer | None:
    """Return what `room` does, or what `impulse` does at `rate_hz`; None without a tail, or if it cannot be told."""
    if not has_answer(room):
        return None
    target = room_target(room.size, room.damping, room.wet_level, room.width)
    if impulse is None:
        return Answer(target.rt60_s, target.drr_db)
    from dsp.decay import octave_t30_s

    # ISO 3382-1: T_mid is the mean of the octaves of 500 Hz and 1 kHz.
    rt60_s = 0.5 * sum(octave_t30_s(impulse.samples.astype(np.float64), rate_hz, (500.0, 1000.0)))
    return Answer(rt60_s, target.drr_db) if math.isfinite(rt60_s) else None


def track_send_db(
    item: Atmo | SceneObject, heard: Iterable[Reverberation | None], answer: Answer | None
) -> float:
    """Return the send of a track: what the scene says; else the lowest that one of its sounds asks for, at most 0 dB.

    That of an atmo is at most -9 dB.
    """
    if isinstance(item, SceneObject) and item.send_db is not None:
        return item.send_db
    highest_db = ATMO_SEND_DB if isinstance(item, Atmo) else 0.0
    if answer is None:
        return highest_db
    return min([highest_db, *(one.send_db(*answer) for one in heard if one is not None)])
