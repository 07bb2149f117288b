"""Between what a control sends, where it stands (0 to 1) and the value it means."""

import math
from dataclasses import dataclass

from engine.control.midi.map_schema import Binding, Taper
from engine.params import Param


def position_of(value: int, top: int) -> float:
    """Return where a control stands that sends `value` of 0 to `top`: the ends and the middle are exact.

    Source    MIDI 2.0, "min-center-max scaling": 64 of 127 and 8192 of 16383 are the middle
    """
    middle = (top + 1) // 2
    return 0.5 * value / middle if value <= middle else 0.5 + 0.5 * (value - middle) / (top - middle)


def value_at(position: float, top: int) -> int:
    """Return what a control sends that stands at `position`: the inverse of `position_of`, rounded."""
    middle = (top + 1) // 2
    if position <= 0.5:
        return round(2.0 * position * middle)
    return middle + round(2.0 * (position - 0.5) * (top - middle))


def step_of(top: int) -> float:
    """Return the widest distance of two neighbouring positions."""
    return 0.5 / (top - (top + 1) // 2)


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a control: from the value `start` at position 0 to `end` at 1, which may be lower.

    `whole` values only are meant for switches. Curves: `square` is fine near `start`, `sqrt` near `end`: a fader in dB.
    """

    start: float
    end: float
    curve: Taper
    whole: bool = False

    @classmethod
    def of(cls, binding: Binding, param: Param) -> "Way":
        """Return the way of a binding's control over `param`, kept within the range of that."""
        start, end = binding.range or (param.lo, param.hi)
        start, end = (min(max(value, param.lo), param.hi) for value in (start, end))
        curve = binding.curve or param.curve
        if curve == "log" and min(start, end) <= 0.0:
            curve = "linear"
        return cls(start, end, curve, bool(param.choices))

    def value(self, position: float) -> float:
        """Return the value at `position`; the ends are exact."""
        if position <= 0.0 or position >= 1.0:
            return self.end if position >= 1.0 else self.start
        match self.curve:
            case "log":
                value = self.start * (self.end / self.start) ** position
            case "square":
                value = self.start + (self.end - self.start) * position**2
            case "sqrt":
                value = self.start + (self.end - self.start) * math.sqrt(position)
            case "linear":
                value = self.start + (self.end - self.start) * position
        value = min(max(value, min(self.start, self.end)), max(self.start, self.end))
        return float(round(value)) if self.whole else value

    def place(self, value: float) -> float:
        """Return the position at which `value` stands: the nearer end for one outside."""
        if self.start == self.end:
            return 0.0
        value = min(max(value, min(self.start, self.end)), max(self.start, self.end))
        if self.curve == "log":
            return math.log(value / self.start) / math.log(self.end / self.start)
        share = (value - self.start) / (self.end - self.start)
        return share**2 if self.curve == "sqrt" else math.sqrt(share) if self.curve == "square" else share
