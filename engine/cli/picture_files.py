"""Folders of pictures: tried before the work, written whole or not at all."""

import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.cli.common import StopRequest
from engine.errors import InputError, Problem, RoomtoneError


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make the folder and try it before an hour is spent on what goes there; an error leaves none behind."""
    made: list[Path] = []
    try:
        try:
            made += [part for part in (folder, *folder.parents) if not part.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            what = f"cannot be written to ({error.strerror or error})"
            raise InputError(Problem(what, "a folder for pictures", "plots", file=str(folder))) from None
        yield
    except BaseException:
        _tidy(made)
        raise


def _tidy(folders: Sequence[Path]) -> None:
    """Remove folders, the deepest first, as far as nothing is in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def write_pictures(
    folder: Path, pictures: Mapping[str, bytes], stop: StopRequest, stale: re.Pattern[str] | None = None
) -> list[Path]:
    """Write every picture, by file name, in place of those of an earlier run, or change nothing.

    Files of an earlier run whose names match `stale` go.
    """
    files = [folder / name for name in pictures]
    mark = uuid.uuid4().hex[:8]
    parts = [folder / f".{number}.{mark}.part" for number in range(len(files))]
    try:
        for part, png in zip(parts, pictures.values(), strict=True):
            part.write_bytes(png)
        stop.raises = False  # what is left is done in a moment, and must not be done by half
        _exchange(folder, parts, files, mark, stale)
    except OSError as error:
        raise RoomtoneError(f"{folder}: pictures cannot be written ({error.strerror or error})") from None
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()
    return files


def _exchange(
    folder: Path, parts: Sequence[Path], files: Sequence[Path], mark: str, stale: re.Pattern[str] | None
) -> None:
    """Give every part its name, and take away what is stale; after an OSError all is as before."""
    earlier = [f for f in files if f.is_file()]
    if stale is not None:
        earlier += [f for f in folder.iterdir() if f not in files and f.is_file() and stale.fullmatch(f.name)]
    aside: dict[Path, Path] = {}
    named: list[Path] = []
    try:
        for number, file in enumerate(earlier):
            os.replace(file, folder / f".{number}.{mark}.old")
            aside[file] = folder / f".{number}.{mark}.old"
        for part, file in zip(parts, files, strict=True):
            os.replace(part, file)
            named.append(file)
    except OSError:
        for file in named:
            with suppress(OSError):
                file.unlink()
        for file, old in aside.items():
            with suppress(OSError):
                os.replace(old, file)
        raise
    for old in aside.values():
        with suppress(OSError):
            old.unlink()
