"""The file of the model that tells what has been done to a sound already."""

from pathlib import Path

import numpy as np

from engine.learn.array_file import Wanted, read_card, read_named, refused, unpack
from engine.learn.bands import BANDS
from engine.learn.forest import Forest
from engine.learn.shape import LENGTH
from engine.learn.treatment import TreatmentModel

FORMAT = 1
FORESTS = ("equaliser", "compressor")
TABLES = ("sizes_db", "nearer", "errors_db", "reductions_db", "low_db", "high_db")


def load_treatment_model(path: Path) -> TreatmentModel:
    """Return the model in `path`, its card beside it with the ending `.yaml`; raises InputError."""
    return parse(path, read_named(path, read_card(path.with_suffix(".yaml"), FORMAT)))


def parse(path: Path, data: bytes) -> TreatmentModel:
    """Return the model in the bytes of an `.npz`; raises InputError for anything else."""
    wanted = {
        "basis": Wanted(np.float64, (None, BANDS)),
        "centre": Wanted(np.float64, (BANDS,)),
        "least_db": Wanted(np.float64, (1,)),
        **{name: Wanted(np.float64, (None,)) for name in TABLES},
    }
    for name in FORESTS:
        wanted |= {
            f"{name}_roots": Wanted(np.int32, (None,)),
            f"{name}_features": Wanted(np.int16, (None,)),
            f"{name}_thresholds": Wanted(np.float32, (None,)),
            f"{name}_right": Wanted(np.int32, (None,)),
            f"{name}_values": Wanted(np.float32, (None, None)),
        }
    arrays = unpack(path, data, wanted)
    forests = {}
    for name in FORESTS:
        parts = ("roots", "features", "thresholds", "right", "values")
        forests[name] = Forest(**{part: arrays.pop(f"{name}_{part}") for part in parts})
        if fault := forests[name].fault(LENGTH):
            raise refused(path, fault, name)
    outputs = (len(arrays["basis"]), 1)
    for name, count in zip(FORESTS, outputs, strict=True):
        if forests[name].values.shape[1] != count:
            raise refused(path, f"the values are not {count} numbers each", name)
    for key, columns in (("sizes_db", ("nearer", "errors_db")), ("reductions_db", ("low_db", "high_db"))):
        if (np.diff(arrays[key]) <= 0.0).any():
            raise refused(path, "does not rise", key)
        for column in columns:
            if len(arrays[column]) != len(arrays[key]):
                raise refused(path, f"is not as long as {key}", column)
    if ((arrays["nearer"] < 0.0) | (arrays["nearer"] > 1.0)).any():
        raise refused(path, "has shares that are none", "nearer")
    if (arrays["least_db"] < 0.0).any() or (arrays["errors_db"] < 0.0).any():
        raise refused(path, "is below 0", "least_db, errors_db")
    least_db = float(arrays.pop("least_db")[0])
    equaliser, compressor = (forests[name] for name in FORESTS)
    return TreatmentModel(equaliser, compressor, least_db=least_db, **arrays)
