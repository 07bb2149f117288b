"""Messages to the controls they move: what a knob, fader, encoder or button says, and the bytes that say it back.

A 14-bit controller is two CCs, n and n + 32, and an NRPN is up to four; their parts are put together here, for
each channel apart. Whether CC 7 is a 7-bit control, half of a 14-bit one or an encoder is for the reader of the
reading to say: one message may give more than one.

Source    MIDI 1.0 Detailed Specification 4.2, "Control Change" and "Registered and Non-Registered Parameter Numbers"
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple

from engine.control.midi import messages as midi
from engine.control.midi.messages import Message

Kind = Literal[
    "cc",
    "cc14",
    "nrpn",
    "note",
    "pitch_bend",
    "pressure",
    "program",
    "start",
    "stop",
    "continue",
    "clock",
]
"""What sort of control it is; `pressure` is channel pressure."""

HALF_TIMEOUT_S = 0.05
"""How long the coarse half of a 14-bit value waits for its fine half."""
SELECT_TIMEOUT_S = 0.5
"""How long the first half of a parameter number waits for the second."""

DATA_COARSE: Final = 6
DATA_FINE: Final = 38
DATA_INCREMENT: Final = 96
DATA_DECREMENT: Final = 97
NRPN_FINE: Final = 98
NRPN_COARSE: Final = 99
RPN_FINE: Final = 100
RPN_COARSE: Final = 101
NRPN_MESSAGES: Final = (
    *(NRPN_COARSE, NRPN_FINE, DATA_COARSE, DATA_FINE),
    *(DATA_INCREMENT, DATA_DECREMENT, RPN_FINE, RPN_COARSE),
)
"""The CCs that take part in an NRPN."""

_NULL: Final = 0x3FFF
_SYSTEM: Final[dict[int, Kind]] = {
    midi.CLOCK: "clock",
    midi.START: "start",
    midi.CONTINUE: "continue",
    midi.STOP: "stop",
}


class Control(NamedTuple):
    """One control of a port. `channel` is 1 to 16, 0 where the message has none; `number` is 0 where it has none."""

    kind: Kind
    channel: int = 0
    number: int = 0

    @property
    def top(self) -> int:
        """The highest value it can have."""
        return 16383 if self.kind in ("cc14", "nrpn", "pitch_bend") else 127


class Reading(NamedTuple):
    """What a control says: its value, or with `relative` by how many steps it was moved.

    Values are 0 to 127; 0 to 16383 for `cc14`, `nrpn` and `pitch_bend`. A note's is its velocity, 0 when it ends.
    """

    control: Control
    value: int
    relative: bool = False


# Made once: to make them anew would be most of the time a message takes here.
_CC: Final = [[Control("cc", channel, number) for number in range(128)] for channel in range(17)]
_CC14: Final = [[Control("cc14", channel, number) for number in range(32)] for channel in range(17)]
_reading: Final = partial(tuple.__new__, Reading)


@dataclass(slots=True)
class _Pair:
    """A value of two halves. Until a fine half has come the control is taken to have only the coarse one."""

    coarse: int = -1
    fine: int = -1
    waiting_since_s: float = -1.0

    def take_coarse(self, half: int, at_s: float) -> int:
        """Return the value, -1 if a fine half may still follow."""
        first = self.coarse < 0
        self.coarse = half
        if first or self.fine >= 0:
            self.waiting_since_s = at_s
            return -1
        return self._alone()

    def take_fine(self, half: int) -> int:
        self.fine = half
        self.waiting_since_s = -1.0
        return self.coarse << 7 | half if self.coarse >= 0 else -1

    def give_up_waiting(self) -> int:
        """Return the value without the fine half that did not come."""
        self.waiting_since_s = -1.0
        if self.fine >= 0:
            # The specification: a coarse half that is sent alone sets the fine one to 0.
            self.fine = 0
            return self.coarse << 7
        return self._alone()

    def _alone(self) -> int:
        # A device without fine halves reaches both ends all the same.
        return self.coarse << 7 | self.coarse


@dataclass(slots=True)
class _Parameter:
    """Which parameter number the data entry of a channel addresses."""

    coarse: int = -1
    fine: int = -1
    begun_s: float = 0.0

    def select(self, coarse: bool, half: int, at_s: float) -> None:
        complete = self.coarse >= 0 and self.fine >= 0
        if not complete and at_s - self.begun_s > SELECT_TIMEOUT_S:
            self.coarse = self.fine = -1
        if coarse:
            self.coarse = half
        else:
            self.fine = half
        self.begun_s = at_s

    @property
    def number(self) -> int:
        """The number, -1 if none is addressed."""
        number = self.coarse << 7 | self.fine if self.coarse >= 0 and self.fine >= 0 else -1
        return -1 if number == _NULL else number


class ControlReader:
    """Puts the messages of one port together to readings of its controls.

    `at_s` of each call is one clock, that never goes back. A coarse half that waits for its fine one is given by
    `overdue` when that does not come, so no last value is lost.
    """

    def __init__(self) -> None:
        self._pairs: dict[Control, _Pair] = {}
        self._waiting: dict[Control, _Pair] = {}
        self._parameters = [_Parameter() for _ in range(17)]

    def take(self, message: Message, at_s: float) -> list[Reading]:
        """Return what `message` says."""
        status, data1, data2 = message
        channel = (status & 0x0F) + 1
        kind = status & 0xF0
        if kind == midi.CONTROL_CHANGE:
            return self._control_change(channel, data1, data2, at_s)
        if kind == midi.NOTE_ON:
            return [Reading(Control("note", channel, data1), data2)]
        if kind == midi.NOTE_OFF:
            return [Reading(Control("note", channel, data1), 0)]
        if kind == midi.PITCH_BEND:
            return [Reading(Control("pitch_bend", channel), data2 << 7 | data1)]
        if kind == midi.PROGRAM_CHANGE:
            return [Reading(Control("program", channel), data1)]
        if kind == midi.CHANNEL_PRESSURE:
            return [Reading(Control("pressure", channel), data1)]
        return [Reading(Control(_SYSTEM[status]), 127)] if status in _SYSTEM else []

    def overdue(self, now_s: float) -> list[Reading]:
        """Return the values whose fine half has not come in time."""
        if not self._waiting:
            return []
        late = [c for c, pair in self._waiting.items() if now_s - pair.waiting_since_s >= HALF_TIMEOUT_S]
        return [Reading(control, self._waiting.pop(control).give_up_waiting()) for control in late]

    def _control_change(self, channel: int, number: int, value: int, at_s: float) -> list[Reading]:
        readings = [_reading((_CC[channel][number], value, False))]
        if number < 32:
            self._half(_CC14[channel][number], True, value, at_s, readings)
        elif number < 64:
            self._half(_CC14[channel][number - 32], False, value, at_s, readings)
        if number in NRPN_MESSAGES:
            self._nrpn(channel, number, value, at_s, readings)
        return readings

    def _half(self, control: Control, coarse: bool, half: int, at_s: float, readings: list[Reading]) -> None:
        pair = self._pairs.get(control)
        if pair is None:
            if control.kind == "nrpn" and len(self._pairs) > 4096:
                self._pairs.clear()  # a flood of parameter numbers may not fill the memory
            pair = self._pairs[control] = _Pair()
        value = pair.take_coarse(half, at_s) if coarse else pair.take_fine(half)
        if pair.waiting_since_s >= 0.0:
            self._waiting[control] = pair
        else:
            self._waiting.pop(control, None)
        if value >= 0:
            readings.append(Reading(control, value))

    def _nrpn(self, channel: int, number: int, value: int, at_s: float, readings: list[Reading]) -> None:
        parameter = self._parameters[channel]
        if number in (NRPN_COARSE, NRPN_FINE):
            parameter.select(number == NRPN_COARSE, value, at_s)
        elif number in (RPN_COARSE, RPN_FINE):
            # From here on data entry means a registered parameter, or with 127/127 nothing.
            self._parameters[channel] = _Parameter()
        elif (selected := parameter.number) >= 0:
            control = Control("nrpn", channel, selected)
            if number in (DATA_COARSE, DATA_FINE):
                self._half(control, number == DATA_COARSE, value, at_s, readings)
            else:
                step = 1 if number == DATA_INCREMENT else -1
                readings.append(Reading(control, step, relative=True))


def twos_complement(value: int) -> int:
    """Return the steps of an encoder that sends 1, 2 … upwards and 127, 126 … downwards."""
    return value if value < 64 else value - 128


def binary_offset(value: int) -> int:
    """Return the steps of an encoder that sends 65, 66 … upwards and 63, 62 … downwards."""
    return value - 64


def signed_bit(value: int) -> int:
    """Return the steps of an encoder that sends 1, 2 … upwards and 65, 66 … downwards: bit 6 is the sign."""
    return value if value < 64 else 64 - value


Encoding = Literal["relative-twos-complement", "relative-binary-offset", "relative-signed-bit"]
ENCODINGS: Final[dict[Encoding, Callable[[int], int]]] = {
    "relative-twos-complement": twos_complement,
    "relative-binary-offset": binary_offset,
    "relative-signed-bit": signed_bit,
}
"""How endless encoders say by how much they were turned in a 7-bit value."""


def encode(control: Control, value: int) -> bytes:
    """Return the bytes with which the control itself would say `value`; of a control that cannot be set, none."""
    low = control.channel - 1
    coarse, fine = value >> 7, value & 0x7F
    change = midi.CONTROL_CHANGE | low
    match control.kind:
        case "cc":
            return bytes((change, control.number, value))
        case "cc14":
            return bytes((change, control.number, coarse, change, control.number + 32, fine))
        case "nrpn":
            halves = divmod(control.number, 128)
            parts = zip(NRPN_MESSAGES[:4], (*halves, coarse, fine), strict=True)
            return b"".join(bytes((change, number, part)) for number, part in parts)
        case "note":
            return bytes((midi.NOTE_ON | low, control.number, value))
        case "pitch_bend":
            return bytes((midi.PITCH_BEND | low, fine, coarse))
    return b""
