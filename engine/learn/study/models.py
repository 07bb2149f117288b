"""The models that are compared, each with what of it is tuned."""

from dataclasses import dataclass, field
from typing import Any

from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from engine.learn.study.networks import DiscreteNetwork, GaussianNetwork

SEED = 5
TREES = 40
SIMPLE = ("none", "PCA")
"""Preparations that a slow model, or one that clusters cannot change, is tried on."""


@dataclass(frozen=True)
class Model:
    """An unfitted estimator, its grid, and the preparations it is tried on: all where there are none named."""

    estimator: Any
    grid: dict[str, list[Any]] = field(default_factory=dict)
    only: tuple[str, ...] = ()


BASELINE = "baseline"
"""The most frequent class with all probabilities as they are in general; the mean."""


def classifiers() -> dict[str, Model]:
    """Return the classifiers by name."""
    return {
        BASELINE: Model(DummyClassifier(strategy="prior"), only=("none",)),
        "decision tree": Model(DecisionTreeClassifier(random_state=SEED), {"min_samples_leaf": [1, 3, 6]}),
        "random forest": Model(
            RandomForestClassifier(TREES, random_state=SEED), {"min_samples_leaf": [1, 3]}
        ),
        "logistic regression": Model(LogisticRegression(max_iter=100, tol=1e-3), {"C": [0.03, 0.3]}),
        "k-NN (CBR)": Model(KNeighborsClassifier(weights="distance"), {"n_neighbors": [1, 3, 5, 9]}),
        "naive Bayes": Model(GaussianNB(), {"var_smoothing": [1e-9, 1e-3, 1e-1]}),
        "Bayesian network (K2)": Model(
            DiscreteNetwork("k2"), only=("none", "agglomerative 54", "agglomerative 27", "SMOTE")
        ),
        "Bayesian network (AIC)": Model(DiscreteNetwork("aic-d"), only=("none", "PCA", "PCA + SMOTE")),
        "Bayesian network (BIC)": Model(DiscreteNetwork("bic-d"), only=("none",)),
    }


def regressors() -> dict[str, Model]:
    """Return the regressors by name; each answers with all targets."""
    return {
        BASELINE: Model(DummyRegressor(), only=("none",)),
        "linear regression": Model(LinearRegression()),
        "decision tree": Model(DecisionTreeRegressor(random_state=SEED), {"min_samples_leaf": [3, 8, 20]}),
        "random forest": Model(
            RandomForestRegressor(TREES, max_features=0.33, random_state=SEED), {"min_samples_leaf": [2, 6]}
        ),
        "k-NN (CBR)": Model(KNeighborsRegressor(weights="distance"), {"n_neighbors": [1, 3, 5, 9, 15]}),
        "Bayesian ridge": Model(
            MultiOutputRegressor(BayesianRidge(max_iter=50, tol=1e-2)), {"estimator__lambda_1": [1e-6, 1e-1]}
        ),
        "Gaussian network (AIC)": Model(
            GaussianNetwork(), only=("none", "agglomerative 54", "agglomerative 27")
        ),
    }
