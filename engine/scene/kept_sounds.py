"""Procedural sounds kept between starts: made once, then read from the user's cache folder, bit for bit the same.

A file holds one sound as `.npy`, and behind it the CRC-32 of its samples. Its name tells what it was made from and the
build that made it, so that nothing is ever out of date; what was not wanted for longest goes when there is too much.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsp.jit import cache_root, fingerprint

Samples = NDArray[np.float32]

MOST_BYTES = 2**29
"""512 MiB: the sounds of about ten scenes."""
_CRC_BYTES = 4

_READING = threading.Lock()
"""Python 3.11 may raise SystemError where two threads parse at once, and numpy parses the head of a file."""


def kept(make: Callable[[], Samples], *made_from: str | int) -> Samples:
    """Return float32 `[frames, channels]` from the cache, or else what `make` returns, which is kept then.

    `made_from` is all that the samples depend on besides this build. Whatever is wrong with the cache, the samples are
    right.
    """
    name = hashlib.sha256(repr((fingerprint(), *made_from)).encode()).hexdigest()[:32]
    file = folder() / f"{name}.npy"
    samples = _read(file)
    if samples is None:
        samples = make()
        with contextlib.suppress(OSError):
            _write(file, samples)
    return samples


def kept_record(make: Callable[[], dict[str, Any]], *made_from: str | int) -> dict[str, Any]:
    """Return a mapping that JSON can hold from the cache, or else what `make` returns, which is kept then."""
    name = hashlib.sha256(repr((fingerprint(), *made_from)).encode()).hexdigest()[:32]
    file = folder() / f"{name}.json"
    record: Any = None
    try:
        record = json.loads(file.read_bytes())
        os.utime(file)
    except (OSError, ValueError, RecursionError):
        record = None
    if isinstance(record, dict):
        return record
    made = make()
    with contextlib.suppress(OSError):
        _write_bytes(file, json.dumps(made, allow_nan=False).encode())
    return made


def folder() -> Path:
    """Return where they are."""
    return cache_root() / "sounds"


def tidy(most_bytes: int = MOST_BYTES) -> None:
    """Remove what was not wanted for longest, until the rest takes no more than `most_bytes`."""
    with contextlib.suppress(OSError):
        files = [(file, file.stat()) for file in folder().iterdir()]
        left = sum(status.st_size for _, status in files)
        for file, status in sorted(files, key=lambda pair: pair[1].st_mtime_ns):
            if left <= most_bytes:
                return
            file.unlink(missing_ok=True)
            left -= status.st_size


def _read(file: Path) -> Samples | None:
    try:
        with file.open("rb") as stream, _READING:
            samples = np.load(stream, allow_pickle=False)
            crc = stream.read()
        os.utime(file)
    except Exception:  # a damaged file raises whatever its bytes happen to mean
        return None
    whole = samples.dtype == np.float32 and samples.ndim == 2 and crc == _crc(samples)
    return samples if whole else None


def _write(file: Path, samples: Samples) -> None:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(samples), allow_pickle=False)
    _write_bytes(file, stream.getbuffer(), _crc(samples))


def _write_bytes(file: Path, *parts: bytes | memoryview) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with part.open("wb") as stream:
            stream.writelines(parts)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def _crc(samples: Samples) -> bytes:
    return zlib.crc32(np.ascontiguousarray(samples).data).to_bytes(_CRC_BYTES, "little")
