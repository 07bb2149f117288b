"""Moves of parameters by name: kept while a show plays, and made again at the same frames in a render."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.events import Event
from engine.moves import MoveLog
from engine.params import ParamTable


class NamedMove(NamedTuple):
    """The parameter `name` had the value `value`, in natural units, from the frame `frame` on."""

    frame: int
    name: str
    value: float


class MoveKeeper:
    """Follows the log of an engine, from the beginning of its session, and keeps every move by its name.

    Values that a scene begins with are no moves. `lost` is how many moves could not be kept because the log was not
    read for seconds while everything moved.
    """

    def __init__(self, log: MoveLog) -> None:
        self._reader = log.reader()
        self._table: ParamTable | None = None
        self._names: dict[int, str] = {}
        self._values: dict[str, float] = {}
        self.moves: list[NamedMove] = []

    @property
    def lost(self) -> int:
        """How many moves were not kept."""
        return self._reader.lost

    def take(self, params: ParamTable) -> None:
        """Read the log; `params` tells which slot is what now."""
        if params is not self._table:
            self._table = params
            self._names = {row.slot: row.name for row in params}
            for row in params:
                self._values.setdefault(row.name, row.default)
        for frame, slot, value in self._reader.read():
            name = self._names.get(slot)
            if name is not None and self._values[name] != value:
                self._values[name] = value
                self.moves.append(NamedMove(frame, name, value))


class Replay:
    """Makes moves again, and triggers: `play` does what was done until a frame, to be called before each quantum."""

    def __init__(self, moves: Iterable[NamedMove], triggers: Iterable[Event] = ()) -> None:
        self._moves = deque(sorted(moves, key=lambda move: move.frame))
        self._triggers = deque(sorted(triggers, key=lambda event: event.start_frame))

    def play(
        self, params: ParamTable, trigger: Callable[[Event], None], frame: int, quantum_frames: int
    ) -> None:
        """Set every parameter that moved at `frame` or before, and trigger what begins in this quantum.

        Raises ParamError.
        """
        while self._moves and self._moves[0].frame <= frame:
            move = self._moves.popleft()
            params.set(move.name, move.value)
        while self._triggers and self._triggers[0].start_frame < frame + quantum_frames:
            trigger(self._triggers.popleft())
