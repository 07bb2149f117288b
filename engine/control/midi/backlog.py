"""MIDI messages on their way, in order and in bounded memory: where too many wait, only what is out of date goes."""

import threading
from collections.abc import Sequence
from typing import Any, TypeAlias

MOST = 16_384
"""So many wait before they are thinned out: all that 16 ports can send in 0.6 s."""

CAPACITY = 65_536
"""So many wait at most, even if each is the last of its kind."""

Message: TypeAlias = tuple[str, bytes, float]
"""Port, the bytes of one MIDI message, and when it came (monotonic seconds)."""

_ADDRESS_MSB, _ADDRESS_LSB = (99, 101), (98, 100)
_DATA_ENTRY = (6, 38, 96, 97)
_NOTE_OFF, _CONTROL = 0x80, 0xB0


class Backlog:
    """Filled by the threads of a MIDI library, emptied by one other; neither waits for long.

    `received` and `thinned` count, by port, the messages that came and those that were left out.
    """

    def __init__(self, most: int = MOST, capacity: int = CAPACITY) -> None:
        self._most = self._limit = most
        self._capacity = capacity
        self._arrived = threading.Condition()
        self._items: list[Message] = []
        self._news: list[tuple[int, Any]] = []
        self.received: dict[str, int] = {}
        self.thinned: dict[str, int] = {}

    def add(self, port: str, data: bytes, at_s: float) -> None:
        """Append a message."""
        with self._arrived:
            self.received[port] = self.received.get(port, 0) + 1
            self._items.append((port, data, at_s))
            if len(self._items) > self._limit:
                self._thin()
            if len(self._items) == 1:
                self._arrived.notify()

    def skip(self, port: str) -> None:
        """Count a message that is not taken at all."""
        with self._arrived:
            self.received[port] = self.received.get(port, 0) + 1
            self.thinned[port] = self.thinned.get(port, 0) + 1

    def tell(self, news: Any) -> None:
        """Append something that is no message and stays in its place among them; not twice in a row the same."""
        with self._arrived:
            entry = (len(self._items), news)
            if self._news[-1:] != [entry]:
                self._news.append(entry)
            self._arrived.notify()

    def take(self, timeout_s: float | None = None) -> list[tuple[list[Message], Any]]:
        """Return all that waits, as (messages, the news after them or None)…; waits for the first of it."""
        with self._arrived:
            if not self._items and not self._news:
                self._arrived.wait(timeout_s)
            items, news = self._items, self._news
            self._items, self._news = [], []
            self._limit = self._most
        parts: list[tuple[list[Message], Any]] = []
        begin = 0
        for place, one in news:
            parts.append((items[begin:place], one))
            begin = place
        if items[begin:]:
            parts.append((items[begin:], None))
        return parts

    def _thin(self) -> None:
        kept: list[Message] = []
        news: list[tuple[int, Any]] = []
        begin = 0
        for place, one in [*self._news, (len(self._items), None)]:
            kept += thinned(self._items[begin:place])
            begin = place
            news.append((len(kept), one))
        news.pop()
        if len(kept) > self._capacity:
            surplus = len(kept) - self._capacity
            kept = kept[surplus:]
            news = [(max(0, place - surplus), one) for place, one in news]
        for items, sign in ((self._items, 1), (kept, -1)):
            for port, _, _ in items:
                self.thinned[port] = self.thinned.get(port, 0) + sign
        self._items, self._news = kept, news
        self._limit = max(self._most, 2 * len(kept))


def thinned(messages: Sequence[Message]) -> list[Message]:
    """Return the last message of each kind, in the order in which they came; who takes them in ends up the same.

    A kind is port, channel, what is turned, and for parameters that are reached by number (RPN, NRPN) that number,
    which is sent again where need be. Of a key its last stroke and its last release remain. Steps of endless encoders
    are lost, because nobody here knows which these are.
    """
    addresses: dict[tuple[str, int], tuple[int, int | None, int | None]] = {}
    last: dict[object, tuple[Message, tuple[int, int | None, int | None] | None]] = {}
    for message in messages:
        port, data, _ = message
        status = data[0] if data else 0
        control = data[1] if status & 0xF0 == _CONTROL and len(data) == 3 else -1
        place = (port, status)
        if control in _ADDRESS_MSB:
            _, _, lsb = _of_kind(addresses.get(place), control - 99)
            addresses[place] = (control - 99, data[2], lsb)
        elif control in _ADDRESS_LSB:
            _, msb, _ = _of_kind(addresses.get(place), control - 98)
            addresses[place] = (control - 98, msb, data[2])
        elif control in _DATA_ENTRY:
            address = addresses.get(place)
            key: object = (port, status, control, address)
            last.pop(key, None)
            last[key] = (message, address)
        else:
            key = (port, *_kind(data))
            last.pop(key, None)
            last[key] = (message, None)
    kept: list[Message] = []
    selected: dict[tuple[str, int], tuple[int, int | None, int | None]] = {}

    def select(place: tuple[str, int], address: tuple[int, int | None, int | None], at_s: float) -> None:
        if selected.get(place) != address:
            selected[place] = address
            kind, msb, lsb = address
            port, status = place
            for control, value in ((99 + kind, msb), (98 + kind, lsb)):
                if value is not None:
                    kept.append((port, bytes((status, control, value)), at_s))

    for message, address in last.values():
        if address is not None:
            select((message[0], message[1][0]), address, message[2])
        kept.append(message)
    at_s = messages[-1][2] if messages else 0.0
    for place, address in addresses.items():
        select(place, address, at_s)
    return kept


def _of_kind(
    address: tuple[int, int | None, int | None] | None, kind: int
) -> tuple[int, int | None, int | None]:
    """Return the address if it is of that kind (0 NRPN, 2 RPN), else an empty one."""
    return address if address is not None and address[0] == kind else (kind, None, None)


def _kind(data: bytes) -> tuple[int, ...]:
    status = data[0] if data else 0
    match status & 0xF0:
        case 0x90 if len(data) == 3 and data[2] == 0:
            return (_NOTE_OFF | status & 0x0F, data[1])
        case 0x80 | 0x90 | 0xA0 | 0xB0 if len(data) > 1:
            return (status, data[1])
        case 0xF0 if 0xFA <= status <= 0xFC:  # start, continue and stop are one switch
            return (0xFA,)
        case _:
            return (status,)
