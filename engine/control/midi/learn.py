"""Learning: which control of which port somebody moves while a parameter waits for one."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from pydantic import ValidationError

from engine.control.midi.controls import NRPN_MESSAGES, Control, ControlReader
from engine.control.midi.map_schema import Binding, Mode
from engine.control.midi.messages import MessageParser
from engine.errors import InputError, Problem

WINDOW_S: Final = 1.0
"""So long after the first move it is decided which control was meant."""
LEAST_MOVES: Final = 3
"""A knob that sent fewer messages was touched by accident, or is noise."""
LEAST_TRAVEL: Final = 4 / 127
"""So far, as part of its way, a knob has to be turned."""
LEAST_STEPS: Final = 4
"""An encoder has to send so many."""
NEAR: Final = 16
"""An encoder's values are so near to where they begin: faster turns send higher ones."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was moved: at which port, and the binding of it to the parameter that waited."""

    port: str
    binding: Binding


@dataclass(slots=True)
class _Moves:
    """What one control said since the learner was armed."""

    values: list[int] = field(default_factory=list)
    steps: int = 0  # of increments, that have no value

    def travel(self, top: int) -> float:
        return (max(self.values) - min(self.values)) / top if self.values else 0.0


class Learner:
    """Watches the bytes of all ports while it is armed, and tells which control moved.

    Every call has its time on one clock. The one that travelled farthest in the second after the first move is meant;
    halves of 14-bit values and NRPNs are put together, and endless encoders are known by values that repeat. An
    encoder that is turned both ways tells its encoding for certain; one way may leave two, of which the more usual is
    taken.
    """

    def __init__(self) -> None:
        self.parameter = ""
        self._track: int | str | None = None
        self._parsers: dict[str, MessageParser] = {}
        self._readers: dict[str, ControlReader] = {}
        self._moves: dict[tuple[str, Control], _Moves] = {}
        self._first_s: float | None = None

    @property
    def armed(self) -> bool:
        """Whether a parameter waits for its control."""
        return bool(self.parameter)

    def arm(self, parameter: str, *, track: int | str | None = None) -> None:
        """Begin: `parameter` waits. With `{track}` in it, `track` says which. Errors: InputError if they do not fit."""
        self.disarm()
        try:
            _binding(Control("cc", 1), None, parameter, track)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise InputError(Problem(str(fault["msg"]), field="parameter")) from None
        self.parameter, self._track = parameter, track

    def disarm(self) -> None:
        """Give up, and forget what was seen."""
        self.parameter, self._track, self._first_s = "", None, None
        self._moves.clear()

    def take(self, port: str, data: bytes, at_s: float) -> None:
        """Take bytes that came from `port`; unless armed they only keep the parser of that port in step."""
        parser = self._parsers.setdefault(port, MessageParser())
        reader = self._readers.setdefault(port, ControlReader())
        for message in parser.feed(data):
            for reading in reader.take(message, at_s):
                if self.armed:
                    self._note(port, reading.control, reading.value, reading.relative, at_s)

    def result(self, now_s: float) -> Learned | None:
        """Return what was learned and disarm; None while nothing was moved, or not long enough ago or far enough."""
        for port, reader in self._readers.items():
            for reading in reader.overdue(now_s):
                if self.armed:
                    self._note(port, reading.control, reading.value, reading.relative, now_s)
        if self._first_s is None or now_s - self._first_s < WINDOW_S:
            return None
        parts = self._parts()
        found = [
            (score, port, control, mode)
            for (port, control), moves in self._moves.items()
            if (port, control) not in parts
            for score, mode in [_judge(control, moves)]
            if score > 0.0
        ]
        if not found:
            # Noise: the next move begins a new second.
            self._moves.clear()
            self._first_s = None
            return None
        _, port, control, mode = max(found, key=lambda one: one[0])
        learned = Learned(port, _binding(control, mode, self.parameter, self._track))
        self.disarm()
        return learned

    def _note(self, port: str, control: Control, value: int, relative: bool, at_s: float) -> None:
        if control.kind in ("clock", "start", "stop", "continue", "program"):
            return
        if self._first_s is None:
            self._first_s = at_s
        moves = self._moves.setdefault((port, control), _Moves())
        if relative:
            moves.steps += 1
        elif len(moves.values) < 4096:
            moves.values.append(value)

    def _parts(self) -> set[tuple[str, Control]]:
        """The readings that are only parts of others: the CCs of an NRPN, the halves of a 14-bit value."""
        parts: set[tuple[str, Control]] = set()
        for port, control in self._moves:
            channel, number = control.channel, control.number
            if control.kind == "nrpn":
                for part in NRPN_MESSAGES:
                    parts |= {
                        (port, Control("cc", channel, part)),
                        (port, Control("cc14", channel, part % 32)),
                    }
            elif control.kind == "cc14":
                coarse = self._moves.get((port, Control("cc", channel, number)))
                fine = self._moves.get((port, Control("cc", channel, number + 32)))
                if coarse and fine and 2 * len(fine.values) >= len(coarse.values):
                    parts |= {(port, Control("cc", channel, half)) for half in (number, number + 32)}
                else:
                    parts.add((port, control))
        return parts


def _judge(control: Control, moves: _Moves) -> tuple[float, Mode | None]:
    """Return how much speaks for a control, 0 to 2, and its mode where that is not the usual one."""
    values = moves.values
    if control.kind == "note":
        return (0.5 if any(values) else 0.0), "toggle"
    if moves.steps >= LEAST_STEPS and not values:
        return min(1.0, moves.steps / 20), None
    ends = set(values) == {0, 127} or (set(values) == {127} and len(values) < LEAST_STEPS)
    if control.kind == "cc" and ends:
        # Press and release of a button, or one that sends 127 for each press.
        return (0.5 if len(values) > 1 else 0.25), "toggle"
    if control.kind == "cc" and (mode := _encoding(values)):
        return min(1.0, len(values) / 20), mode
    travel = moves.travel(control.top)
    if len(values) < LEAST_MOVES or travel < LEAST_TRAVEL:
        return 0.0, None
    return travel + min(1.0, len(values) / 100), None


def _encoding(values: list[int]) -> Mode | None:
    """Return the encoding of an endless encoder: its values repeat, where a knob's never do, near where they begin."""
    repeats = sum(a == b for a, b in pairwise(values))
    if len(values) < LEAST_STEPS or 2 * repeats < len(values) - 1:
        return None
    near = Counter[str]()
    for value in values:
        near["up from 0"] += 0 < value <= NEAR
        near["down from 128"] += value >= 128 - NEAR
        near["up from 64"] += 64 < value <= 64 + NEAR
        near["down from 64"] += 64 - NEAR <= value < 64
    count = len(values)
    if near["up from 0"] + near["down from 128"] == count:
        return "relative-twos-complement"
    if near["up from 64"] + near["down from 64"] == count:
        return "relative-binary-offset"
    if near["up from 0"] + near["up from 64"] == count:
        return "relative-signed-bit"
    return None


def _binding(control: Control, mode: Mode | None, parameter: str, track: int | str | None) -> Binding:
    key = control.kind
    value: object = control.number if key in ("cc", "cc14", "nrpn", "note") else True
    data = {key: value, "channel": control.channel, "parameter": parameter, "track": track, "mode": mode}
    return Binding.model_validate({name: given for name, given in data.items() if given is not None})
