"""The library folders a user has once and for all: a list in `library.yaml`, in the folder for settings."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.errors import InputError, Problem, SceneError
from engine.scene.files import read_bytes
from engine.scene.reader import read, shorten, show

FILE_NAME = "library.yaml"
MAX_FOLDERS = 64


def folders_file() -> Path:
    """Return the file of the list: in ROOMTONE_CONFIG, or in the system's folder for settings."""
    if named := os.environ.get("ROOMTONE_CONFIG"):
        return Path(named) / FILE_NAME
    from platformdirs import user_config_path

    return user_config_path("roomtone", appauthor=False) / FILE_NAME


def user_folders() -> tuple[Path, ...]:
    """Return the user's library folders, in their order; none without a list. Raises SceneError for a bad one."""
    file = folders_file()
    if not file.exists():
        return ()
    shown = shorten(str(file), 4096)
    document = read(read_bytes(file, shown, "list of library folders"), shown)
    data = {} if document.data is None else document.data
    folders = data.get("folders", []) if isinstance(data, dict) and set(data) <= {"folders"} else None
    if not isinstance(folders, list) or len(folders) > MAX_FOLDERS:
        allowed = f"must be a mapping `folders:` with a list of at most {MAX_FOLDERS} folders"
        raise SceneError(Problem("is no list of library folders", allowed, file=shown, line=1))
    for index, folder in enumerate(folders):
        if not isinstance(folder, str) or not os.path.isabs(folder):
            field, line = f"folders[{index}]", document.line(("folders", index))
            raise SceneError(
                Problem(f"is {show(folder)}", "must be the full path of a folder", field, shown, line)
            )
    return tuple(Path(folder) for folder in folders)


def add_folders(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Put folders on the list, those that are there stay where they are; return the list.

    Raises InputError for what is no folder.
    """
    new = [_usable(folder) for folder in folders]
    kept = tuple(dict.fromkeys((*user_folders(), *new)))
    if len(kept) > MAX_FOLDERS:
        raise InputError(Problem(f"{len(kept)} library folders", f"at most {MAX_FOLDERS}"))
    _write(kept)
    return kept


def remove_folders(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Take folders off the list, which need not exist any more; return the list. Raises InputError for others."""
    kept = list(user_folders())
    for folder in folders:
        named = [Path(os.path.realpath(folder)), Path(os.path.abspath(folder))]
        found = next((path for path in named if path in kept), None)
        if found is None:
            allowed = "there are " + ", ".join(map(str, kept)) if kept else "there are none"
            raise InputError(Problem("is not a library folder", allowed, file=shorten(str(folder), 4096)))
        kept.remove(found)
    _write(kept)
    return tuple(kept)


def _usable(folder: Path) -> Path:
    path = Path(os.path.realpath(folder))
    shown = shorten(str(folder), 4096)
    if not path.is_dir():
        raise InputError(Problem("no such folder", "a folder of sounds", file=shown))
    if shorten(str(path), 4096) != str(path):
        raise InputError(
            Problem("has a name that cannot be kept", "printable, at most 4096 characters", file=shown)
        )
    return path


def _write(folders: Sequence[Path]) -> None:
    file = folders_file()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    lines = ["# Folders of sounds: `roomtone library add` and `remove` keep this list.\n"]
    # A JSON string is a YAML string.
    lines += ["folders:\n", *(f"  - {json.dumps(str(folder), ensure_ascii=False)}\n" for folder in folders)]
    text = "".join(lines) if folders else lines[0] + "folders: []\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(text, "utf-8")
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror or error}", file=str(file))) from None
