"""EarlyReflections: the first echoes from the walls, which the tail of a reverb comes too late for."""

from dataclasses import dataclass
from typing import ClassVar

from dsp.early import EarlyReflections as Taps
from engine.meters import Meter
from engine.node import BuildContext, Port, Processor
from engine.params import Param
from engine.spec import Block

OFF_DB = -90.0
HIGHEST_DB = 12.0
UNSET = (-1.0, -1.0)


@dataclass(frozen=True)
class EarlyReflections:
    """Send → return: twelve reflections of a shoe-box of the room's size, walls and air.

    At `early_level_db` 0 they are as loud as the geometry says beside a direct sound of the send's level; -90 is off.
    With `room`, the name of another node, size and damping are that node's parameters; else it has its own.
    """

    room_size: float = 0.5
    damping: float = 0.5
    early_level_db: float = 0.0
    room: str = ""

    inputs: ClassVar = (Port("send", 2),)
    outputs: ClassVar = (Port("return", 2),)
    meters: ClassVar[tuple[Meter, ...]] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """What can be turned live."""
        level = Param(
            "early_level_db", "dB", OFF_DB, HIGHEST_DB, self.early_level_db,
            "level of the first reflections; -90 is off",
        )  # fmt: skip
        if self.room:
            return (level,)
        return (
            Param("room_size", "", 0.0, 1.0, self.room_size, "small to large room"),
            Param("damping", "", 0.0, 1.0, self.damping, "hard to soft walls"),
            level,
        )

    def build(self, ctx: BuildContext) -> "EarlyReflectionsProcessor":
        """Make the processor."""
        return EarlyReflectionsProcessor(ctx, self.room)


class EarlyReflectionsProcessor(Processor):
    """One compiled call."""

    def __init__(self, ctx: BuildContext, room: str) -> None:
        self._size, self._damping = ctx.param("room_size", room), ctx.param("damping", room)
        self._level_db = ctx.param("early_level_db")
        self._rate_hz = ctx.spec.rate_hz
        self._taps = Taps(ctx.spec.rate_hz)
        self._room = UNSET
        self._last_db = 0.0
        self._settled = False

    def process(self, ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        room, level_db = (self._size[0], self._damping[0]), self._level_db[0]
        jump = not self._settled
        if room != self._room:
            self._room = room
            self._taps.set_room(float(room[0]), float(room[1]), jump)
        if jump or level_db != self._last_db:
            self._last_db = level_db
            self._taps.set_level(float(level_db) if level_db > OFF_DB else -200.0, jump)
        self._settled = True
        self._taps.process(ins[0], outs[0])

    def reset(self) -> None:
        self._taps.reset()
        self._room = UNSET
        self._settled = False

    def can_adopt(self, old: Processor) -> bool:
        return isinstance(old, EarlyReflectionsProcessor) and old._rate_hz == self._rate_hz

    def adopt(self, old: Processor) -> None:
        if isinstance(old, EarlyReflectionsProcessor):
            self._taps, old._taps = old._taps, self._taps
            self._room, self._last_db, self._settled = old._room, old._last_db, old._settled
