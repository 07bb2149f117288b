"""Learns from a table of own mixes, and keeps only what holds on songs that it was not learned from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.learn.classify import MOST_SPREADS, Classifier
from engine.learn.dataset import Table
from engine.learn.features import schema
from engine.learn.own_model import COMPRESSOR, LIMITS, NAMES, OwnModel
from engine.learn.rules import reduction_by_rule_db
from engine.learn.shape import shape

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]

FOLDS = 5
LEAST_SONGS = 4
LEAST_GROUPS = 3
"""A label has to be in so many songs, or a fold knows nothing of it."""
STRENGTH = 0.1
TEMPERATURES = np.geomspace(0.5, 4.0, 31)
SHRINKS = (0.25, 0.5, 0.75, 1.0)
DRAWS = 1000
SEED = 20
NEVER = 1e-6
"""The chance of a label that a fold's songs do not have."""


@dataclass(frozen=True)
class Verdict:
    """Whether something was learned: its error on unseen songs, that of knowing nothing, and what was gained by songs.

    `low` and `high` bound the gain with 95 %; it is `learned` where they are above 0.
    """

    what: str
    measure: str
    rows: int
    songs: int
    error: float
    without: float
    low: float
    high: float
    why: str = ""

    @property
    def learned(self) -> bool:
        """Whether it is kept."""
        return not self.why and self.low > 0.0


def fit_table(table: Table, progress: Progress | None = None) -> tuple[OwnModel, list[Verdict]]:
    """Return what a table teaches, and the verdict on each thing that was tried."""
    tell = progress or (lambda *_: None)
    features = table.features()
    names: dict[str, Classifier] = {}
    verdicts = []
    settings: dict[str, Any] = {}
    for step, name in enumerate(NAMES):
        tell(name, step, len(NAMES) + 2)
        model, verdict = _fit_names(features, table.labels(name), table.labels("group"), name)
        verdicts.append(verdict)
        if model is not None and verdict.learned:
            names[name] = model
    if "instrument" in names:
        tell("settings", len(NAMES), len(NAMES) + 2)
        settings, more = _fit_settings(table, features, names["instrument"])
        verdicts += more
    return OwnModel(names, **settings), verdicts


def _fit_names(
    features: Floats, labels: Sequence[str], groups: Sequence[str], what: str
) -> tuple[Classifier | None, Verdict]:
    usable = _usable(labels, groups)
    kept = np.array([label in usable for label in labels])
    songs = len({g for g, k in zip(groups, kept, strict=True) if k})
    if len(usable) < 2 or songs < LEAST_SONGS:
        why = f"needs two labels in {LEAST_GROUPS} songs each, and {LEAST_SONGS} songs"
        return None, Verdict(what, "log-loss", int(kept.sum()), songs, 0.0, 0.0, 0.0, 0.0, why)
    x, truth = features[kept], np.array(labels)[kept]
    songs_of = np.array(groups)[kept]
    chances, prior = (np.full((len(x), len(usable)), NEVER) for _ in range(2))
    for learn, test in _folds(songs_of):
        model = _classifier(x[learn], truth[learn])
        columns = np.array([usable.index(label) for label in model.families])
        chances[np.ix_(test, columns)] = model.chances(x[test])
        prior[np.ix_(test, columns)] = [np.mean(truth[learn] == label) for label in model.families]
    right = np.array([usable.index(label) for label in truth])
    temperature = min(TEMPERATURES, key=lambda t: float(_losses(_cooled(chances, t), right).mean()))
    losses, blind = _losses(_cooled(chances, temperature), right), _losses(prior, right)
    low, high = _interval(blind - losses, songs_of)
    model = _classifier(x, truth, float(temperature))
    return model, Verdict(
        what, "log-loss", len(x), songs, float(losses.mean()), float(blind.mean()), low, high
    )


def _fit_settings(table: Table, features: Floats, names: Classifier) -> tuple[dict[str, Any], list[Verdict]]:
    groups, labels = np.array(table.labels("group")), np.array(table.labels("instrument"))
    curves = table.curves()
    curves = curves - curves.mean(axis=1, keepdims=True)
    squeezes = np.column_stack(
        [np.clip(table.setting(name), *of) for name, of in zip(COMPRESSOR, LIMITS, strict=True)]
    )
    taught = np.isin(labels, names.families)
    with_curve = taught & np.array([row.known.get("equaliser_known", False) for row in table.rows])
    with_curve &= np.isfinite(curves).all(axis=1)
    with_squeeze = taught & np.array([row.known.get("dynamics_known", False) for row in table.rows])
    with_squeeze &= np.isfinite(squeezes).all(axis=1)
    settings: dict[str, Any] = {}
    verdicts = []

    def found(rows: NDArray[np.bool_], values: Floats) -> Floats:
        made = np.zeros_like(values[rows])
        for learn, test in _folds(groups[rows]):
            x, y, of = features[rows][learn], values[rows][learn], labels[rows][learn]
            if len(set(of.tolist())) < 2:
                made[test] = y.mean(axis=0)
                continue
            model = _classifier(x, of)
            made[test] = model.chances(features[rows][test]) @ _means(model.families, of, y)
        return made

    if _songs(groups[with_curve]) >= LEAST_SONGS:
        guess, truth = found(with_curve, curves), curves[with_curve]
        off = {s: np.abs(truth - s * guess).mean(axis=1) for s in SHRINKS}
        shrink = min(SHRINKS, key=lambda s: float(off[s].mean()))
        without = np.abs(truth).mean(axis=1)
        verdict = _verdict("equaliser", "mean error, dB", off[shrink], without, groups[with_curve])
        verdicts.append(verdict)
        if verdict.learned:
            settings["eq_db"] = shrink * _means(names.families, labels[with_curve], curves[with_curve])
            settings["nearer"] = float((off[shrink] < without).mean())
    else:
        verdicts.append(_too_few("equaliser", "mean error, dB", with_curve, groups))
    if _songs(groups[with_squeeze]) >= LEAST_SONGS:
        guess, truth = found(with_squeeze, squeezes)[:, 0], squeezes[with_squeeze, 0]
        index = [f.name for f in schema()].index("crest")
        by_rule = np.array([reduction_by_rule_db(crest, {}) for crest in features[with_squeeze, index]])
        verdict = _verdict(
            "compressor",
            "reduction, dB",
            np.abs(truth - guess),
            np.abs(truth - by_rule),
            groups[with_squeeze],
        )
        verdicts.append(verdict)
        if verdict.learned:
            logs = np.column_stack([squeezes[:, 0], np.log(np.maximum(squeezes[:, 1:], 0.1))])
            means = _means(names.families, labels[with_squeeze], logs[with_squeeze])
            settings["compressor"] = np.column_stack([means[:, 0], np.exp(means[:, 1:])])
    else:
        verdicts.append(_too_few("compressor", "reduction, dB", with_squeeze, groups))
    return settings, verdicts


def _means(names: Sequence[str], labels: NDArray[np.str_], values: Floats) -> Floats:
    """Return the mean of each label's rows, float64 `[names, columns]`; of a label without any that of all."""
    everything = values.mean(axis=0)
    return np.array([values[labels == n].mean(axis=0) if (labels == n).any() else everything for n in names])


def _classifier(features: Floats, labels: NDArray[np.str_], temperature: float = 1.0) -> Classifier:
    from sklearn.linear_model import LogisticRegression

    x = shape(features)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    model = LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced").fit(
        np.clip((x - mean) / spread, -MOST_SPREADS, MOST_SPREADS), labels
    )
    weights, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # Two labels have one row of weights; half of it each way gives the same chances.
        weights, bias = np.concatenate([-weights, weights]) / 2.0, np.concatenate([-bias, bias]) / 2.0
    return Classifier(
        tuple(map(str, model.classes_)), mean, spread, weights / temperature, bias / temperature
    )


def _usable(labels: Sequence[str], groups: Sequence[str]) -> list[str]:
    songs: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        if label:
            songs.setdefault(label, set()).add(group)
    return sorted(label for label, of in songs.items() if len(of) >= LEAST_GROUPS)


def _folds(groups: NDArray[np.str_]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import GroupKFold

    count = min(FOLDS, _songs(groups))
    return list(GroupKFold(count, shuffle=True, random_state=SEED).split(groups, groups=groups))


def _songs(groups: NDArray[np.str_]) -> int:
    return len(set(groups.tolist()))


def _cooled(chances: Floats, temperature: float) -> Floats:
    made = np.maximum(chances, 1e-12) ** (1.0 / temperature)
    return np.asarray(made / made.sum(axis=1, keepdims=True))


def _losses(chances: Floats, right: NDArray[np.int64]) -> Floats:
    return np.asarray(-np.log(np.maximum(chances[np.arange(len(right)), right], 1e-12)))


def _verdict(what: str, measure: str, errors: Floats, without: Floats, groups: NDArray[np.str_]) -> Verdict:
    low, high = _interval(without - errors, groups)
    return Verdict(
        what, measure, len(errors), _songs(groups), float(errors.mean()), float(without.mean()), low, high
    )


def _too_few(what: str, measure: str, rows: NDArray[np.bool_], groups: NDArray[np.str_]) -> Verdict:
    why = f"is known in too few songs; it takes {LEAST_SONGS}"
    return Verdict(what, measure, int(rows.sum()), _songs(groups[rows]), 0.0, 0.0, 0.0, 0.0, why)


def _interval(values: Floats, groups: NDArray[np.str_]) -> tuple[float, float]:
    """Return the 95 % interval of a mean by a bootstrap that draws whole songs."""
    names, at = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(at, values, len(names)), np.bincount(at, minlength=len(names))
    drawn = np.random.default_rng(SEED).integers(0, len(names), (DRAWS, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
