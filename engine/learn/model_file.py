"""The file of the classifier of families."""

from pathlib import Path

import numpy as np

from engine.learn.array_file import Wanted, read_card, read_named, refused, unpack
from engine.learn.classify import Classifier
from engine.learn.families import FAMILIES
from engine.learn.shape import LENGTH

FORMAT = 1
LEAST_SPREAD = 1e-6


def load_model(path: Path) -> Classifier:
    """Return the model in `path`, its card beside it with the ending `.yaml`; raises InputError."""
    card_path = path.with_suffix(".yaml")
    card = read_card(card_path, FORMAT)
    data = read_named(path, card)
    families = card.get("families")
    if not isinstance(families, list) or not all(isinstance(f, str) and f in FAMILIES for f in families):
        raise refused(card_path, "names families that there are not", "families")
    if len(set(families)) != len(families) or len(families) < 2:
        raise refused(card_path, "names a family twice, or fewer than two", "families")
    return parse(path, data, tuple(families))


def parse(path: Path, data: bytes, families: tuple[str, ...]) -> Classifier:
    """Return the model in the bytes of an `.npz`; raises InputError for anything else."""
    arrays = unpack(
        path,
        data,
        {
            "mean": Wanted(np.float64, (LENGTH,)),
            "spread": Wanted(np.float64, (LENGTH,)),
            "weights": Wanted(np.float64, (len(families), LENGTH)),
            "bias": Wanted(np.float64, (len(families),)),
        },
    )
    if (arrays["spread"] < LEAST_SPREAD).any():
        raise refused(path, "has spreads that are not above 0", "spread")
    return Classifier(families, **arrays)
