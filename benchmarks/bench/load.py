"""How much there is to do: so many tracks at such a quantum."""

from collections.abc import Callable
from dataclasses import dataclass

Advance = Callable[[str, float], None]
"""Called with what is being done, and the share of the measurement that is done, 0 to 1."""


@dataclass(frozen=True, slots=True, order=True)
class Load:
    """The default graph with `tracks` tracks, all of which sound, in quanta of `quantum_frames`."""

    quantum_frames: int
    tracks: int
    rate_hz: int = 48_000

    @property
    def name(self) -> str:
        """What figures are named after."""
        return f"{self.tracks} tracks, {self.quantum_frames} frames"

    @property
    def budget_us(self) -> float:
        """The time there is for one quantum."""
        return 1e6 * self.quantum_frames / self.rate_hz

    def quanta(self, seconds: float) -> int:
        """Return how many quanta so many seconds of sound are, at least 1."""
        return max(1, round(seconds * self.rate_hz / self.quantum_frames))
