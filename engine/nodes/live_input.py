"""LiveInput: what comes in at the audio device, on the lanes of the tracks that play it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.capture import FALLEN, READ, READS, SEEN, SHORT, STATE, SWITCHED, TAILS, capture
from dsp.units import ms_to_frames
from engine.inputs import INPUT_CHANNELS
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

FADE_MS = 10.0
"""How long a change of the place of reading takes, and what fades where the input stops."""

MARGIN_MS = 1.0
"""The least the reader keeps off from where it would be too close."""

WINDOW_S = 1.0
WINDOW_QUANTA = 64
"""How long the reader watches before it moves up: a second, and at least so many quanta."""

PEAK_FALL_DB_PER_S = 24.0


@dataclass(frozen=True)
class LiveInput:
    """A bank of stereo tracks, one for each of `numbers`, of which some play the device's input.

    `channels[i]` are the input's channels, from 0, of track i: none (silent), one for both lanes, or left and right.
    """

    numbers: tuple[int, ...]
    channels: tuple[tuple[int, ...], ...]

    inputs = ()
    params: tuple[Param, ...] = ()

    @property
    def outputs(self) -> tuple[Port, ...]:
        """One bank."""
        return (Port("bank", 2 * len(self.numbers)),)

    @property
    def meters(self) -> tuple[Meter, ...]:
        """How the reader fares, and what comes in."""
        channels = tuple(str(channel + 1) for channel in range(INPUT_CHANNELS))
        return (
            Meter("lag", "frames", "how far the first frame of the quantum is behind the input's newest"),
            Meter("short", "", "gaps: how often the input had less than a quantum"),
            Meter("peak", "", "falling sample peak of each channel of the input, amplitude", channels),
        )

    def build(self, ctx: BuildContext) -> "LiveInputProcessor":
        """Make the processor."""
        return LiveInputProcessor(self, ctx)


class LiveInputProcessor(Processor):
    """One reader for all channels, so that no two tracks ever drift apart."""

    def __init__(self, node: LiveInput, ctx: BuildContext) -> None:
        spec = ctx.spec
        self._ring = ctx.inputs.samples
        self._counters = ctx.inputs.counters
        self._numbers = node.numbers
        self._channel_of = _lanes(node.channels)
        self._channel_was = self._channel_of.copy()
        self._state = np.zeros(STATE, np.int64)
        self._tails = np.zeros((TAILS, 4), np.int64)
        self._last = np.zeros((1 + TAILS, INPUT_CHANNELS), np.float32)
        self._heard = np.zeros((spec.quantum_frames, INPUT_CHANNELS), np.float32)
        self._fade_frames = ms_to_frames(FADE_MS, spec.rate_hz)
        self._margin_frames = ms_to_frames(MARGIN_MS, spec.rate_hz)
        self._window_frames = max(round(WINDOW_S * spec.rate_hz), WINDOW_QUANTA * spec.quantum_frames)
        self._fall = 10.0 ** (-PEAK_FALL_DB_PER_S * spec.quantum_s / 20.0)
        self._lag, self._short, self._peak = ctx.meter("lag"), ctx.meter("short"), ctx.meter("peak")
        self.reset()

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        state = self._state
        capture(
            outs[0],
            self._ring,
            self._counters,
            self._channel_of,
            self._channel_was,
            state,
            self._tails,
            self._last,
            self._heard,
            self._peak,
            self._fall,
            self._fade_frames,
            self._margin_frames,
            self._window_frames,
        )
        # The kernel has moved on by a quantum, and SEEN is what was written when it looked.
        self._lag[0] = state[SEEN] - state[READ] + len(outs[0]) if state[READS] else 0.0
        self._short[0] = state[SHORT]

    def reset(self) -> None:
        self._state.fill(0)
        self._state[SEEN] = -1
        self._state[SWITCHED] = self._fade_frames
        self._tails.fill(0)
        self._tails[:, FALLEN] = self._fade_frames
        self._last.fill(0.0)
        self._peak.fill(0.0)

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        """Nothing that is kept can hold what is not finite: the next quantum is read anew."""

    def can_adopt(self, old: Processor) -> bool:
        if not isinstance(old, LiveInputProcessor) or old._fade_frames != self._fade_frames:
            return False
        places = {number: place for place, number in enumerate(old._numbers)}
        self._channel_was.fill(-1)
        tracks, before_tracks = len(self._numbers), len(places)
        for place, number in enumerate(self._numbers):
            if (before := places.get(number)) is not None:
                for side in range(2):
                    self._channel_was[side * tracks + place] = old._channel_of[side * before_tracks + before]
        return True

    def adopt(self, old: Processor) -> None:
        if isinstance(old, LiveInputProcessor):
            self._state[:] = old._state
            self._state[SWITCHED] = 0
            self._tails[:] = old._tails
            self._last[:] = old._last


def _lanes(channels: tuple[tuple[int, ...], ...]) -> NDArray[np.int64]:
    """Return the channel of every lane, -1 for none: left of all tracks, then right."""
    sides = [[pair[side * (len(pair) - 1)] if pair else -1 for pair in channels] for side in range(2)]
    return np.array(sides, np.int64).reshape(-1)
