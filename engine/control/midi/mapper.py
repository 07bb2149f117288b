"""MIDI to a performance and back: what controls say turns parameters and starts actions, and is shown to them again.

Messages are taken as they come and applied when `flush` is called, a few times a quantum or a hundred times a second:
a flood costs one set of each parameter a flush, and the last value of each control is never lost.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from engine.control.hands import Hands
from engine.control.midi import messages as midi
from engine.control.midi.clock import ClockFollower
from engine.control.midi.controls import NRPN_MESSAGES, Control, ControlReader, Reading, encode
from engine.control.midi.hand import Hand
from engine.control.midi.map_schema import TRACK, Binding, MidiMap
from engine.errors import Problem, RoomtoneError
from engine.params import ParamTable, Row

MAX_QUEUED = 10_000
"""Presses kept between two flushes; more are refused."""


class _Port:
    """One port: its parser and reader, and its controls.

    `known` are the messages that any of them needs, with how many controls they are part of; `plain` are those that
    are one 7-bit controller and nothing else, which need no reader.
    """

    def __init__(self) -> None:
        self.parser = midi.MessageParser()
        self.reader = ControlReader()
        self.clock = ClockFollower()
        self.hands: dict[Control, list[Hand]] = {}
        self.every: list[Hand] = []
        self.lit: list[Hand] = []
        self.known: Counter[int] = Counter()
        self.plain: dict[int, tuple[Control, list[Hand]]] = {}

    def bind(self, control: Control, hand: Hand) -> None:
        """Have `hand` moved by `control`."""
        if control not in self.hands:
            self.hands[control] = []
            self.known.update(_messages(control))
        self.hands[control].append(hand)

    def ready(self) -> None:
        """Finish after all bindings."""
        self.lit = [hand for hand in self.every if hand.lamp]
        for control, hands in self.hands.items():
            message = min(_messages(control))
            if control.kind == "cc" and self.known[message] == 1:
                self.plain[message] = control, hands


class Mapper:
    """Takes the bytes of any number of ports, and turns what `target` plays by `maps`. Not for several threads at once.

    For each port all maps count whose `ports` name it, and those that name no ports at all, unless one before does
    name this one. Where two of them bind one control, the first has it.

    Counters: `messages` so far, `unmapped` of them that nothing is bound to, `refused` moves that the target did not
    take (no such parameter or track, out of range, an action that cannot be done), `malformed` bytes and messages.
    """

    def __init__(self, maps: Sequence[MidiMap], target: Hands) -> None:
        self.messages = 0
        self.unmapped = 0
        self.refused = 0
        self._maps = tuple(maps)
        self._target = target
        self._ports: dict[str, _Port] = {}
        self._malformed_before = 0
        self._moved: dict[Hand, None] = {}
        self._pressed: list[tuple[Hand, int]] = []
        self._params: ParamTable | None = None
        self._keys: dict[str, tuple[str, ...]] = {}
        self._notices: list[Problem] = []
        self._told: set[Problem] = set()

    @property
    def malformed(self) -> int:
        """Bytes and messages that were no MIDI."""
        return self._malformed_before + sum(port.parser.malformed for port in self._ports.values())

    def notices(self) -> list[Problem]:
        """Return what is wrong with the maps in this scene and was not told yet: each is told once."""
        told, self._notices = self._notices, []
        return told

    def clock(self, now_s: float) -> tuple[float, float, float] | None:
        """Return tempo in quarter notes a minute, quarter notes since the start, and `now_s`, of the clock that runs.

        Of several it is that of the first port; None if none runs. It is what `Show.follow_clock` takes.
        """
        places = (port.clock.place(now_s) for port in self._ports.values())
        found = next((place for place in places if place is not None), None)
        return None if found is None else (*found, now_s)

    # ports --------------------------------------------------------------------------------------------------------

    def port_appeared(self, name: str) -> None:
        """Begin anew with a port: nothing is known of its controls, and all they can show will be sent to them."""
        self.port_gone(name)
        self._seat(name)

    def port_gone(self, name: str) -> None:
        """Send nothing more to a port."""
        if port := self._ports.pop(name, None):
            self._malformed_before += port.parser.malformed
            gone = set(port.every)
            self._moved = {hand: None for hand in self._moved if hand not in gone}

    def replace_maps(self, maps: Sequence[MidiMap]) -> None:
        """Go on with other maps, at the same ports."""
        self._maps = tuple(maps)
        for name, before in list(self._ports.items()):
            self.port_appeared(name)
            # The clock runs on, and the parser is in the middle of a message.
            self._ports[name].clock, self._ports[name].parser = before.clock, before.parser
            self._malformed_before -= before.parser.malformed

    def _seat(self, name: str) -> _Port:
        port = self._ports[name] = _Port()
        taken: set[object] = set()
        named = False
        for found in self._maps:
            if found.ports and not found.names(name):
                continue
            if not found.ports and named:
                continue
            named = named or bool(found.ports)
            claimed: set[object] = set()
            for index, binding in enumerate(found.bindings):
                file, line = found.place(index)
                place = Problem("", "", f"bindings[{index}]", file, line)
                for hand, controls in _hands(binding, place):
                    free = [control for control in controls if not _claims(control) & taken]
                    if not free:
                        continue
                    for control in free:
                        claimed |= _claims(control)
                        port.bind(control, hand)
                    port.every.append(hand)
            taken |= claimed
        port.ready()
        if self._params is not None:
            self._link(port, self._params)
        return port

    # what comes in ------------------------------------------------------------------------------------------------

    def take(self, port: str, data: bytes, at_s: float) -> None:
        """Take bytes that came from `port` at `at_s`, on the clock of all calls, that never goes back."""
        seat = self._ports.get(port) or self._seat(port)
        for message in seat.parser.feed(data):
            self.messages += 1
            status, data1, data2 = message
            if status >= midi.CLOCK:
                seat.clock.take(status, at_s)
            elif status == midi.SONG_POSITION:
                seat.clock.locate(data2 << 7 | data1)
            key = status << 7 | data1 if status < midi.PROGRAM_CHANGE else status << 7
            if key in seat.plain:
                control, hands = seat.plain[key]
                self._move(hands, Reading(control, data2), at_s)
            elif key in seat.known:
                for reading in seat.reader.take(message, at_s):
                    if reading.control in seat.hands:
                        self._move(seat.hands[reading.control], reading, at_s)
            else:
                self.unmapped += status not in (midi.CLOCK, midi.ACTIVE_SENSING)

    def _move(self, hands: list[Hand], reading: Reading, at_s: float) -> None:
        for hand in hands:
            if not hand.hear(reading, at_s):
                continue
            if hand.binding.action is None and hand.mode != "toggle":
                # The last to move is the last to be applied.
                self._moved.pop(hand, None)
                self._moved[hand] = None
            elif hand.pressed:
                if len(self._pressed) < MAX_QUEUED:
                    self._pressed.append((hand, reading.value))
                else:
                    self.refused += 1

    # what is done -------------------------------------------------------------------------------------------------

    def flush(self, now_s: float | None = None) -> None:
        """Apply what came since the last flush: presses in their order, then the last value of each control.

        `now_s` is the present on the clock of `take`; left out, that of `time.monotonic`.
        """
        now_s = time.monotonic() if now_s is None else now_s
        for port in self._ports.values():
            for reading in port.reader.overdue(now_s):
                if reading.control in port.hands:
                    self._move(port.hands[reading.control], reading, now_s)
        pressed, self._pressed = self._pressed, []
        for hand, said in pressed:
            if hand.binding.action is not None:
                self._act(hand, said)
            elif row := self._row(hand):
                self._set(row, hand.toggled(float(self._present().memory[row.slot])), hand)
        moved, self._moved = self._moved, {}
        wanted: dict[str, tuple[Row, float, Hand]] = {}
        for hand in moved:
            row = self._row(hand)
            if row is None:
                continue
            now = wanted[row.name][1] if row.name in wanted else float(self._present().memory[row.slot])
            value = hand.wanted(now)
            if value is not None:
                wanted[row.name] = (row, value, hand)
        for row, value, hand in wanted.values():
            self._set(row, value, hand)

    def _set(self, row: Row, value: float, hand: Hand) -> None:
        try:
            self._target.set(row.name, value)
        except RoomtoneError as error:
            self._refuse(hand, str(error))
        else:
            hand.gave(float(self._present().memory[row.slot]))

    def _act(self, hand: Hand, value: int) -> None:
        binding = hand.binding
        action = binding.action
        assert action is not None
        argument: str | int | None = None
        if action == "scene":
            argument = binding.scene if binding.scene is not None else value + 1
        elif action == "trigger":
            argument = binding.track if binding.track is not None else hand.number
        try:
            self._target.act(action, argument)
        except RoomtoneError as error:
            self._refuse(hand, str(error))

    def _row(self, hand: Hand) -> Row | None:
        """The parameter of `hand` in the present scene; if there is none, that is counted, and told once."""
        params = self._present()
        if hand.row is None:
            hand.steps = 0
            name = hand.name(self._tracks(hand.binding, params))
            if name:
                try:
                    params.row(name)
                except RoomtoneError as error:
                    self._refuse(hand, str(error))
            else:
                self.refused += 1
        return hand.row

    def _refuse(self, hand: Hand, what: str) -> None:
        self.refused += 1
        told = replace(hand.place, what=what)
        if told not in self._told and len(self._told) < MAX_QUEUED:
            self._told.add(told)
            self._notices.append(told)

    # the scene ----------------------------------------------------------------------------------------------------

    def _present(self) -> ParamTable:
        """The present parameters; after a change of the scene all controls are linked to the new ones."""
        params = self._target.params
        if params is not self._params:
            self._params = params
            self._keys.clear()
            for port in self._ports.values():
                self._link(port, params)
        return params

    def _link(self, port: _Port, params: ParamTable) -> None:
        for hand in port.every:
            if hand.binding.parameter is not None:
                hand.link(params.rows.get(hand.name(self._tracks(hand.binding, params))))

    def _tracks(self, binding: Binding, params: ParamTable) -> tuple[str, ...]:
        """The tracks that have the binding's parameter, in their order."""
        parameter = binding.parameter or ""
        if parameter not in self._keys:
            before, _, after = parameter.partition(TRACK)
            rows = (
                r for r in params if r.name.startswith(before) and r.name.endswith(after) and r.param.keys
            )
            first = next(rows, None) if TRACK in parameter else None
            self._keys[parameter] = first.param.keys if first else ()
        return self._keys[parameter]

    # what goes back -----------------------------------------------------------------------------------------------

    def feedback(self, now_s: float) -> list[tuple[str, bytes]]:
        """Return what is to be sent to which port now, so that controls show what their parameters are."""
        params = self._present()
        sent = []
        for name, port in self._ports.items():
            for hand in port.lit:
                if hand.row is None or hand.lamp is None:
                    continue
                value = hand.shown(float(params.memory[hand.row.slot]))
                if hand.lamp.due(value, now_s):
                    sent.append((name, encode(hand.control, value)))
        return sent


def _hands(binding: Binding, place: Problem) -> list[tuple[Hand, list[Control]]]:
    """The hands of a binding, each with the controls that move it."""
    kind = binding.kind
    found = []
    for offset, number in enumerate(binding.numbers):
        if kind in ("start", "stop", "continue"):
            control = Control(kind)
            found.append((Hand(binding, control, 0, place), [control]))
            continue
        controls = [Control(kind, channel, number) for channel in range(1, 17)]
        if binding.channel == "each":
            found += [(Hand(binding, control, control.channel, place), [control]) for control in controls]
            continue
        if binding.channel != "any":
            controls = [controls[binding.channel - 1]]
        found.append((Hand(binding, controls[0], offset + 1 if binding.notes else 0, place), controls))
    return found


def _claims(control: Control) -> set[object]:
    """What two bindings may not both have: a CC, whether alone or as half of a 14-bit one; else the control."""
    kind, channel, number = control
    if kind == "cc":
        return {(channel, number)}
    return {(channel, number), (channel, number + 32)} if kind == "cc14" else {control}


def _messages(control: Control) -> set[int]:
    """The messages that make up a control: the status, and the first data byte where it tells controls apart."""
    kind, channel, number = control
    low = channel - 1
    change = (midi.CONTROL_CHANGE | low) << 7
    match kind:
        case "cc":
            return {change | number}
        case "cc14":
            return {change | number, change | number + 32}
        case "nrpn":
            return {change | part for part in NRPN_MESSAGES}
        case "note":
            return {(midi.NOTE_ON | low) << 7 | number, (midi.NOTE_OFF | low) << 7 | number}
        case "pitch_bend":
            return {(midi.PITCH_BEND | low) << 7}
        case "pressure":
            return {(midi.CHANNEL_PRESSURE | low) << 7}
        case "program":
            return {(midi.PROGRAM_CHANGE | low) << 7}
        case "start":
            return {midi.START << 7}
        case "stop":
            return {midi.STOP << 7}
        case "continue":
            return {midi.CONTINUE << 7}
        case "clock":
            return {midi.CLOCK << 7}
