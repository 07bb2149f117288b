"""A forest of regression trees as it is kept and used: flat arrays, no library."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.forest import LEAF, ask_forest

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees one behind the other, each from its root down, the left branch first.

    roots       int32 `[trees]`: where each tree begins
    features    int16 `[nodes]`: which input is looked at; -1 where the node is a leaf
    thresholds  float32 `[nodes]`: an input at most so large goes to the next node
    right       int32 `[nodes]`: where any other goes, further on in its tree; of a leaf its row of values
    values      float32 `[leaves, outputs]`
    """

    roots: NDArray[np.int32]
    features: NDArray[np.int16]
    thresholds: NDArray[np.float32]
    right: NDArray[np.int32]
    values: NDArray[np.float32]

    def __call__(self, inputs: Floats) -> Floats:
        """Return float64 `[n, outputs]` of inputs `[n, inputs]`; each output lies within the forest's values."""
        made = np.empty((len(inputs), self.values.shape[1]))
        for x, row in zip(np.ascontiguousarray(inputs, np.float32), made, strict=True):
            ask_forest(x, self.roots, self.features, self.thresholds, self.right, self.values, row)
        return made

    def fault(self, inputs: int) -> str:
        """Return what is wrong with the arrays for that many inputs, "" where every walk ends at a leaf of its tree."""
        nodes = len(self.features)
        if not len(self.thresholds) == len(self.right) == nodes:
            return "features, thresholds and right are not of one length"
        starts = self.roots.astype(np.int64)
        if starts[0] != 0 or (np.diff(starts) <= 0).any() or starts[-1] >= nodes:
            return "roots are not in order"
        ends = np.append(starts[1:], nodes)
        end_of = np.repeat(ends, np.diff(np.append(starts, nodes)))
        leaf = self.features == LEAF
        if ((self.features < LEAF) | (self.features >= inputs)).any():
            return "features are none of the inputs"
        if ((self.right < 0) | (self.right >= len(self.values)))[leaf].any():
            return "a leaf has no values"
        at = np.flatnonzero(~leaf)
        if ((self.right[at] <= at + 1) | (self.right[at] >= end_of[at])).any():
            return "a branch leads back, or out of its tree"
        return ""
