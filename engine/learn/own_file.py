"""The files of what own mixes taught: arrays in an `.npz`, and a card that says what they are and how well they did."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.array_file import Wanted, pack, read_card, read_named, refused, unpack
from engine.learn.bands import BANDS
from engine.learn.classify import Classifier
from engine.learn.features import schema_hash
from engine.learn.own_fit import Verdict
from engine.learn.own_model import COMPRESSOR, NAMES, OwnModel
from engine.learn.shape import LENGTH
from engine.learn.table_files import replace_text

FORMAT = 1
FIRST_LINE = "# What own mixes taught `roomtone learn fit`; the numbers are in the .npz beside it.\n"
MOST_LABELS, MOST_TEXT = 500, 200
LEAST_SPREAD = 1e-6


def load_own_model(path: Path) -> OwnModel:
    """Return the model in `path`, its card beside it with the ending `.yaml`; raises InputError."""
    if not path.is_file():
        raise InputError(Problem("no such model", "a .npz file of `roomtone learn fit`", file=str(path)))
    card_path = path.with_suffix(".yaml")
    card = read_card(card_path, FORMAT)
    labels = card.get("labels")
    if (
        not isinstance(labels, dict)
        or not set(labels) <= set(NAMES)
        or not all(map(_are_labels, labels.values()))
    ):
        raise refused(card_path, "names no labels that a model can have", "labels")
    return parse(
        path, read_named(path, card), {name: tuple(of) for name, of in labels.items()}, card.get("learned")
    )


def parse(path: Path, data: bytes, labels: Mapping[str, tuple[str, ...]], learned: Any) -> OwnModel:
    """Return the model in the bytes of an `.npz`, `learned` telling which settings are there; raises InputError."""
    if not isinstance(learned, list) or not set(map(str, learned)) <= {"equaliser", "compressor"}:
        raise refused(path.with_suffix(".yaml"), "names settings that a model cannot have", "learned")
    if learned and "instrument" not in labels:
        raise refused(path.with_suffix(".yaml"), "has settings for no instrument", "learned")
    wanted: dict[str, Wanted] = {}
    for name, of in labels.items():
        wanted[f"{name}_mean"] = wanted[f"{name}_spread"] = Wanted(np.float64, (LENGTH,))
        wanted[f"{name}_weights"] = Wanted(np.float64, (len(of), LENGTH))
        wanted[f"{name}_bias"] = Wanted(np.float64, (len(of),))
    count = len(labels.get("instrument", ()))
    if "equaliser" in learned:
        wanted |= {"eq_db": Wanted(np.float64, (count, BANDS)), "nearer": Wanted(np.float64, (1,))}
    if "compressor" in learned:
        wanted["compressor"] = Wanted(np.float64, (count, len(COMPRESSOR)))
    arrays = unpack(path, data, wanted)
    names = {}
    for name, of in labels.items():
        parts = {part: arrays[f"{name}_{part}"] for part in ("mean", "spread", "weights", "bias")}
        if (parts["spread"] < LEAST_SPREAD).any():
            raise refused(path, "has spreads that are not above 0", f"{name}_spread")
        names[name] = Classifier(of, **parts)
    compressor = arrays.get("compressor")
    if compressor is not None and (compressor < 0.0).any() | (compressor[:, 1:] < 0.05).any():
        raise refused(path, "has settings that no compressor has", "compressor")
    nearer = float(arrays["nearer"][0]) if "nearer" in arrays else 0.0
    if not 0.0 <= nearer <= 1.0:
        raise refused(path, "is no share", "nearer")
    return OwnModel(names, arrays.get("eq_db"), nearer, compressor)


def _are_labels(labels: Any) -> bool:
    return (
        isinstance(labels, list)
        and 2 <= len(labels) <= MOST_LABELS
        and all(isinstance(of, str) and 0 < len(of) <= MOST_TEXT and of.isprintable() for of in labels)
        and len(set(labels)) == len(labels)
    )


def write_own_model(path: Path, model: OwnModel, verdicts: Sequence[Verdict], learned_from: str) -> None:
    """Write the model and its card, and read them back; raises InputError."""
    import yaml

    arrays: dict[str, NDArray[Any]] = {}
    for name, names in model.names.items():
        arrays |= {f"{name}_{part}": getattr(names, part) for part in ("mean", "spread", "weights", "bias")}
    learned = []
    if model.eq_db is not None:
        arrays |= {"eq_db": model.eq_db, "nearer": np.array([model.nearer])}
        learned.append("equaliser")
    if model.compressor is not None:
        arrays["compressor"] = model.compressor
        learned.append("compressor")
    data = pack(arrays)
    card = {
        "format": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
        "command": "roomtone learn fit",
        "learned_from": learned_from,
        "features_sha256": schema_hash(),
        "labels": {name: list(names.families) for name, names in model.names.items()},
        "learned": learned,
        "verdicts": [_rounded(vars(v)) for v in verdicts],
    }
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(path))) from None
    replace_text(
        path.with_suffix(".yaml"), FIRST_LINE + yaml.safe_dump(card, sort_keys=False, allow_unicode=True)
    )
    load_own_model(path)


def check_target(path: Path) -> None:
    """Raise InputError unless a model can be written there without losing anything: new files, or such a model."""
    if path.suffix != ".npz" or path.is_dir() or not path.parent.is_dir():
        raise InputError(
            Problem(f"{path} cannot be written", "a name ending in .npz, in a folder that is there", "--out")
        )
    card = path.with_suffix(".yaml")
    try:
        ours = not card.exists() or card.read_text("utf-8", errors="replace").startswith(FIRST_LINE)
    except OSError as error:
        raise InputError(Problem(f"{card} cannot be read ({error.strerror})", "", "--out")) from None
    if not ours or (path.exists() and not card.exists()):
        raise InputError(Problem(f"{path} is there and holds something else", "a new file", "--out"))


def _rounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in facts.items()}
