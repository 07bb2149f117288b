"""What is done to a set before a model sees it: components, clusters, more rows of rare classes. All is fitted."""

from typing import Any

import numpy as np
from imblearn.over_sampling import ADASYN, SMOTE
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Step = tuple[str, Any]

CLUSTERS = (54, 27, 13, 6, 3, 2)
VARIANCE = 0.99
MOST_ELBOW = 16
NEIGHBOURS = 5
SEED = 3


class Clusters(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Adds a column for each cluster: 1 for the one whose centre is nearest, else 0.

    Ward's agglomerative clusters for a number `k`; for `k` 0 k-means with as many as the elbow of its inertia says.
    """

    def __init__(self, k: int = 0) -> None:
        self.k = k

    def fit(self, x: Floats, y: Ints | None = None) -> "Clusters":
        """Find the clusters of float64 `[rows, features]`."""
        if self.k:
            labels = AgglomerativeClustering(min(self.k, len(x) // 2)).fit_predict(x)
            self.centres_ = np.array([x[labels == c].mean(axis=0) for c in range(labels.max() + 1)])
        else:
            self.centres_ = _k_means(x, elbow_of(inertias(x))).cluster_centers_
        return self

    def transform(self, x: Floats) -> Floats:
        """Return the columns there were and those of the clusters."""
        distances = np.square(x[:, None, :] - self.centres_[None]).sum(axis=2)
        return np.column_stack([x, np.eye(len(self.centres_))[distances.argmin(axis=1)]])


def _k_means(x: Floats, k: int) -> KMeans:
    return KMeans(k, n_init=1, random_state=SEED).fit(x)


def inertias(x: Floats) -> Floats:
    """Return the inertia of k-means for 1 to 16 clusters, float64."""
    return np.array([_k_means(x, k).inertia_ for k in range(1, min(MOST_ELBOW, len(x) - 1) + 1)])


def elbow_of(values: Floats) -> int:
    """Return the number of clusters at the elbow of inertias, 4 where there is none.

    Source    Satopää et al. 2011 ("kneedle"), as kneed has it
    """
    from kneed import KneeLocator

    found = KneeLocator(range(1, len(values) + 1), values, curve="convex", direction="decreasing").elbow
    return int(found) if found else 4


class Smote(BaseEstimator):  # type: ignore[misc]
    """SMOTE for classes of any size: of up to 5 rows with one neighbour; a single row stays alone."""

    def fit_resample(self, x: Floats, y: Ints) -> tuple[Floats, Ints]:
        """Return the rows and made-up ones, all classes of two rows and more as large as the largest."""
        classes, counts = np.unique(y, return_counts=True)
        most = int(counts.max())
        for low, high, k in ((NEIGHBOURS + 1, most, NEIGHBOURS), (2, NEIGHBOURS + 1, 1)):
            wanted = {int(c): most for c, n in zip(classes, counts, strict=True) if low <= n < high}
            if wanted:
                x, y = SMOTE(sampling_strategy=wanted, k_neighbors=k, random_state=SEED).fit_resample(x, y)
        return x, y


def adasyn_fails(x: Floats, y: Ints) -> str:
    """Return what ADASYN says against these rows, nothing if it takes them."""
    try:
        ADASYN(n_neighbors=NEIGHBOURS, random_state=SEED).fit_resample(StandardScaler().fit_transform(x), y)
    except (ValueError, RuntimeError) as error:
        return str(error).splitlines()[0][:200]
    return ""


PREPARATIONS: dict[str, tuple[str | int, ...]] = {
    "none": (),
    "PCA": ("pca",),
    **{f"agglomerative {k}": (k,) for k in CLUSTERS},
    "k-means": (0,),
    "PCA + agglomerative 54": ("pca", 54),
    "PCA + agglomerative 27": ("pca", 27),
    "SMOTE": ("smote",),
    "PCA + SMOTE": ("pca", "smote"),
    "agglomerative 54 + SMOTE": (54, "smote"),
    "agglomerative 27 + SMOTE": (27, "smote"),
}
"""By name: components, SMOTE, or a number of clusters. Every set is scaled first. SMOTE is for classes alone."""


def steps_of(name: str) -> list[Step]:
    """Return the steps of a preparation, unfitted."""
    made: list[Step] = [("scale", StandardScaler())]
    for step in PREPARATIONS[name]:
        if isinstance(step, int):
            made.append(("clusters", Clusters(step)))
        else:
            made.append(("pca", PCA(VARIANCE, svd_solver="full")) if step == "pca" else ("smote", Smote()))
    return made
