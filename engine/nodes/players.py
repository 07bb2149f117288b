"""Players: the source bank. Events from the queue sound on the lanes of their tracks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.playback import DROPPED, LATE, SOUNDING, VoiceTable, play
from dsp.units import ms_to_frames
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

TRACK_NUMBERS = 4096
"""Track numbers an event can name; a number stays with its track for as long as the show lasts."""

LATE_ENTRY_MS = 5.0
"""How long an event that enters in its middle rises."""


@dataclass(frozen=True)
class Players:
    """A bank of stereo tracks, one for each of `numbers`, that plays what the engine's event queue `queue` names.

    `voices` is how many events can sound or wait for their start at once.
    """

    numbers: tuple[int, ...]
    queue: int = 0
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
            Meter("late", "", "events that arrived after they were to be heard"),
        )

    def build(self, ctx: BuildContext) -> "PlayersProcessor":
        """Make the processor."""
        return PlayersProcessor(self, ctx)


class PlayersProcessor(Processor):
    """Voices are in the order of start and track, so sums depend neither on the quantum nor on the arrival."""

    may_run_twice = False

    def __init__(self, node: Players, ctx: BuildContext) -> None:
        self._lanes_of = np.full(TRACK_NUMBERS, -1, np.int64)
        self._lanes_of[list(node.numbers)] = np.arange(len(node.numbers))
        self._entry_frames = ms_to_frames(LATE_ENTRY_MS, ctx.spec.rate_hz)
        self._number = node.queue
        self._queue = ctx.queues[node.queue]
        self._clips = ctx.clips
        self._voices = VoiceTable(node.voices)
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
            self._voices.ints,
            self._voices.floats,
            self._voices.order,
            self._voices.counts,
            self._clips.addresses,
            self._clips.frames,
        )
        voices, dropped, late = self._meters
        voices[0] = self._voices.counts[SOUNDING]
        dropped[0] = self._voices.counts[DROPPED]
        late[0] = self._voices.counts[LATE]

    def reset(self) -> None:
        self._voices.clear()

    def heal(self, port: int, lanes: NDArray[np.bool_]) -> None:
        """Do nothing: no lane has a state, and the voices go on."""

    def can_adopt(self, old: Processor) -> bool:
        if not isinstance(old, PlayersProcessor):
            return False
        return old._number == self._number and len(old._voices) <= len(self._voices)

    def adopt(self, old: Processor) -> None:
        if isinstance(old, PlayersProcessor):
            # Voices name tracks by number, and a number that is gone is silent: nothing needs translating.
            self._voices.take_over(old._voices)
