"""How messages travel between two processes: each behind its length, over pipes. Light to import."""

import os
import select
import struct

_LENGTH = struct.Struct("<Q")
_READ_BYTES = 1 << 20


def framed(body: bytes) -> bytes:
    """Return `body` as it goes over the pipe."""
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Puts message bodies together again from whatever pieces a pipe gives."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the bodies that are complete now."""
        self._pending += data
        bodies = []
        while len(self._pending) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._pending)
            end = _LENGTH.size + length
            if len(self._pending) < end:
                break
            bodies.append(bytes(self._pending[_LENGTH.size : end]))
            del self._pending[:end]
        return bodies


class Inbox:
    """The reading end of a pipe; `closed` once the writer is gone."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._decoder = Decoder()
        self._wake_end, self._wake_begin = os.pipe()
        self.closed = False

    def wait(self, timeout_s: float | None) -> list[bytes]:
        """Return the bodies that are complete now, waiting for the next bytes or `wake` if need be; perhaps none."""
        sources = [self._wake_end] if self.closed else [self._wake_end, self._source]
        ready, _, _ = select.select(sources, [], [], timeout_s)
        if self._wake_end in ready:
            os.read(self._wake_end, _READ_BYTES)
        if self._source not in ready:
            return []
        data = os.read(self._source, _READ_BYTES)
        self.closed = not data
        return self._decoder.feed(data)

    def wake(self) -> None:
        """Have `wait` return; called from any thread, not in the middle of playing."""
        os.write(self._wake_begin, b"!")


def write_all(target: int, data: bytes) -> None:
    """Write all of `data` to a pipe; raises OSError when the reader is gone."""
    while data:
        data = data[os.write(target, data) :]
