"""The parameter that keys turn: which one is chosen, and how far a key moves it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.view.live import ParamLine

if TYPE_CHECKING:
    from engine.control.show import Show
    from engine.params import Param, ParamTable, Row

FINE, COARSE = 0.01, 0.1
"""How far a key moves a parameter, as part of a knob's way; a switch goes on by one word."""

FIRST = (
    *("room.wet_level", "room.damping", "room.room_size", "room.width", "room.freeze"),
    *("unmask.amount", "unmask.max_cut_db", "limiter.ceiling_db"),
)
"""What is turned most comes first, then what there is once, then what each track has."""

FIRST_OF_TRACKS = ("level_db", "panning", "send_db", "importance")


class Knob:
    """One parameter of a show at a time, or none; only on the thread of the keys and the view."""

    def __init__(self, show: "Show") -> None:
        self._show = show
        self.name: str | None = None

    @property
    def chosen(self) -> str | None:
        """The parameter's name; None too if the scene that plays now does not have it."""
        if self.name is not None and self.name not in self._show.params.rows:
            self.name = None
        return self.name

    def choose(self, steps: int) -> None:
        """Go on by so many in the list; from none to its first or its last."""
        names = order(self._show.params)
        if names:
            chosen = self.name if self.name in names else None
            place = names.index(chosen) + steps if chosen is not None else min(0, steps)
            self.name = names[place % len(names)]

    def let_go(self) -> None:
        """Choose none."""
        self.name = None

    def turn(self, way: float) -> None:
        """Move it by that part of a knob's way; it stays at the ends."""
        params = self._show.params
        if self.name in params.rows:
            row = params.rows[self.name]
            p = row.param
            if p.choices:
                now = params.get(row.name)
                value = min(p.hi, max(p.lo, now + (1.0 if way > 0.0 else -1.0)))
            else:
                position = round(params.get_unit(row.name) + way, 9)
                value = p.value_at(min(1.0, max(0.0, position)))
            self._show.set(row.name, value)

    def reset(self) -> None:
        """Give it the value it has in the scene."""
        params = self._show.params
        if self.name in params.rows:
            self._show.set(self.name, params.rows[self.name].default)

    def lines(self) -> Sequence[ParamLine]:
        """Return the chosen one between its neighbours, for the view; nothing if none is chosen."""
        params = self._show.params
        names = order(params)
        if self.name not in names:
            return ()
        place = names.index(self.name)
        return [
            _line(params, params.row(names[n % len(names)]), n == place)
            for n in ((place - 1, place, place + 1) if len(names) > 2 else (place,))
        ]


def order(params: "ParamTable") -> list[str]:
    """Return the names of all parameters, in the order in which keys go through them."""

    def rank(row: "Row") -> tuple[int, int]:
        if row.name in FIRST:
            return 0, FIRST.index(row.name)
        if not row.param.keys:
            return 1, 0
        name = row.param.name
        return 2, FIRST_OF_TRACKS.index(name) if name in FIRST_OF_TRACKS else len(FIRST_OF_TRACKS)

    return [row.name for row in sorted(params, key=rank)]


def _line(params: "ParamTable", row: "Row", chosen: bool) -> ParamLine:
    value = params.get(row.name)
    return ParamLine(
        row.name, _told(row.param, value), params.get_unit(row.name), value != row.default, chosen
    )


def _told(p: "Param", value: float) -> str:
    if p.choices:
        return p.choices[round(value - p.lo)]
    digits = 1 if p.hi - p.lo > 20.0 else 2
    return f"{value:.{digits}f} {p.unit}".rstrip()
