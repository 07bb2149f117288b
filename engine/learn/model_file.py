"""The shipped model: plain arrays in an `.npz` and a YAML card that says what they are. Nothing in it is ever run.

An `.npz` that Python objects are in is refused before they are read, and so is one of another size, of other arrays, of
numbers that are not finite, or that is not the one its card names by SHA-256.
"""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.classify import Classifier
from engine.learn.families import FAMILIES
from engine.learn.features import schema_hash
from engine.learn.shape import LENGTH

Floats = NDArray[np.float64]

FORMAT = 1
MOST_BYTES = 16 * 2**20
MOST_CARD_BYTES = 2**16
LARGEST = 1e4
"""No weight, mean or spread is larger."""
LEAST_SPREAD = 1e-6
AGAIN = "the model that came with the program, or one made by `python -m benchmarks.train_model`"


def load_model(path: Path) -> Classifier:
    """Return the model in `path`, its card beside it with the ending `.yaml`; raises InputError."""
    card = _card(path.with_suffix(".yaml"))
    data = _read(path, MOST_BYTES)
    wanted = card.get("sha256")
    if wanted != hashlib.sha256(data).hexdigest():
        raise _refused(path, "is not the file its card names by `sha256`")
    families = card.get("families")
    if not isinstance(families, list) or not all(isinstance(f, str) and f in FAMILIES for f in families):
        raise _refused(path.with_suffix(".yaml"), "names families that there are not", "families")
    if len(set(families)) != len(families) or len(families) < 2:
        raise _refused(path.with_suffix(".yaml"), "names a family twice, or fewer than two", "families")
    return parse(path, data, tuple(families))


def parse(path: Path, data: bytes, families: tuple[str, ...]) -> Classifier:
    """Return the model in the bytes of an `.npz`; raises InputError for anything else."""
    shapes = {
        "mean": (LENGTH,),
        "spread": (LENGTH,),
        "weights": (len(families), LENGTH),
        "bias": (len(families),),
    }
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if sorted(sizes) != sorted(f"{name}.npy" for name in shapes) or len(archive.infolist()) != len(
                shapes
            ):
                raise _refused(path, f"holds {', '.join(sorted(sizes)) or 'nothing'}")
            if sum(sizes.values()) > MOST_BYTES:
                raise _refused(path, "unpacks to more than 16 MiB")
            arrays = {
                name: _array(path, archive.read(f"{name}.npy"), name, shape) for name, shape in shapes.items()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError):
        raise _refused(path, "is damaged, or no `.npz`") from None
    if (arrays["spread"] < LEAST_SPREAD).any():
        raise _refused(path, "has spreads that are not above 0", "spread")
    return Classifier(families, **arrays)


def _array(path: Path, data: bytes, name: str, shape: tuple[int, ...]) -> Floats:
    made = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False, max_header_size=1024)
    if made.dtype != np.float64 or made.shape != shape:
        raise _refused(path, f"has {made.dtype} {list(made.shape)}, not float64 {list(shape)}", name)
    if not (np.abs(made) <= LARGEST).all():
        raise _refused(path, "has numbers that are not finite, or absurd", name)
    return np.ascontiguousarray(made)


def _card(path: Path) -> dict[str, Any]:
    import yaml

    try:
        card = yaml.safe_load(_read(path, MOST_CARD_BYTES))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise _refused(path, "is no YAML") from None
    if not isinstance(card, dict):
        raise _refused(path, "is no card of a model")
    if card.get("format") != FORMAT:
        raise _refused(path, f"has the format {card.get('format')!r}, not {FORMAT}", "format")
    if card.get("features_sha256") != schema_hash():
        raise _refused(path, "was learned from other features than this version has", "features_sha256")
    return card


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(
            Problem(f"cannot be read ({error.strerror or error})", AGAIN, file=str(path))
        ) from None
    if len(data) > most:
        raise _refused(path, f"is larger than {most} bytes")
    return data


def _refused(path: Path, what: str, field: str = "") -> InputError:
    return InputError(Problem(what, AGAIN, field, str(path)))
