"""Players: the source bank. Events from the queue sound on the lanes of their tracks."""

from dataclasses import dataclass

import numpy as np

from dsp.playback import DROPPED, LATE, SOUNDING, play
from dsp.units import ms_to_frames
from engine.events import EVENT_FLOATS, EVENT_INTS
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

TRACK_NUMBERS = 4096
"""Track numbers an event can name; a number stays with its track for as long as the show lasts."""

LATE_ENTRY_MS = 5.0
"""How long an event that came late, and so enters in its middle, rises."""


@dataclass(frozen=True)
class Players:
    """A bank of stereo tracks, one for each of `numbers`, that plays what the event queue names.

    `voices` is how many events can sound or wait for their start at once.
    """

    numbers: tuple[int, ...]
    voices: int = 4096

    inputs = ()
    params: tuple[Param, ...] = ()

    @property
    def outputs(self) -> tuple[Port, ...]:
        """One bank."""
        return (Port("bank", 2 * len(self.numbers)),)

    @property
    def meters(self) -> tuple[Meter, ...]:
        """What sounds, and what could not."""
        return (
            Meter("voices", "", "events that sound now"),
            Meter("dropped", "", "events that were due and found no free voice"),
            Meter("late", "", "events that arrived after their first frame"),
        )

    def build(self, ctx: BuildContext) -> "PlayersProcessor":
        """Make the processor."""
        return PlayersProcessor(self, ctx)


class PlayersProcessor(Processor):
    """Voices are in the order of start and track, so sums depend neither on the quantum nor on the arrival."""

    def __init__(self, node: Players, ctx: BuildContext) -> None:
        self._lanes_of = np.full(TRACK_NUMBERS, -1, np.int64)
        self._lanes_of[list(node.numbers)] = np.arange(len(node.numbers))
        self._entry_frames = ms_to_frames(LATE_ENTRY_MS, ctx.spec.rate_hz)
        self._queue = ctx.events
        self._clips = ctx.clips
        self._voice_ints = np.zeros((node.voices, EVENT_INTS + 1), np.int64)
        self._voice_floats = np.zeros((node.voices, EVENT_FLOATS))
        self._counts = np.zeros(4, np.int64)
        self._meters = ctx.meter("voices"), ctx.meter("dropped"), ctx.meter("late")

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        play(
            outs[0],
            frame,
            self._entry_frames,
            self._lanes_of,
            self._queue.counters,
            self._queue.ints,
            self._queue.floats,
            self._voice_ints,
            self._voice_floats,
            self._counts,
            self._clips.addresses,
            self._clips.frames,
        )
        voices, dropped, late = self._meters
        voices[0] = self._counts[SOUNDING]
        dropped[0] = self._counts[DROPPED]
        late[0] = self._counts[LATE]

    def reset(self) -> None:
        self._counts.fill(0)

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, PlayersProcessor) and len(old._voice_ints) <= len(self._voice_ints)

    def adopt(self, old: Processor) -> None:
        if isinstance(old, PlayersProcessor):
            # Voices name tracks by number, and a number that is gone is silent: nothing needs translating.
            self._voice_ints[: len(old._voice_ints)] = old._voice_ints
            self._voice_floats[: len(old._voice_floats)] = old._voice_floats
            self._counts[:] = old._counts
