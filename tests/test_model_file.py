"""A model file that runs code, crashes the program, or is taken for what it is not."""

import hashlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

import presets
from engine.errors import InputError
from engine.learn.classify import MOST_SPREADS
from engine.learn.features import schema, schema_hash
from engine.learn.model_file import FORMAT, load_model, parse
from engine.learn.shape import LENGTH, shape

FAMILIES = ("kick", "bass", "voice")


def arrays() -> "dict[str, np.ndarray]":
    rng = np.random.default_rng(4)
    return {
        "mean": rng.standard_normal(LENGTH),
        "spread": rng.uniform(0.5, 2.0, LENGTH),
        "weights": rng.standard_normal((len(FAMILIES), LENGTH)),
        "bias": rng.standard_normal(len(FAMILIES)),
    }


def packed(made: "dict[str, np.ndarray]", allow_pickle: bool = False) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in made.items():
            one = io.BytesIO()
            np.lib.format.write_array(one, array, allow_pickle=allow_pickle)
            archive.writestr(f"{name}.npy", one.getvalue())
    return data.getvalue()


def placed(folder: Path, data: bytes, **changed: object) -> Path:
    card = {
        "format": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
        "features_sha256": schema_hash(),
        "families": list(FAMILIES),
        **changed,
    }
    (folder / "m.npz").write_bytes(data)
    (folder / "m.yaml").write_text(yaml.safe_dump(card))
    return folder / "m.npz"


class Bomb:
    def __reduce__(self) -> "tuple[object, tuple[str]]":
        return exec, ("raise SystemExit('it ran')",)


def test_a_damaged_file_crashes_or_gives_other_than_chances() -> None:
    """10 000 files with bytes changed, cut out, doubled: refused, or chances that add up to 1."""
    whole, rng = packed(arrays()), np.random.default_rng(11)
    x = rng.standard_normal((2, len(schema()))) * 100.0
    refused = 0
    for _ in range(10_000):
        data = bytearray(whole)
        kind = rng.integers(0, 4)
        at = int(rng.integers(0, len(data)))
        if kind == 0:
            for _ in range(int(rng.integers(1, 8))):
                data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
        elif kind == 1:
            del data[at : at + int(rng.integers(1, 500))]
        elif kind == 2:
            data[at:at] = rng.integers(0, 256, int(rng.integers(1, 100)), np.uint8).tobytes()
        else:  # in the heads of the parts, where sizes and names are
            head = max(0, len(data) - 300) + int(rng.integers(0, 300))
            data[min(head, len(data) - 1)] ^= 1 << int(rng.integers(0, 8))
        try:
            model = parse(Path("m.npz"), bytes(data), FAMILIES)
        except InputError:
            refused += 1
            continue
        np.testing.assert_allclose(model.chances(x).sum(axis=1), 1.0)
    assert refused > 9_000


def test_a_model_runs_code(tmp_path: Path) -> None:
    """Objects in the arrays, a pickle in its place, a tag in the card: refused, and nothing is run."""
    bomb = np.array([Bomb()], object)
    for data in (packed(arrays() | {"bias": bomb}, allow_pickle=True), pickle.dumps(Bomb())):
        with pytest.raises(InputError, match=r"m\.npz"):
            load_model(placed(tmp_path, data))
    path = placed(tmp_path, packed(arrays()))
    path.with_suffix(".yaml").write_text("!!python/object/apply:os.abort []")
    with pytest.raises(InputError, match="no YAML"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("bias", np.full(3, np.nan), "not finite"),
        ("weights", np.full((3, LENGTH), 1e9), "absurd"),
        ("weights", np.zeros((2, LENGTH)), "float64"),
        ("mean", np.zeros(LENGTH, np.float32), "float32"),
        ("spread", np.zeros(LENGTH), "not above 0"),
        ("extra", np.zeros(3), "extra.npy"),
    ],
)
def test_an_array_that_cannot_be_is_taken(tmp_path: Path, name: str, value: "np.ndarray", told: str) -> None:
    with pytest.raises(InputError, match=told):
        load_model(placed(tmp_path, packed(arrays() | {name: value})))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "0" * 64),
        ("features_sha256", "0" * 64),
        ("format", 9),
        ("families", ["kick", "kick", "bass"]),
        ("families", ["kick", "nonsense", "bass"]),
        ("families", "kick"),
        ("families", [["kick"]]),
    ],
)
def test_a_card_of_another_model_is_taken(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(InputError, match=field):
        load_model(placed(tmp_path, packed(arrays()), **{field: value}))


def test_a_file_that_unpacks_to_more_than_memory_is_unpacked(tmp_path: Path) -> None:
    """40 MB of zeros in 40 kB: refused by the sizes it tells."""
    with pytest.raises(InputError, match="16 MiB"):
        load_model(placed(tmp_path, packed(arrays() | {"weights": np.zeros((3, 40 * 2**18))})))


def test_chances_are_not_those_of_scikit_learn() -> None:
    """A logistic regression on clipped inputs: equal within 1e-9."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(8)
    x = rng.standard_normal((90, len(schema()))) * 20.0
    truth = np.repeat(sorted(FAMILIES), 30)
    made = shape(x)
    mean, spread = made.mean(axis=0), made.std(axis=0) + 1e-3
    scaled = np.clip((made - mean) / spread, -MOST_SPREADS, MOST_SPREADS)
    learned = linear_model.LogisticRegression(C=0.1).fit(scaled, truth)
    data = {"mean": mean, "spread": spread, "weights": learned.coef_, "bias": learned.intercept_}
    model = parse(Path("m.npz"), packed(data), tuple(sorted(FAMILIES)))
    np.testing.assert_allclose(model.chances(x), learned.predict_proba(scaled), atol=1e-9)


def test_the_shipped_model_is_not_the_one_of_its_card() -> None:
    model = load_model(presets.model_path())
    assert len(model.families) == 12
    assert np.abs(model.weights).max() < 10.0
