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
class Unload:
    """Let go of these clips, which no event names any more, and of this shared memory."""

    numbers: tuple[int, ...]
    memories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preload:
    """Import these modules, which brings their kernels; `Ready` answers. Before the handshake, to a spare engine."""

    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swap:
    """Play this graph from the next quantum on; processors of unchanged nodes go on ringing.

    `graph` is an `engine.rendering.Graph`; it is built and warmed before it takes over. `Built` or `Refused`, then
    `Swapped`, answer with the same `number`, which grows with every swap.
    """

    number: int
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


ToEngine: TypeAlias = Load | Unload | Preload | Swap | Start | Stop | Quit


@dataclass(frozen=True, slots=True)
class Ready:
    """What was to be imported is there."""


@dataclass(frozen=True, slots=True)
class Built:
    """The graph of swap `number` is built and plays from the next quantum; `latency_frames` is its longest path's."""

    number: int
    latency_frames: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The graph of swap `number` cannot be built; what played before plays on."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class Swapped:
    """The graph of swap `number` plays alone: nothing of an earlier one fades any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Started:
    """The driver runs: its name, the device's, and the device's own latency in seconds.

    `input_latency_s` is that of its input, 0 without one.
    `rights` says in one line what the system refused that keeps a busy machine on time, and the remedy; else "".
    """

    driver: str
    device: str
    latency_s: float
    rights: str = ""
    input_latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """The device stopped asking for sound; the null clock goes on in its place. `frame` was rendered last."""

    device: str
    frame: int


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
    """Silence is reached: the last frame that sounds is before `frame`.

    The fade that led there began at `fade_frame` and took `fade_frames`; None and 0 where there was another end.
    """

    frame: int
    fade_frame: int | None = None
    fade_frames: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine cannot go on; `what` carries the remedy."""

    what: str


ToControl: TypeAlias = (
    Ready | Built | Refused | Swapped | Started | DeviceLost | Notice | Fault | Stopped | Failed
)
