"""The numbers behind a study's pictures. They show the whole table; no score comes from them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.learn.study.data import Task, feature_names

Floats = NDArray[np.float64]

MOST_LEAVES = 54


@dataclass(frozen=True)
class Elbow:
    """Inertia of k-means by the number of clusters from 1 on, and the elbow."""

    inertias: Floats
    at: int


@dataclass(frozen=True)
class Dendrogram:
    """Ward's tree cut at 54 leaves: its lines, and how high they may be cut for so many clusters."""

    x: list[list[float]]
    y: list[list[float]]
    cuts: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Variables and what leads to what."""

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]


def correlations(task: Task) -> tuple[list[str], Floats]:
    """Return the names of features and targets, and float64 `[n, n]` of what they have in common, -1 to 1."""
    values = np.column_stack([task.x, task.y])
    kept = values.std(axis=0) > 1e-9
    names = [*feature_names(), *(f"mix {name}" for name in task.targets)]
    return [n for n, k in zip(names, kept, strict=True) if k], np.atleast_2d(np.corrcoef(values[:, kept].T))


def elbow(task: Task) -> Elbow:
    """Return the elbow of the whole table."""
    from engine.learn.study.preparations import elbow_of, inertias

    values = inertias(_scaled(task))
    return Elbow(values, elbow_of(values))


def dendrogram(task: Task) -> Dendrogram:
    """Return the tree of the whole table."""
    from scipy.cluster.hierarchy import dendrogram as drawn
    from scipy.cluster.hierarchy import linkage

    from engine.learn.study.preparations import CLUSTERS

    tree = linkage(_scaled(task), "ward")
    found = drawn(tree, p=MOST_LEAVES, truncate_mode="lastp", no_plot=True)
    heights = tree[:, 2]
    cuts = {k: float(heights[-k : len(heights) - k + 2].mean()) for k in CLUSTERS if 1 < k < len(heights)}
    return Dendrogram([list(x) for x in found["icoord"]], [list(y) for y in found["dcoord"]], cuts)


def network(task: Task) -> Network:
    """Return the discrete network (K2) of the whole table."""
    from engine.learn.study.networks import CLASS, DiscreteNetwork

    fitted = DiscreteNetwork("k2").fit(_scaled(task), task.labels)
    names = feature_names()
    called = {f"x{p}": names[p] for p in fitted.chosen_.get_support(indices=True)}
    called[CLASS] = task.name
    return Network(tuple(called.values()), tuple((called[a], called[b]) for a, b in fitted.edges_))


def _scaled(task: Task) -> Floats:
    from sklearn.preprocessing import StandardScaler

    return np.asarray(StandardScaler().fit_transform(task.x))
