"""Bayesian networks with the interface of scikit-learn: their edges are found by climbing hills."""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pgmpy.causal_discovery import HillClimbSearch
    from pgmpy.models import DiscreteBayesianNetwork, LinearGaussianBayesianNetwork
    from pgmpy.parameter_estimator import DiscreteBayesianEstimator
    from pgmpy.structure_score import AICGauss

logging.getLogger("pgmpy").setLevel(logging.ERROR)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Edge = tuple[str, str]

CLASS = "class"
BINS = 4
MOST_PARENTS = 2
VARIABLES = 8
"""More would take minutes a fold."""
OUTPUTS = 6


class DiscreteNetwork(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The class and its 8 most telling variables in 4 bins of equally many rows, in a discrete network.

    `scoring` is k2, aic-d or bic-d. Parameters by a BDeu prior. Source: Koller & Friedman 2009, 18.4.3.
    """

    def __init__(self, scoring: str = "k2") -> None:
        self.scoring = scoring

    def fit(self, x: Floats, y: Ints) -> "DiscreteNetwork":
        """Find edges and parameters."""
        self.classes_ = np.unique(y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.chosen_ = SelectKBest(f_classif, k=min(VARIABLES, x.shape[1])).fit(x, y)
            picked = self.chosen_.transform(x)
            self.bins_ = KBinsDiscretizer(
                BINS, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf"
            ).fit(picked)
            frame = self._frame(picked)
            frame[CLASS] = y.astype(str)
            self.edges_ = _edges(frame, self.scoring, MOST_PARENTS)
            self.network_ = DiscreteBayesianNetwork(self.edges_)
            self.network_.add_nodes_from(frame.columns)
            self.network_.fit(frame, estimator=DiscreteBayesianEstimator(prior_type="BDeu"))
        self.states_ = {name: set(frame[name]) for name in frame.columns}
        return self

    def predict_proba(self, x: Floats) -> Floats:
        """Return the probability of each of `classes_`, float64 `[rows, classes]`."""
        frame = self._frame(self.chosen_.transform(x))
        for name in frame.columns:
            known = sorted(self.states_[name])
            frame[name] = [v if v in self.states_[name] else known[0] for v in frame[name]]
        if not any(CLASS in edge for edge in self.edges_):
            values = self.network_.get_cpds(CLASS)
            row = dict(zip(values.state_names[CLASS], np.ravel(values.get_values()), strict=True))
            return np.tile([row[str(c)] for c in self.classes_], (len(x), 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self.network_.predict_probability(frame)
        return np.column_stack([found[f"{CLASS}_{c}"] for c in self.classes_])

    def predict(self, x: Floats) -> Ints:
        """Return the most probable class, int64 `[rows]`."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(axis=1)])

    def _frame(self, picked: Floats) -> pd.DataFrame:
        binned = self.bins_.transform(picked).astype(int).astype(str)
        places = self.chosen_.get_support(indices=True)
        return pd.DataFrame(binned, columns=[f"x{p}" for p in places])


def _edges(frame: pd.DataFrame, scoring: Any, parents: int) -> list[Edge]:
    """Return the edges that climbing from none at all leads to."""
    search = HillClimbSearch(
        scoring_method=scoring, max_indegree=parents, return_type="dag", show_progress=False
    ).fit(frame)
    return sorted((str(a), str(b)) for a, b in search.causal_graph_.edges())


class QuickAic(AICGauss):  # type: ignore[misc]
    """The same score as its parent's, a least-squares fit instead of a generalised linear model."""

    def _local_score(self, variable: str, parents: tuple[str, ...]) -> float:
        y = self.data[variable].to_numpy(np.float64)
        a = np.column_stack([np.ones(len(y)), *(self.data[p].to_numpy(np.float64) for p in parents)])
        missed = y - a @ np.linalg.lstsq(a, y, rcond=None)[0]
        variance = max(float(missed @ missed) / len(y), 1e-12)
        return float(-0.5 * len(y) * (np.log(2.0 * np.pi * variance) + 1.0) - (len(parents) + 2))


class GaussianNetwork(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A linear-Gaussian network of 8 components of what is given and up to 6 of what is asked; edges by AIC."""

    def __init__(self, parents: int = 4) -> None:
        self.parents = parents

    def fit(self, x: Floats, y: Floats) -> "GaussianNetwork":
        """Find edges and parameters for float64 `[rows, features]` and `[rows, targets]`."""
        self.scale_x_, self.scale_y_ = StandardScaler().fit(x), StandardScaler().fit(y)
        z, t = self.scale_x_.transform(x), self.scale_y_.transform(y)
        self.pca_x_ = PCA(min(VARIABLES, *z.shape)).fit(z)
        self.pca_y_ = PCA(min(OUTPUTS, *t.shape)).fit(t)
        given, asked = self.pca_x_.transform(z), self.pca_y_.transform(t)
        self.size_ = np.maximum(given.std(axis=0), 1e-9)
        frame = self._frame(given, "x")
        for k, column in enumerate(asked.T):
            frame[f"y{k}"] = column
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.edges_ = _edges(frame, QuickAic(frame), self.parents)
            self.network_ = LinearGaussianBayesianNetwork(self.edges_)
            self.network_.add_nodes_from(frame.columns)
            self.network_.fit(frame)
        return self

    def predict(self, x: Floats) -> Floats:
        """Return the expected targets, float64 `[rows, targets]`."""
        given = self._frame(self.pca_x_.transform(self.scale_x_.transform(x)), "x")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = self.network_.predict(given)
        asked = found[[f"y{k}" for k in range(self.pca_y_.n_components_)]].to_numpy()
        return np.asarray(self.scale_y_.inverse_transform(self.pca_y_.inverse_transform(asked)))

    def _frame(self, given: Floats, prefix: str) -> pd.DataFrame:
        return pd.DataFrame(given / self.size_, columns=[f"{prefix}{k}" for k in range(given.shape[1])])
