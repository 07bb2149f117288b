"""Moves of parameters by name, kept while a show plays."""

from typing import NamedTuple

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
