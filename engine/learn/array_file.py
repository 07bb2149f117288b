"""Plain arrays in an `.npz` and a YAML card that says what they are. Nothing in either is ever run.

An `.npz` that Python objects are in is refused before they are read, and so is one of another size, of other arrays, of
numbers that are not finite, or that is not the one its card names by SHA-256.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.features import schema_hash

MOST_BYTES = 16 * 2**20
MOST_CARD_BYTES = 2**16
LARGEST = 1e4
"""No number of a floating-point array is larger."""
AGAIN = "a model and its card beside it as they came with the program, or as `roomtone learn fit` wrote them"


class Wanted(NamedTuple):
    """What an array has to be; a length that is None may be any but 0."""

    dtype: type[np.generic]
    shape: tuple[int | None, ...]


def read_card(path: Path, format_number: int) -> dict[str, Any]:
    """Return the card in `path` of a model that was learned from today's features; raises InputError."""
    import yaml

    try:
        card = yaml.safe_load(_read(path, MOST_CARD_BYTES))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
        raise refused(path, "is no YAML") from None
    if not isinstance(card, dict):
        raise refused(path, "is no card of a model")
    if card.get("format") != format_number:
        raise refused(path, f"has the format {card.get('format')!r}, not {format_number}", "format")
    if card.get("features_sha256") != schema_hash():
        raise refused(path, "was learned from other features than this version has", "features_sha256")
    return card


def read_named(path: Path, card: Mapping[str, Any]) -> bytes:
    """Return the bytes of the `.npz` in `path` if they are those its card names; raises InputError."""
    data = _read(path, MOST_BYTES)
    if card.get("sha256") != hashlib.sha256(data).hexdigest():
        raise refused(path, "is not the file its card names by `sha256`")
    return data


def unpack(path: Path, data: bytes, wanted: Mapping[str, Wanted]) -> dict[str, NDArray[Any]]:
    """Return the arrays in the bytes of an `.npz`: exactly those that are wanted; raises InputError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if sorted(sizes) != sorted(f"{name}.npy" for name in wanted) or len(archive.infolist()) != len(
                wanted
            ):
                raise refused(path, f"holds {', '.join(sorted(sizes)) or 'nothing'}")
            if sum(sizes.values()) > MOST_BYTES:
                raise refused(path, "unpacks to more than 16 MiB")
            return {name: _array(path, archive.read(f"{name}.npy"), name, wanted[name]) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError):
        raise refused(path, "is damaged, or no `.npz`") from None


def _array(path: Path, data: bytes, name: str, wanted: Wanted) -> NDArray[Any]:
    made = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False, max_header_size=1024)
    fits = made.ndim == len(wanted.shape) and all(
        have == want if want is not None else have > 0
        for have, want in zip(made.shape, wanted.shape, strict=True)
    )
    if made.dtype != wanted.dtype or not fits:
        shape = ", ".join("any" if n is None else str(n) for n in wanted.shape)
        told = f"{made.dtype} {list(made.shape)}, not {np.dtype(wanted.dtype)} [{shape}]"
        raise refused(path, f"has {told}", name)
    if made.dtype.kind == "f" and not (np.abs(made) <= LARGEST).all():
        raise refused(path, "has numbers that are not finite, or absurd", name)
    return np.ascontiguousarray(made)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(
            Problem(f"cannot be read ({error.strerror or error})", AGAIN, file=str(path))
        ) from None
    if len(data) > most:
        raise refused(path, f"is larger than {most} bytes")
    return data


def refused(path: Path, what: str, field: str = "") -> InputError:
    """Return the error that a file of a model is refused with."""
    return InputError(Problem(what, AGAIN, field, str(path)))


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the bytes of an `.npz`: the same arrays are the same bytes."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            one = io.BytesIO()
            np.lib.format.write_array(one, np.ascontiguousarray(values), allow_pickle=False)
            # A fixed date, or the bytes would change with the day.
            info = zipfile.ZipInfo(f"{name}.npy", (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, one.getvalue())
    return data.getvalue()
