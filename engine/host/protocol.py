"""What travels between control process and engine process: pickled messages, one a frame."""

import pickle
from dataclasses import dataclass, replace
from typing import Any, Literal

from engine.host.framing import framed
from engine.messages import Swap
from engine.spec import StreamSpec

DriverName = Literal["auto", "portaudio", "null"]
Latency = float | Literal["low", "high"]
"""Seconds to ask the device for, or its own idea of little or of safe."""


@dataclass(frozen=True, slots=True)
class Open:
    """The first message to an engine: what to play in, and on what.

    `memory` is the name of the session segment. The transport begins at `first_frame`, where the device fades in over
    `fade_in_ms`. `device` is part of a device's name (with its host API, if that is needed to tell it from others);
    `latency` and `blocksize_frames` are what it is asked for. `safety_quanta` is how many quanta the engine is ahead
    of it; with `adapt` they become more when it was late. `input_channels` of `input_device` (by default the same)
    are recorded to the session. `modules` are imported while there is time, since a later graph may need them.
    """

    memory: str
    spec: StreamSpec
    driver: DriverName = "auto"
    device: str | None = None
    latency: Latency = "low"
    blocksize_frames: int | None = None
    input_device: str | None = None
    input_channels: int = 0
    modules: tuple[str, ...] = ()
    safety_quanta: int = 2
    adapt: bool = False
    first_frame: int = 0
    fade_in_ms: float = 0.0


def encode(message: Any) -> bytes:
    """Return `message` as it goes over the pipe."""
    if isinstance(message, Swap):  # so that who cannot read the graph still knows which swap it was
        message = replace(message, graph=pickle.dumps(message.graph, pickle.HIGHEST_PROTOCOL))
    return framed(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def decode(body: bytes) -> Any:
    """Return the message that `Decoder.feed` gave the body of; raises whatever its classes raise.

    The graph of a `Swap` is still to be read with `graph_of`.
    """
    return pickle.loads(body)


def graph_of(swap: Swap) -> Any:
    """Return the graph of a decoded `Swap`; raises whatever its classes raise, also in being imported."""
    return pickle.loads(swap.graph)
