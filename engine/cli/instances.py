"""What `render` does with instance and JAMS files: reading, composing again, and writing beside the render."""

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from engine.cli.common import DEFAULT_SCENE, compiling, library_folders, progress
from engine.errors import InputError, Problem, RoomtoneError

if TYPE_CHECKING:
    from engine.control.bounce import Bounce
    from engine.scene.composition import Composition
    from engine.scene.instance import Instance


class OutputFile:
    """A text file that gets its name when the block of `with` ends well; tried before the work."""

    def __init__(self, path: Path, suffix: str, apart: Mapping[str, Path | None]) -> None:
        if path.suffix.lower() != suffix:
            what = f"cannot write {path.suffix or 'a file without a suffix'}"
            raise InputError(Problem(what, suffix, file=str(path)))
        if path.is_dir():
            raise InputError(Problem("is a folder", "a file name", file=str(path)))
        for what, other in apart.items():
            if other is not None and os.path.realpath(path) == os.path.realpath(other):
                raise InputError(Problem(f"is {what}", "must be another file", file=str(path)))
        self.path = path
        self._part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.part{suffix}")
        self._written = False

    def __enter__(self) -> "OutputFile":
        try:
            self._part.open("x").close()
        except OSError as error:
            raise InputError(Problem(f"cannot be written ({error.strerror})", file=str(self.path))) from None
        return self

    def write(self, texts: Iterable[str]) -> None:
        """Write it all, still under another name."""
        try:
            with self._part.open("w", encoding="utf-8") as file:
                file.writelines(texts)
        except OSError as error:
            raise self._failure(error) from None
        self._written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._written:
                os.replace(self._part, self.path)
        except OSError as failure:
            raise self._failure(failure) from None
        finally:
            with suppress(OSError):
                self._part.unlink()

    def _failure(self, error: OSError) -> RoomtoneError:
        return RoomtoneError(f"{self.path}: cannot be written ({error.strerror or error})")


def find_instance(scene: str | None, **others: object) -> "tuple[Instance, Path] | None":
    """Return the instance that `scene` is the file of; None for a scene.

    Raises InputError if at the same time something else is asked for that an instance has settled.
    """
    from engine.scene.instance import is_instance, read_instance

    path = Path(scene or DEFAULT_SCENE)
    try:
        if not path.is_file() or not is_instance(path):
            return None
    except (OSError, ValueError):
        return None
    for name, value in others.items():
        if value is not None and value is not False:
            option = f"--{name.strip('_')}"
            raise InputError(Problem("the instance has its own", f"leave it out with {path.name}", option))
    return read_instance(path), path


def compose_again(instance: "Instance", path: Path, library: Sequence[Path] | None) -> "Composition":
    """Return the composition of an instance, with progress on standard error."""
    with compiling():
        from importlib import import_module

        from engine.scene.instance import compose_instance
        from engine.spec import StreamSpec

        StreamSpec(instance.rate, instance.quantum)
        import_module("engine.control.bounce")
    with progress("loading sounds") as advance:
        return compose_instance(instance, path, library=library_folders(library), progress=advance)


def write_instance(
    file: OutputFile, result: "Bounce", settings: Mapping[str, float | str], figures: Mapping[str, object]
) -> None:
    """Write what was rendered."""
    from engine.scene.instance import texts

    gain_db = figures.get("loudness_gain_db")
    file.write(
        texts(
            result.composition,
            file.path.parent,
            quantum=result.spec.quantum_frames,
            settings=settings,
            loudness_gain_db=gain_db if isinstance(gain_db, float) else None,
            sha256=result.sha256,
            version=version("roomtone"),
        )
    )


def write_jams(file: OutputFile, composition: "Composition") -> None:
    """Write what sounds when."""
    from engine.scene.jams import jams

    document = jams(composition, version("roomtone"))
    file.write([json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False), "\n"])
