"""How loud a scene will be, told from its sounds, levels and schedules before anything is played."""

from collections.abc import Iterator
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsp.clip_loudness import POWERS_PER_SECOND
from dsp.loudness import ABSOLUTE_GATE_LUFS, OFFSET_LUFS, RELATIVE_GATE_LU
from engine.events import Event
from engine.scene.material import Material
from engine.scene.schema import Room

if TYPE_CHECKING:
    from engine.scene.composition import Composition

HORIZON_S = 60.0
"""How much of the endless form is looked at."""

MOST_EVENTS = 40
"""How many events of a track are looked at: beyond, it goes on as in the mean of these."""

GATE_STEPS = 4
"""A gating block of 400 ms, in steps of 100 ms."""


def predicted_lufs(composition: "Composition", reference_lufs: float) -> float | None:
    """Return the integrated loudness of the first minute of the endless form before the master; None for silence.

    The K-weighted powers of all sounds while they sound, each with its return from the room, gated as in BS.1770-5.
    Not foreseen are what unmasking takes away and how equal waves add up. A track without sounds of its own, as
    a live input, counts as always heard, at the `reference_lufs` it is expected at.
    """
    total = np.zeros(round(HORIZON_S * POWERS_PER_SECOND))
    streams = composition.streams()
    answer = _answer(composition.scene.room)
    for track in composition.tracks:
        gain = 10.0 ** ((track.level_db - reference_lufs) / 10.0)
        gain *= 1.0 + answer * 10.0 ** (track.send_db / 10.0)
        if not track.clips:
            total += gain * _power(reference_lufs)
        else:
            total += gain * _powers(
                streams[track.number], composition.materials, composition.rate_hz, len(total)
            )
    return _gated_lufs(np.convolve(total, np.full(GATE_STEPS, 1.0 / GATE_STEPS), "valid"))


def _power(level_lufs: float) -> float:
    """Return the K-weighted power of a loudness."""
    return float(10.0 ** ((level_lufs - OFFSET_LUFS) / 10.0))


def _answer(room: Room) -> float:
    """Return the power of what comes back from the room over that of what is sent there."""
    if not room.detected and room.echo_ms is None:
        return 0.0
    return room.wet_level**2 + (room.early**2 if room.detected else 0.0)


def _powers(
    events: Iterator[Event], materials: tuple[Material, ...], rate_hz: int, steps: int
) -> NDArray[np.float64]:
    """Return the power of a track in each of `steps` of 100 ms."""
    per_step = rate_hz / POWERS_PER_SECOND
    powers = np.zeros(steps)
    end = 0.0
    count = 0
    for event in islice(takewhile(lambda e: e.start_frame < steps * per_step, events), MOST_EVENTS):
        if event.frames == 0:
            continue
        material = materials[event.clip]
        first, length = round(event.start_frame / per_step), max(1, round(event.frames / per_step))
        heard = _heard(material, event, rate_hz, length)[: max(0, steps - first)]
        powers[first : first + len(heard)] += event.gain**2 * heard
        end, count = max(end, event.start_frame / per_step), count + 1
    if count == MOST_EVENTS and 0 < (known := int(end)) < steps:
        powers[known:] = powers[:known].mean()
    return powers


def _heard(material: Material, event: Event, rate_hz: int, length: int) -> NDArray[np.float64]:
    """Return the power of an event's sound in each of its `length` steps, with its fades, before its gain."""
    if material.powers is None:
        powers = np.full(length, _power(material.loudness_lufs))
    else:
        first = round(event.offset_frames * POWERS_PER_SECOND / rate_hz)
        powers = np.zeros(length)
        part = material.powers[first : first + length]
        powers[: len(part)] = part
    if length > 1:
        # A fade with equal power is straight in power.
        middles = (np.arange(length) + 0.5) * rate_hz / POWERS_PER_SECOND
        powers *= np.minimum(1.0, middles / max(1, event.fade_in_frames))
        powers *= np.clip((event.frames - middles) / max(1, event.fade_out_frames), 0.0, 1.0)
    return powers


def _gated_lufs(blocks: NDArray[np.float64]) -> float | None:
    blocks = blocks[blocks > _power(ABSOLUTE_GATE_LUFS)]
    if not len(blocks):
        return None
    blocks = blocks[blocks > blocks.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)]
    return float(OFFSET_LUFS + 10.0 * np.log10(blocks.mean()))
