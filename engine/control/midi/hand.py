"""One binding at work: one control at one port, the parameter it turns in the present scene, and where both stand."""

from engine.control.midi.controls import ENCODINGS, Control, Reading
from engine.control.midi.lamp import Lamp
from engine.control.midi.map_schema import TRACK, Binding
from engine.control.midi.takeover import Takeover
from engine.control.midi.taper import Way, position_of, step_of, value_at
from engine.errors import Problem
from engine.params import Row

DEFAULT_STEP = 0.01
"""The part of the whole way that one step of an encoder moves."""


class Hand:
    """What `binding` does with `control`. `number` is the track that the channel or the note means, 0 for none.

    A control of any channel answers on the channel it was last heard on.
    """

    __slots__ = (
        *("binding", "control", "number", "mode", "lamp", "row", "way", "value", "steps"),
        *("place", "_takeover", "_decode", "_before", "_step"),
    )

    def __init__(self, binding: Binding, control: Control, number: int, place: Problem) -> None:
        self.binding = binding
        self.control = control
        self.number = number
        self.mode = binding.way
        self.place = place
        self.lamp = Lamp() if binding.feedback else None
        self.row: Row | None = None
        self.way: Way | None = None
        self.value = -1  # the last one, of 0 to `control.top`; -1 before there is one
        self.steps = 0  # of an encoder, since the last flush
        self._takeover = Takeover(step_of(control.top)) if binding.picks_up else None
        self._decode = ENCODINGS[binding.encoding] if binding.encoding else None
        self._before = -1
        self._step = binding.step or DEFAULT_STEP

    # what comes in ------------------------------------------------------------------------------------------------

    def hear(self, reading: Reading, at_s: float) -> bool:
        """Take what the control says; return whether somebody moved it."""
        control, value, relative = reading
        self.control = control
        lamp, decode = self.lamp, self._decode
        absolute = not relative and decode is None
        if lamp:
            if not relative and lamp.hears_itself(value, at_s):
                return False
            lamp.moved(value if absolute else None, at_s)
        if absolute:
            self._before, self.value = self.value, value
        else:
            self.steps += value if relative or decode is None else decode(value)
        return True

    @property
    def pressed(self) -> bool:
        """Whether what it said last means a press, of a button that may or may not tell its release."""
        kind = self.control.kind
        if kind == "note":
            return self.value > 0
        if kind not in ("cc", "cc14", "nrpn", "pitch_bend", "pressure"):
            return True
        half = (self.control.top + 1) // 2
        # A button without a release repeats itself; a knob that passes the middle does not.
        return self.value >= half and (self._before < half or self._before == self.value)

    # what it turns ------------------------------------------------------------------------------------------------

    def name(self, keys: tuple[str, ...]) -> str:
        """Return the name of the parameter, where `keys` are the tracks it has; "" where there is no such track."""
        parameter = self.binding.parameter or ""
        if TRACK not in parameter:
            return parameter
        track = self.binding.track if self.binding.track is not None else self.number
        if isinstance(track, int):
            track = keys[track - 1] if track <= len(keys) else ""
        return parameter.replace(TRACK, track) if track else ""

    def link(self, row: Row | None) -> None:
        """Have it turn `row` of the present scene; it picks up anew if that is another parameter."""
        same = self.row and row and _identity(self.row) == _identity(row)
        self.row = row
        if not same:
            self.way = Way.of(self.binding, row.param) if row else None
            if self._takeover:
                self._takeover.release()

    def wanted(self, now: float) -> float | None:
        """Return the value that the parameter, which has `now`, is to have; None if it is not picked up."""
        way = self.way
        assert way is not None
        if self.steps:
            steps, self.steps = self.steps, 0
            whole = 1.0 / abs(way.end - way.start) if way.whole and way.end != way.start else 0.0
            return way.value(way.place(now) + steps * max(self._step, whole))
        if self.value < 0:
            return None
        if self.mode == "momentary":
            held = (
                self.value > 0 if self.control.kind == "note" else self.value >= (self.control.top + 1) // 2
            )
            return way.end if held else way.start
        if self.control.kind == "note" and self.value == 0:
            return None  # the velocity is the value; the end of a note has none
        position = position_of(self.value, self.control.top)
        if self._takeover and not self._takeover.catches(position, way.place(now), now):
            return None
        return way.value(position)

    def toggled(self, now: float) -> float:
        """Return the other end of the way than the one `now` is nearer to."""
        assert self.way is not None
        return self.way.start if self.way.place(now) >= 0.5 else self.way.end

    def gave(self, value: float) -> None:
        """Take note that the parameter has `value` from this control."""
        if self._takeover:
            self._takeover.gave(value)

    def shown(self, now: float) -> int:
        """Return what the control is to show while the parameter has the value `now`."""
        assert self.way is not None
        place = self.way.place(now)
        if self.mode in ("toggle", "momentary"):
            return self.control.top if place >= 0.5 else 0
        return value_at(place, self.control.top)


def _identity(row: Row) -> object:
    return (row.name, row.param.identity, row.slot, row.node)
