"""A fixed piece of work that goes with every run: what it takes tells how fast the machine is at the moment.

numpy's float32 arithmetic in the first cache, in the second, and a copy that goes through the third. No kernel of this
program is in it, so no change of the program changes it; another numpy or another processor does. Over stretches of ten
seconds of a shared machine that drifted by a factor of 1.5, the median quantum of 8, 64 and 256 tracks followed it
with sensitivities of 1.2, 1.1 and 0.5.
"""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.bench.figures import Figure

NAME = "yardstick"
"""What its figure is called."""

REPEATS = 25
"""How often it is done for one reading, some 10 ms in all."""

ARITHMETIC_PASSES, CACHE_PASSES, COPIES = 40, 12, 1
FIRST_CACHE, SECOND_CACHE, MEMORY = (128, 32), (128, 256), (1 << 19,)
"""Shapes of float32 arrays: 16 KiB, 128 KiB and 2 MiB each."""


class Yardstick:
    """The work, with its memory; the first reading is done when it is made, and lost."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._small = [rng.standard_normal(FIRST_CACHE, np.float32) for _ in range(3)]
        self._large = [rng.standard_normal(SECOND_CACHE, np.float32) for _ in range(3)]
        self._memory = [np.zeros(MEMORY, np.float32) for _ in range(2)]
        self.read_us()

    def work(self) -> None:
        """Do it once: some 0.4 ms. Values stay as large as they are, however often it is done."""
        a, b, out = self._small
        for _ in range(ARITHMETIC_PASSES):
            np.multiply(a, b, out=out)
            np.add(out, a, out=out)
            np.subtract(out, b, out=out)
        a, b, out = self._large
        for _ in range(CACHE_PASSES):
            np.multiply(a, b, out=out)
            np.add(out, a, out=out)
        source, target = self._memory
        for _ in range(COPIES):
            np.copyto(target, source)

    def read_us(self) -> float:
        """Return what it takes now: the median of `REPEATS` times, in µs by the wall clock."""
        times_ns = []
        for _ in range(REPEATS):
            began_ns = time.perf_counter_ns()
            self.work()
            times_ns.append(time.perf_counter_ns() - began_ns)
        return statistics.median(times_ns) / 1e3


def figure(rounds: Sequence[Sequence[float]]) -> Figure:
    """Return the figure of a run: of each round, the readings (µs, at least one) taken in it."""
    return Figure.of([statistics.median(readings) for readings in rounds], "µs")
