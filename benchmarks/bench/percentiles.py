"""What many times come to."""

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The middle and the upper end of some values, in their unit; `p999` is the 99.9th percentile."""

    p50: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "Percentiles":
        """Return those of `values`, at least one; between two values they are interpolated."""
        p50, p99, p999, most = np.percentile(np.asarray(values, np.float64), (50.0, 99.0, 99.9, 100.0))
        return cls(float(p50), float(p99), float(p999), float(most))

    def over(self, whole: float) -> "Percentiles":
        """Return them as shares of `whole`."""
        return Percentiles(*(value / whole for value in asdict(self).values()))

    def as_json(self) -> dict[str, float]:
        """Return them by name."""
        return asdict(self)
