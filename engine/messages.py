"""Everything that crosses between the control process and the engine process, and nothing else.

Structure crosses here; scalars cross in slots, sound events in their queue, samples in shared memory.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.slots import SlotMap


@dataclass(frozen=True, slots=True)
class ClipRef:
    """A clip in shared memory: float32 `[frames, 2]` at `offset_bytes` of the segment `memory`."""

    number: int
    memory: str
    offset_bytes: int
    frames: int


@dataclass(frozen=True, slots=True)
class Load:
    """Have these clips at hand."""

    clips: tuple[ClipRef, ...]


@dataclass(frozen=True, slots=True)
class Swap:
    """Play this graph from the next quantum on; processors of unchanged nodes go on ringing.

    `graph` is an `engine.rendering.Graph`; it is built and warmed before it takes over.
    """

    graph: Any
    param_map: SlotMap
    meter_map: SlotMap


@dataclass(frozen=True, slots=True)
class Start:
    """Open the device and play."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Fade to silence over `fade_frames`, beginning at once or at the absolute frame `at_frame`."""

    fade_frames: int
    at_frame: int | None = None


@dataclass(frozen=True, slots=True)
class Quit:
    """Close the device and end the process."""


ToEngine: TypeAlias = Load | Swap | Start | Stop | Quit


@dataclass(frozen=True, slots=True)
class Swapped:
    """The graph is playing; `latency_frames` is the latency of its longest path."""

    latency_frames: int


@dataclass(frozen=True, slots=True)
class Started:
    """The driver runs: its name, the device's, and the device's own latency in seconds."""

    driver: str
    device: str
    latency_s: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should read, in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A node was muted and reset at `frame`; `what` says why."""

    node: str
    frame: int
    what: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Silence is reached: the last frame that sounds is before `frame`."""

    frame: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine cannot go on; `what` carries the remedy."""

    what: str


ToControl: TypeAlias = Swapped | Started | Notice | Fault | Stopped | Failed
