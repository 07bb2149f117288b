"""Regression trees as flat arrays: what a forest says of one sound, in microseconds."""

import numpy as np
import numpy.typing as npt

from dsp.jit import kernel

LEAF = -1
"""In the place of a feature: the node is a leaf, and its `right` the row of its values."""


@kernel("void(float32[::1], int32[::1], int16[::1], float32[::1], int32[::1], float32[:, ::1], float64[::1])")
def ask_forest(
    x: npt.NDArray[np.float32],
    roots: npt.NDArray[np.int32],
    features: npt.NDArray[np.int16],
    thresholds: npt.NDArray[np.float32],
    right: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    made: npt.NDArray[np.float64],
) -> None:
    """Write the mean over all trees of the leaf that x comes to.

    Shapes    x (inputs,); roots (trees,), at least one; features, thresholds, right (nodes,); values (leaves, outputs);
              made (outputs,)
    Rules     from a node to the next where x[feature] <= threshold, else to `right`, which lies further on
    """
    made[:] = 0.0
    for tree in range(len(roots)):
        node = np.int64(roots[tree])
        while features[node] >= 0:
            node = node + 1 if x[features[node]] <= thresholds[node] else np.int64(right[node])
        leaf = right[node]
        for k in range(len(made)):
            made[k] += values[leaf, k]
    for k in range(len(made)):
        made[k] /= len(roots)
