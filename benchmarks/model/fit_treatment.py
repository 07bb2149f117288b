"""Fits the forests that tell what has been done to a sound, and tells how they do on sources they have not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.model.clip import Floats
from benchmarks.model.treated import Treatments
from dsp.forest import LEAF
from engine.learn.forest import Forest
from engine.learn.shape import shape
from engine.learn.treatment import JUDGED, TreatmentModel, size_db, undone_db

TREES, LEAST_LEAF, OF_FEATURES = 60, 8, 0.5
CURVES = 8
"""Principal components of the equalisers' curves: eight hold 99.8 % of smooth ones."""
FOLDS = 5
LEAST_DB = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
BINS = 8
HELD = 0.8
"""The share of the truth that an interval is to hold."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Forests and what makes curves of the first one's numbers."""

    equaliser: Forest
    compressor: Forest
    basis: Floats
    centre: Floats

    def found(self, features: Floats) -> tuple[Floats, Floats]:
        """Return curves `[n, 31]` and reductions `[n]`."""
        return self._model.found(features)

    @property
    def _model(self) -> TreatmentModel:
        return self.with_tables(0.0, *(np.zeros(1),) * 6)

    def with_tables(self, least_db: float, *tables: Floats) -> TreatmentModel:
        """Return the model with what is known of its errors."""
        return TreatmentModel(self.equaliser, self.compressor, self.basis, self.centre, least_db, *tables)


def fitted(table: Treatments, seed: int) -> Fitted:
    """Return what has learned a table."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import ExtraTreesRegressor

    x = shape(table.features).astype(np.float32)
    curves = PCA(CURVES, svd_solver="full").fit(table.curves_db)

    def forest(targets: Floats) -> Forest:
        trees = ExtraTreesRegressor(
            TREES, min_samples_leaf=LEAST_LEAF, max_features=OF_FEATURES, random_state=seed, n_jobs=-1
        )
        return flat(trees.fit(x, targets).estimators_)

    return Fitted(
        forest(curves.transform(table.curves_db)),
        forest(table.reductions_db),
        np.asarray(curves.components_, np.float64),
        np.asarray(curves.mean_, np.float64),
    )


def flat(trees: "list[object]") -> Forest:
    """Return scikit-learn's trees as flat arrays, which say the same of any float32 input."""
    roots, features, thresholds, right, values = [], [], [], [], []
    node = leaf = 0
    for estimator in trees:
        tree = estimator.tree_  # type: ignore[attr-defined]
        roots.append(node)
        leaves = tree.children_left < 0
        # scikit-learn keeps the left branch behind its node, as here.
        assert (tree.children_left[~leaves] == np.flatnonzero(~leaves) + 1).all()
        features.append(np.where(leaves, LEAF, tree.feature).astype(np.int16))
        thresholds.append(_rounded_down(tree.threshold))
        right.append(np.where(leaves, leaf + np.cumsum(leaves) - 1, tree.children_right + node))
        values.append(tree.value[leaves, :, 0].astype(np.float32))
        node, leaf = node + tree.node_count, leaf + int(leaves.sum())
    return Forest(
        np.array(roots, np.int32),
        np.concatenate(features),
        np.concatenate(thresholds),
        np.concatenate(right).astype(np.int32),
        np.concatenate(values),
    )


def _rounded_down(thresholds: Floats) -> NDArray[np.float32]:
    """Return float32 thresholds at most as large: float32 inputs go the way they went."""
    made = thresholds.astype(np.float32)
    lower = np.nextafter(made, np.float32(-np.inf))
    return np.where(made.astype(np.float64) > thresholds, lower, made)


def out_of_fold(always: Treatments, held: Treatments, seed: int) -> tuple[Floats, Floats]:
    """Return curves and reductions of each row of `held` from models that saw `always` and other groups of `held`."""
    from sklearn.model_selection import GroupKFold

    curves, reductions = np.zeros_like(held.curves_db), np.zeros_like(held.reductions_db)
    for learn, test in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(
        held.features, groups=held.groups
    ):
        model = fitted(always + held[learn], seed)
        curves[test], reductions[test] = model.found(held.features[test])
    return curves, reductions


def errors_db(curves: Floats, truth: Floats) -> Floats:
    """Return the mean absolute error of each row's curve from 40 Hz to 16 kHz, less what all bands share there."""
    off = (curves - truth)[:, JUDGED]
    return np.asarray(np.abs(off - off.mean(axis=1, keepdims=True)).mean(axis=1))


def best_least_db(curves: Floats, truth: Treatments) -> float:
    """Return the soft threshold with the least error."""
    losses = [
        float(errors_db(-undone_db(curves, truth.features, least), truth.curves_db).mean())
        for least in LEAST_DB
    ]
    return LEAST_DB[int(np.argmin(losses))]


def tables(curves: Floats, reductions: Floats, truth: Treatments, least_db: float) -> tuple[Floats, ...]:
    """Return sizes, how often nearer than nothing, errors; reductions, low, high: what `TreatmentModel` has of them."""
    made = -undone_db(curves, truth.features, least_db)
    changed = np.flatnonzero(np.abs(made).max(axis=1) > 0.0)
    sizes = size_db(curves)[changed]
    nothing = errors_db(np.zeros_like(made), truth.curves_db)[changed]
    nearer = errors_db(made, truth.curves_db)[changed] < nothing
    off = np.abs(made - truth.curves_db)[changed][:, JUDGED]
    by_size = _bins(sizes)
    by_reduction = _bins(reductions)
    rest = truth.reductions_db
    outer = 0.5 * (1.0 - HELD)
    return (
        np.array([sizes[rows].mean() for rows in by_size]),
        np.maximum.accumulate([nearer[rows].mean() for rows in by_size]),
        np.array([np.quantile(off[rows], HELD) for rows in by_size]),
        np.array([reductions[rows].mean() for rows in by_reduction]),
        np.maximum.accumulate([np.quantile(rest[rows], outer) for rows in by_reduction]),
        np.maximum.accumulate([np.quantile(rest[rows], 1.0 - outer) for rows in by_reduction]),
    )


def _bins(values: Floats) -> list[NDArray[np.int64]]:
    return np.array_split(np.argsort(values, kind="stable"), BINS)
