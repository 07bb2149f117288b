"""A model of treatments that is read wrong, leads a walk astray, or says other than scikit-learn's forest."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import presets
from benchmarks.model import fit_treatment
from benchmarks.model.fit_treatment import flat
from benchmarks.model.treated import Treatments
from engine.errors import InputError
from engine.learn.array_file import pack
from engine.learn.bands import BANDS
from engine.learn.features import schema
from engine.learn.forest import Forest
from engine.learn.mix_settings import MOST_EQ_DB
from engine.learn.shape import LENGTH
from engine.learn.treatment import TreatmentModel, undone_db
from engine.learn.treatment_file import FORESTS, TABLES, load_treatment_model, parse

PARTS = tuple(field.name for field in dataclasses.fields(Forest))


def small_model() -> TreatmentModel:
    rng = np.random.default_rng(3)
    count = 120
    table = Treatments(
        rng.standard_normal((count, len(schema()))) * 20.0,
        rng.standard_normal((count, BANDS)) * 4.0,
        rng.uniform(0.0, 20.0, count),
        np.zeros(count, bool),
        np.arange(count).astype(str),
    )
    rising = np.array([0.5, 1.0, 3.0])
    with pytest.MonkeyPatch.context() as patch:
        # Six trees, since thousands of files are made of them.
        patch.setattr(fit_treatment, "TREES", 6)
        found = fit_treatment.fitted(table, 1)
    return found.with_tables(
        0.5, rising, np.array([0.4, 0.6, 0.8]), rising, rising * 5.0, rising, rising * 8.0
    )


def arrays(model: TreatmentModel) -> "dict[str, np.ndarray]":
    made = {name: getattr(model, name) for name in ("basis", "centre", *TABLES)}
    made["least_db"] = np.array([model.least_db])
    for name in FORESTS:
        made |= {f"{name}_{part}": getattr(getattr(model, name), part) for part in PARTS}
    return made


@pytest.fixture(scope="module")
def model() -> TreatmentModel:
    return small_model()


def test_a_walk_through_the_trees_ends_elsewhere_than_scikit_learns() -> None:
    """Extremely random trees on 2000 inputs, thresholds among them: equal within 1e-6 of the largest output."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(5)
    x = rng.integers(-40, 40, (400, 9)).astype(np.float32) / 8.0
    trees = ensemble.ExtraTreesRegressor(20, min_samples_leaf=3, random_state=2).fit(
        x, rng.standard_normal((400, 3))
    )
    asked = np.concatenate([rng.standard_normal((1000, 9)) * 6.0, x, x, x[:200]]).astype(np.float32)
    told = flat(trees.estimators_)(asked.astype(np.float64))
    np.testing.assert_allclose(told, trees.predict(asked), rtol=0.0, atol=1e-6)


def test_a_damaged_file_crashes_or_never_answers(model: TreatmentModel) -> None:
    """10 000 files with bytes changed, cut out, doubled: refused, or finite curves within 6 dB."""
    whole, rng = pack(arrays(model)), np.random.default_rng(12)
    x = rng.standard_normal(len(schema())) * 50.0
    refused = 0
    for _ in range(10_000):
        data = bytearray(whole)
        kind, at = rng.integers(0, 4), int(rng.integers(0, len(data)))
        if kind == 0:
            for _ in range(int(rng.integers(1, 8))):
                data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 500))]
        elif kind == 2:
            data[at:at] = rng.integers(0, 256, int(rng.integers(1, 100)), np.uint8).tobytes()
        else:
            data[max(0, len(data) - 2000) + int(rng.integers(0, min(2000, len(data))))] ^= 1
        try:
            made = parse(Path("m.npz"), bytes(data))
        except InputError:
            refused += 1
            continue
        check(made, x)
    assert refused > 9_000


def check(model: TreatmentModel, features: "np.ndarray") -> None:
    told = model.treatment(features)
    assert np.abs(told.undo_db.value).max() <= MOST_EQ_DB + 1e-9
    assert np.isfinite([told.reduction_db.low, told.reduction_db.value, told.reduction_db.high]).all()
    assert 0.0 <= told.undo_db.confidence <= 1.0


def test_arrays_that_pass_for_a_forest_lead_a_walk_in_circles(model: TreatmentModel) -> None:
    """3000 forests with changed indices: a fault is told, or a walk ends within the forest's values."""
    rng = np.random.default_rng(9)
    x = rng.standard_normal((1, LENGTH)) * 50.0
    refused = 0
    for _ in range(3_000):
        whole = getattr(model, FORESTS[rng.integers(2)])
        name = ("roots", "features", "right")[rng.integers(3)]
        changed = getattr(whole, name).copy()
        at = rng.integers(0, len(changed), int(rng.integers(1, 4)))
        changed[at] = rng.integers(-3, LENGTH + 2 if name == "features" else len(whole.right) + 3, len(at))
        forest = dataclasses.replace(whole, **{name: changed})
        if forest.fault(LENGTH):
            refused += 1
            continue
        made = forest(x)
        assert (made >= whole.values.min(axis=0) - 1e-6).all()
        assert (made <= whole.values.max(axis=0) + 1e-6).all()
    assert refused > 1_500


def test_a_forest_with_a_fault_is_taken(model: TreatmentModel) -> None:
    """A branch that leads back to its root: the file is refused, and says why."""
    made = arrays(model)
    right = made["equaliser_right"].copy()
    right[0] = 0
    with pytest.raises(InputError, match="leads back"):
        parse(Path("m.npz"), pack(made | {"equaliser_right": right}))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("basis", np.zeros((3, BANDS)), "8 numbers|3 numbers"),
        ("least_db", np.array([-1.0]), "below 0"),
        ("nearer", np.array([0.5, 0.6, 1.5]), "shares"),
        ("sizes_db", np.array([1.0, 1.0, 2.0]), "rise"),
        ("errors_db", np.zeros(2), "as long as"),
        ("compressor_values", np.full((4, 1), np.nan, np.float32), "not finite"),
    ],
)
def test_an_array_that_cannot_be_is_taken(
    model: TreatmentModel, name: str, value: "np.ndarray", told: str
) -> None:
    with pytest.raises(InputError, match=told):
        parse(Path("m.npz"), pack(arrays(model) | {name: value}))


def test_a_sound_far_from_all_that_was_learned_is_turned_up_without_bound() -> None:
    """Features of any size up to 1e6: curves within 6 dB and of zero mean, reductions of 0 to 40 dB."""
    model = load_treatment_model(presets.treatment_path())
    rng = np.random.default_rng(2)
    for scale in (0.0, 1.0, 100.0, 1e6):
        told = model.treatment(rng.standard_normal(len(schema())) * scale)
        assert np.abs(told.undo_db.value).max() <= 6.0 + 1e-9
        assert abs(told.undo_db.value.mean()) < 1e-6
        assert 0.0 <= told.reduction_db.low <= told.reduction_db.value <= told.reduction_db.high <= 40.0


def test_a_small_curve_is_undone_with_a_jump() -> None:
    """From nothing to twice the least size in 400 steps: what is undone never changes by more than the curve does."""
    curve = np.sin(np.arange(BANDS) / 4.0)[None, :]
    curve -= curve.mean()
    flat = np.full((1, len(schema())), -30.0)
    steps = [undone_db(curve * k / 100.0, flat, 1.0)[0] for k in range(400)]
    assert not steps[0].any()
    assert steps[-1].any()
    most = np.abs(np.diff(steps, axis=0)).max()
    assert most <= np.abs(curve).max() / 100.0 * 1.01


def test_what_is_not_heard_is_turned_up() -> None:
    """Hiss 60 dB below a tone in a curve that asks for it: the bands of the hiss are all changed alike, and by less."""
    curve = np.linspace(4.0, -4.0, BANDS)[None, :]
    dull = np.full((1, len(schema())), -90.0)
    dull[0, [f.name.startswith("band_") and float(f.name[5:-3]) <= 1000.0 for f in schema()]] = -30.0
    made = undone_db(curve, dull, 0.0)[0]
    heard = undone_db(curve, np.full_like(dull, -30.0), 0.0)[0]
    assert (np.diff(heard) > 0.0).all()
    assert np.ptp(made[18:]) < 1e-9
    assert made[18:].max() < heard[18:].mean()
