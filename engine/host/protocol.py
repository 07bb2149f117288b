"""How messages travel between control process and engine process: pickled, each behind its length, over pipes."""

import os
import pickle
import select
import struct
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.messages import Swap
from engine.spec import StreamSpec

DriverName = Literal["auto", "portaudio", "null"]
Latency = float | Literal["low", "high"]
"""Seconds to ask the device for, or its own idea of little or of safe."""

_LENGTH = struct.Struct("<Q")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Open:
    """The first message to an engine: what to play in, and on what.

    `memory` is the name of the session segment. The transport begins at `first_frame`, where the device fades in over
    `fade_in_ms`. `device` is part of a device's name (with its host API, if that is needed to tell it from others);
    `latency` and `blocksize_frames` are what it is asked for. `safety_quanta` is how many quanta the engine is ahead
    of it; with `adapt` they become more when it was late. `input_channels` of `input_device` (by default the same)
    are recorded to the session.
    """

    memory: str
    spec: StreamSpec
    driver: DriverName = "auto"
    device: str | None = None
    latency: Latency = "low"
    blocksize_frames: int | None = None
    input_device: str | None = None
    input_channels: int = 0
    safety_quanta: int = 2
    adapt: bool = False
    first_frame: int = 0
    fade_in_ms: float = 0.0


def encode(message: Any) -> bytes:
    """Return `message` as it goes over the pipe."""
    if isinstance(message, Swap):  # so that who cannot read the graph still knows which swap it was
        message = replace(message, graph=pickle.dumps(message.graph, pickle.HIGHEST_PROTOCOL))
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Any:
    """Return the message that `Decoder.feed` gave the body of; raises whatever its classes raise.

    The graph of a `Swap` is still to be read with `graph_of`.
    """
    return pickle.loads(body)


def graph_of(swap: Swap) -> Any:
    """Return the graph of a decoded `Swap`; raises whatever its classes raise, also in being imported."""
    return pickle.loads(swap.graph)


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
