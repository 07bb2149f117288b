"""One pedalboard Reverb as part of a room: told a share of the stream's rate, its knobs solved, its level levelled."""

import numpy as np
import pedalboard

from dsp.freeverb import width_from_correlation
from dsp.freeverb_rooms import knobs, mid_rt60_s, tail_loudness_db
from dsp.ramp import LaneRamp
from dsp.room_acoustics import RoomTarget
from dsp.units import db_to_amplitude
from engine.spec import Block, StreamSpec

UNIT_WET_LEVEL = 1.0 / 3.0
"""Freeverb scales its wet knob by 3, so this is a wet gain of 1; the level is set behind it."""

RING_OUT = 2.5
"""How many reverberation times a tail that is fed no more goes on: by 150 dB at mid frequencies."""

STEP_FRAMES = 16
"""All times are whole numbers of so many frames, the smallest quantum: so none is cut into single frames."""


class Tail:
    """What a room's send leaves behind. Set between quanta, on the thread that runs it: its setters take no lock.

    Asleep it costs nothing. `frames_left` is how long it still rings out, 0 while it is fed.
    """

    def __init__(self, spec: StreamSpec, share: float, ramp_frames: int, target: RoomTarget) -> None:
        self._rate_hz = float(spec.rate_hz)
        self._declared_hz = float(round(spec.rate_hz * share))
        self._plugin = pedalboard.Reverb(wet_level=UNIT_WET_LEVEL, dry_level=0.0)
        self._ramp = LaneRamp(2, ramp_frames)
        self._gains = np.zeros(2, np.float32)
        self._level = 1.0
        self._rt60_s = 0.0
        self._aim(target)
        self._silence = np.zeros((spec.quantum_frames, 2), np.float32)
        self._prime()
        self._plugin.reset()
        self.awake = False
        self.frames_left = 0

    def render(self, send: Block, heard: Block) -> None:
        """Write the return for `send` to `heard`, both of 2 frames or more."""
        self._ramp.apply(self._plugin.process(send, self._declared_hz, reset=False), heard)

    def wake(self, target: RoomTarget, wet: float) -> None:
        """Be ready to be fed, silent as yet."""
        self._aim(target)
        self._gains.fill(wet * self._level)
        self._ramp.jump_to(self._gains)
        self._plugin.freeze_mode = 0.0
        self._prime()
        self.awake = True
        self.frames_left = 0

    def follow(self, target: RoomTarget, wet: float, frozen: bool) -> None:
        """Go over to another target, as near as this one comes to it."""
        # The level that goes with a size and a damping is that of a tail that dies away: frozen, it is kept.
        level = self._level
        self._aim(target)
        if frozen:
            self._level = level
        self._gains.fill(wet * self._level)
        self._ramp.set_targets(self._gains)
        if self.frames_left > 0:
            self.begin_to_ring_out()

    def freeze(self, frozen: bool) -> None:
        """Stand still, or go on."""
        self._plugin.freeze_mode = 1.0 if frozen else 0.0

    def begin_to_ring_out(self) -> None:
        """Be fed no more."""
        frames = RING_OUT * self._rt60_s * self._rate_hz
        self.frames_left = (int(frames) // STEP_FRAMES + 1) * STEP_FRAMES

    def ring_out(self, frames: int) -> None:
        """Count `frames` that rang; fall asleep at the end."""
        self.frames_left -= frames
        if self.frames_left <= 0:
            self.reset()

    def reset(self) -> None:
        """Fall asleep, silent."""
        self._plugin.reset()
        self.awake = False
        self.frames_left = 0

    def _prime(self) -> None:
        """Show the plug-in its largest block: after a reset, the first that is larger than before clears the tail."""
        self._plugin.process(self._silence, self._declared_hz, reset=False)

    def _aim(self, target: RoomTarget) -> None:
        size, damping = knobs(target.rt60_s, target.treble_ratio, self._rate_hz, self._declared_hz)
        width = width_from_correlation(target.correlation)
        plugin = self._plugin
        plugin.room_size = size
        plugin.damping = damping
        plugin.width = width
        self._rt60_s = mid_rt60_s(size, damping, self._rate_hz, self._declared_hz)
        loudness_db = tail_loudness_db(size, damping, UNIT_WET_LEVEL, width, self._rate_hz, self._declared_hz)
        self._level = db_to_amplitude(-loudness_db)
