"""The bytes of one MIDI port to messages: any bytes at all, without an exception and without getting stuck.

Source    MIDI 1.0 Detailed Specification 4.2: running status, real-time bytes inside other messages, System Exclusive
"""

import re
from functools import partial
from typing import Final, NamedTuple

NOTE_OFF: Final = 0x80
NOTE_ON: Final = 0x90
CONTROL_CHANGE: Final = 0xB0
PROGRAM_CHANGE: Final = 0xC0
CHANNEL_PRESSURE: Final = 0xD0
PITCH_BEND: Final = 0xE0
SYSEX: Final = 0xF0
SONG_POSITION: Final = 0xF2
SYSEX_END: Final = 0xF7
CLOCK: Final = 0xF8
START: Final = 0xFA
CONTINUE: Final = 0xFB
STOP: Final = 0xFC
ACTIVE_SENSING: Final = 0xFE

_DATA_BYTES: Final = {
    **dict.fromkeys((*range(0x80, 0xC0), *range(0xE0, 0xF0), 0xF2), 2),
    **dict.fromkeys((*range(0xC0, 0xE0), 0xF1, 0xF3), 1),
    0xF6: 0,
}
"""Status → data bytes that follow it; real-time and System Exclusive apart, undefined ones not in it."""

# A megabyte of System Exclusive is skipped at once, not byte by byte.
_EXCLUSIVE: Final = re.compile(rb"\xf0[\x00-\x7f]+")
_BODY: Final = re.compile(rb"\A[\x00-\x7f]+")

_UNDEFINED_REAL_TIME: Final = (0xF9, 0xFD)


class Message(NamedTuple):
    """One message. `status` is its first byte, with the channel in it; data bytes that it does not have are 0."""

    status: int
    data1: int = 0
    data2: int = 0

    @property
    def channel(self) -> int:
        """The channel, 1 to 16; 0 for a system message."""
        return (self.status & 0x0F) + 1 if self.status < 0xF0 else 0

    @property
    def kind(self) -> int:
        """The status without the channel: `CONTROL_CHANGE`, `CLOCK` …"""
        return self.status & 0xF0 if self.status < 0xF0 else self.status


_message: Final = partial(tuple.__new__, Message)
"""A third of the time of a call of the class, which is most of the time a message takes here."""


class MessageParser:
    """Takes the bytes of one port as they come, cut anywhere, and gives the messages in them.

    System Exclusive is skipped, however long, until its end or another status. `malformed` counts what was ignored:
    messages cut short by another status, data bytes that belong to none, undefined status bytes.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._status = 0  # what the next data bytes belong to; 0: to nothing
        self._first = -1  # the first of two data bytes, -1 while it is awaited
        self._begun = False  # a message has begun and is not complete
        self._in_sysex = False

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that `data` completes."""
        if len(data) == 3 and not self._begun and not self._in_sysex:
            # What drivers nearly always hand over: one whole message.
            status, data1, data2 = data
            if data1 < 0x80 and data2 < 0x80 and (0x80 <= status < 0xC0 or 0xE0 <= status < 0xF0):
                self._status = status
                return [_message((status, data1, data2))]
        if len(data) > 64:
            data = _BODY.sub(b"", data) if self._in_sysex else _EXCLUSIVE.sub(b"\xf0", data)
        found: list[Message] = []
        for byte in data:
            if byte < 0x80:
                self._take_data(byte, found)
            elif byte < CLOCK:
                self._take_status(byte, found)
            elif byte in _UNDEFINED_REAL_TIME:
                self.malformed += 1
            else:
                found.append(Message(byte))
        return found

    def _take_status(self, byte: int, found: list[Message]) -> None:
        """Any status ends whatever came before it, so nothing can hold the parser up."""
        self.malformed += self._begun or (byte == SYSEX_END and not self._in_sysex)
        self._in_sysex = byte == SYSEX
        self._first = -1
        self._status = byte if _DATA_BYTES.get(byte) else 0
        self._begun = self._status != 0
        if byte in _DATA_BYTES and not self._begun:
            found.append(Message(byte))
        elif byte not in _DATA_BYTES and byte not in (SYSEX, SYSEX_END):
            self.malformed += 1

    def _take_data(self, byte: int, found: list[Message]) -> None:
        if self._in_sysex:
            return
        if not self._status:
            self.malformed += 1
        elif self._first < 0 and _DATA_BYTES[self._status] == 2:
            self._first = byte
            self._begun = True
        else:
            two = self._first >= 0
            found.append(Message(self._status, self._first, byte) if two else Message(self._status, byte))
            self._first = -1
            self._begun = False
            if self._status >= SYSEX:
                self._status = 0  # system messages have no running status
