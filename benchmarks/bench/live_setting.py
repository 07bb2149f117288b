"""What the live measurements are run with: a device, and how the engine drives it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError, Problem
from engine.host.protocol import DriverName, Latency
from engine.spec import StreamSpec

Advance = Callable[[str, float], None]
"""Called with what is being done, and the share of the measurement that is done, 0 to 1."""


SAFETY_QUANTA = (1, 64)
MINUTES = (0.01, 1440.0)
TRACKS = (1, 2048)
"""What may be asked for, from and to."""


DEFAULT_MINUTES = 0.2
DEFAULT_TRACKS = 32
MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class LiveSetting:
    """A device and how it is driven, as the options of `roomtone play` say it.

    `device` and `input_device` are parts of names; `buffer_frames` and `latency` are what the device is asked for.
    Raises InputError for a rate, a quantum or a safety that cannot be.
    """

    device: str | None = None
    input_device: str | None = None
    driver: DriverName = "auto"
    rate_hz: int = 48_000
    quantum_frames: int = 128
    safety_quanta: int = 2
    buffer_frames: int | None = None
    latency: Latency = "low"

    def __post_init__(self) -> None:
        StreamSpec(self.rate_hz, self.quantum_frames)
        require("safety", self.safety_quanta, SAFETY_QUANTA, "quanta")

    @property
    def spec(self) -> StreamSpec:
        """Rate and quantum."""
        return StreamSpec(self.rate_hz, self.quantum_frames)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, by the names it has here."""
        return {name: getattr(self, name) for name in self.__slots__}


def part_of(advance: Advance, begin: float, end: float) -> Advance:
    """Return what tells `advance` of a part that goes from `begin` to `end` of the whole."""
    return lambda what, share: advance(what, begin + (end - begin) * share)


def require(field: str, value: float, allowed: tuple[float, float], unit: str = "") -> None:
    """Raise InputError for a value that is not `allowed`."""
    low, high = allowed
    if not low <= value <= high:
        raise InputError(Problem(f"{value:g} {unit}".strip(), f"{low:g} to {high:g}", field))
