"""The parameter table: everything that can be turned while the sound plays, by name, in natural units.

One row serves the scene file, MIDI, the terminal view and the docs. The control side writes a slot; the renderer
copies all slots at the start of a quantum, and processors ramp towards what they read there.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import ParamError, Problem
from engine.slots import SLOT_CAPACITY, SlotMap, Slots

Curve = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a node, or of each track of a bank when `keys` names them.

    `default` is one value, or one for each key. `lo` and `hi` are inclusive. `curve` says how 0…1 maps to the
    range (`log` needs `lo` > 0). A switch has `choices`, named in the order of its values `lo`, `lo` + 1, … `hi`.
    """

    name: str
    unit: str
    lo: float
    hi: float
    default: float | tuple[float, ...]
    about: str
    keys: tuple[str, ...] = ()
    curve: Curve = "linear"
    choices: tuple[str, ...] = ()

    @property
    def defaults(self) -> tuple[float, ...]:
        """The default of every slot."""
        if isinstance(self.default, tuple):
            return self.default
        return (self.default,) * self.count

    @property
    def count(self) -> int:
        """Slots this parameter takes."""
        return len(self.keys) if self.keys else 1

    def value_at(self, position: float) -> float:
        """Return the value of a knob position 0…1."""
        log = self.curve == "log"
        value = self.lo * (self.hi / self.lo) ** position if log else self.lo + (self.hi - self.lo) * position
        # Rounding may miss the upper end, even pass it.
        return self.hi if position == 1.0 else min(float(round(value)) if self.choices else value, self.hi)

    @property
    def identity(self) -> object:
        """What must be equal for a slot to keep its place over an edit: everything but the default."""
        return (self.name, self.unit, self.lo, self.hi, self.keys)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the full name (`room.wet_level`, `mix.car.panning`), its parameter and slot.

    `node` is the node it belongs to, with its generation (`room@2`).
    """

    name: str
    param: Param
    slot: int
    default: float
    node: str


def spoken(node: str) -> str:
    """Return the name of a node without its generation: `room` for `room@2`."""
    return node.partition("@")[0]


def generation(node: str) -> int:
    """Return the generation of a node: 2 for `room@2`, 0 for `room`."""
    return int(node.partition("@")[2] or 0)


class ParamTable:
    """The rows of all nodes of a graph, over one float64 memory.

    Where nodes share a name but for their generation, the newest has it; the slots of the others are kept as they are.
    Control side writes with `set` and `set_unit`; both refuse what is not finite or out of range, by name, and
    then change nothing.
    """

    def __init__(
        self, slot_map: SlotMap, every: Mapping[tuple[str, str], Row], memory: Slots | None = None
    ) -> None:
        self.slot_map = slot_map
        self._every = every
        self.rows = {row.name: row for row in every.values()}
        self.memory = np.zeros(SLOT_CAPACITY) if memory is None else memory

    @classmethod
    def of(
        cls,
        params: Iterable[tuple[str, tuple[Param, ...]]],
        previous: "ParamTable | None" = None,
        memory: Slots | None = None,
    ) -> "ParamTable":
        """Build the table of `params` ((node name, its parameters)…).

        Rows of nodes that `previous` has as well keep their slot and their present value; new ones start at their
        default.
        """
        params = sorted(params, key=lambda pair: generation(pair[0]))
        wanted = {(node, p.name): (p.identity, p.count) for node, ps in params for p in ps}
        slot_map = (previous.slot_map if previous else SlotMap()).updated(wanted)
        every: dict[tuple[str, str], Row] = {}
        for node, ps in params:
            for p in ps:
                start = slot_map.spans[node, p.name].start
                for offset, default in enumerate(p.defaults):
                    middle = f".{p.keys[offset]}" if p.keys else ""
                    row = Row(f"{spoken(node)}{middle}.{p.name}", p, start + offset, default, node)
                    every[node, row.name] = row
        table = cls(slot_map, every, previous.memory if previous is not None else memory)
        for key, row in every.items():
            before = previous._every.get(key) if previous else None
            value = float(table.memory[before.slot]) if before else row.default
            # A node of the same name may have come with another range.
            value = value if row.param.lo <= value <= row.param.hi else row.default
            if table.memory[row.slot] != value:
                table.memory[row.slot] = value
        return table

    def settle(self) -> None:
        """Free the slots that only earlier graphs used: for when nothing but the newest plays."""
        self.slot_map = self.slot_map.settled()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def row(self, name: str) -> Row:
        """Return the row called `name`; raises ParamError with the nearest names."""
        try:
            return self.rows[name]
        except KeyError:
            import difflib

            near = difflib.get_close_matches(name, self.rows, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see `roomtone scene params`"
            raise ParamError(Problem(f"there is no parameter {name!r}", hint)) from None

    def get(self, name: str) -> float:
        """Return the present value in natural units."""
        return float(self.memory[self.row(name).slot])

    def set(self, name: str, value: float | str) -> None:
        """Set `name` to `value` in natural units, or a switch to the choice of that name.

        Raises ParamError, leaving the value, if it is refused.
        """
        row = self.row(name)
        p = row.param
        number = (
            p.lo + p.choices.index(value) if isinstance(value, str) and value in p.choices else _number(value)
        )
        if not p.lo <= number <= p.hi or (p.choices and number != round(number)):
            raise ParamError(Problem(f"{value!r} is refused", _allowed(p), name))
        self.memory[row.slot] = number

    def set_unit(self, name: str, position: float) -> None:
        """Set `name` from a knob position 0…1 (a MIDI controller divided by 127, a model's output)."""
        p = self.row(name).param
        at = _number(position)
        if not 0.0 <= at <= 1.0:
            raise ParamError(Problem(f"position {position!r} is refused", "must be 0 to 1", name))
        self.set(name, p.value_at(at))

    def get_unit(self, name: str) -> float:
        """Return the knob position 0…1 at which `set_unit` gives the present value: its inverse."""
        row = self.row(name)
        p, value = row.param, float(self.memory[row.slot])
        if p.hi <= p.lo:
            return 0.0
        log = p.curve == "log"
        at = math.log(value / p.lo) / math.log(p.hi / p.lo) if log else (value - p.lo) / (p.hi - p.lo)
        return min(1.0, max(0.0, at))


def _allowed(p: Param) -> str:
    if p.choices:
        return "one of " + ", ".join(f"{round(p.lo) + i} ({c})" for i, c in enumerate(p.choices))
    return f"must be {p.lo:g} to {p.hi:g}" + (f" {p.unit}" if p.unit else "")


def _number(value: object) -> float:
    """Return `value` as a float; NaN, which no range holds, if it is not a number."""
    try:
        return math.nan if isinstance(value, str | bytes) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
