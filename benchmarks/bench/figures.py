"""What a benchmark measures: figures with all that is needed to compare them with those of another run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity. `samples` are its values in the parts of a run that lie apart in time; what it came to
    is `value`, their median unless it says otherwise. A figure with one sample can be shown, but not compared.

    What takes time takes more of it on a slower machine. `steady` is what does not, though its unit is one of time: a
    device's period, say.
    """

    value: float
    unit: str
    better: Better
    samples: tuple[float, ...]
    steady: bool = False

    @classmethod
    def of(
        cls, samples: Sequence[float], unit: str, better: Better = "lower", *, steady: bool = False
    ) -> "Figure":
        """Return the figure of one value per part of the run."""
        return cls(statistics.median(samples), unit, better, tuple(samples), steady)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "value": self.value,
            "unit": self.unit,
            "better": self.better,
            "samples": list(self.samples),
            **({"steady": True} if self.steady else {}),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Figure":
        """Read what `as_json` returned; raises KeyError, TypeError or ValueError for anything else."""
        better = stored["better"]
        if better not in ("lower", "higher"):
            raise ValueError(f"better is {better!r}")
        return cls(
            float(stored["value"]),
            str(stored["unit"]),
            better,
            tuple(float(value) for value in stored["samples"]),
            bool(stored.get("steady", False)),
        )
